// Which tiles cover a view, and where they lie.

import assert from "node:assert/strict";
import test from "node:test";

import { projectionOf } from "../../src/server/page/projection.js";
import { addressOf, placeOf, tilesOf } from "../../src/server/page/tiles.js";

const at = (longitude, latitude, zoom, more = {}) => {
  const [x, y] = projectionOf("sphere").forward(longitude, latitude);
  return { x, y, scale: 256 * 2 ** zoom, width: 800, height: 600, ...more };
};

test("an address is filled in", () => {
  const template = "https://a.org/{z}/{x}/{y}.png?of={z}";
  assert.equal(addressOf(template, { z: 3, x: 4, y: 5 }), "https://a.org/3/4/5.png?of=3");
});

test("the tile of a place is among those of its view", () => {
  // By the formulas of tile servers: Berlin's middle at zoom 10.
  const tiles = tilesOf(at(13.4, 52.5, 10), 19);
  assert.ok(tiles.some(({ z, x, y }) => z === 10 && x === 550 && y === 336));
  assert.ok(tiles.length <= 5 * 4, `${tiles.length} tiles`);
});

test("tiles cover the screen and touch each other", () => {
  for (const zoom of [2.7, 8.4, 11.49, 15.51]) {
    const view = at(13.4123, 52.5077, zoom);
    const tiles = tilesOf(view, 19);
    const places = tiles.map((tile) => ({ ...tile, ...placeOf(view, tile) }));
    const ends = places.map(({ left, width }) => left + width);
    assert.ok(Math.min(...places.map(({ left }) => left)) <= 0);
    assert.ok(Math.max(...ends) >= view.width);
    assert.ok(Math.min(...places.map(({ top }) => top)) <= 0);
    assert.ok(Math.max(...places.map(({ top, height }) => top + height)) >= view.height);
    for (const { column, y, left, width, top } of places) {
      const right = places.find((other) => other.column === column + 1 && other.y === y);
      if (right) assert.deepEqual([left + width, top], [right.left, right.top]);
      assert.ok(width > 256 * 0.7 && width < 256 * 1.45, `a tile of ${width} pixels`);
    }
  }
});

test("columns run on over the antimeridian and tiles begin anew", () => {
  const tiles = tilesOf(at(180, 0, 4), 19);
  assert.deepEqual(new Set(tiles.map(({ x }) => x)), new Set([14, 15, 0, 1]));
  const columns = tiles.map(({ column }) => column);
  assert.equal(Math.max(...columns) - Math.min(...columns), 3);
});

test("there is nothing beyond the poles, nor nearer than the tiles go", () => {
  const world = tilesOf(at(0, 0, 0), 19);
  assert.ok(world.every(({ z, x, y }) => z === 0 && x === 0 && y === 0));
  assert.ok(tilesOf(at(0, 85, 3), 19).every(({ y }) => y >= 0));
  assert.ok(tilesOf(at(0, 0, 18), 12).every(({ z }) => z === 12));
});
