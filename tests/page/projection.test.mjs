// Projections, circles, views and the graticule.

import assert from "node:assert/strict";
import test from "node:test";

import { graticule } from "../../src/server/page/graticule.js";
import {
  areaRings,
  circle,
  destination,
  distance,
  projectionOf,
  wrapLongitude,
} from "../../src/server/page/projection.js";
import {
  between,
  boxOf,
  confine,
  copies,
  fit,
  limitsOf,
  panBy,
  toScreen,
  toWorld,
  unitsPerPixel,
  wholeOf,
  zoomAt,
} from "../../src/server/page/view.js";

const sphere = projectionOf("sphere");
const plane = projectionOf("plane");
const close = (actual, expected, within = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);

test("there and back again", () => {
  for (const projection of [sphere, plane]) {
    for (const [x, y] of [
      [0, 0],
      [116.39, 39.91],
      [-179.5, -72.25],
      [179.999, 84.9],
    ]) {
      const [backX, backY] = projection.inverse(...projection.forward(x, y));
      close(backX, x);
      close(backY, y);
      close(projection.x(x), projection.forward(x, y)[0]);
      close(projection.y(y), projection.forward(x, y)[1]);
    }
  }
});

test("the world is a square, north up", () => {
  close(sphere.forward(-180, 0)[0], 0);
  close(sphere.forward(180, 0)[0], 1);
  close(sphere.forward(0, 0)[1], 0.5);
  close(sphere.forward(0, 90)[1], 0, 1e-9);
  close(sphere.forward(0, -90)[1], 1, 1e-9);
  assert.ok(plane.forward(0, 5)[1] < plane.forward(0, 4)[1]);
});

test("distances are haversine with the engine's radius", () => {
  close(distance("sphere", [0, 0], [0, 1]), 111_195.08, 0.01);
  close(distance("sphere", [179.5, 0], [-179.5, 0]), 111_195.08, 0.01);
  close(distance("plane", [0, 0], [3, 4]), 5);
});

test("all points of a circle are equally far, near and around the pole", () => {
  for (const [at, radius] of [
    [[116.39, 39.91], 500],
    [[20, 74], 900_000],
    [[180, -16], 40_000],
  ]) {
    for (const [x, y] of circle(sphere, at, radius, 48)) {
      close(distance("sphere", at, sphere.inverse(x, y)), radius, radius * 1e-6);
    }
  }
  close(destination([10, 0], Math.PI / 2, 111_195.08)[0], 11, 1e-6);
});

test("a circle over the antimeridian is one piece", () => {
  const xs = circle(sphere, [179.99, 10], 50_000).map(([x]) => x);
  assert.ok(Math.max(...xs) - Math.min(...xs) < 0.01);
});

test("a circle around a pole is closed along the edge", () => {
  const ring = circle(sphere, [0, 88], 2_000_000, 96);
  const xs = ring.map(([x]) => x);
  close(Math.max(...xs) - Math.min(...xs), 1);
  assert.ok(ring.at(-1)[1] < 1e-9 && ring.at(-2)[1] < 1e-9);
});

test("an area's rings: holes, several parts, long edges bent", () => {
  const square = [
    [0, 0],
    [0, 1],
    [1, 1],
    [1, 0],
    [0, 0],
  ];
  assert.equal(areaRings(plane, { type: "Polygon", coordinates: [square, square] }).length, 2);
  const parts = { type: "MultiPolygon", coordinates: [[square], [square, square]] };
  assert.equal(areaRings(plane, { type: "Feature", geometry: parts }).length, 3);
  const [ring] = areaRings(sphere, {
    type: "Polygon",
    coordinates: [
      [
        [0, 0],
        [0, 40],
        [60, 40],
        [0, 0],
      ],
    ],
  });
  assert.ok(ring.length > 100);
  const [flat] = areaRings(plane, { type: "Polygon", coordinates: [square] });
  assert.deepEqual(
    flat.map(([x, y]) => [x, -y]),
    square.slice(0, 4),
  );
  assert.deepEqual(areaRings(plane, { type: "Point", coordinates: [0, 0] }), []);
});

test("longitudes are brought home", () => {
  assert.equal(wrapLongitude(190), -170);
  assert.equal(wrapLongitude(-190), 170);
  assert.equal(wrapLongitude(180), -180);
  assert.equal(wrapLongitude(12), 12);
});

const view = { x: 0.5, y: 0.4, scale: 1000, width: 800, height: 600 };

test("the place under the pointer stays when zooming", () => {
  const limits = { least: 10, greatest: 1e6 };
  const before = toWorld(view, 200, 100);
  const zoomed = zoomAt(view, 3, 200, 100, limits);
  const after = toWorld(zoomed, 200, 100);
  close(zoomed.scale, 3000);
  close(after[0], before[0]);
  close(after[1], before[1]);
  assert.equal(zoomAt(view, 1e9, 0, 0, limits).scale, 1e6);
  assert.equal(zoomAt(view, 1e-9, 0, 0, limits).scale, 10);
});

