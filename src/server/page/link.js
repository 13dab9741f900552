// The server: requests, the feed of the map, the stream of one query.

/** A feed that is silent for so long is cut, and opened anew. */
const PATIENCE_MS = 8000;

/** The pause before the n-th attempt to reconnect, in milliseconds: half a second, doubling. */
export function pauseAfter(attempt) {
  return Math.min(30_000, 500 * 2 ** Math.min(attempt, 16));
}

/** A request that the server refused, with its reason. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.field = problem.field;
  }
}

/** The name of the token in the memory of this tab, and in an address where no header may stand. */
const TOKEN = "access_token";

/** Keeps a token for this tab. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** The token of this tab, or null. */
function keptToken() {
  return globalThis.sessionStorage?.getItem(TOKEN) ?? null;
}

// One that stands behind `#access_token=` is taken from there.
if (globalThis.location?.hash?.startsWith(`#${TOKEN}=`)) {
  keepToken(location.hash.slice(TOKEN.length + 2));
  history.replaceState(null, "", location.pathname);
}

function headers(more) {
  const token = keptToken();
  return token === null ? more : { ...more, authorization: `Bearer ${token}` };
}

function withToken(path) {
  const token = keptToken();
  return token === null ? path : `${path}?${TOKEN}=${encodeURIComponent(token)}`;
}

/**
 * Why the server does not let this page in: its words about the token, nothing where there is none
 * yet; null if it does.
 */
async function refusal() {
  try {
    await request("GET", "/v1/queries?limit=1");
  } catch (error) {
    if (error instanceof Refusal && [401, 403].includes(error.status)) {
      return keptToken() === null ? "" : error.message;
    }
  }
  return null;
}

/** The JSON of a path; throws a Refusal, or a TypeError when nobody answers. */
export async function request(method, path, body) {
  const options = { method, headers: headers({ accept: "application/json" }) };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (!response.ok) throw new Refusal(response.status, await problemOf(response));
  return response.status === 204 ? null : response.json();
}

async function problemOf(response) {
  try {
    return (await response.json()) ?? {};
  } catch {
    return {};
  }
}

/** The bytes of a path. */
export async function bytes(path) {
  const response = await fetch(path, { headers: headers({}) });
  if (!response.ok) throw new Refusal(response.status, {});
  return response.arrayBuffer();
}

/** The path of a query or an object by its name, whatever is in the name. */
export function pathTo(kind, id, rest = "") {
  return `/v1/${kind}/${encodeURIComponent(id)}${rest}`;
}

/**
 * The feed of the map. It reconnects by itself with growing pauses and asks again for what was
 * asked last. A text message waits for the frame that belongs to it.
 */
export class Feed {
  constructor({ onPhase, onFrame, patience = PATIENCE_MS }) {
    this.patience = patience;
    this.onPhase = onPhase;
    this.onFrame = onFrame;
    this.attempt = 0;
    this.wanted = null;
    this.sent = null;
    this.text = null;
  }

  open() {
    clearTimeout(this.timer);
    this.onPhase("connecting", 0);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}${withToken("/v1/map")}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.sent = null;
      this.tell();
    };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => this.wait();
  }

  take(data) {
    if (typeof data === "string") {
      this.text = data;
      return;
    }
    if (this.text === null) return;
    if (this.attempt > 0 || !this.live) this.onPhase("live", 0);
    this.live = true;
    this.attempt = 0;
    const text = this.text;
    this.text = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.abandon(), this.patience);
    this.onFrame(text, data);
  }

  /** Leaves a silent connection at once; its own end could take minutes. */
  abandon() {
    if (this.socket) this.socket.onclose = null;
    this.socket?.close();
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    if (!this.live) this.askWhy();
    this.live = false;
    this.text = null;
    const pause = pauseAfter(this.attempt);
    this.attempt += 1;
    this.onPhase("waiting", Date.now() + pause);
    this.timer = setTimeout(() => this.open(), pause);
  }

  /** A socket does not say why it was refused. */
  async askWhy() {
    const reason = await refusal();
    if (reason === null || this.live) return;
    clearTimeout(this.timer);
    this.onPhase("denied", 0, reason);
  }

  /** Asks for a view and answers; sent when it differs from what was sent last. */
  ask(wanted) {
    this.wanted = JSON.stringify(wanted);
    this.tell();
  }

  tell() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.wanted === null) return;
    if (this.wanted === this.sent) return;
    this.sent = this.wanted;
    this.socket.send(this.wanted);
  }
}

/** The stream of one query's answer and deltas; `watch(null)` ends it. */
export class QueryStream {
  constructor({ onAnswer, onDelta, onEnd }) {
    this.on = { onAnswer, onDelta, onEnd };
    this.id = null;
  }

  watch(id) {
    if (id === this.id) return;
    const before = this.id;
    this.source?.close();
    this.source = null;
    this.id = id;
    if (before !== null) this.on.onEnd(before);
    if (id === null) return;
    const source = new EventSource(withToken(pathTo("queries", id, "/stream")));
    source.addEventListener("answer", ({ data }) => this.on.onAnswer(JSON.parse(data)));
    source.addEventListener("delta", ({ data }) => this.on.onDelta(JSON.parse(data)));
    source.onerror = () => this.on.onEnd(id);
    this.source = source;
  }
}
