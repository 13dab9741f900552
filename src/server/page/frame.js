// Frames of the map feed: where the objects are now, and where they were one frame ago.
//
// A frame is binary, little endian: u32 n, u32 0, f64 origin x, f64 origin y, n object numbers
// (u32), n dx (f32), n dy (f32). The fleet keeps what the graphics card needs to move each object
// from where it is drawn to where it was reported: prev, next and course, two floats each,
// relative to the frame's origin in world coordinates, so that 32 bits are exact enough.

const HEAD_BYTES = 24;

/** The columns of a frame, as views of its bytes. Throws a RangeError when they do not fit. */
export function decodeFrame(buffer) {
  if (buffer.byteLength < HEAD_BYTES) throw new RangeError("the frame has no head");
  const head = new DataView(buffer);
  const count = head.getUint32(0, true);
  if (buffer.byteLength !== HEAD_BYTES + 12 * count) {
    throw new RangeError(`a frame of ${count} objects has not ${buffer.byteLength} bytes`);
  }
  return {
    count,
    origin: [head.getFloat64(8, true), head.getFloat64(16, true)],
    numbers: new Uint32Array(buffer, HEAD_BYTES, count),
    dx: new Float32Array(buffer, HEAD_BYTES + 4 * count, count),
    dy: new Float32Array(buffer, HEAD_BYTES + 8 * count, count),
  };
}

/** The roads of `GET /v1/map/roads`: world segments relative to their origin. */
export function decodeRoads(buffer, projection) {
  const head = new DataView(buffer);
  const count = head.getUint32(0, true);
  if (buffer.byteLength !== HEAD_BYTES + 16 * count) throw new RangeError("roads are cut off");
  const [x, y] = [head.getFloat64(8, true), head.getFloat64(16, true)];
  const origin = projection.forward(x, y);
  const ends = new Float32Array(buffer, HEAD_BYTES, 4 * count);
  const segments = new Float32Array(4 * count);
  for (let i = 0; i < ends.length; i += 2) {
    const [worldX, worldY] = projection.forward(x + ends[i], y + ends[i + 1]);
    segments[i] = worldX - origin[0];
    segments[i + 1] = worldY - origin[1];
  }
  return { count, origin, segments };
}

/** Object numbers to rows: open addressing in two flat arrays, filled anew for each frame. */
export class NumberTable {
  constructor() {
    this.keys = new Uint32Array(0);
    this.rows = new Int32Array(0);
  }

  fill(numbers) {
    let size = 16;
    while (size < 2 * numbers.length) size *= 2;
    if (this.keys.length !== size) {
      this.keys = new Uint32Array(size);
      this.rows = new Int32Array(size);
    }
    this.rows.fill(-1);
    for (let row = 0; row < numbers.length; row += 1) {
      const place = this.place(numbers[row]);
      this.keys[place] = numbers[row];
      this.rows[place] = row;
    }
  }

  /** The row of a number, or -1. */
  get(number) {
    return this.rows.length === 0 ? -1 : this.rows[this.place(number)];
  }

  place(number) {
    const mask = this.keys.length - 1;
    let place = (Math.imul(number, 0x9e3779b1) >>> 7) & mask;
    while (this.rows[place] >= 0 && this.keys[place] !== number) place = (place + 1) & mask;
    return place;
  }
}

const FLOATS = 6;
/** What a number of 32 bits may be off, of its size: the wider the view was, the more. */
const ROUNDING = 2 ** -21;

function reach(old, from, x, y) {
  return Math.max(Math.abs(old[from + 2]), Math.abs(old[from + 3]), Math.abs(x), Math.abs(y));
}

/** All objects on screen: six floats each, prev x y, next x y, course x y. */
export class Fleet {
  constructor(projection) {
    this.projection = projection;
    this.count = 0;
    this.origin = [0, 0];
    this.rows = new Float32Array(0);
    this.spare = new Float32Array(0);
    this.table = new NumberTable();
  }

