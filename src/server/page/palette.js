// The colours of the chart. They stand in style.css as custom properties, once for the day and
// once for the night; here they become numbers for the graphics card.

const NAMES = [
  "ground",
  "ink",
  "grid",
  "road",
  "object",
  "halo",
  "low",
  "mid",
  "high",
  "cut",
  "shard",
  "fresh",
  "paper",
  "frame",
];
export const QUERY_COLOURS = 6;

/** `#rrggbb` or `#rrggbbaa` as four numbers from 0 to 1. */
export function parseColour(text) {
  const digits = text.trim().replace(/^#/, "");
  const part = (i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16) / 255;
  return [part(0), part(1), part(2), digits.length === 8 ? part(3) : 1];
}

/** All colours of the chart as they are now. */
export function readPalette(element) {
  const style = getComputedStyle(element);
  const colour = (name) => parseColour(style.getPropertyValue(`--chart-${name}`));
  const palette = Object.fromEntries(NAMES.map((name) => [name, colour(name)]));
  palette.queries = Array.from({ length: QUERY_COLOURS }, (_, i) => colour(`query-${i}`));
  return palette;
}

/** A colour with another opacity. */
export function faded([red, green, blue, alpha], part) {
  return [red, green, blue, alpha * part];
}

/** A colour for a canvas or an element. */
export function css([red, green, blue, alpha]) {
  const byte = (value) => Math.round(value * 255);
  return `rgb(${byte(red)} ${byte(green)} ${byte(blue)} / ${alpha})`;
}

/** The tint of a strip: blue below the mean, ochre above, the stronger the farther. */
export function loadTint(palette, load) {
  return faded(load < 0 ? palette.low : palette.high, Math.abs(load));
}

/** The same for a bar on paper: never transparent, grey at the mean. */
export function loadColour(palette, load) {
  const [from, to] = [palette.mid, load < 0 ? palette.low : palette.high];
  return [0, 1, 2].map((i) => from[i] + (to[i] - from[i]) * Math.abs(load)).concat(1);
}
