// Answers and deltas, the state of the page, the link to the server.

import assert from "node:assert/strict";
import test from "node:test";

import {
  applyDelta,
  comings,
  difference,
  freeName,
  inWords,
  knnQuery,
  radiusOf,
  remember,
} from "../../src/server/page/answers.js";
import { Feed, pathTo, pauseAfter } from "../../src/server/page/link.js";
import * as states from "../../src/server/page/state.js";

const objects = (...ids) => ids.map((id, i) => ({ id, distance: 10 * (i + 1), at: [i, i] }));
const idsOf = (answer) => answer.objects.map(({ id }) => id);

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
  const next = applyDelta(
    { objects: objects("a", "b") },
    { time: "2", changes: [{ move: { id: "b", distance: 3 } }] },
  );
  assert.deepEqual(next.objects[1], { id: "b", distance: 3, at: [1, 1] });
});

test("who came and who left", () => {
  const [before, after] = [{ objects: objects("a", "b") }, { objects: objects("b", "c") }];
  assert.deepEqual(difference(before, after), { entered: ["c"], left: ["a"] });
  const changes = [
    { leave: "a" },
    { enter: { rank: 1, id: "c" } },
    { reorder: { rank: 0, id: "b" } },
  ];
  assert.deepEqual(comings({ changes }), { entered: ["c"], left: ["a"] });
  const kept = remember(
    [{ kind: "enter", id: "old", at: 1 }],
    { entered: ["c"], left: ["a"] },
    2,
    2,
  );
  assert.deepEqual(kept, [
    { kind: "enter", id: "c", at: 2 },
    { kind: "leave", id: "a", at: 2 },
  ]);
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
  const words = (query) =>
    inWords(
      query,
      ([x, y]) => `${x}/${y}`,
      (value) => `${value} m`,
    );
  assert.equal(words(knnQuery("q", 5, { object: "t7" })), "5 nearest, following t7");
  assert.equal(words(knnQuery("q", 5, { at: [1, 2] })), "5 nearest to 1/2");
  assert.equal(words({ id: "w", within: { radius: 500, at: [1, 2] } }), "all within 500 m of 1/2");
});

const message = (answers, cooccurrences = []) => ({
  time: "t",
  objects: 9,
  shown: 9,
  rates: { positions: 1, deltas: 2 },
  lag_ms: 3,
  answers,
  cooccurrences,
});
const withQ = (...ids) =>
  states.withQueries(
    states.initial(),
    ids.map((id) => knnQuery(id, 2, { at: [0, 0] })),
  );

test("a message brings answers and what changed in them", () => {
  let state = states.withMessage(
    withQ("q"),
    message([{ query: "q", objects: objects("a", "b") }]),
    10,
  );
  assert.deepEqual(state.answers.get("q").changes, []);
  state = states.withMessage(state, message([{ query: "q", objects: objects("b", "c") }]), 20);
  assert.deepEqual(
    state.answers.get("q").changes.map(({ kind, id }) => kind + id),
    ["enterc", "leavea"],
  );
  assert.equal(state.answers.get("q").changedAt, 20);
  assert.deepEqual(
    states.neighbours(state).map(({ query, id }) => query + id),
    ["qb", "qc"],
  );
  state = states.withMessage(state, message([{ query: "unknown", objects: [] }]), 30);
  assert.deepEqual([...state.answers.keys()], ["q"]);
  assert.equal(states.radius(state, state.queries[0]), 20);
});

test("a removed query takes its answer and the choice with it", () => {
  let state = states.withMessage(
    withQ("p", "q"),
    message([{ query: "q", objects: objects("a") }]),
    10,
  );
  state = states.withSelected(state, "q");
  assert.equal(state.selected, "q");
  state = states.withoutQuery(state, "q");
  assert.equal(state.selected, null);
  assert.equal(state.answers.size, 0);
  assert.equal(states.withSelected(state, "gone").selected, null);
  assert.deepEqual(
    states.withQuery(state, knnQuery("r", 1, { at: [0, 0] })).queries.map(({ id }) => id),
    ["r", "p"],
  );
});

