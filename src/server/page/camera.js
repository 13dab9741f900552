// Hands on the chart: pan, zoom and click with a mouse, with fingers and with keys.
//
// The camera owns the view. Steps (wheel, keys, buttons) glide to their end, drags follow the
// hand. `changed` is called whenever the view is another one.

import { ease } from "./strips.js";
import { between, confine, fit, limitsOf, panBy, zoomAt } from "./view.js";

const GLIDE_MS = 220;
const CLICK_PIXELS = 6;
const KEYS = {
  ArrowLeft: [1, 0],
  ArrowRight: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

export class Camera {
  constructor({ surface, projection, still, onClick, onPan, onChange }) {
    Object.assign(this, { surface, projection, still, onClick, onPan, onChange });
    this.extent = [-180, -85, 180, 85];
    this.view = { x: 0.5, y: 0.5, scale: 256, width: 1, height: 1 };
    this.goal = null;
    this.fingers = new Map();
    this.listen();
  }

  limits() {
    return limitsOf(this.projection, this.view, this.extent);
  }

  /** Puts the camera over another space. */
  over(projection, extent) {
    this.projection = projection;
    this.extent = extent ?? (projection.wraps ? [-180, -85, 180, 85] : [-1, -1, 1, 1]);
    this.jump(fit(projection, this.size(), this.extent, this.limits()));
  }

  size() {
    return { width: this.view.width, height: this.view.height };
  }

  resize(width, height) {
    this.jump({ ...this.view, width, height });
  }

  jump(view) {
    const { least, greatest } = this.limits();
    const scale = Math.max(least, Math.min(greatest, view.scale));
    this.goal = null;
    this.view = confine(this.projection, { ...view, scale });
    this.onChange();
  }

  glide(view, ms = GLIDE_MS) {
    if (this.still()) {
      this.jump(view);
      return;
    }
    const limits = this.limits();
    const scale = Math.max(limits.least, Math.min(limits.greatest, view.scale));
    this.goal = { from: this.view, to: { ...view, scale }, since: performance.now(), ms };
    this.onChange();
  }

  /** Goes on with a glide; true while there is one. */
  advance(now) {
    if (!this.goal) return false;
    const part = Math.min(1, (now - this.goal.since) / this.goal.ms);
    const { from, to } = this.goal;
    this.view = confine(this.projection, between(from, to, ease(part)));
    if (part >= 1) this.goal = null;
    this.onChange();
    return true;
  }

  zoom(factor, left = this.view.width / 2, top = this.view.height / 2) {
    const start = this.goal?.to ?? this.view;
    this.glide(zoomAt(start, factor, left, top, this.limits()));
  }

  pan(left, top) {
    this.onPan();
    this.glide(panBy(this.goal?.to ?? this.view, left, top));
  }

  /** Moves with something that moved by world units, without ending a glide. */
  ride(x, y) {
    const along = (view) => ({ ...view, x: view.x + x, y: view.y + y });
    this.view = confine(this.projection, along(this.view));
    if (this.goal)
      this.goal = { ...this.goal, from: along(this.goal.from), to: along(this.goal.to) };
    this.onChange();
  }

  /** Shows the bounds [west, south, east, north]. */
  show(bounds, margin) {
    const goal = fit(this.projection, this.size(), bounds, this.limits(), margin);
    if (this.projection.wraps) goal.x += Math.round(this.view.x - goal.x);
    this.glide(goal, 600);
  }

  listen() {
    const { surface } = this;
    surface.addEventListener("pointerdown", (event) => this.down(event));
    surface.addEventListener("pointermove", (event) => this.move(event));
    surface.addEventListener("pointerup", (event) => this.up(event, true));
    surface.addEventListener("pointercancel", (event) => this.up(event, false));
    surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    surface.addEventListener("keydown", (event) => this.key(event));
  }

  place({ clientX, clientY }) {
    const box = this.surface.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  down(event) {
    if (event.button !== 0) return;
    this.surface.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.place(event));
    this.travelled = this.fingers.size > 1 ? Infinity : 0;
    this.surface.classList.add("held");
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const after = this.place(event);
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.fingers.set(event.pointerId, after);
    this.travelled += Math.hypot(after[0] - before[0], after[1] - before[1]);
    if (others.length > 0) this.pinch(before, after, others[0]);
    else if (this.travelled > CLICK_PIXELS) {
      this.onPan();
      this.jump(panBy(this.view, after[0] - before[0], after[1] - before[1]));
    }
  }

  pinch(before, after, other) {
    const far = (at) => Math.max(8, Math.hypot(at[0] - other[0], at[1] - other[1]));
    const middle = [(after[0] + other[0]) / 2, (after[1] + other[1]) / 2];
    const moved = panBy(this.view, (after[0] - before[0]) / 2, (after[1] - before[1]) / 2);
    this.jump(zoomAt(moved, far(after) / far(before), ...middle, this.limits()));
  }

  up(event, kept) {
    if (!this.fingers.delete(event.pointerId)) return;
    if (this.fingers.size === 0) this.surface.classList.remove("held");
    if (kept && this.fingers.size === 0 && this.travelled <= CLICK_PIXELS)
      this.onClick(this.place(event));
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 32 : event.deltaMode === 2 ? 400 : 1;
    const turn = Math.max(-240, Math.min(240, event.deltaY * lines));
    this.zoom(Math.exp(-turn * (event.ctrlKey ? 0.01 : 0.0024)), ...this.place(event));
  }

  key(event) {
    if (event.target !== this.surface || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = KEYS[event.key];
    const step = event.shiftKey ? 240 : 80;
    if (direction) this.pan(direction[0] * step, direction[1] * step);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else if (event.key === "0") this.show(this.extent);
    else if (event.key === "Enter") this.onClick([this.view.width / 2, this.view.height / 2], true);
    else return;
    event.preventDefault();
  }
}
