// The panel beside the chart: figures, queries, strips and shards, what was seen together.

import { inWords, question } from "./answers.js";
import { byId, icon, keep, make, sharpen, write } from "./dom.js";
import { ago, count, length, milliseconds, short } from "./nice.js";
import { css, loadColour } from "./palette.js";
import { listed, radius } from "./state.js";
import { loadOf, summary } from "./strips.js";

const NEIGHBOURS_MAX = 50;
const SHARDS_MAX = 64;

export class Panel {
  /** `on` has select(id), remove(id); `place` writes a position, `colourOf` colours a query. */
  constructor({ on, place, colourOf }) {
    Object.assign(this, { on, place, colourOf });
  }

  draw(state, { palette, strips, now }) {
    this.figures(state);
    this.queries(state, now);
    this.strips(state, palette, strips);
    this.reports(state, now);
  }

  figures({ message, history }) {
    if (!message) return;
    write(byId("f-objects"), count(message.objects));
    write(
      byId("f-shown"),
      message.sampled ? `${count(message.shown)} drawn` : `${count(message.shown)} in view`,
    );
    write(byId("f-positions"), short(message.rates.positions));
    write(byId("f-deltas"), short(message.rates.deltas));
    write(byId("f-lag"), milliseconds(message.lag_ms));
    for (const name of ["positions", "deltas", "lag"])
      spark(
        byId(`s-${name}`),
        history.map((sample) => sample[name]),
      );
  }

  queries(state, now) {
    const shown = listed(state);
    write(byId("queries-count"), state.total > 0 ? count(state.total) : "");
    byId("filter").hidden = state.queries.length <= 12 && state.filter === "";
    byId("queries-hint").hidden = state.queries.length > 0;
    const hidden = state.total - shown.length;
    byId("queries-more").hidden = hidden === 0;
    write(
      byId("queries-more"),
      `${count(hidden)} more ${state.filter === "" ? "are registered" : "do not match"}`,
    );
    keep(byId("queries"), shown, {
      key: (query) => query.id,
      build: (query) => this.queryRow(query),
      update: (row, query) => this.updateQuery(row, query, state, now),
    });
  }

  queryRow(query) {
    const swatch = make("span", { className: "swatch" });
    const main = make(
      "button",
      { type: "button", className: "choose", "aria-expanded": "false" },
      swatch,
      make("span", { className: "name" }, query.id),
      make("span", { className: "words" }),
      make("span", { className: "meta" }),
    );
    main.addEventListener("click", () => this.on.select(query.id));
    const remove = make(
      "button",
      {
        type: "button",
        className: "plain remove",
        "aria-label": `Remove ${query.id}`,
        title: "Remove",
      },
      icon("close"),
    );
    remove.addEventListener("click", () => this.on.remove(query.id));
    return make(
      "li",
      { className: "query" },
      main,
      remove,
      make("div", { className: "detail", hidden: true }),
    );
  }

  updateQuery(row, query, state, now) {
    const entry = state.answers.get(query.id);
    const selected = state.selected === query.id;
    const find = (name) => row.querySelector(`.${name}`);
    const sphere = state.space === "sphere";
    row.classList.toggle("selected", selected);
    find("choose").setAttribute("aria-expanded", String(selected));
    find("swatch").style.background = css(this.colourOf(query.id));
    const words = inWords(query, this.place, (value) => length(value, sphere));
    write(find("words"), words);
    find("words").title = words;
    write(find("meta"), metaOf(query, entry, radius(state, query), sphere, now));
    row.classList.toggle("changed", entry?.changedAt != null && now - entry.changedAt < 1500);
    const detail = find("detail");
    detail.hidden = !selected;
    if (selected) this.detail(detail, query, entry, sphere, now);
  }

  detail(detail, query, entry, sphere, now) {
    if (detail.children.length === 0) {
      detail.append(
        make("ol", { className: "neighbours", "aria-label": "Neighbours" }),
        make("p", { className: "hint" }, "Last changes"),
        make("ul", { className: "changes", "aria-label": "Last changes" }),
      );
    }
    const [list, , changes] = detail.children;
    const objects = (entry?.answer.objects ?? []).slice(0, NEIGHBOURS_MAX);
    keep(list, objects, {
      key: (object) => object.id,
      build: (object) =>
        make(
          "li",
          {},
          make("span", { className: "who" }, object.id),
          make("span", { className: "far" }),
        ),
      update: (item, object) => {
        write(item.lastChild, object.distance === undefined ? "" : length(object.distance, sphere));
      },
    });
    const shown = (entry?.changes ?? []).slice(0, 6);
    detail.children[1].textContent = shown.length > 0 ? "Last changes" : "No change since you look";
    keep(changes, shown, {
      key: (change) => `${change.at}|${change.kind}|${change.id}`,
      build: ({ kind, id }) =>
        make(
          "li",
          { className: kind },
          make("span", {}, kind === "enter" ? "+" : "−"),
          make("span", { className: "who" }, `${id} ${kind === "enter" ? "came" : "left"}`),
          make("span", { className: "far" }),
        ),
      update: (item, change) => write(item.lastChild, ago(now - change.at)),
    });
  }

