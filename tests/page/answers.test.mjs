// Answers and deltas, the state of the page, strips that split and merge, nice numbers.

import assert from "node:assert/strict";
import test from "node:test";

import {
  applyDelta, comings, difference, freeName, inWords, knnQuery, radiusOf, remember,
} from "../../src/server/page/answers.js";
import { Feed, pathTo, pauseAfter } from "../../src/server/page/link.js";
import {
  ago, count, degreeLabel, degreeStep, divisions, length, milliseconds, multiples, niceStep, plainLabel,
  scaleBar, short,
} from "../../src/server/page/nice.js";
import { loadColour, loadTint, parseColour } from "../../src/server/page/palette.js";
import * as states from "../../src/server/page/state.js";
import { StripModel, ease, loadOf, summary } from "../../src/server/page/strips.js";
import { withRoom } from "../../src/server/page/tags.js";

const objects = (...ids) => ids.map((id, i) => ({ id, distance: 10 * (i + 1), at: [i, i] }));
const idsOf = (answer) => answer.objects.map(({ id }) => id);
const thin = (text) => text.replace(/\u2009/g, " ");

test("a delta leads from one answer to the next", () => {
  const answer = { query: "q", time: "1", objects: objects("a", "b", "c", "d") };
  const delta = {
    query: "q",
    time: "2",
    changes: [
      { leave: "c" },
      { enter: { rank: 0, id: "x", distance: 1, at: [9, 9] } },
      { reorder: { rank: 3, id: "b", distance: 44 } },
    ],
  };
  const next = applyDelta(answer, delta);
  assert.deepEqual(idsOf(next), ["x", "a", "d", "b"]);
  assert.equal(next.time, "2");
  assert.deepEqual(next.objects[0], { id: "x", distance: 1, at: [9, 9] });
  assert.deepEqual(next.objects[3], { id: "b", distance: 44, at: [1, 1] });
  assert.deepEqual(idsOf(answer), ["a", "b", "c", "d"]);
});

test("any delta by the engine's rule is applied right", () => {
  let seed = 7;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const draw = () => {
    const pool = [..."abcdefghij"];
    return Array.from({ length: random(8) }, () => pool.splice(random(pool.length), 1)[0]);
  };
  for (let round = 0; round < 500; round += 1) {
    const [previous, next] = [draw(), draw()];
    const changes = previous.filter((id) => !next.includes(id)).map((id) => ({ leave: id }));
    let last = -1;
    next.forEach((id, rank) => {
      const before = previous.indexOf(id);
      if (before < 0) changes.push({ enter: { rank, id } });
      else if (before < last) changes.push({ reorder: { rank, id } });
      else last = before;
    });
    const applied = applyDelta({ objects: objects(...previous) }, { time: "t", changes });
    assert.deepEqual(idsOf(applied), next, `${previous} to ${next} by ${JSON.stringify(changes)}`);
  }
});

test("a move gives new values in place", () => {
  const next = applyDelta({ objects: objects("a", "b") }, { time: "2", changes: [{ move: { id: "b", distance: 3 } }] });
  assert.deepEqual(next.objects[1], { id: "b", distance: 3, at: [1, 1] });
});

test("who came and who left", () => {
  const [before, after] = [{ objects: objects("a", "b") }, { objects: objects("b", "c") }];
  assert.deepEqual(difference(before, after), { entered: ["c"], left: ["a"] });
  const changes = [{ leave: "a" }, { enter: { rank: 1, id: "c" } }, { reorder: { rank: 0, id: "b" } }];
  assert.deepEqual(comings({ changes }), { entered: ["c"], left: ["a"] });
  const kept = remember([{ kind: "enter", id: "old", at: 1 }], { entered: ["c"], left: ["a"] }, 2, 2);
  assert.deepEqual(kept, [{ kind: "enter", id: "c", at: 2 }, { kind: "leave", id: "a", at: 2 }]);
});