test("a pushed chart follows the hand", () => {
  const [x, y] = toScreen(panBy(view, 30, -20), ...toWorld(view, 100, 100));
  close(x, 130, 1e-6);
  close(y, 80, 1e-6);
});

test("a glide keeps the place that its ends have in common", () => {
  const to = zoomAt(view, 5, 200, 100, { least: 1, greatest: 1e9 });
  const fixed = toWorld(view, 200, 100);
  for (const part of [0, 0.3, 0.7, 1]) {
    const [x, y] = toScreen(between(view, to, part), ...fixed);
    close(x, 200, 1e-6);
    close(y, 100, 1e-6);
  }
  close(between(view, { ...view, x: 0.7 }, 0.5).x, 0.6);
});

test("bounds fit into the view with a margin", () => {
  const size = { width: 800, height: 600 };
  const bounds = [116.2, 39.8, 116.6, 40.1];
  const shown = fit(sphere, size, bounds, limitsOf(sphere, size, bounds));
  const box = boxOf(sphere, shown);
  assert.ok(box[0] < 116.2 && box[1] < 39.8 && box[2] > 116.6 && box[3] > 40.1);
  assert.ok(box[2] - box[0] < 0.8);
});

test("the box for the server: whole world, poles, antimeridian", () => {
  const world = { x: 0.5, y: 0.5, scale: 100, width: 300, height: 300 };
  assert.deepEqual(boxOf(sphere, world), [-180, -90, 180, 90]);
  const fiji = { x: 0.999, y: 0.55, scale: 1e4, width: 400, height: 300 };
  const [west, , east] = boxOf(sphere, fiji);
  assert.ok(west > 170 && east < -170, `${west} to ${east}`);
  const [left, , right] = boxOf(sphere, { ...fiji, x: 0.001 });
  assert.ok(left > 170 && right < -170, `${left} to ${right}`);
  assert.deepEqual(wholeOf(sphere), [-180, -90, 180, 90]);
  assert.deepEqual(boxOf(plane, { x: 10, y: -20, scale: 2, width: 4, height: 8 }), [9, 18, 11, 22]);
});

test("the world wraps and ends", () => {
  assert.equal(confine(sphere, { ...view, x: 1.25 }).x, 0.25);
  assert.equal(confine(sphere, { ...view, y: -3 }).y, 0.3);
  assert.equal(confine(plane, { ...view, x: 7 }).x, 7);
  assert.deepEqual(copies(sphere, { ...view, x: 0.02, scale: 2000 }, 0, 1), [-1, 0]);
  assert.deepEqual(copies(sphere, { ...view, x: 0.5, scale: 2000 }, 0, 1), [0]);
  assert.deepEqual(copies(plane, view, 0, 1), [0]);
});

test("metres per pixel shrink towards the poles", () => {
  const at = (latitude) => unitsPerPixel(sphere, { ...view, y: sphere.forward(0, latitude)[1] });
  close(at(0), 40_030_230 / 1000, 1);
  close(at(60), at(0) / 2, 1);
  assert.equal(unitsPerPixel(plane, view), 0.001);
});

test("the graticule's lines are round, labelled and inside the view", () => {
  const size = { width: 1000, height: 700 };
  const city = fit(sphere, size, [116.2, 39.8, 116.6, 40.1], { least: 1, greatest: 1e9 });
  const { across, along } = graticule(sphere, city);
  assert.ok(across.lines.length >= 3 && across.lines.length <= 9);
  assert.ok(across.lines.every(({ at }) => at >= -1 && at <= 1001));
  assert.match(across.lines[0].label, /^116°\d\d′E$/);
  assert.match(along.lines[0].label, /^(39|40)°\d\d′N$/);
  const gaps = across.lines.slice(1).map(({ at }, i) => at - across.lines[i].at);
  assert.ok(Math.min(...gaps) >= 111);
  for (const { from, to } of across.cells) assert.ok(to > from);
  assert.ok(across.cells.every(({ dark }, i) => i === 0 || dark !== across.cells[i - 1].dark));
});

test("the graticule of the plane", () => {
  const { across, along } = graticule(plane, { x: 0, y: 0, scale: 0.01, width: 800, height: 600 });
  assert.deepEqual(
    across.lines.map(({ label }) => label.replace(/\u2009/g, "")),
    ["−40000", "−20000", "0", "20000", "40000"],
  );
  assert.ok(along.lines.some(({ label, at }) => label === "0" && at === 300));
});