  strips({ message }, palette, model) {
    const strips = message?.strips ?? [];
    const shards = message?.shards ?? [];
    const { mean, fullest } = summary(strips);
    write(
      byId("strips-count"),
      strips.length > 0 ? `${count(strips.length)} in ${count(shards.length)}` : "",
    );
    const text =
      strips.length > 0
        ? `${short(mean)} objects a strip, the fullest ${fullest.toFixed(2)} × that. Since you look: splits ${count(model.splits)}, merges ${count(model.merges)}.`
        : "";
    write(byId("strips-hint"), text);
    profile(byId("profile"), strips, mean, fullest, palette);
    const numbers = new Map();
    for (const { shard } of strips) numbers.set(shard, (numbers.get(shard) ?? 0) + 1);
    const rows = shards
      .slice(0, SHARDS_MAX)
      .map((shard, index) => ({ ...shard, index, strips: numbers.get(index) ?? 0 }));
    keep(byId("shards"), rows, {
      key: ({ index }) => String(index),
      build: ({ index }) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, String(index)),
          make("td"),
          make("td"),
          make("td"),
        ),
      update: (row, shard) => {
        [shard.objects, shard.strips, shard.queries].forEach((value, i) =>
          write(row.children[i + 1], count(value)),
        );
      },
    });
  }

  reports({ reports, space }, now) {
    byId("reports-hint").hidden = reports.length > 0;
    write(byId("reports-count"), reports.length > 0 ? count(reports.length) : "");
    keep(byId("reports"), reports, {
      key: ({ key }) => key,
      build: ({ report }) => reportRow(report, space),
      update: (row, { seenAt }) => row.classList.toggle("new", now - seenAt < 4000),
    });
  }
}

function metaOf(query, entry, reach, sphere, now) {
  if (!entry) return question(query).kind === "cooccurrence" ? "" : "waiting for an answer";
  const { kind, k } = question(query);
  const found = entry.answer.objects.length;
  const parts = [
    kind === "knn" && found >= k ? "" : `${count(found)} ${found === 1 ? "object" : "objects"}`,
  ];
  if (kind === "knn" && reach !== null) parts.push(`within ${length(reach, sphere)}`);
  const [last] = entry.changes;
  if (last) parts.push(`${last.kind === "enter" ? "+" : "−"}${last.id} ${ago(now - last.at)}`);
  return parts.filter((part) => part !== "").join(" · ");
}

function reportRow(report) {
  const clock = (time) => time.slice(11, 19);
  const places = report.occurrences.map(({ stream }) => stream);
  const listed =
    places.slice(0, 5).join(", ") + (places.length > 5 ? ` and ${places.length - 5} more` : "");
  return make(
    "li",
    {},
    make(
      "p",
      { className: "set" },
      ...report.objects.map((object) => make("span", { className: "chip" }, object)),
    ),
    make("p", { className: "where" }, `at ${listed}`),
    make("p", { className: "when" }, `${report.support} places · ${clock(report.time)}`),
  );
}

/** A line through the last samples, from nought to their greatest. */
function spark(svg, values) {
  const most = Math.max(...values, 1e-9);
  const points = values.map(
    (value, i) => `${60 - values.length + i},${(15 - (13 * value) / most).toFixed(1)}`,
  );
  svg.setAttribute("viewBox", "0 0 59 16");
  svg.firstElementChild.setAttribute("points", points.join(" "));
}

/** The strips from west to east as bars; a gap where a shard ends. */
function profile(canvas, strips, mean, fullest, palette) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0) return;
  const context = sharpen(canvas, width, height);
  context.clearRect(0, 0, width, height);
  canvas.setAttribute(
    "aria-label",
    `${strips.length} strips, the fullest ${fullest.toFixed(2)} times the mean`,
  );
  if (strips.length === 0) return;
  const step = width / strips.length;
  const unit = (height - 4) / Math.max(fullest, 1.5);
  const gap = step > 4 ? 1 : 0;
  strips.forEach((strip, i) => {
    const high = Math.max(1, (strip.objects / mean) * unit);
    context.fillStyle = css(loadColour(palette, loadOf(strip.objects, mean)));
    context.fillRect(i * step, height - high, step - gap, high);
    if (i > 0 && strips[i - 1].shard !== strip.shard) {
      context.fillStyle = css(palette.shard);
      context.fillRect(i * step - 1, 0, 1.5, height);
    }
  });
  context.fillStyle = css(palette.ink);
  context.globalAlpha = 0.45;
  for (let x = 0; x < width; x += 5) context.fillRect(x, height - unit, 2.5, 1);
  context.globalAlpha = 1;
}
