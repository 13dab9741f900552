// The graticule: where its lines are on the screen, and what stands at their ends.

import { degreeLabel, degreeStep, divisions, multiples, niceStep, plainLabel } from "./nice.js";
import { wrapLongitude } from "./projection.js";
import { toScreen, toWorld } from "./view.js";

/** Lines are at least so many pixels apart. */
const APART = { across: 112, along: 96 };

/**
 * The lines of both directions: `across` are the meridians (screen x), `along` the parallels
 * (screen y). Each has lines {at, label} and, for the border, cells {from, to, dark}.
 */
export function graticule(projection, view) {
  const [left, top] = toWorld(view, 0, 0);
  const [right, bottom] = toWorld(view, view.width, view.height);
  const clamp = projection.wraps ? (y) => Math.max(0, Math.min(1, y)) : (y) => y;
  const [west, north] = projection.inverse(left, clamp(top));
  const [east, south] = projection.inverse(right, clamp(bottom));
  const screenX = (x) => toScreen(view, projection.forward(x, 0)[0], 0)[0];
  const screenY = (y) => toScreen(view, 0, projection.forward(0, y)[1])[1];
  const labels = labelsOf(projection);
  return {
    across: axis(
      projection,
      west,
      east,
      (APART.across * (east - west)) / view.width,
      screenX,
      labels.x,
    ),
    along: axis(
      projection,
      south,
      north,
      (APART.along * (north - south)) / view.height,
      screenY,
      labels.y,
    ),
  };
}

function labelsOf(projection) {
  if (!projection.wraps) return { x: plainLabel, y: plainLabel };
  return {
    x: (value, step) => degreeLabel(wrapLongitude(value), step, "EW"),
    y: (value, step) => degreeLabel(value, step, "NS"),
  };
}

function axis(projection, least, greatest, apart, screen, label) {
  const step = projection.wraps ? degreeStep(apart) : niceStep(apart);
  const lines = multiples(step, least, greatest).map((i) => ({
    at: screen(i * step),
    label: label(i * step, step),
  }));
  const small = step / divisions(step, projection.wraps);
  const cells = [];
  for (let i = Math.floor(least / small); i * small < greatest; i += 1) {
    const ends = [screen(i * small), screen((i + 1) * small)];
    cells.push({ from: Math.min(...ends), to: Math.max(...ends), dark: ((i % 2) + 2) % 2 === 1 });
  }
  return { step, lines, cells };
}
