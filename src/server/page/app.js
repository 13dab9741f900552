// The page: wires the server, the chart, the panel and the reader's hands.

import { freeName, inWords, knnQuery, question } from "./answers.js";
import { Camera } from "./camera.js";
import { Chart } from "./chart.js";
import { byId, make, write } from "./dom.js";
import { Feed, QueryStream, bytes, keepToken, pathTo, request } from "./link.js";
import { ago, degreeLabel, length, plainLabel } from "./nice.js";
import { Panel } from "./panel.js";
import { Popover } from "./popover.js";
import { areaRings, circle, distance, projectionOf, wrapLongitude } from "./projection.js";
import * as states from "./state.js";
import { theme } from "./theme.js";
import { boxOf, toScreen, toWorld, unitsPerPixel, wholeOf } from "./view.js";

const OBJECTS_MAX = 50_000;
const FOLLOWED_MAX = 10;
const HIT_PIXELS = 14;
const ASK_PAUSE_MS = 90;
const LIST_PAUSE_MS = 4000;
const MISSING_PAUSE_MS = 5000;
const FOUND_MS = 7000;
const FOUND_SAID_PAUSE_MS = 20_000;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let state = states.initial();
let projection = projectionOf(state.space);
let fitted = false;
/** The frame that came last and is not taken yet. */
let waiting = null;
/** The followed object that the view goes along with: its query, and where it was drawn last. */
let riding = null;

const chart = new Chart({ projection, still: () => calm.matches });
const camera = new Camera({
  surface: byId("surface"),
  projection,
  still: () => calm.matches,
  onClick: ([left, top]) => askAt(left, top),
  onPan: () => (riding = null),
  onChange: () => viewChanged(),
});
const panel = new Panel({ on: { select, remove }, place, colourOf: chart.colourOf });
const popover = new Popover({ onSubmit: register, onClose: () => pinAt(null) });
const feed = new Feed({
  onPhase: phaseChanged,
  onFrame: (text, buffer) => (waiting = { text, buffer }),
});
const stream = new QueryStream({
  onAnswer: (answer) => change(states.withStreamAnswer(state, answer)),
  onDelta: (delta) => change(states.withStreamDelta(state, delta, performance.now())),
  onEnd: (id) => change(states.withoutStream(state, id)),
});

function surface() {
  return byId("surface");
}

/** Takes the next state; who is shown or asked for may be another one now. */
function change(next) {
  const before = states.asked(state).join("\n");
  state = next;
  chart.dirty = true;
  if (states.asked(state).join("\n") !== before) ask();
}

// The server.

async function load() {
  try {
    const server = await request("GET", "/v1/state");
    if (server.space !== state.space) {
      projection = projectionOf(server.space);
      chart.over(projection);
      camera.over(projection, server.bounds);
      fitted = server.bounds != null;
    }
    change(states.withServer(state, server));
    fitOnce(server.bounds);
    chart.setTiles(server.tiles);
    if (server.roads && !chart.roads) chart.setRoads(await bytes("/v1/map/roads"));
    await loadQueries();
  } catch (error) {
    if (state.phase === "live") say(`Some of the map could not be loaded: ${error.message}`);
  }
}

function fitOnce(bounds) {
  if (fitted || !bounds) return;
  fitted = true;
  camera.extent = bounds;
  camera.show(bounds);
  ask();
}

async function loadQueries() {
  const { queries, total } = await request("GET", "/v1/queries?limit=1000");
  change(states.withQueries(state, queries, total));
  if (state.selected === null) stream.watch(null);
}

function phaseChanged(phase, retryAt, reason) {
  const before = state.phase;
  change(states.withPhase(state, phase, retryAt));
  if (phase === "live") {
    load();
    if (before !== "live" && chart.frames > 0) say("The connection is back.");
  } else if (phase === "waiting" && before === "live") {
    say("The connection to the server is lost.");
  }
  byId("key").hidden = phase !== "denied";
  if (phase === "denied") {
    const words = reason || "whoever runs it can give you one; it is kept for this tab only";
    write(byId("key-why"), `${words[0].toUpperCase()}${words.slice(1)}.`);
    byId("key-token").focus();
  }
  drawPhase();
}

/** Takes the newest frame. A page that is slow or hidden leaves out those before it. */
function takeFrame() {
  if (waiting === null) return;
  const { text, buffer } = waiting;
  waiting = null;
  const now = performance.now();
  const known = new Set(state.reports.map(({ key }) => key));
  change(states.withMessage(state, JSON.parse(text), now));
  chart.take(buffer, state, now);
  followObjects();
  if (!fitted) fitOnce(chart.fleet.bounds());
  const found = state.reports.find(({ key }) => !known.has(key));
  if (found && chart.frames > 1) showFound(found.report);
  byId("empty").hidden = state.message.objects > 0;
  drawPanel();
  chart.timed("message", performance.now() - now);
}