  /** Takes a frame; `mix` is how far on the way from prev to next the objects are drawn now. */
  advance(frame, mix) {
    const { wraps } = this.projection;
    const origin = this.projection.forward(...frame.origin);
    const shift = [this.origin[0] - origin[0], this.origin[1] - origin[1]];
    if (this.spare.length < FLOATS * frame.count) {
      this.spare = new Float32Array(Math.ceil(FLOATS * frame.count * 1.25));
    }
    const [old, rows] = [this.rows, this.spare];
    for (let i = 0, to = 0; i < frame.count; i += 1, to += FLOATS) {
      const nextX = this.projection.x(frame.origin[0] + frame.dx[i]) - origin[0];
      const nextY = this.projection.y(frame.origin[1] + frame.dy[i]) - origin[1];
      rows[to + 2] = nextX;
      rows[to + 3] = nextY;
      const known = this.table.get(frame.numbers[i]);
      if (known < 0) {
        rows[to] = nextX;
        rows[to + 1] = nextY;
        rows[to + 4] = 0;
        rows[to + 5] = 0;
        continue;
      }
      const from = FLOATS * known;
      let prevX = old[from] + (old[from + 2] - old[from]) * mix + shift[0];
      const prevY = old[from + 1] + (old[from + 3] - old[from + 1]) * mix + shift[1];
      if (wraps) prevX += Math.round(nextX - prevX);
      rows[to] = prevX;
      rows[to + 1] = prevY;
      const lastX = old[from + 2] + shift[0];
      const lastY = old[from + 3] + shift[1];
      const moved =
        Math.abs(nextX - lastX) + Math.abs(nextY - lastY) >
        1e-9 * (wraps ? 1 : Math.abs(nextX) + 1) + ROUNDING * reach(old, from, nextX, nextY);
      rows[to + 4] = moved ? nextX - prevX : old[from + 4];
      rows[to + 5] = moved ? nextY - prevY : old[from + 5];
    }
    this.table.fill(frame.numbers);
    [this.rows, this.spare] = [rows, old];
    this.origin = origin;
    this.count = frame.count;
  }

  /** The bounds [west, south, east, north] that hold all but the outermost hundredths. */
  bounds() {
    const side = (axis) => {
      const values = new Float64Array(this.count);
      for (let row = 0; row < this.count; row += 1)
        values[row] = this.origin[axis] + this.rows[FLOATS * row + 2 + axis];
      values.sort();
      const cut = Math.floor(this.count * 0.005);
      return [values[cut], values[this.count - 1 - cut]];
    };
    if (this.count === 0) return null;
    const [[left, right], [top, bottom]] = [side(0), side(1)];
    return [...this.projection.inverse(left, bottom), ...this.projection.inverse(right, top)];
  }

  /** Where an object is drawn, in world coordinates, or null. */
  at(number, mix) {
    const row = this.table.get(number);
    if (row < 0) return null;
    const i = FLOATS * row;
    const axis = (a) => this.rows[i + a] + (this.rows[i + a + 2] - this.rows[i + a]) * mix;
    return [this.origin[0] + axis(0), this.origin[1] + axis(1)];
  }
}

/**
 * Named points that move with the frames, as neighbours and followed objects do. Between two
 * frames each goes from where it was drawn to where it was reported.
 */
export class Motion {
  constructor(wraps) {
    this.wraps = wraps;
    this.points = new Map();
  }

  /** Takes the points [key, worldX, worldY] of a frame; `now` is remembered for new ones. */
  advance(points, mix, now) {
    const next = new Map();
    for (const [key, x, y] of points) {
      const old = this.points.get(key);
      const [px, py] = old ? positionOf(old, mix) : [x, y];
      const turn = this.wraps ? Math.round(x - px) : 0;
      next.set(key, { px: px + turn, py, x, y, since: old ? old.since : now });
    }
    this.points = next;
  }

  /** Where a point is drawn, or null. */
  at(key, mix) {
    const point = this.points.get(key);
    return point ? positionOf(point, mix) : null;
  }
}

function positionOf({ px, py, x, y }, mix) {
  return [px + (x - px) * mix, py + (y - py) * mix];
}
