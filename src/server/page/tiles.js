// The ground below the chart that a tile server draws, where the server was started with one.
//
// Pictures in the page, under a chart that is then transparent. While the tiles of another zoom
// are on their way, those that are there stay below them.

import { toScreen, toWorld } from "./view.js";

const TILE_PIXELS = 256;
/** A tile that failed is asked for again after this. */
const RETRY_MS = 30_000;

/** The address of a tile. */
export function addressOf(template, { z, x, y }) {
  return template.replaceAll("{z}", z).replaceAll("{x}", x).replaceAll("{y}", y);
}

/**
 * The tiles that cover a view of the world. `column` runs on over the antimeridian, where the
 * tile's own `x` begins anew.
 */
export function tilesOf(view, zoomMax) {
  const z = Math.max(0, Math.min(zoomMax, Math.round(Math.log2(view.scale / TILE_PIXELS))));
  const side = 2 ** z;
  const [left, top] = toWorld(view, 0, 0);
  const [right, bottom] = toWorld(view, view.width, view.height);
  const [first, last] = [Math.max(0, Math.floor(top * side)), Math.min(side, bottom * side)];
  const tiles = [];
  for (let y = first; y < last; y += 1) {
    for (let column = Math.floor(left * side); column < right * side; column += 1) {
      tiles.push({ z, column, x: column - side * Math.floor(column / side), y });
    }
  }
  return tiles;
}

/** Where a tile is on the screen, on whole pixels so that no gap shows. */
export function placeOf(view, { z, column, y }) {
  const side = 2 ** z;
  const [left, top] = toScreen(view, column / side, y / side).map(Math.round);
  const [right, bottom] = toScreen(view, (column + 1) / side, (y + 1) / side).map(Math.round);
  return { left, top, width: right - left, height: bottom - top };
}

function keyOf({ z, column, y }) {
  return `${z}/${column}/${y}`;
}

export class TileLayer {
  constructor(ground, credit) {
    Object.assign(this, { ground, credit });
    this.over(null);
  }

  /** Begins on the tiles of a server, {url, credit, zoom_max}, or on none. */
  over(server) {
    const named = JSON.stringify(server);
    if (this.named === named) return;
    for (const key of this.kept?.keys() ?? []) this.drop(key);
    clearTimeout(this.retry);
    Object.assign(this, { named, server, view: null, retry: null, loaded: 0 });
    /** The tiles in the page by their keys: {tile, image, isLoaded}. */
    this.kept = new Map();
    /** When the tiles that failed may be asked for again. */
    this.failed = new Map();
    this.ground.hidden = server === null;
    this.say();
  }

  get isShown() {
    return this.server !== null;
  }

  /** Shows what covers a view. */
  show(view) {
    if (this.server === null || this.view === view) return;
    this.view = view;
    this.lay();
  }

  lay() {
    const { view } = this;
    if (view === null) return;
    const wanted = new Map(tilesOf(view, this.server.zoom_max).map((tile) => [keyOf(tile), tile]));
    const now = performance.now();
    for (const [key, tile] of wanted) {
      if (!this.kept.has(key) && !(this.failed.get(key) > now)) this.fetch(key, tile);
    }
    const isWhole = [...wanted.keys()].every((key) => this.kept.get(key)?.isLoaded);
    for (const [key, { tile, isLoaded }] of this.kept) {
      const serves = isLoaded && !isWhole && this.kept.size < 3 * wanted.size;
      if (!wanted.has(key) && !(serves && isSeen(view, tile))) this.drop(key);
    }
    for (const { tile, image } of this.kept.values()) move(image, placeOf(view, tile));
  }

  fetch(key, tile) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.referrerPolicy = "origin";
    image.style.zIndex = tile.z;
    image.onload = () => this.took(key, image);
    image.onerror = () => this.missed(key, image);
    image.src = addressOf(this.server.url, tile);
    this.kept.set(key, { tile, image, isLoaded: false });
    this.ground.append(image);
  }

  took(key, image) {
    if (this.kept.get(key)?.image !== image) return;
    this.kept.get(key).isLoaded = true;
    this.failed.delete(key);
    this.loaded += 1;
    image.className = "loaded";
    this.say();
    this.lay();
  }

  missed(key, image) {
    if (this.kept.get(key)?.image !== image) return;
    this.drop(key);
    if (this.failed.size > 1000) this.failed.clear();
    this.failed.set(key, performance.now() + RETRY_MS);
    this.retry ??= setTimeout(() => {
      this.retry = null;
      this.lay();
    }, RETRY_MS);
    this.say();
  }

  drop(key) {
    const { image } = this.kept.get(key);
    this.kept.delete(key);
    image.onload = image.onerror = null;
    // What is still on its way is given up.
    image.removeAttribute("src");
    image.remove();
  }

  /** Whom to thank for the ground, or why there is none. */
  say() {
    this.credit.hidden = this.server === null;
    if (this.server === null) return;
    const fails = this.loaded === 0 && this.failed.size > 0;
    this.credit.textContent = fails
      ? `No tiles come from ${new URL(this.server.url).host}`
      : this.server.credit;
  }
}

function isSeen(view, tile) {
  const { left, top, width, height } = placeOf(view, tile);
  return left < view.width && top < view.height && left + width > 0 && top + height > 0;
}

function move({ style }, { left, top, width, height }) {
  style.transform = `translate(${left}px, ${top}px)`;
  style.width = `${width}px`;
  style.height = `${height}px`;
}