test("the disc of a query reaches its farthest neighbour", () => {
  const answer = { objects: objects("a", "b", "c") };
  assert.equal(radiusOf(knnQuery("q", 3, { at: [0, 0] }), answer), 30);
  assert.equal(radiusOf(knnQuery("q", 3, { at: [0, 0] }), { objects: [] }), null);
  assert.equal(radiusOf({ id: "w", within: { radius: 500, at: [0, 0] } }, answer), 500);
  assert.equal(radiusOf({ id: "i", inside: { area: {} } }, answer), null);
});

test("a new query's name is free and says what it does", () => {
  assert.equal(freeName({ at: [0, 0] }, new Set()), "near-1");
  assert.equal(freeName({ at: [0, 0] }, new Set(["near-1", "near-2"])), "near-3");
  assert.equal(freeName({ object: "t7" }, new Set()), "follow-t7");
  assert.equal(freeName({ object: "t7" }, new Set(["follow-t7"])), "follow-t7-2");
  assert.deepEqual(knnQuery("q", 5, { object: "t7" }), { id: "q", knn: { k: 5, object: "t7" } });
  assert.deepEqual(knnQuery("q", 5, { at: [1, 2] }), { id: "q", knn: { k: 5, at: [1, 2] } });
  const words = (query) => inWords(query, ([x, y]) => `${x}/${y}`, (value) => `${value} m`);
  assert.equal(words(knnQuery("q", 5, { object: "t7" })), "5 nearest, following t7");
  assert.equal(words(knnQuery("q", 5, { at: [1, 2] })), "5 nearest to 1/2");
  assert.equal(words({ id: "w", within: { radius: 500, at: [1, 2] } }), "all within 500 m of 1/2");
});

const message = (answers, cooccurrences = []) => ({
  time: "t", objects: 9, shown: 9, rates: { positions: 1, deltas: 2 }, lag_ms: 3, answers, cooccurrences,
});
const withQ = (...ids) => states.withQueries(states.initial(), ids.map((id) => knnQuery(id, 2, { at: [0, 0] })));

test("a message brings answers and what changed in them", () => {
  let state = states.withMessage(withQ("q"), message([{ query: "q", objects: objects("a", "b") }]), 10);
  assert.deepEqual(state.answers.get("q").changes, []);
  state = states.withMessage(state, message([{ query: "q", objects: objects("b", "c") }]), 20);
  assert.deepEqual(state.answers.get("q").changes.map(({ kind, id }) => kind + id), ["enterc", "leavea"]);
  assert.equal(state.answers.get("q").changedAt, 20);
  assert.deepEqual(states.neighbours(state).map(({ query, id }) => query + id), ["qb", "qc"]);
  state = states.withMessage(state, message([{ query: "unknown", objects: [] }]), 30);
  assert.deepEqual([...state.answers.keys()], ["q"]);
  assert.equal(states.radius(state, state.queries[0]), 20);
});

test("a removed query takes its answer and the choice with it", () => {
  let state = states.withMessage(withQ("p", "q"), message([{ query: "q", objects: objects("a") }]), 10);
  state = states.withSelected(state, "q");
  assert.equal(state.selected, "q");
  state = states.withoutQuery(state, "q");
  assert.equal(state.selected, null);
  assert.equal(state.answers.size, 0);
  assert.equal(states.withSelected(state, "gone").selected, null);
  assert.deepEqual(states.withQuery(state, knnQuery("r", 1, { at: [0, 0] })).queries.map(({ id }) => id), ["r", "p"]);
});

test("of a long list the page's own queries are kept", () => {
  const [p, q, r] = ["p", "q", "r"].map((id) => knnQuery(id, 1, { at: [0, 0] }));
  const state = states.withQuery(states.withQueries(states.initial(), [p, q], 9), r);
  assert.equal(state.total, 10);
  const partial = states.withQueries(state, [p], 10);
  assert.deepEqual(partial.queries.map(({ id }) => id), ["r", "p"]);
  assert.equal(partial.total, 10);
  const newer = states.withQuery(state, knnQuery("a", 1, { object: "x" }));
  assert.deepEqual(states.withQueries(newer, [p, q, r, newer.queries[0]]).queries.map(({ id }) => id), ["a", "r", "p", "q"]);
  assert.deepEqual(states.withQueries(state, [p]).queries.map(({ id }) => id), ["p"]);
  const without = states.withQueries(states.withoutQuery(state, "r"), [p], 9);
  assert.deepEqual(without.queries.map(({ id }) => id), ["p"]);
});

