// What part of the world the screen shows: pure functions on a view.
//
// A view is {x, y, scale, width, height}: the world point in the middle, pixels per world unit,
// and the size of the screen in CSS pixels.

import { EARTH_RADIUS, wrapLongitude } from "./projection.js";

/** Where a world point is on the screen. */
export function toScreen(view, x, y) {
  return [(x - view.x) * view.scale + view.width / 2, (y - view.y) * view.scale + view.height / 2];
}

/** The world point at a place of the screen. */
export function toWorld(view, left, top) {
  return [
    (left - view.width / 2) / view.scale + view.x,
    (top - view.height / 2) / view.scale + view.y,
  ];
}

/** The view moved by pixels, as if the chart was pushed. */
export function panBy(view, left, top) {
  return { ...view, x: view.x - left / view.scale, y: view.y - top / view.scale };
}

/** The view with another scale that keeps the world point under (left, top). */
export function zoomAt(view, factor, left, top, limits) {
  const scale = Math.max(limits.least, Math.min(limits.greatest, view.scale * factor));
  const [x, y] = toWorld(view, left, top);
  return {
    ...view,
    scale,
    x: x - (left - view.width / 2) / scale,
    y: y - (top - view.height / 2) / scale,
  };
}

/** The least and greatest scale: all of the space, and some centimetres a pixel. */
export function limitsOf(projection, size, extent) {
  if (projection.wraps) {
    return { least: Math.max(size.width / 2, size.height, 64), greatest: 2 ** 30 };
  }
  const wide = Math.max(extent[2] - extent[0], extent[3] - extent[1], Number.MIN_VALUE);
  const scale = Math.max(64, Math.min(size.width, size.height)) / wide;
  return { least: scale / 8, greatest: scale * 2 ** 18 };
}

/** The view kept inside the world: longitudes wrap, latitudes end. */
export function confine(projection, view) {
  if (!projection.wraps) return view;
  const half = view.height / 2 / view.scale;
  const y = half >= 0.5 ? 0.5 : Math.max(half, Math.min(1 - half, view.y));
  return { ...view, x: view.x - Math.floor(view.x), y };
}

/** The view that shows the bounds [west, south, east, north] with a margin. */
export function fit(projection, size, bounds, limits, margin = 0.08) {
  const [west, north] = projection.forward(bounds[0], bounds[3]);
  const [east, south] = projection.forward(bounds[2], bounds[1]);
  const room = 1 - 2 * margin;
  const wide = (size.width * room) / Math.max(east - west, 1e-12);
  const high = (size.height * room) / Math.max(south - north, 1e-12);
  const scale = Math.max(limits.least, Math.min(limits.greatest, wide, high));
  const view = { ...size, scale, x: (west + east) / 2, y: (north + south) / 2 };
  return confine(projection, view);
}

/**
 * The box [west, south, east, north] that the screen shows, as the server wants it: over the
 * antimeridian west is greater than east.
 */
export function boxOf(projection, view) {
  const [left, top] = toWorld(view, 0, 0);
  const [right, bottom] = toWorld(view, view.width, view.height);
  const clamp = projection.wraps ? (y) => Math.max(0, Math.min(1, y)) : (y) => y;
  const [west, north] = projection.inverse(left, clamp(top));
  const [east, south] = projection.inverse(right, clamp(bottom));
  if (!projection.wraps) return [west, south, east, north];
  const sides = east - west >= 360 ? [-180, 180] : [wrapLongitude(west), wrapLongitude(east)];
  return [sides[0], latitude(south), sides[1], latitude(north)];
}

/** The box that has all of a space in it, before it is known where its objects are. */
export function wholeOf(projection) {
  return projection.wraps ? [-180, -90, 180, 90] : [-1e12, -1e12, 1e12, 1e12];
}

/** What is beyond the end of the projection belongs to its last line. */
function latitude(degrees) {
  return Math.abs(degrees) > 85.05 ? Math.sign(degrees) * 90 : degrees;
}

/** How many worlds to the left and right a thing at x0 to x1 appears again, if the world wraps. */
export function copies(projection, view, x0, x1) {
  if (!projection.wraps) return [0];
  const [left] = toWorld(view, 0, 0);
  const [right] = toWorld(view, view.width, 0);
  const shifts = [];
  for (let shift = Math.ceil(left - x1) + 0; shift <= Math.floor(right - x0); shift += 1) {
    shifts.push(shift);
  }
  return shifts;
}

/** Metres (or units of the plane) per pixel in the middle of the view. */
export function unitsPerPixel(projection, view) {
  if (!projection.wraps) return 1 / view.scale;
  const [, lat] = projection.inverse(view.x, view.y);
  return (2 * Math.PI * EARTH_RADIUS * Math.cos((lat * Math.PI) / 180)) / view.scale;
}

/** A view part of the way between two: scale in proportion, so that zooming looks even. */
export function between(from, to, part) {
  if (part >= 1) return to;
  const scale = from.scale * (to.scale / from.scale) ** part;
  const ratio = to.scale / from.scale;
  const eased = Math.abs(ratio - 1) < 1e-6 ? part : (1 - ratio ** -part) / (1 - 1 / ratio);
  return {
    ...to,
    scale,
    x: from.x + (to.x - from.x) * eased,
    y: from.y + (to.y - from.y) * eased,
  };
}
