// Frames: decoding, matching by object number, and where things are between two frames.

import assert from "node:assert/strict";
import test from "node:test";

import {
  Fleet,
  Motion,
  NumberTable,
  decodeFrame,
  decodeRoads,
} from "../../src/server/page/frame.js";
import { projectionOf } from "../../src/server/page/projection.js";

/** The bytes of a frame as the server writes them. */
function frameOf(origin, objects) {
  const buffer = new ArrayBuffer(24 + 12 * objects.length);
  const bytes = new DataView(buffer);
  bytes.setUint32(0, objects.length, true);
  bytes.setFloat64(8, origin[0], true);
  bytes.setFloat64(16, origin[1], true);
  objects.forEach(([number, x, y], i) => {
    bytes.setUint32(24 + 4 * i, number, true);
    bytes.setFloat32(24 + 4 * (objects.length + i), x - origin[0], true);
    bytes.setFloat32(24 + 4 * (2 * objects.length + i), y - origin[1], true);
  });
  return buffer;
}

function near(actual, expected, within = 1e-6) {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) <= within, `${actual} is not ${expected}`);
  });
}

test("a frame's columns are read in their order", () => {
  const frame = decodeFrame(
    frameOf(
      [10, 50],
      [
        [7, 10.5, 50.25],
        [4_000_000_000, 9.5, 49],
      ],
    ),
  );
  assert.equal(frame.count, 2);
  assert.deepEqual(frame.origin, [10, 50]);
  assert.deepEqual([...frame.numbers], [7, 4_000_000_000]);
  assert.deepEqual([...frame.dx], [0.5, -0.5]);
  assert.deepEqual([...frame.dy], [0.25, -1]);
});

test("a frame of another length is refused", () => {
  const whole = frameOf([0, 0], [[1, 0, 0]]);
  assert.throws(() => decodeFrame(whole.slice(0, 35)), RangeError);
  assert.throws(() => decodeFrame(whole.slice(0, 12)), RangeError);
  assert.equal(decodeFrame(frameOf([0, 0], [])).count, 0);
});

test("numbers are found again, also those that meet in the table", () => {
  const table = new NumberTable();
  assert.equal(table.get(3), -1);
  const numbers = Uint32Array.from({ length: 5000 }, (_, i) => (i * i * 7919 + i) >>> 0);
  table.fill(numbers);
  numbers.forEach((number, row) => assert.equal(table.get(number), row));
  assert.equal(table.get(12345), -1);
  table.fill(Uint32Array.of(9));
  assert.equal(table.get(9), 0);
  assert.equal(table.get(numbers[1]), -1);
});

test("an object goes from where it is drawn to where it was reported", () => {
  const fleet = new Fleet(projectionOf("plane"));
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 0, 0]])), 1);
  near(fleet.at(5, 0), [0, 0]);
  fleet.advance(
    decodeFrame(
      frameOf(
        [0, 0],
        [
          [6, 1, 1],
          [5, 4, 8],
        ],
      ),
    ),
    1,
  );
  near(fleet.at(5, 0), [0, 0]);
  near(fleet.at(5, 0.5), [2, -4]);
  near(fleet.at(5, 1), [4, -8]);
  near(fleet.at(6, 0), [1, -1]);
  // The next frame comes early, at half the way: the object does not jump.
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 6, 8]])), 0.5);
  near(fleet.at(5, 0), [2, -4]);
  near(fleet.at(5, 1), [6, -8]);
  assert.equal(fleet.at(6, 1), null);
});

test("another origin moves nothing", () => {
  const fleet = new Fleet(projectionOf("plane"));
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 100, 200]])), 1);
  fleet.advance(decodeFrame(frameOf([90, 190], [[5, 101, 200]])), 1);
  near(fleet.at(5, 0), [100, -200], 1e-4);
  near(fleet.at(5, 1), [101, -200], 1e-4);
});