test("a watched query's changes come by its stream, once", () => {
  let state = states.withMessage(withQ("q"), message([{ query: "q", objects: objects("a", "b") }]), 10);
  state = states.withStreamAnswer(state, { query: "q", time: "1", objects: objects("a", "b") });
  const delta = { query: "q", time: "2", changes: [{ leave: "a" }, { enter: { rank: 1, id: "c", distance: 9, at: [5, 5] } }] };
  state = states.withStreamDelta(state, delta, 20);
  assert.deepEqual(idsOf(state.answers.get("q").answer), ["b", "c"]);
  assert.deepEqual(state.answers.get("q").changes.map(({ kind, id }) => kind + id), ["enterc", "leavea"]);
  // The feed is a little behind the stream; that is no change back.
  state = states.withMessage(state, message([{ query: "q", objects: objects("a", "b") }]), 25);
  state = states.withMessage(state, message([{ query: "q", objects: objects("b", "c") }]), 30);
  assert.equal(state.answers.get("q").changes.length, 2);
  state = states.withoutStream(state, "q");
  state = states.withMessage(state, message([{ query: "q", objects: objects("b") }]), 40);
  assert.deepEqual(state.answers.get("q").changes[0], { kind: "leave", id: "c", at: 40 });
  assert.equal(states.withStreamDelta(withQ("q"), delta, 1).answers.size, 0);
  const early = states.withMessage(withQ("q"), message([{ query: "q", objects: objects("a") }]), 10);
  assert.equal(states.withStreamDelta(early, delta, 20), early);
});

test("the feed is asked for the chosen query first, and for fifty at most", () => {
  const ids = Array.from({ length: 80 }, (_, i) => `q${i}`);
  let state = states.withSelected(withQ(...ids), "q79");
  assert.equal(states.asked(state).length, 50);
  assert.equal(states.asked(state)[0], "q79");
  state = states.withFilter(state, "q7");
  assert.deepEqual(states.listed(state).map(({ id }) => id), ids.filter((id) => id.includes("q7")));
  const follow = states.withQueries(state, [knnQuery("f", 1, { object: "truck" }), { id: "c", cooccurrence: {} }]);
  assert.deepEqual(states.asked(states.withFilter(follow, "")), ["f"]);
  assert.deepEqual(states.listed(states.withFilter(follow, "TRUCK")).map(({ id }) => id), ["f"]);
  const answered = states.withMessage(follow, message([{ query: "f", objects: [] }]), 1);
  assert.deepEqual(states.followed(answered), [{ query: "f", object: "truck" }]);
  const two = states.withQueries(states.initial(), [knnQuery("f", 1, { object: "a" }), knnQuery("g", 1, { object: "b" })]);
  const both = states.withMessage(two, message([{ query: "f", objects: [] }, { query: "g", objects: [] }]), 1);
  assert.deepEqual(states.followed(states.withSelected(both, "g")).map(({ query }) => query), ["g", "f"]);
});

test("reports are new once, the newest first", () => {
  const report = (time, ...names) => ({ time, objects: names, support: 3, occurrences: [] });
  const first = states.withReports([], [report("1", "A", "B")], 10);
  const second = states.withReports(first, [report("1", "A", "B"), report("2", "C", "D")], 20);
  assert.deepEqual(second.map(({ report: { time }, seenAt }) => [time, seenAt]), [["2", 20], ["1", 10]]);
});

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
  loads.map((load, i) => ({ from: xs[i - 1] ?? null, to: xs[i] ?? null, objects: load, shard: shards[i] }));

test("a split grows, a merge withdraws, the rest stays", () => {
  const model = new StripModel();
  model.update(cutAt([10], [100, 300]), 0);
  assert.deepEqual(model.drawnCuts(0).map(({ x, grown }) => [x, grown]), [[10, 1]]);
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
  assert.deepEqual(model.drawnCuts(10).map(({ x, grown, fresh }) => [x, grown, fresh]), [[20, 1, 0]]);
  assert.ok(model.drawnBands(10).every(({ fresh }) => fresh === 0));
});