test("of a long list the page's own queries are kept", () => {
  const [p, q, r] = ["p", "q", "r"].map((id) => knnQuery(id, 1, { at: [0, 0] }));
  const state = states.withQuery(states.withQueries(states.initial(), [p, q], 9), r);
  assert.equal(state.total, 10);
  const partial = states.withQueries(state, [p], 10);
  assert.deepEqual(
    partial.queries.map(({ id }) => id),
    ["r", "p"],
  );
  assert.equal(partial.total, 10);
  const newer = states.withQuery(state, knnQuery("a", 1, { object: "x" }));
  assert.deepEqual(
    states.withQueries(newer, [p, q, r, newer.queries[0]]).queries.map(({ id }) => id),
    ["a", "r", "p", "q"],
  );
  assert.deepEqual(
    states.withQueries(state, [p]).queries.map(({ id }) => id),
    ["p"],
  );
  const without = states.withQueries(states.withoutQuery(state, "r"), [p], 9);
  assert.deepEqual(
    without.queries.map(({ id }) => id),
    ["p"],
  );
});

test("a watched query's changes come by its stream, once", () => {
  let state = states.withMessage(
    withQ("q"),
    message([{ query: "q", objects: objects("a", "b") }]),
    10,
  );
  state = states.withStreamAnswer(state, { query: "q", time: "1", objects: objects("a", "b") });
  const delta = {
    query: "q",
    time: "2",
    changes: [{ leave: "a" }, { enter: { rank: 1, id: "c", distance: 9, at: [5, 5] } }],
  };
  state = states.withStreamDelta(state, delta, 20);
  assert.deepEqual(idsOf(state.answers.get("q").answer), ["b", "c"]);
  assert.deepEqual(
    state.answers.get("q").changes.map(({ kind, id }) => kind + id),
    ["enterc", "leavea"],
  );
  // The feed is a little behind the stream; that is no change back.
  state = states.withMessage(state, message([{ query: "q", objects: objects("a", "b") }]), 25);
  state = states.withMessage(state, message([{ query: "q", objects: objects("b", "c") }]), 30);
  assert.equal(state.answers.get("q").changes.length, 2);
  state = states.withoutStream(state, "q");
  state = states.withMessage(state, message([{ query: "q", objects: objects("b") }]), 40);
  assert.deepEqual(state.answers.get("q").changes[0], { kind: "leave", id: "c", at: 40 });
  assert.equal(states.withStreamDelta(withQ("q"), delta, 1).answers.size, 0);
  const early = states.withMessage(
    withQ("q"),
    message([{ query: "q", objects: objects("a") }]),
    10,
  );
  assert.equal(states.withStreamDelta(early, delta, 20), early);
});

test("the feed is asked for the chosen query first, and for fifty at most", () => {
  const ids = Array.from({ length: 80 }, (_, i) => `q${i}`);
  let state = states.withSelected(withQ(...ids), "q79");
  assert.equal(states.asked(state).length, 50);
  assert.equal(states.asked(state)[0], "q79");
  state = states.withFilter(state, "q7");
  assert.deepEqual(
    states.listed(state).map(({ id }) => id),
    ids.filter((id) => id.includes("q7")),
  );
  const follow = states.withQueries(state, [
    knnQuery("f", 1, { object: "truck" }),
    { id: "c", cooccurrence: {} },
  ]);
  assert.deepEqual(states.asked(states.withFilter(follow, "")), ["f"]);
  assert.deepEqual(
    states.listed(states.withFilter(follow, "TRUCK")).map(({ id }) => id),
    ["f"],
  );
  const answered = states.withMessage(follow, message([{ query: "f", objects: [] }]), 1);
  assert.deepEqual(states.followed(answered), [{ query: "f", object: "truck" }]);
  const two = states.withQueries(states.initial(), [
    knnQuery("f", 1, { object: "a" }),
    knnQuery("g", 1, { object: "b" }),
  ]);
  const both = states.withMessage(
    two,
    message([
      { query: "f", objects: [] },
      { query: "g", objects: [] },
    ]),
    1,
  );
  assert.deepEqual(
    states.followed(states.withSelected(both, "g")).map(({ query }) => query),
    ["g", "f"],
  );
});

test("reports are new once, the newest first", () => {
  const report = (time, ...names) => ({ time, objects: names, support: 3, occurrences: [] });
  const first = states.withReports([], [report("1", "A", "B")], 10);
  const second = states.withReports(first, [report("1", "A", "B"), report("2", "C", "D")], 20);
  assert.deepEqual(
    second.map(({ report: { time }, seenAt }) => [time, seenAt]),
    [
      ["2", 20],
      ["1", 10],
    ],
  );
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
  const feed = new Feed({
    onPhase: (phase) => seen.push(phase),
    onFrame: (text) => seen.push(text),
  });
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