test("across the antimeridian an object takes the short way", () => {
  const fleet = new Fleet(projectionOf("sphere"));
  fleet.advance(decodeFrame(frameOf([179.5, 0], [[5, 179.9, 0]])), 1);
  fleet.advance(decodeFrame(frameOf([179.5, 0], [[5, -179.9, 0]])), 1);
  const [from, to] = [fleet.at(5, 0)[0], fleet.at(5, 1)[0]];
  assert.ok(Math.abs(to - from - 0.2 / 360) < 1e-6, `${from} to ${to}`);
});

test("an object that rests keeps its course", () => {
  const fleet = new Fleet(projectionOf("plane"));
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 0, 0]])), 1);
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 3, 0]])), 1);
  fleet.advance(decodeFrame(frameOf([0, 0], [[5, 3, 0]])), 1);
  near([...fleet.rows.subarray(4, 6)], [3, 0]);
});

test("an object that rests gets no course from another view", () => {
  const fleet = new Fleet(projectionOf("sphere"));
  const resting = Array.from({ length: 50 }, (_, i) => [i, 13.4 + i / 1e4, 52.5 + i / 1e5]);
  for (const origin of [[0, 0], [13.4, 52.5], [-170, 10], [13.41, 52.49]]) {
    fleet.advance(decodeFrame(frameOf(origin, resting)), 1);
    for (let row = 0; row < 50; row += 1) {
      assert.deepEqual([...fleet.rows.subarray(6 * row + 4, 6 * row + 6)], [0, 0]);
    }
  }
});

test("a frame of 50 000 objects fits, and a smaller one after it", () => {
  const fleet = new Fleet(projectionOf("sphere"));
  const many = Array.from({ length: 50_000 }, (_, i) => [i * 3, 116 + i * 1e-6, 39.9]);
  fleet.advance(decodeFrame(frameOf([116, 39.9], many)), 1);
  assert.equal(fleet.count, 50_000);
  fleet.advance(decodeFrame(frameOf([116, 39.9], many.slice(0, 10))), 1);
  assert.equal(fleet.count, 10);
  near(fleet.at(27, 1), projectionOf("sphere").forward(116 + 9e-6, 39.9), 1e-9);
});

test("bounds hold all objects but a few outliers", () => {
  const fleet = new Fleet(projectionOf("plane"));
  assert.equal(fleet.bounds(), null);
  const many = Array.from({ length: 1000 }, (_, i) => [i, i % 10, i % 7]);
  fleet.advance(decodeFrame(frameOf([0, 0], [...many, [5000, 9e6, -9e6]])), 1);
  near(fleet.bounds(), [0, 0, 9, 6]);
});

test("named points move like objects and remember since when they are there", () => {
  const motion = new Motion(false);
  motion.advance([["a", 0, 0]], 1, 100);
  motion.advance(
    [
      ["a", 10, 0],
      ["b", 5, 5],
    ],
    1,
    300,
  );
  near(motion.at("a", 0.25), [2.5, 0]);
  near(motion.at("b", 0), [5, 5]);
  assert.equal(motion.points.get("a").since, 100);
  assert.equal(motion.points.get("b").since, 300);
  motion.advance([["b", 5, 5]], 0.5, 500);
  assert.equal(motion.at("a", 1), null);
});

test("roads are read relative to their origin", () => {
  const buffer = new ArrayBuffer(24 + 32);
  const bytes = new DataView(buffer);
  bytes.setUint32(0, 2, true);
  bytes.setFloat64(8, 100, true);
  bytes.setFloat64(16, 200, true);
  [0, 0, 1, 2, -1, 0, 0, 3].forEach((value, i) => bytes.setFloat32(24 + 4 * i, value, true));
  const roads = decodeRoads(buffer, projectionOf("plane"));
  assert.equal(roads.count, 2);
  assert.deepEqual(roads.origin, [100, -200]);
  near([...roads.segments], [0, 0, 1, -2, -1, 0, 0, -3]);
  assert.throws(() => decodeRoads(buffer.slice(0, 40), projectionOf("plane")), RangeError);
});
