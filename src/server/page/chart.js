// The chart: two canvases and what moves on them between the messages of the server.
//
// The picture is drawn by the graphics card up to sixty times a second, but only while something
// moves; the border and the names are laid over it when the view changes.

import { byId, sharpen, write } from "./dom.js";
import { decodeFrame, decodeRoads, Fleet, Motion } from "./frame.js";
import { contextOf, Painter } from "./gl.js";
import { graticule } from "./graticule.js";
import { length, scaleBar } from "./nice.js";
import { drawNeatline, marginOf } from "./neatline.js";
import { QUERY_COLOURS, readPalette } from "./palette.js";
import { discsOf, drawScene } from "./scene.js";
import { followed, neighbours, radius } from "./state.js";
import { StripModel } from "./strips.js";
import { drawShardNames, drawTags } from "./tags.js";
import { TileLayer } from "./tiles.js";
import { toScreen, unitsPerPixel } from "./view.js";

const SAMPLES = 600;

export class Chart {
  constructor({ projection, still }) {
    Object.assign(this, { projection, still });
    this.canvas = byId("picture");
    this.border = byId("neatline");
    this.tiles = new TileLayer(byId("tiles"), byId("credit"));
    this.colours = new Map();
    this.times = { draw: [], decode: [], message: [] };
    this.frames = 0;
    this.dotSize = 3;
    this.settledAt = 0;
    this.discs = [];
    this.neighbours = [];
    this.readColours();
    this.over(projection);
    this.gl = contextOf(this.canvas);
    if (this.gl) this.start();
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.painter = null;
    });
    this.canvas.addEventListener("webglcontextrestored", () => this.start());
  }

  /** Makes the graphics card ready; a browser that cannot is left without a picture. */
  start() {
    try {
      this.painter = new Painter(this.gl);
    } catch (error) {
      console.error(error);
      return;
    }
    this.fleetBuffer = this.painter.buffer(this.fleet.rows);
    if (this.roads) this.roads.buffer = this.painter.buffer(this.roads.segments);
    this.dirty = true;
  }

  /** Begins anew in another space. */
  over(projection) {
    this.projection = projection;
    this.fleet = new Fleet(projection);
    this.motion = new Motion(projection.wraps);
    this.centres = new Motion(projection.wraps);
    this.radii = new Motion(false);
    this.strips = new StripModel();
    this.places = new Map();
    this.frameAt = -Infinity;
    this.roads = null;
    this.pin = null;
    this.interval = 200;
    this.dirty = true;
  }

  readColours() {
    this.palette = readPalette(document.documentElement);
    this.font = getComputedStyle(document.body).fontFamily;
    this.borderDirty = true;
    this.dirty = true;
  }

  setRoads(buffer) {
    const roads = decodeRoads(buffer, this.projection);
    this.roads = { ...roads, buffer: this.painter?.buffer(roads.segments) ?? null };
    this.dirty = true;
  }

  /** The ground that a tile server draws, or null. */
  setTiles(server) {
    this.tiles.over(server);
    this.dirty = true;
  }

  /** A query keeps its colour as long as the page is open. */
  colourOf = (id) => {
    if (!this.colours.has(id)) this.colours.set(id, this.colours.size % QUERY_COLOURS);
    return this.palette.queries[this.colours.get(id)];
  };

  /** How far the objects are from their last place to their newest, 0 to 1. */
  mixing(now) {
    return this.still() ? 1 : Math.max(0, Math.min(1, (now - this.frameAt) / this.interval));
  }

  /** Remembers where a followed object is; it is drawn with the next frame. */
  place(query, [x, y]) {
    this.places.set(query, this.projection.forward(x, y));
  }

  /** A frame of the feed and the state with the message that came with it. */
  take(buffer, state, now) {
    const since = performance.now();
    const mixing = this.mixing(now);
    const frame = decodeFrame(buffer);
    this.fleet.advance(frame, mixing);
    if (this.painter)
      this.painter.buffer(this.fleet.rows.subarray(0, 6 * frame.count), this.fleetBuffer);
    this.advanceQueries(state, mixing, now);
    this.strips.update(state.message.strips ?? [], now, !this.still());
    if (Number.isFinite(this.frameAt)) {
      const gap = Math.max(100, Math.min(1000, now - this.frameAt));
      this.interval += (gap - this.interval) * 0.2;
    }
    this.frameAt = now;
    this.frames += 1;
    this.dirty = true;
    this.timed("decode", performance.now() - since);
  }

  advanceQueries(state, mixing, now) {
    const { forward } = this.projection;
    this.neighbours = neighbours(state).map((near) => ({
      ...near,
      key: `${near.query}|${near.id}`,
    }));
    this.motion.advance(
      this.neighbours.map(({ key, at }) => [key, ...forward(...at)]),
      mixing,
      now,
    );
    const centres = followed(state).filter(({ query }) => this.places.has(query));
    this.centres.advance(
      centres.map(({ query }) => [query, ...this.places.get(query)]),
      mixing,
      now,
    );
    const radii = state.queries.map((query) => [query.id, radius(state, query)]);
    this.radii.advance(
      radii.filter(([, reach]) => reach !== null).map(([id, reach]) => [id, reach, 0]),
      mixing,
      now,
    );
  }

  timed(kind, ms) {
    const times = this.times[kind];
    times.push(ms);
    if (times.length > SAMPLES) times.shift();
  }

  /** Draws when something moved since the last time. */
  draw(state, view, now) {
    const mixing = this.mixing(now);
    const moving = this.dirty || mixing < 1 || this.strips.moving(now) || this.lastMixing < 1;
    if (!moving || !this.painter || view.width < 2) return false;
    const since = performance.now();
    this.lastMixing = mixing;
    this.dirty = false;
    this.settleDots(state, view);
    const input = { ...this.input(state, view, now), mixing };
    this.discs = discsOf(input);
    this.lines = graticule(this.projection, view);
    this.drawPin(view);
    this.tiles.show(view);
    drawScene(this.painter, { ...input, discs: this.discs, lines: this.lines });
    drawTags(byId("tags"), { projection: this.projection, view, discs: this.discs });
    drawShardNames(byId("shard-names"), {
      projection: this.projection,
      view,
      shards: state.message?.shards ?? [],
    });
    if (this.borderDirty) this.drawBorder(view);
    this.timed("draw", performance.now() - since);
    return true;
  }

  input(state, view, now) {
    const {
      projection,
      palette,
      strips,
      roads,
      fleet,
      fleetBuffer,
      motion,
      centres,
      radii,
      dotSize,
    } = this;
    const pixels = this.canvas.width / Math.max(1, view.width);
    return {
      projection,
      palette,
      strips,
      roads,
      fleet,
      fleetBuffer,
      motion,
      centres,
      radii,
      dotSize,
      state,
      view,
      now,
      pixels,
      neighbours: this.neighbours,
      colourOf: this.colourOf,
      still: this.still(),
      hasTiles: this.tiles.isShown,
    };
  }

  /** Few objects are drawn as ships, many as small dots. */
  settleDots(state, view) {
    const shown = Math.max(1, state.message?.shown ?? 1);
    const wanted = Math.max(
      1.8,
      Math.min(15, 0.42 * Math.sqrt((view.width * view.height) / shown)),
    );
    const now = performance.now();
    const part = this.still() || this.frames < 2 ? 1 : 1 - Math.exp((this.settledAt - now) / 120);
    this.dotSize += (wanted - this.dotSize) * part;
    this.settledAt = now;
  }

  resize(width, height) {
    const density = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, Math.round(width * density));
    this.canvas.height = Math.max(1, Math.round(height * density));
    this.viewChanged();
  }

  viewChanged() {
    this.borderDirty = true;
    this.dirty = true;
  }

  drawBorder(view) {
    this.borderDirty = false;
    const context = sharpen(this.border, view.width, view.height);
    const drawn = { ...view, font: this.font };
    drawNeatline(context, drawn, this.lines, this.palette);
    document.documentElement.style.setProperty("--margin", `${marginOf(view.width)}px`);
    const bar = scaleBar(unitsPerPixel(this.projection, view), Math.min(120, view.width / 4));
    write(byId("scale-label"), length(bar.value, this.projection.wraps));
    byId("scale-bar").style.width = `${bar.pixels}px`;
  }

  /** The place that the form asks about. */
  drawPin(view) {
    const pin = byId("pin");
    pin.hidden = this.pin == null;
    if (this.pin == null) return;
    const shift = this.projection.wraps ? Math.round(view.x - this.pin[0]) : 0;
    const [x, y] = toScreen(view, this.pin[0] + shift, this.pin[1]);
    pin.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  }

  /** What tests and curious readers may look at. */
  figures() {
    return {
      objects: this.fleet.count,
      frames: this.frames,
      tiles: this.tiles.loaded,
      highlighted: this.neighbours.map(({ query, id, at }) => ({ query, id, at })),
      discs: this.discs.map(({ query, radius: reach }) => ({
        query: query.id,
        radius: reach ?? null,
      })),
      times: Object.fromEntries(
        Object.entries(this.times).map(([kind, times]) => [kind, percentiles(times)]),
      ),
    };
  }
}

/** The middle and the slowest hundredth of some times in milliseconds. */
export function percentiles(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}
