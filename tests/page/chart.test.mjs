// Strips that split and merge, nice numbers, colours, names on the chart.

import assert from "node:assert/strict";
import test from "node:test";

import {
  ago,
  count,
  degreeLabel,
  degreeStep,
  divisions,
  length,
  milliseconds,
  multiples,
  niceStep,
  plainLabel,
  scaleBar,
  short,
} from "../../src/server/page/nice.js";
import { loadColour, loadTint, parseColour } from "../../src/server/page/palette.js";
import { StripModel, ease, loadOf, summary } from "../../src/server/page/strips.js";
import { withRoom } from "../../src/server/page/tags.js";

const thin = (text) => text.replace(/\u2009/g, " ");

test("loads are compared with the mean", () => {
  assert.equal(loadOf(100, 100), 0);
  assert.equal(loadOf(200, 100), 1);
  assert.equal(loadOf(50, 100), -1);
  assert.equal(loadOf(0, 100), -1);
  assert.equal(loadOf(5, 0), 0);
  assert.deepEqual(summary([{ objects: 10 }, { objects: 30 }]), { mean: 20, fullest: 1.5 });
  assert.deepEqual(summary([]), { mean: 0, fullest: 0 });
});

const cutAt = (xs, loads, shards = loads.map(() => 0)) =>
  loads.map((load, i) => ({
    from: xs[i - 1] ?? null,
    to: xs[i] ?? null,
    objects: load,
    shard: shards[i],
  }));

test("a split grows, a merge withdraws, the rest stays", () => {
  const model = new StripModel();
  model.update(cutAt([10], [100, 300]), 0);
  assert.deepEqual(
    model.drawnCuts(0).map(({ x, grown }) => [x, grown]),
    [[10, 1]],
  );
  model.update(cutAt([10, 20], [100, 150, 150]), 1000);
  const drawn = new Map(model.drawnCuts(1000.001).map((cut) => [cut.x, cut]));
  assert.equal(drawn.get(10).grown, 1);
  assert.ok(drawn.get(20).grown < 0.01 && drawn.get(20).fresh > 0.9);
  assert.equal(model.drawnBands(1000)[0].fresh, 0);
  assert.equal(model.drawnBands(1000)[1].fresh, 1);
  assert.equal(model.drawnCuts(3000).find(({ x }) => x === 20).grown, 1);
  model.update(cutAt([20], [250, 150]), 3000);
  assert.ok(model.drawnCuts(3001).find(({ x }) => x === 10).grown > 0.9);
  assert.equal(model.drawnCuts(5000).length, 1);
  model.update(cutAt([20], [250, 150]), 5000);
  assert.equal(model.cuts.size, 1);
  assert.deepEqual([model.splits, model.merges], [1, 1]);
});

test("a strip's colour goes from one load to the next", () => {
  const model = new StripModel();
  model.update(cutAt([10], [100, 100]), 0);
  model.update(cutAt([10], [150, 50]), 1000);
  assert.equal(model.drawnBands(1000)[1].load, 0);
  assert.equal(model.drawnBands(9000)[1].load, -1);
  assert.ok(model.moving(1500) && !model.moving(9000));
  // A half of a split begins with the colour of the whole.
  model.update(cutAt([10, 20], [150, 40, 10]), 9000);
  assert.equal(model.drawnBands(9000)[1].load, -1);
});

test("with reduced motion strips are just there", () => {
  const model = new StripModel();
  model.update(cutAt([10], [100, 300]), 0, false);
  model.update(cutAt([20], [100, 300]), 10, false);
  assert.deepEqual(
    model.drawnCuts(10).map(({ x, grown, fresh }) => [x, grown, fresh]),
    [[20, 1, 0]],
  );
  assert.ok(model.drawnBands(10).every(({ fresh }) => fresh === 0));
});

test("borders of shards are known among the cuts", () => {
  const model = new StripModel();
  model.update(cutAt([10, 20], [1, 1, 1], [0, 0, 1]), 0);
  assert.deepEqual(
    model.drawnCuts(0).map(({ x, shard }) => [x, shard]),
    [
      [10, false],
      [20, true],
    ],
  );
  model.update(cutAt([10, 20], [1, 1, 1], [0, 1, 1]), 0);
  assert.deepEqual(
    model.drawnCuts(0).map(({ x, shard }) => [x, shard]),
    [
      [10, true],
      [20, false],
    ],
  );
});

