// One picture of the chart: what is drawn, in which order and in which colours.
//
// From the ground up: strips, graticule, roads, cuts, discs and areas of queries, objects, and
// on top the neighbours. Everything is in pixels of the screen but the objects and the roads,
// which the graphics card moves itself.

import { question } from "./answers.js";
import { rectangle } from "./gl.js";
import { faded, loadTint } from "./palette.js";
import { areaRings, circle } from "./projection.js";
import { copies, toScreen, unitsPerPixel } from "./view.js";

const PULSE_MS = 700;

/** The queries as they are drawn: where their middle is, how wide, their colour, their areas. */
export function discsOf({ state, projection, centres, radii, mixing, colourOf }) {
  return state.queries.flatMap((query) => {
    const { kind, at, object, area } = question(query);
    const colour = colourOf(query.id);
    const selected = state.selected === query.id;
    if (kind === "inside") return [{ query, colour, selected, rings: areaRings(projection, area) }];
    if (kind !== "knn" && kind !== "within") return [];
    const middle = object === undefined ? projection.forward(...at) : centres.at(query.id, mixing);
    const radius = radii.at(query.id, mixing)?.[0] ?? null;
    return middle ? [{ query, colour, selected, middle, radius, kind }] : [];
  });
}

export function drawScene(painter, input) {
  const { view, palette, pixels, hasTiles, now } = input;
  painter.begin(hasTiles ? null : palette.ground, pixels);
  drawBands(painter, input);
  drawLines(painter, input);
  drawRoads(painter, input);
  drawCuts(painter, input);
  for (const disc of input.discs) drawDisc(painter, input, disc);
  drawSpokes(painter, input);
  drawFleet(painter, input);
  drawNeighbours(painter, input);
  return { view, now };
}

/** The screen's x of a key, with null as the end of the world. */
export function keyToScreen(projection, view, key, end, shift = 0) {
  if (key === null) {
    if (!projection.wraps) return end < 0 ? 0 : view.width;
    return toScreen(view, (end < 0 ? 0 : 1) + shift, 0)[0];
  }
  return toScreen(view, projection.forward(key, 0)[0] + shift, 0)[0];
}

function worldEnds(projection, view) {
  if (!projection.wraps) return [0, view.height];
  const [top, bottom] = [toScreen(view, 0, 0)[1], toScreen(view, 0, 1)[1]];
  return [Math.max(0, top), Math.min(view.height, bottom)];
}

function drawBands(painter, { view, projection, palette, strips, now }) {
  const rows = [];
  const [top, bottom] = worldEnds(projection, view);
  const bands = strips.drawnBands(now);
  for (const shift of copies(projection, view, 0, 1)) {
    for (const { from, to, load, fresh } of bands) {
      const left = Math.max(0, keyToScreen(projection, view, from, -1, shift));
      const right = Math.min(view.width, keyToScreen(projection, view, to, 1, shift));
      if (right <= left) continue;
      rows.push(...rectangle(left, top, right, bottom, loadTint(palette, load)));
      if (fresh > 0) rows.push(...rectangle(left, top, right, bottom, faded(palette.fresh, fresh)));
    }
  }
  painter.triangles(rows);
}

function drawLines(painter, { view, palette, lines }) {
  const rows = [];
  for (const { at } of lines.across.lines) rows.push(at, 0, at, view.height, 1, ...palette.grid);
  for (const { at } of lines.along.lines) rows.push(0, at, view.width, at, 1, ...palette.grid);
  painter.strokes(rows);
}

function drawRoads(painter, { view, projection, palette, roads }) {
  if (!roads) return;
  const key = [view.x, view.y, view.scale, ...palette.road, roads.count].join();
  painter.layer(key, () => paintRoads(painter, view, projection, palette, roads));
}

function paintRoads(painter, view, projection, palette, roads) {
  const metres = unitsPerPixel(projection, view);
  const width = Math.max(0.6, Math.min(7, (projection.wraps ? 9 : 0) / metres));
  for (const shift of copies(projection, view, roads.origin[0] - 0.2, roads.origin[0] + 0.2)) {
    const [left, top] = toScreen(view, roads.origin[0] + shift, roads.origin[1]);
    painter.network(
      roads.buffer,
      roads.count,
      { scale: view.scale, left, top },
      palette.road,
      width,
    );
  }
}

function drawCuts(painter, { view, projection, palette, strips, now }) {
  const rows = [];
  const [top, bottom] = worldEnds(projection, view);
  for (const shift of copies(projection, view, 0, 1)) {
    for (const { x, shard, grown, fresh } of strips.drawnCuts(now)) {
      const at = keyToScreen(projection, view, x, 0, shift);
      if (at < -8 || at > view.width + 8) continue;
      const end = top + (bottom - top) * grown;
      rows.push(at, top, at, end, shard ? 2.25 : 1, ...(shard ? palette.shard : palette.cut));
      if (fresh > 0.02) rows.push(at, top, at, end, 2 + 3 * fresh, ...faded(palette.fresh, fresh));
    }
  }
  painter.strokes(rows);
}

function drawDisc(painter, input, { colour, selected, rings, middle, radius, kind }) {
  const { view, projection } = input;
  const outlines = rings ?? discRings(projection, view, middle, radius);
  const [least, greatest] = spanOf(outlines);
  for (const shift of copies(projection, view, least, greatest)) {
    const screen = outlines.map((ring) => ring.map(([x, y]) => toScreen(view, x + shift, y)));
    if (outside(screen, view)) continue;
    painter.fill(screen, faded(colour, selected ? 0.2 : 0.1));
    painter.strokes(
      outline(screen, selected ? 2.5 : 1.4, faded(colour, kind === "within" ? 0.7 : 1)),
    );
  }
}