/** A found co-occurrence shows itself on the chart for some seconds. */
let foundTimer = null;
let foundSaidAt = -Infinity;
function showFound({ objects, occurrences }) {
  const text = `${objects.join(", ")} at ${occurrences.length} places`;
  const note = byId("found");
  note.hidden = true;
  note.replaceChildren("Seen together: ", make("b", {}, text));
  requestAnimationFrame(() => (note.hidden = false));
  clearTimeout(foundTimer);
  foundTimer = setTimeout(() => (note.hidden = true), FOUND_MS);
  // Where many are found, the reader still wants to hear what else happens.
  const now = performance.now();
  if (now - foundSaidAt < FOUND_SAID_PAUSE_MS) return;
  foundSaidAt = now;
  say(`Seen together: ${text}`);
}

/** Where the objects are that queries follow; the feed knows their numbers, not their names. */
const underway = new Set();
function followObjects() {
  for (const { query, object } of states.followed(state).slice(0, FOLLOWED_MAX)) {
    if (underway.has(query)) continue;
    underway.add(query);
    request("GET", pathTo("objects", object))
      .then(({ at }) => chart.place(query, at))
      .then(() => underway.delete(query))
      .catch(() => {
        chart.places.delete(query);
        setTimeout(() => underway.delete(query), MISSING_PAUSE_MS);
      });
  }
}

let askTimer = null;
function ask() {
  askTimer ??= setTimeout(() => {
    askTimer = null;
    const view = fitted ? boxOf(projection, camera.view) : wholeOf(projection);
    feed.ask({ view, max: OBJECTS_MAX, queries: states.asked(state) });
  }, ASK_PAUSE_MS);
}

// What the reader does.

function viewChanged() {
  chart.viewChanged();
  ask();
}

function place([x, y]) {
  const step = unitsPerPixel(projection, camera.view) / (projection.wraps ? 111_000 : 1);
  if (!projection.wraps) return `${plainLabel(x, step)}, ${plainLabel(y, step)}`;
  const fine = step > 2e-4 ? 1 / 60 : 1 / 3600;
  return `${degreeLabel(y, fine, "NS")} ${degreeLabel(wrapLongitude(x), fine, "EW")}`;
}

function askAt(left, top) {
  if (popover.isOpen) {
    popover.close();
    return;
  }
  const [x, y] = projection.inverse(...toWorld(camera.view, left, top));
  const at = projection.wraps ? [wrapLongitude(x), y] : [x, y];
  pinAt(projection.forward(x, y));
  popover.open({
    left,
    top,
    at,
    placeText: place(at),
    nearest: nearestTo(at),
    returnTo: surface(),
  });
}

function pinAt(world) {
  chart.pin = world;
  chart.dirty = true;
}

/** The object nearest to a place, and whether it was hit; null when there is none. */
async function nearestTo(at) {
  try {
    const { objects } = await request("POST", "/v1/query", { knn: { k: 1, at } });
    if (objects.length === 0) return null;
    const [{ id, at: where }] = objects;
    const away = distance(projection.space, at, where);
    const hit = away < HIT_PIXELS * unitsPerPixel(projection, camera.view);
    return { id, hit, away: hit ? "" : `${length(away, projection.wraps)} away` };
  } catch {
    return null;
  }
}

async function register(k, target) {
  const taken = new Set(state.queries.map((query) => query.id));
  for (;;) {
    const query = knnQuery(freeName(target, taken), k, target);
    try {
      await request("POST", "/v1/queries", query);
      change(states.withQuery(state, query));
      select(query.id, false);
      say(
        `Registered ${query.id}: ${inWords(query, place, (value) => length(value, projection.wraps))}`,
      );
      return;
    } catch (error) {
      if (error.status !== 409) throw error;
      taken.add(query.id);
    }
  }
}

function select(id, move = true) {
  const chosen = state.selected === id && move ? null : id;
  change(states.withSelected(state, chosen));
  const query = state.queries.find((candidate) => candidate.id === chosen);
  stream.watch(query && question(query).kind !== "cooccurrence" ? chosen : null);
  riding = query && question(query).object !== undefined ? { query: chosen, at: null } : null;
  drawPanel();
  if (query && move) focusOn(query);
}

/** Brings a query's disc or area into view. */
function focusOn(query) {
  const { kind, area, at } = question(query);
  if (kind === "cooccurrence") return;
  const middle = at ? projection.forward(...at) : chart.centres.at(query.id, 1);
  const reach = states.radius(state, query);
  const rings =
    kind === "inside" ? areaRings(projection, area) : middle ? discAround(middle, reach) : [];
  const points = rings.flat();
  if (points.length === 0) return;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [west, north] = projection.inverse(Math.min(...xs), Math.min(...ys));
  const [east, south] = projection.inverse(Math.max(...xs), Math.max(...ys));
  camera.show([west, south, east, north], 0.3);
}

function discAround(middle, reach) {
  const least = 40 * unitsPerPixel(projection, camera.view);
  return [circle(projection, projection.inverse(...middle), reach > 0 ? reach : least)];
}

