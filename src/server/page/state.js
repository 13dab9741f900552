// The state of the page, and how it goes on: pure functions from one state to the next.
//
// Everything that comes in (messages of the feed, answers of the server, clicks) passes through
// here; everything that is drawn reads from here. What moves between two frames does not: that is
// the fleet's (frame.js) and the strips' (strips.js) own.

import { applyDelta, comings, difference, question, radiusOf, remember } from "./answers.js";

/** How many queries the feed answers at a time, and how many the list shows. */
export const ASKED_MAX = 50;
export const LISTED_MAX = 100;
const HISTORY = 60;

export function initial() {
  return {
    phase: "connecting",
    retryAt: 0,
    space: "sphere",
    server: null,
    queries: [],
    total: 0,
    own: new Set(),
    filter: "",
    answers: new Map(),
    selected: null,
    message: null,
    history: [],
    reports: [],
  };
}

/** The phase of the connection: `connecting`, `live`, `denied`, or `waiting` until `retryAt`. */
export function withPhase(state, phase, retryAt = 0) {
  return { ...state, phase, retryAt };
}

/** What `GET /v1/state` told. */
export function withServer(state, server) {
  return { ...state, server, space: server.space };
}

/**
 * The list of queries; what is no longer in it is forgotten. Of a long list the server sends a
 * part and says how many there are in all; then those that this page made are kept.
 */
export function withQueries(state, queries, total = queries.length) {
  if (total > queries.length) {
    const sent = new Set(queries.map(({ id }) => id));
    queries = [...state.queries.filter(({ id }) => state.own.has(id) && !sent.has(id)), ...queries];
  }
  return { ...keepOnly(state, queries), total: Math.max(total, queries.length) };
}

/** The page's own queries stand first, the newest at the top. */
function keepOnly(state, queries) {
  const ids = new Set(queries.map((query) => query.id));
  const answers = new Map([...state.answers].filter(([id]) => ids.has(id)));
  const selected = ids.has(state.selected) ? state.selected : null;
  const rank = new Map([...state.own].reverse().map((id, i) => [id, i]));
  const place = ({ id }) => rank.get(id) ?? rank.size;
  return { ...state, queries: [...queries].sort((a, b) => place(a) - place(b)), answers, selected };
}

/** A query that this page made. */
export function withQuery(state, query) {
  const others = state.queries.filter(({ id }) => id !== query.id);
  const own = new Set(state.own).add(query.id);
  return { ...keepOnly({ ...state, own }, [query, ...others]), total: state.total + 1 };
}

export function withoutQuery(state, id) {
  const own = new Set(state.own);
  own.delete(id);
  const next = keepOnly(
    state,
    state.queries.filter((query) => query.id !== id),
  );
  return { ...next, own, total: Math.max(0, state.total - 1) };
}

export function withSelected(state, id) {
  return { ...state, selected: state.queries.some((query) => query.id === id) ? id : null };
}

export function withFilter(state, filter) {
  return { ...state, filter };
}

/** The queries of the list: those whose name or object has the filter's text in it. */
export function listed(state) {
  const text = state.filter.trim().toLowerCase();
  const has = (query) => `${query.id} ${question(query).object ?? ""}`.toLowerCase().includes(text);
  return (text === "" ? state.queries : state.queries.filter(has)).slice(0, LISTED_MAX);
}

/** The queries whose answers the feed should send: the selected one, then the list's first. */
export function asked(state) {
  const ids = listed(state)
    .filter((query) => question(query).kind !== "cooccurrence")
    .map((query) => query.id);
  const selected = state.selected === null ? [] : [state.selected];
  return [...new Set([...selected, ...ids])].slice(0, ASKED_MAX);
}

/** A text message of the feed. */
export function withMessage(state, message, now) {
  const known = new Set(state.queries.map((query) => query.id));
  const answers = new Map(state.answers);
  for (const answer of message.answers ?? []) {
    if (known.has(answer.query))
      answers.set(answer.query, nextAnswer(answers.get(answer.query), answer, now));
  }
  const sample = { ...message.rates, lag: message.lag_ms };
  return {
    ...state,
    message,
    answers,
    history: [...state.history, sample].slice(-HISTORY),
    reports: withReports(state.reports, message.cooccurrences ?? [], now),
  };
}

/** A selected query's changes come by its own stream; the feed then only brings positions. */
function nextAnswer(old, answer, now) {
  if (!old) return { answer, changes: [], changedAt: null, streamed: false };
  if (old.streamed) return { ...old, answer };
  return withChanges({ ...old, answer }, difference(old.answer, answer), now);
}

function withChanges(entry, changes, now) {
  const quiet = changes.entered.length + changes.left.length === 0;
  if (quiet) return entry;
  return { ...entry, changes: remember(entry.changes, changes, now), changedAt: now };
}

/** A whole answer of a query's own stream. */
export function withStreamAnswer(state, answer) {
  const old = state.answers.get(answer.query);
  const entry = { changes: [], changedAt: null, ...old, answer, live: answer, streamed: true };
  return { ...state, answers: new Map(state.answers).set(answer.query, entry) };
}

/** A delta of a query's own stream. */
export function withStreamDelta(state, delta, now) {
  const old = state.answers.get(delta.query);
  if (!old?.live) return state;
  const live = applyDelta(old.live, delta);
  const entry = withChanges({ ...old, live, answer: fresh(live, old.answer) }, comings(delta), now);
  return { ...state, answers: new Map(state.answers).set(delta.query, entry) };
}

/** The stream knows who and in which order; the feed may know better where. */
function fresh(live, fed) {
  const places = new Map(fed.objects.map((object) => [object.id, object]));
  const objects = live.objects.map((object) => ({ ...object, ...places.get(object.id) }));
  return { ...live, objects };
}

/** A query's own stream ended: from now on the feed tells what changes. */
export function withoutStream(state, id) {
  const old = state.answers.get(id);
  if (!old) return state;
  const { live: _, ...entry } = old;
  return { ...state, answers: new Map(state.answers).set(id, { ...entry, streamed: false }) };
}

/** The found co-occurrences, newest first; each remembers when this page saw it first. */
export function withReports(old, reports, now) {
  const seen = new Map(old.map((entry) => [entry.key, entry]));
  const entries = reports.map((report) => {
    const key = `${report.time}|${report.objects.join("|")}`;
    return seen.get(key) ?? { key, report, seenAt: now };
  });
  return entries.sort((a, b) =>
    a.report.time < b.report.time ? 1 : a.report.time > b.report.time ? -1 : 0,
  );
}

/** The neighbours of all asked queries: {query, id, at} for each. */
export function neighbours(state) {
  const found = [];
  for (const [query, { answer }] of state.answers) {
    for (const { id, at } of answer.objects ?? []) if (at) found.push({ query, id, at });
  }
  return found;
}

/** The queries that follow an object, as pairs of query and object; the selected one first. */
export function followed(state) {
  return state.queries
    .filter((query) => state.answers.has(query.id))
    .map((query) => ({ query: query.id, object: question(query).object }))
    .filter(({ object }) => object !== undefined)
    .sort((a, b) => (b.query === state.selected) - (a.query === state.selected));
}

/** The radius of a query's disc now, or null. */
export function radius(state, query) {
  return radiusOf(query, state.answers.get(query.id)?.answer);
}