test("borders of shards are known among the cuts", () => {
  const model = new StripModel();
  model.update(cutAt([10, 20], [1, 1, 1], [0, 0, 1]), 0);
  assert.deepEqual(model.drawnCuts(0).map(({ x, shard }) => [x, shard]), [[10, false], [20, true]]);
  model.update(cutAt([10, 20], [1, 1, 1], [0, 1, 1]), 0);
  assert.deepEqual(model.drawnCuts(0).map(({ x, shard }) => [x, shard]), [[10, true], [20, false]]);
});

test("easing starts and ends", () => {
  assert.deepEqual([ease(-1), ease(0), ease(1), ease(2)], [0, 0, 1, 1]);
  assert.ok(ease(0.5) > 0.5);
});

test("steps are nice", () => {
  assert.deepEqual([0.9, 1, 1.01, 2.2, 6, 0.00031, 700].map(niceStep), [1, 1, 2, 5, 10, 0.0005, 1000]);
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
  assert.deepEqual([0, 0.44, 940, 9999, 12_345, 1_250_000].map(short).map(thin), ["0", "0.4", "940", "9 999", "12.3 k", "1.25 M"]);
  assert.deepEqual([5.04, 63.2, 1234, 140_000, 2_345_678].map((value) => thin(length(value, true))), ["5.0 m", "63 m", "1.23 km", "140 km", "2 346 km"]);
  assert.equal(length(0.1234, false), "0.123");
  assert.deepEqual([0, 0.44, 18.2, 1250].map(milliseconds), ["0 ms", "0.4 ms", "18 ms", "1.3 s"]);
  assert.deepEqual([100, 12_300, 185_000, 7_300_000].map(ago), ["now", "12 s ago", "3 min ago", "2 h ago"]);
  assert.deepEqual(scaleBar(10, 120), { value: 1000, pixels: 100 });
  assert.deepEqual(scaleBar(0.25, 100), { value: 20, pixels: 80 });
});

test("colours become numbers", () => {
  assert.deepEqual(parseColour(" #ff000080").map((value) => Number(value.toFixed(2))), [1, 0, 0, 0.5]);
  const palette = { low: [0, 0, 1, 0.5], mid: [0.5, 0.5, 0.5, 1], high: [1, 1, 0, 0.5] };
  assert.deepEqual(loadTint(palette, -0.5), [0, 0, 1, 0.25]);
  assert.deepEqual(loadTint(palette, 1), [1, 1, 0, 0.5]);
  assert.deepEqual(loadColour(palette, 0), [0.5, 0.5, 0.5, 1]);
  assert.deepEqual(loadColour(palette, -1), [0, 0, 1, 1]);
});

test("pauses grow, but not for ever", () => {
  assert.deepEqual([0, 1, 2, 3].map(pauseAfter), [500, 1000, 2000, 4000]);
  assert.equal(pauseAfter(1000), 30_000);
});

test("names go into paths whole", () => {
  assert.equal(pathTo("queries", "a/b?c", "/stream"), "/v1/queries/a%2Fb%3Fc/stream");
});

test("a feed joins a text with its frame, and says when it lives", () => {
  const seen = [];
  const feed = new Feed({ onPhase: (phase) => seen.push(phase), onFrame: (text) => seen.push(text) });
  feed.take(new ArrayBuffer(24));
  feed.take("one");
  feed.take(new ArrayBuffer(24));
  feed.take("two");
  feed.take(new ArrayBuffer(24));
  clearTimeout(feed.timer);
  assert.deepEqual(seen, ["live", "one", "two"]);
});

test("a feed that falls silent is cut", async () => {
  const feed = new Feed({ onPhase: () => {}, onFrame: () => {}, patience: 5 });
  const cut = new Promise((resolve) => {
    feed.socket = { close: resolve };
  });
  feed.take("text");
  feed.take(new ArrayBuffer(24));
  await cut;
  assert.equal(feed.live, false);
  clearTimeout(feed.timer);
});

test("names that would meet give way to the first", () => {
  assert.deepEqual(withRoom([[0, 0, 50], [40, 10, 50], [40, 30, 50], [60, 0, 10]]), [true, false, true, true]);
});
