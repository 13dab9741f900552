// Names on the chart: the queries' beside their middles, the shards' along the top. They are
// elements over the picture, so that they are as sharp as any text and cost nothing to move.

import { make, write } from "./dom.js";
import { count } from "./nice.js";
import { marginOf } from "./neatline.js";
import { css } from "./palette.js";
import { keyToScreen } from "./scene.js";
import { toScreen } from "./view.js";

const LETTER = 7;
const HEIGHT = 18;

/** Boxes [left, top, width] that do not touch one taken before; true for those that have room. */
export function withRoom(boxes) {
  const taken = [];
  return boxes.map(([left, top, width]) => {
    const touches = ([otherLeft, otherTop, otherWidth]) =>
      Math.abs(top - otherTop) < HEIGHT &&
      left < otherLeft + otherWidth &&
      otherLeft < left + width;
    if (taken.some(touches)) return false;
    taken.push([left, top, width]);
    return true;
  });
}

/** The queries' names; where two would meet, the selected or else the first has the place. */
export function drawTags(list, { projection, view, discs }) {
  const named = discs.filter((disc) => disc.middle).sort((a, b) => b.selected - a.selected);
  const places = named.map(({ query, middle }) => {
    const shift = projection.wraps ? Math.round(view.x - middle[0]) : 0;
    const [x, y] = toScreen(view, middle[0] + shift, middle[1]);
    return [x + 10, y - 24, LETTER * query.id.length + 12];
  });
  const rooms = withRoom(places);
  const shown = named.flatMap((disc, i) => (rooms[i] ? [{ ...disc, place: places[i] }] : []));
  each(list, shown, "tag", (tag, { query, colour, selected, place }) => {
    write(tag, query.id);
    move(tag, place[0], place[1]);
    tag.style.setProperty("--colour", css(colour));
    tag.classList.toggle("selected", selected);
  });
}

/** The shards' names between their borders: as much of each as there is room for. */
export function drawShardNames(list, { projection, view, shards }) {
  const margin = marginOf(view.width);
  const shown = shards.flatMap((shard, i) => {
    const left = Math.max(margin, keyToScreen(projection, view, shard.from, -1));
    const right = Math.min(view.width - margin, keyToScreen(projection, view, shard.to, 1));
    const names = [`shard ${i} · ${count(shard.objects)}`, `shard ${i}`, String(i)];
    const name = names.find((text) => LETTER * text.length + 20 <= right - left);
    return name === undefined ? [] : [{ name, middle: (left + right) / 2 }];
  });
  each(list, shown, "shard", (tag, { name, middle }) => {
    write(tag, name);
    move(tag, middle, margin + 8);
  });
}

function each(list, items, className, update) {
  while (list.children.length < items.length) list.append(make("span", { className }));
  [...list.children].forEach((child, i) => {
    child.hidden = i >= items.length;
    if (i < items.length) update(child, items[i]);
  });
}

function move(element, x, y) {
  element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
}
