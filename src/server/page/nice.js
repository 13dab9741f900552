// Nice numbers: steps of the graticule, the scale bar, and how figures are written.

const DEGREES = [
  60,
  30,
  20,
  10,
  5,
  2,
  1,
  ...[30, 20, 10, 5, 2, 1].map((minutes) => minutes / 60),
  ...[30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01].map((seconds) => seconds / 3600),
];
const SPACE = "\u2009";

/** The least of 1, 2, 5 times a power of ten that is not below `least`. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= least * (1 - 1e-9));
  return factor * power;
}

/** The least step of degrees, minutes or seconds that is not below `least` degrees. */
export function degreeStep(least) {
  return DEGREES.findLast((step) => step >= least * (1 - 1e-9)) ?? DEGREES[0];
}

/** Into how many parts a chart's border divides a step. */
export function divisions(step, sphere) {
  const units = sphere ? (step >= 1 ? step : step >= 1 / 60 ? step * 60 : step * 3600) : step;
  const lead = Math.round(Number(units.toExponential(3).split("e")[0]));
  return { 1: sphere && step <= 1 ? 6 : 5, 2: 4, 3: 6, 5: 5, 6: 6 }[lead] ?? 5;
}

/** The multiples of a step from `from` to `to`, as whole numbers of steps. */
export function multiples(step, from, to) {
  const found = [];
  for (let i = Math.ceil(from / step - 1e-9); i <= Math.floor(to / step + 1e-9); i += 1) {
    found.push(i);
  }
  return found;
}

/** An angle as on a chart: 116°23′30″ and the hemisphere, as exact as the step needs. */
export function degreeLabel(degrees, step, hemispheres) {
  const digits = step < 0.99 / 3600 ? Math.ceil(-Math.log10(step * 3600) - 1e-9) : 0;
  const unit = 10 ** digits;
  const total = Math.round(Math.abs(degrees) * 3600 * unit);
  const seconds = (total % (60 * unit)) / unit;
  const minutes = Math.floor(total / (60 * unit)) % 60;
  const whole = Math.floor(total / (3600 * unit));
  const letter = total === 0 || total === 180 * 3600 * unit ? "" : hemispheres[degrees < 0 ? 1 : 0];
  const two = (value, decimals = 0) =>
    value.toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  let label = `${whole}°`;
  if (step < 0.99) label += `${two(minutes)}′`;
  if (step < 0.99 / 60) label += `${two(seconds, digits)}″`;
  return label + letter;
}

/** A number of the plane, as exact as the step needs. */
export function plainLabel(value, step) {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const clean = Math.abs(value) < step / 2 ? 0 : value;
  return digits > 6 ? clean.toExponential(2) : group(clean.toFixed(digits));
}

/** A whole number with thin spaces between its thousands. */
export function count(value) {
  return group(String(Math.round(value)));
}

function group(text) {
  const [whole, part] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, SPACE);
  return (part === undefined ? grouped : `${grouped}.${part}`).replace("-", "−");
}

/** A number in at most four signs: 940, 12.3 k, 1.25 M. */
export function short(value) {
  const [size, unit] = value >= 999.5e3 ? [1e6, "M"] : value >= 9999.5 ? [1e3, "k"] : [1, ""];
  if (unit === "")
    return value > 0 && value < 9.95 ? String(Number(value.toFixed(1))) : count(value);
  return `${Number((value / size).toPrecision(3))}${SPACE}${unit}`;
}

/** A distance: metres and kilometres on the sphere, plain units in the plane. */
export function length(value, sphere) {
  if (!sphere) return short3(value);
  if (value < 9.95) return `${value.toFixed(1)} m`;
  if (value < 999.5) return `${Math.round(value)} m`;
  return `${short3(value / 1000)} km`;
}

function short3(value) {
  if (value === 0) return "0";
  return value >= 1000 ? count(value) : String(Number(value.toPrecision(3)));
}

/** A lag: 0.4 ms, 18 ms, 1.2 s. */
export function milliseconds(value) {
  if (value < 9.95) return `${Number(value.toFixed(1))} ms`;
  return value < 999.5 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** How long ago: now, 12 s ago, 3 min ago. */
export function ago(ms) {
  if (ms < 1500) return "now";
  if (ms < 59500) return `${Math.round(ms / 1000)} s ago`;
  return ms < 3570000 ? `${Math.round(ms / 60000)} min ago` : `${Math.round(ms / 3600000)} h ago`;
}

/** The longest nice length that fits into some pixels, and how many it takes. */
export function scaleBar(perPixel, pixelsMax) {
  const longest = perPixel * pixelsMax;
  const power = 10 ** Math.floor(Math.log10(longest) + 1e-9);
  const factor = [5, 2, 1].find((candidate) => candidate * power <= longest * (1 + 1e-9)) ?? 1;
  return { value: factor * power, pixels: (factor * power) / perPixel };
}
