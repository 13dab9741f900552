// Small things about elements.

/** The element with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with properties (or attributes, with a dash or `role`) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** An icon of the page's symbols. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Writes a text only where it differs, so that nothing is laid out in vain. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of a list those of `items`, in their order; children are kept by key. `build`
 * makes one, `update` brings it up to date.
 */
export function keep(list, items, { key, build, update }) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = key(item);
    let child = old.get(name);
    if (!child) {
      child = build(item);
      child.dataset.key = name;
    }
    old.delete(name);
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
    update?.(child, item);
  });
  for (const child of old.values()) child.remove();
}

/** A canvas as large as its box on this screen, its unit a CSS pixel. */
export function sharpen(canvas, width, height) {
  const density = Math.min(window.devicePixelRatio || 1, 3);
  const [wide, high] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  return context;
}
