// Strips on the map: which load each has, and how they come and go.
//
// A strip's colour follows its load relative to the mean, from one value to the next. A cut that
// is new grows from the top of the map; one that is gone withdraws. So a split and a merge can
// be seen although the engine makes them in an instant.

const SETTLE_MS = 900;

/** How loaded a strip is: 0 like the mean, 1 twice as much or more, -1 half or less. */
export function loadOf(objects, mean) {
  if (mean <= 0) return 0;
  const ratio = Math.log2(Math.max(objects, 1e-9) / mean);
  return Math.max(-1, Math.min(1, ratio));
}

/** The even course of an animation: fast at first, then at rest. */
export function ease(part) {
  const clamped = Math.max(0, Math.min(1, part));
  return 1 - (1 - clamped) ** 3;
}

/** How many objects the strips have on average, and how many the fullest has, in means. */
export function summary(strips) {
  if (strips.length === 0) return { mean: 0, fullest: 0 };
  const total = strips.reduce((sum, strip) => sum + strip.objects, 0);
  const mean = total / strips.length;
  const most = Math.max(...strips.map((strip) => strip.objects));
  return { mean, fullest: mean > 0 ? most / mean : 0 };
}

export class StripModel {
  constructor() {
    this.bands = [];
    this.cuts = new Map();
    this.splits = 0;
    this.merges = 0;
  }

  /** Takes the strips of a message; `now` in milliseconds. Without `animate` they are just there. */
  update(strips, now, animate = true) {
    const { mean } = summary(strips);
    const known = new Map(this.bands.map((band) => [keyOf(band), band]));
    const made = animate && known.size > 0;
    const bands = strips.map((strip) => {
      const load = loadOf(strip.objects, mean);
      const old = known.get(keyOf(strip));
      const before = old ? drawnLoad(old, now) : this.loadAt(middle(strip), now);
      const start = animate ? (before ?? load) : load;
      const born = made && !old ? now : (old?.born ?? -Infinity);
      return { ...strip, load, start, since: now, born };
    });
    this.updateCuts(strips, made ? now : -Infinity, now);
    this.bands = bands;
  }

  updateCuts(strips, born, now) {
    const wanted = new Map();
    strips.forEach((strip, i) => {
      if (i > 0) wanted.set(strip.from, strip.shard !== strips[i - 1].shard);
    });
    for (const [x, cut] of this.cuts) {
      if (cut.gone !== null && now - cut.gone > SETTLE_MS) this.cuts.delete(x);
      else if (cut.gone === null && !wanted.has(x)) {
        cut.gone = Number.isFinite(born) ? now : -Infinity;
        this.merges += Number.isFinite(born) ? 1 : 0;
      }
    }
    for (const [x, shard] of wanted) {
      const cut = this.cuts.get(x);
      if (cut && cut.gone === null) cut.shard = shard;
      else {
        this.cuts.set(x, { x, shard, born, gone: null });
        this.splits += Number.isFinite(born) ? 1 : 0;
      }
    }
  }

  /** The load as it is drawn at x, or null before there is any. */
  loadAt(x, now) {
    const holds = (band) =>
      (band.from === null || band.from <= x) && (band.to === null || x < band.to);
    const band = this.bands.find(holds);
    return band ? drawnLoad(band, now) : null;
  }

  /** The bands as they are drawn now: from, to, load, and how fresh they are (1 to 0). */
  drawnBands(now) {
    return this.bands.map((band) => ({
      from: band.from,
      to: band.to,
      load: drawnLoad(band, now),
      fresh: 1 - ease((now - band.born) / SETTLE_MS),
    }));
  }

  /** The cuts as they are drawn now: x, shard, grown (0 to 1), and how fresh they are. */
  drawnCuts(now) {
    const drawn = [];
    for (const { x, shard, born, gone } of this.cuts.values()) {
      const part =
        gone === null ? ease((now - born) / SETTLE_MS) : 1 - ease((now - gone) / SETTLE_MS);
      if (part > 0) drawn.push({ x, shard, grown: part, fresh: gone === null ? 1 - part : 1 });
    }
    return drawn;
  }

  /** Whether something is still on its way. */
  moving(now) {
    return this.bands.some((band) => now - band.since < SETTLE_MS || now - band.born < SETTLE_MS);
  }
}

function keyOf({ from, to }) {
  return `${from}|${to}`;
}

/** A place inside a strip; the outermost strips have no end. */
function middle({ from, to }) {
  if (from === null) return to === null ? 0 : to - 1;
  return to === null ? from : (from + to) / 2;
}

function drawnLoad(band, now) {
  return band.start + (band.load - band.start) * ease((now - band.since) / SETTLE_MS);
}
