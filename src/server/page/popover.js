// The small form that registers a query: how many, and around this place or an object.

import { byId, write } from "./dom.js";

const GAP = 14;

export class Popover {
  /** `onSubmit(k, target)` registers and throws a reason when it cannot. */
  constructor({ onSubmit, onClose }) {
    Object.assign(this, { onSubmit, onClose });
    this.form = byId("popover");
    this.form.addEventListener("submit", (event) => this.submit(event));
    this.form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
    for (const id of ["popover-close", "popover-cancel"])
      byId(id).addEventListener("click", () => this.close());
  }

  get isOpen() {
    return !this.form.hidden;
  }

  /** Opens beside (left, top) of the chart, for a place and perhaps an object near it. */
  open({ left, top, at, placeText, nearest, returnTo }) {
    Object.assign(this, { at, nearest: null, returnTo });
    write(byId("popover-place"), placeText);
    this.problem(null);
    this.offer(null);
    this.form.hidden = false;
    this.put(left, top);
    byId("popover-k").select();
    this.asking = nearest;
    nearest.then((found) => {
      if (this.asking !== nearest || !this.isOpen) return;
      this.offer(found);
      this.put(left, top);
    });
  }

  /** Offers to follow an object; chosen at once when the click was on it. */
  offer(found) {
    this.nearest = found;
    const row = byId("popover-follow");
    row.hidden = found === null;
    const follow = found !== null && found.hit;
    this.form.elements.around.value = follow ? "object" : "here";
    if (found === null) return;
    write(byId("popover-object"), found.id);
    write(byId("popover-away"), found.away);
  }

  put(left, top) {
    const room = this.form.parentElement.getBoundingClientRect();
    const { width, height } = this.form.getBoundingClientRect();
    const right = left + GAP + width < room.width - GAP ? left + GAP : left - GAP - width;
    const x = Math.max(GAP, Math.min(room.width - width - GAP, right));
    const y = Math.max(GAP, Math.min(room.height - height - GAP, top - height / 3));
    this.form.style.left = `${x}px`;
    this.form.style.top = `${y}px`;
  }

  async submit(event) {
    event.preventDefault();
    const follow = this.form.elements.around.value === "object" && this.nearest !== null;
    const target = follow ? { object: this.nearest.id } : { at: this.at };
    const button = byId("popover-submit");
    button.disabled = true;
    try {
      await this.onSubmit(byId("popover-k").valueAsNumber, target);
      this.close();
    } catch (error) {
      this.problem(error);
    } finally {
      button.disabled = false;
    }
  }

  problem(error) {
    const place = byId("popover-problem");
    place.hidden = error === null;
    if (error !== null) write(place, error.message);
  }

  close() {
    if (!this.isOpen) return;
    this.form.hidden = true;
    this.asking = null;
    this.returnTo?.focus({ preventScroll: true });
    this.onClose();
  }
}