/** The circle of a disc, with as many corners as it needs at its size. */
function discRings(projection, view, middle, radius) {
  if (radius === null || radius <= 0) return [];
  const at = projection.inverse(...middle);
  const away = radius / unitsPerPixel(projection, { ...view, y: middle[1] });
  if (away < 1) return [];
  return [circle(projection, at, radius, Math.round(Math.max(32, Math.min(180, away))))];
}

function spanOf(rings) {
  let [least, greatest] = [Infinity, -Infinity];
  for (const ring of rings) {
    for (const [x] of ring) {
      least = Math.min(least, x);
      greatest = Math.max(greatest, x);
    }
  }
  return [least, greatest];
}

function outside(rings, view) {
  let [top, bottom] = [Infinity, -Infinity];
  for (const ring of rings) {
    for (const [, y] of ring) {
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return bottom < 0 || top > view.height;
}

function outline(rings, width, colour) {
  const rows = [];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 1) {
      const next = ring[(i + 1) % ring.length];
      rows.push(ring[i][0], ring[i][1], next[0], next[1], width, ...colour);
    }
  }
  return rows;
}

/** Thin lines from a query's middle to its neighbours. */
function drawSpokes(painter, input) {
  const { view, discs, neighbours, mixing, motion, state } = input;
  const middles = new Map(discs.filter((disc) => disc.middle).map((disc) => [disc.query.id, disc]));
  const rows = [];
  for (const { key, query } of neighbours) {
    const disc = middles.get(query);
    if (!disc || disc.kind !== "knn" || (state.selected !== null && state.selected !== query))
      continue;
    const place = motion.at(key, mixing);
    if (!place) continue;
    const shift = input.projection.wraps ? Math.round(view.x - disc.middle[0]) : 0;
    const turn = input.projection.wraps ? Math.round(disc.middle[0] - place[0]) : 0;
    const [x0, y0] = toScreen(view, disc.middle[0] + shift, disc.middle[1]);
    const [x1, y1] = toScreen(view, place[0] + turn + shift, place[1]);
    rows.push(
      x0,
      y0,
      x1,
      y1,
      disc.selected ? 1.25 : 1,
      ...faded(disc.colour, disc.selected ? 0.6 : 0.35),
    );
  }
  painter.strokes(rows);
}

function drawFleet(painter, { view, projection, palette, fleet, fleetBuffer, mixing, dotSize }) {
  if (!fleetBuffer || fleet.count === 0) return;
  const ship = dotSize > 8;
  const look = {
    mixing,
    colour: palette.object,
    halo: palette.halo,
    size: dotSize,
    rim: dotSize > 10 ? 1 : dotSize > 4 ? 0.6 : 0,
    ship,
  };
  const half = view.width / view.scale / 2;
  const [least, greatest] = [fleet.origin[0] - half - 1, fleet.origin[0] + half + 1];
  for (const shift of copies(projection, view, least, greatest)) {
    const [left, top] = toScreen(view, fleet.origin[0] + shift, fleet.origin[1]);
    painter.fleet(fleetBuffer, fleet.count, { scale: view.scale, left, top }, look);
  }
}

/** Neighbours in their query's colour, new ones with a ring that fades; a cross in the middle. */
function drawNeighbours(painter, input) {
  const { view, projection, palette, neighbours, mixing, motion, now, dotSize, colourOf, still } =
    input;
  const [marks, rings] = [[], []];
  const chosen = input.state.selected;
  const inOrder = [...neighbours].sort((a, b) => (a.query === chosen) - (b.query === chosen));
  for (const { key, query } of inOrder) {
    const place = motion.at(key, mixing);
    if (!place) continue;
    const shift = projection.wraps ? Math.round(view.x - place[0]) : 0;
    const [x, y] = toScreen(view, place[0] + shift, place[1]);
    const selected = chosen === query;
    const size = Math.max(5, Math.min(12, dotSize + 3)) + (selected ? 2 : 0);
    marks.push(x, y, size, ...colourOf(query));
    const age = (now - motion.points.get(key).since) / PULSE_MS;
    if (age < 1 && !still) rings.push(x, y, size + 22 * age, ...faded(colourOf(query), 1 - age));
  }
  painter.marks(rings, { halo: [0, 0, 0, 0], hole: 2 });
  painter.marks(marks, { halo: palette.halo, rim: 1.2 });
  painter.strokes(crosses(input));
  for (const disc of input.discs) drawFollowed(painter, input, disc);
}

/** The object that a query follows: its colours turned over. */
function drawFollowed(painter, { view, projection, palette, dotSize }, { query, middle, colour }) {
  if (!middle || question(query).object === undefined) return;
  const shift = projection.wraps ? Math.round(view.x - middle[0]) : 0;
  const [x, y] = toScreen(view, middle[0] + shift, middle[1]);
  const size = Math.max(8, Math.min(14, dotSize + 4));
  painter.marks([x, y, size, ...palette.halo.slice(0, 3), 1], { halo: colour, rim: 2.5 });
}

function crosses({ view, projection, discs }) {
  const rows = [];
  for (const { middle, colour, selected } of discs) {
    if (!middle) continue;
    const shift = projection.wraps ? Math.round(view.x - middle[0]) : 0;
    const [x, y] = toScreen(view, middle[0] + shift, middle[1]);
    const arm = selected ? 8 : 5;
    rows.push(x - arm, y, x + arm, y, 2, ...colour, x, y - arm, x, y + arm, 2, ...colour);
  }
  return rows;
}