async function remove(id) {
  const row = [...byId("queries").children].findIndex((child) => child.dataset.key === id);
  try {
    await request("DELETE", pathTo("queries", id));
  } catch (error) {
    if (error.status !== 404) {
      say(`${id} could not be removed: ${error.message}`);
      return;
    }
  }
  change(states.withoutQuery(state, id));
  if (state.selected === null) stream.watch(null);
  drawPanel();
  const next = byId("queries").children[row] ?? byId("queries").lastElementChild;
  (next?.querySelector("button") ?? byId("add")).focus();
  say(`Removed ${id}`);
}

// What is written beside the chart.

function drawPanel() {
  panel.draw(state, { palette: chart.palette, strips: chart.strips, now: performance.now() });
  drawPhase();
}

function drawPhase() {
  const { phase, retryAt, message } = state;
  byId("lamp").className = `lamp ${phase}`;
  const words = {
    live: `Live · ${message?.time.slice(11, 19) ?? ""} UTC`,
    connecting: "Connecting",
    waiting: "Not connected",
    denied: "Not allowed",
  };
  write(byId("status"), words[phase]);
  const notice = byId("notice");
  notice.hidden = phase === "live" || phase === "denied" || (phase === "connecting" && feed.attempt === 0);
  const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
  const age = performance.now() - chart.frameAt;
  const last = chart.frames > 0 && age > 2000 ? ` The chart shows what was known ${ago(age)}.` : "";
  const next = phase === "waiting" ? `Trying again in ${seconds} s.` : "Trying again.";
  write(byId("notice-text"), `The server does not answer. ${next}${last}`);
}

/** Speaks to screen readers, not more often than one can listen. */
let words = [];
let speaking = null;
function say(text) {
  words = [...words, text].slice(-3);
  speaking ??= setTimeout(() => {
    write(byId("announce"), words.join(". "));
    words = [];
    speaking = null;
  }, 1200);
}

function wire() {
  byId("zoom-in").addEventListener("click", () => camera.zoom(1.8));
  byId("zoom-out").addEventListener("click", () => camera.zoom(1 / 1.8));
  byId("zoom-fit").addEventListener("click", () => camera.show(camera.extent));
  byId("add").addEventListener("click", () => askAt(camera.view.width / 2, camera.view.height / 2));
  byId("retry").addEventListener("click", () => feed.open());
  byId("key").addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(byId("key-token").value.trim());
    feed.open();
  });
  byId("filter").addEventListener("input", ({ target }) => {
    change(states.withFilter(state, target.value));
    drawPanel();
  });
  byId("grip").addEventListener("click", () => {
    const open = byId("panel").classList.toggle("open");
    byId("grip").setAttribute("aria-expanded", String(open));
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    if (popover.isOpen) popover.close();
    else if (state.selected !== null) select(state.selected);
  });
  write(
    byId("curl"),
    `curl ${location.origin}/v1/positions \\\n  -H 'content-type: application/x-ndjson' \\\n  -d '{"object":"t1","at":[116.39,39.91]}'`,
  );
  byId("unable").hidden = chart.painter != null;
}

function resize() {
  const { width, height } = surface().getBoundingClientRect();
  chart.resize(width, height);
  camera.resize(width, height);
}

/** Keeps a followed object where it is on the screen. */
function ride(now) {
  if (riding === null) return;
  const at = chart.centres.at(riding.query, chart.mixing(now));
  if (at && riding.at) {
    const turn = projection.wraps ? Math.round(at[0] - riding.at[0]) : 0;
    camera.ride(at[0] - riding.at[0] - turn, at[1] - riding.at[1]);
  }
  riding.at = at ?? riding.at;
}

function loop(now) {
  takeFrame();
  ride(now);
  camera.advance(now);
  chart.draw(state, camera.view, now);
  requestAnimationFrame(loop);
}

/** A window on the page for tests: what is shown, never a way to change it. */
Object.defineProperty(window, "dunlin", {
  value: Object.freeze({
    figures: () => ({
      ...chart.figures(),
      roads: chart.roads?.count ?? 0,
      phase: state.phase,
      selected: state.selected,
      view: boxOf(projection, camera.view),
      scale: camera.view.scale,
      queries: state.queries.map(({ id }) => id),
      changes: Object.fromEntries(
        [...state.answers].map(([id, entry]) => [id, entry.changes.length]),
      ),
      strips: {
        cuts: chart.strips.cuts.size,
        splits: chart.strips.splits,
        merges: chart.strips.merges,
      },
    }),
    screenOf: (x, y) => toScreen(camera.view, ...projection.forward(x, y)),
  }),
});

wire();
theme(() => chart.readColours());
new ResizeObserver(resize).observe(surface());
resize();
camera.over(projection, null);
feed.open();
requestAnimationFrame(loop);
setInterval(() => state.phase === "live" && loadQueries().catch(() => {}), LIST_PAUSE_MS);
setInterval(() => state.phase !== "live" && drawPhase(), 500);
