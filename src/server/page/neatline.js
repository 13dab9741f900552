// The border of the chart: a paper margin with the scale of the graticule in light and dark
// cells and its numbers. A flat canvas over the map, drawn only when the view or the colours
// change.

import { css } from "./palette.js";

const CELL = 4;

/** How wide the margin is on a screen of this width. */
export function marginOf(width) {
  return width < 560 ? 18 : 24;
}

/** Draws the border on a canvas context whose unit is a CSS pixel. */
export function drawNeatline(context, view, lines, palette) {
  const { width, height } = view;
  const margin = marginOf(width);
  const inner = { left: margin, top: margin, right: width - margin, bottom: height - margin };
  context.clearRect(0, 0, width, height);
  context.fillStyle = css(palette.paper);
  for (const [x, y, w, h] of sides(width, height, margin)) context.fillRect(x, y, w, h);
  drawCells(context, lines, inner, palette);
  drawFrame(context, inner, palette);
  drawLabels(context, lines, inner, view, palette);
}

function sides(width, height, margin) {
  return [
    [0, 0, width, margin],
    [0, height - margin, width, margin],
    [0, 0, margin, height],
    [width - margin, 0, margin, height],
  ];
}

function drawCells(context, { across, along }, inner, palette) {
  context.fillStyle = css(palette.frame);
  for (const { from, to, dark } of across.cells) {
    const [left, right] = [Math.max(from, inner.left), Math.min(to, inner.right)];
    if (!dark || right <= left) continue;
    context.fillRect(left, inner.top - CELL, right - left, CELL);
    context.fillRect(left, inner.bottom, right - left, CELL);
  }
  for (const { from, to, dark } of along.cells) {
    const [top, bottom] = [Math.max(from, inner.top), Math.min(to, inner.bottom)];
    if (!dark || bottom <= top) continue;
    context.fillRect(inner.left - CELL, top, CELL, bottom - top);
    context.fillRect(inner.right, top, CELL, bottom - top);
  }
}

function drawFrame(context, { left, top, right, bottom }, palette) {
  context.strokeStyle = css(palette.frame);
  context.lineWidth = 1;
  const box = (out) =>
    context.strokeRect(
      left - out - 0.5,
      top - out - 0.5,
      right - left + 2 * out + 1,
      bottom - top + 2 * out + 1,
    );
  box(0);
  box(CELL);
}

function drawLabels(context, { across, along }, inner, view, palette) {
  const margin = inner.left;
  const middle = (margin - CELL) / 2;
  context.fillStyle = css(palette.ink);
  context.font = `${margin < 20 ? 9.5 : 11}px ${view.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { at, label } of across.lines) {
    if (at < inner.left + 20 || at > inner.right - 20) continue;
    context.fillText(label, at, middle);
    context.fillText(label, at, view.height - middle);
  }
  for (const { at, label } of along.lines) {
    if (at < inner.top + 20 || at > inner.bottom - 20) continue;
    turned(context, label, middle, at, -1);
    turned(context, label, view.width - middle, at, 1);
  }
}

function turned(context, label, x, y, direction) {
  context.save();
  context.translate(x, y);
  context.rotate((direction * Math.PI) / 2);
  context.fillText(label, 0, 0);
  context.restore();
}