test("easing starts and ends", () => {
  assert.deepEqual([ease(-1), ease(0), ease(1), ease(2)], [0, 0, 1, 1]);
  assert.ok(ease(0.5) > 0.5);
});

test("steps are nice", () => {
  assert.deepEqual(
    [0.9, 1, 1.01, 2.2, 6, 0.00031, 700].map(niceStep),
    [1, 1, 2, 5, 10, 0.0005, 1000],
  );
  assert.deepEqual([300, 7, 0.4, 0.1, 0.004].map(degreeStep), [60, 10, 0.5, 1 / 6, 20 / 3600]);
  assert.deepEqual(multiples(5, -6, 10), [-1, 0, 1, 2]);
  assert.deepEqual([divisions(0.5, true), divisions(5, true), divisions(2000, false)], [6, 5, 4]);
});

test("angles are written as on a chart", () => {
  assert.equal(degreeLabel(116.5, 0.1, "EW"), "116°30′E");
  assert.equal(degreeLabel(-0.25, 0.05, "EW"), "0°15′W");
  assert.equal(degreeLabel(39.9999999, 1 / 60, "NS"), "40°00′N");
  assert.equal(degreeLabel(-33, 1, "NS"), "33°S");
  assert.equal(degreeLabel(0, 1, "NS"), "0°");
  assert.equal(degreeLabel(-180, 1, "EW"), "180°");
  assert.equal(degreeLabel(116 + 21 / 60 + 5 / 3600, 5 / 3600, "EW"), "116°21′05″E");
  assert.equal(degreeLabel(116 + 21 / 60 + 5.5 / 3600, 0.5 / 3600, "EW"), "116°21′05.5″E");
});

test("figures are short and exact enough", () => {
  assert.equal(thin(count(1234567)), "1 234 567");
  assert.equal(thin(plainLabel(-1500, 500)), "−1 500");
  assert.equal(plainLabel(0.25, 0.05), "0.25");
  assert.deepEqual([0, 0.44, 940, 9999, 12_345, 1_250_000].map(short).map(thin), [
    "0",
    "0.4",
    "940",
    "9 999",
    "12.3 k",
    "1.25 M",
  ]);
  assert.deepEqual(
    [5.04, 63.2, 1234, 140_000, 2_345_678].map((value) => thin(length(value, true))),
    ["5.0 m", "63 m", "1.23 km", "140 km", "2 346 km"],
  );
  assert.equal(length(0.1234, false), "0.123");
  assert.deepEqual([0, 0.44, 18.2, 1250].map(milliseconds), ["0 ms", "0.4 ms", "18 ms", "1.3 s"]);
  assert.deepEqual([100, 12_300, 185_000, 7_300_000].map(ago), [
    "now",
    "12 s ago",
    "3 min ago",
    "2 h ago",
  ]);
  assert.deepEqual(scaleBar(10, 120), { value: 1000, pixels: 100 });
  assert.deepEqual(scaleBar(0.25, 100), { value: 20, pixels: 80 });
});

test("colours become numbers", () => {
  assert.deepEqual(
    parseColour(" #ff000080").map((value) => Number(value.toFixed(2))),
    [1, 0, 0, 0.5],
  );
  const palette = { low: [0, 0, 1, 0.5], mid: [0.5, 0.5, 0.5, 1], high: [1, 1, 0, 0.5] };
  assert.deepEqual(loadTint(palette, -0.5), [0, 0, 1, 0.25]);
  assert.deepEqual(loadTint(palette, 1), [1, 1, 0, 0.5]);
  assert.deepEqual(loadColour(palette, 0), [0.5, 0.5, 0.5, 1]);
  assert.deepEqual(loadColour(palette, -1), [0, 0, 1, 1]);
});

test("names that would meet give way to the first", () => {
  assert.deepEqual(
    withRoom([
      [0, 0, 50],
      [40, 10, 50],
      [40, 30, 50],
      [60, 0, 10],
    ]),
    [true, false, true, true],
  );
});
