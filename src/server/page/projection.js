// From the space of the engine to the flat world of the map, and back.
//
// World coordinates: x to the right, y down. The sphere is drawn in Web Mercator, where the world
// is one unit wide and 0 is the antimeridian; the plane is drawn as it is, with y turned over.

/** Web Mercator ends where the world is a square. */
export const LATITUDE_MAX = 85.0511287798066;
/** The mean radius of the earth in metres, as the engine has it. */
export const EARTH_RADIUS = 6371008.8;

const RADIANS = Math.PI / 180;

/** The world's y of a latitude in degrees. */
export function mercatorY(latitude) {
  const clamped = Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, latitude));
  const sine = Math.sin(clamped * RADIANS);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

const sphere = {
  space: "sphere",
  wraps: true,
  x: (longitude) => longitude / 360 + 0.5,
  y: mercatorY,
  forward: (longitude, latitude) => [longitude / 360 + 0.5, mercatorY(latitude)],
  inverse: (x, y) => [
    (x - 0.5) * 360,
    (2 * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - Math.PI / 2) / RADIANS,
  ],
};

const plane = {
  space: "plane",
  wraps: false,
  x: (x) => x,
  y: (y) => -y,
  forward: (x, y) => [x, -y],
  inverse: (x, y) => [x, -y],
};

/** The projection of a space, `sphere` or `plane`. */
export function projectionOf(space) {
  return space === "plane" ? plane : sphere;
}

/** A longitude brought into [-180, 180). */
export function wrapLongitude(longitude) {
  return longitude - 360 * Math.floor((longitude + 180) / 360);
}

/** The distance of two points of a space, in metres on the sphere. */
export function distance(space, [x0, y0], [x1, y1]) {
  if (space === "plane") return Math.hypot(x1 - x0, y1 - y0);
  const half = (degrees) => Math.sin((degrees * RADIANS) / 2) ** 2;
  const across = Math.cos(y0 * RADIANS) * Math.cos(y1 * RADIANS) * half(x1 - x0);
  return 2 * EARTH_RADIUS * Math.asin(Math.min(1, Math.sqrt(half(y1 - y0) + across)));
}

/** The end of the great circle that leaves `at` with a bearing in radians, after some metres. */
export function destination([longitude, latitude], bearing, metres) {
  const angle = metres / EARTH_RADIUS;
  const lat = latitude * RADIANS;
  const sine =
    Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing);
  const end = Math.asin(Math.max(-1, Math.min(1, sine)));
  const east = Math.sin(bearing) * Math.sin(angle) * Math.cos(lat);
  const north = Math.cos(angle) - Math.sin(lat) * sine;
  return [longitude + Math.atan2(east, north) / RADIANS, end / RADIANS];
}

/**
 * The circle around `at` as a closed ring of world points. On the sphere it is a true one, all
 * points equally far by great circles; around a pole it is closed along the edge of the world.
 */
export function circle(projection, at, radius, corners = 96) {
  if (projection.space === "plane") return flatCircle(at, radius, corners);
  const ring = [];
  for (let corner = 0; corner <= corners; corner += 1) {
    ring.push(projection.forward(...destination(at, (2 * Math.PI * corner) / corners, radius)));
  }
  const turn = ring[corners][0] - ring[0][0];
  if (Math.abs(turn) < 0.5) {
    ring.pop();
    return ring;
  }
  const edge = at[1] > 0 ? mercatorY(90) : mercatorY(-90);
  ring.push([ring[corners][0], edge], [ring[0][0], edge]);
  return ring;
}

function flatCircle([x, y], radius, corners) {
  return Array.from({ length: corners }, (_, corner) => {
    const angle = (2 * Math.PI * corner) / corners;
    return [x + radius * Math.sin(angle), -y - radius * Math.cos(angle)];
  });
}

/**
 * The rings of a GeoJSON Polygon, MultiPolygon or Feature of one, as world points. Edges are
 * straight in longitude and latitude, so long ones are cut into pieces before they are bent.
 */
export function areaRings(projection, area) {
  const geometry = area?.geometry ?? area;
  const polygons = { Polygon: [geometry?.coordinates], MultiPolygon: geometry?.coordinates };
  const rings = (polygons[geometry?.type] ?? []).flat();
  return rings.map((ring) => bend(projection, ring));
}

function bend(projection, ring) {
  const points = [];
  for (let i = 0; i + 1 < ring.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [ring[i], ring[i + 1]];
    const long = projection.wraps ? Math.hypot(x1 - x0, y1 - y0) : 0;
    const pieces = Math.max(1, Math.min(64, Math.ceil(long)));
    for (let piece = 0; piece < pieces; piece += 1) {
      const t = piece / pieces;
      points.push(projection.forward(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t));
    }
  }
  return points;
}
