//! Areas: polygons with holes, taken from GeoJSON.
//!
//! Edges are straight lines in longitude and latitude (RFC 7946 §3.1.1), the boundary belongs to
//! the area, that of its holes too. A polygon across the antimeridian is cut there in two, as the
//! RFC asks.

use dunlin_index::{Coord, Interval, SpaceKind, Window};
use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::{BoundingRect, Polygon, Rect};
use rstar::{AABB, RTree, RTreeObject};

/// Why a GeoJSON value is no area.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// Not GeoJSON at all.
    #[error("not a GeoJSON geometry: {0}")]
    GeoJson(String),
    /// A geometry of another type.
    #[error("the area is a {0}; use a Polygon or a MultiPolygon")]
    Type(&'static str),
    /// No ring at all.
    #[error("the area has no ring")]
    Empty,
    /// A ring with fewer than four positions.
    #[error("a ring has {0} positions; it needs at least four, the last equal to the first")]
    ShortRing(usize),
    /// A ring that does not end where it begins.
    #[error("a ring is not closed; repeat its first position at its end")]
    OpenRing,
    /// A position outside the space.
    #[error("position [{x}, {y}] of the area: {cause}")]
    Position {
        /// x or longitude.
        x: f64,
        /// y or latitude.
        y: f64,
        /// What is wrong with it.
        cause: dunlin_index::PositionError,
    },
    /// A position with fewer than two numbers.
    #[error("a position of the area has fewer than two numbers")]
    ShortPosition,
}

/// A set of polygons with holes; a point is inside if it is inside any of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    polygons: Vec<(Rect, Polygon)>,
}

impl Area {
    /// Reads a GeoJSON `Polygon` or `MultiPolygon`.
    ///
    /// # Errors
    /// What makes it no area of `space`.
    pub fn from_geojson(value: serde_json::Value, space: SpaceKind) -> Result<Self, AreaError> {
        use geojson::GeometryValue as Value;
        let geometry: geojson::Geometry =
            serde_json::from_value(value).map_err(|error| AreaError::GeoJson(error.to_string()))?;
        let polygons = match geometry.value {
            Value::Polygon { coordinates } => vec![coordinates],
            Value::MultiPolygon { coordinates } => coordinates,
            other => return Err(AreaError::Type(other.type_name())),
        };
        let polygons = polygons.iter().map(|rings| polygon(rings, space));
        let polygons = polygons.collect::<Result<Vec<_>, _>>()?;
        if polygons.is_empty() {
            return Err(AreaError::Empty);
        }
        Ok(Self { polygons })
    }

    /// Whether `at` is inside or on the boundary.
    #[must_use]
    pub fn contains(&self, at: Coord) -> bool {
        self.polygons.iter().any(|(bounds, polygon)| {
            (bounds.min().x <= at.x && at.x <= bounds.max().x)
                && (bounds.min().y <= at.y && at.y <= bounds.max().y)
                && polygon.coordinate_position(&at) != CoordPos::Outside
        })
    }

    /// The smallest box around the area.
    #[must_use]
    pub fn window(&self) -> Window {
        let boxes = || self.polygons.iter().map(|(bounds, _)| bounds);
        let min = |side: fn(&Rect) -> f64| boxes().map(side).fold(f64::INFINITY, f64::min);
        let max = |side: fn(&Rect) -> f64| boxes().map(side).fold(f64::NEG_INFINITY, f64::max);
        Window {
            x: [
                Interval { min: min(|bounds| bounds.min().x), max: max(|bounds| bounds.max().x) },
                Interval::EMPTY,
            ],
            y: Interval { min: min(|bounds| bounds.min().y), max: max(|bounds| bounds.max().y) },
        }
    }

    fn boxes(&self) -> impl Iterator<Item = &Rect> {
        self.polygons.iter().map(|(bounds, _)| bounds)
    }
}

fn polygon(
    rings: &[Vec<geojson::Position>],
    space: SpaceKind,
) -> Result<(Rect, Polygon), AreaError> {
    let rings = rings.iter().map(|ring| ring_coords(ring, space));
    let mut rings = rings.collect::<Result<Vec<_>, _>>()?.into_iter();
    let exterior = rings.next().ok_or(AreaError::Empty)?;
    let polygon = Polygon::new(exterior.into(), rings.map(Into::into).collect());
    let bounds = polygon.bounding_rect().ok_or(AreaError::Empty)?;
    Ok((bounds, polygon))
}

fn ring_coords(ring: &[geojson::Position], space: SpaceKind) -> Result<Vec<Coord>, AreaError> {
    let coords = ring.iter().map(|position| {
        let [x, y, ..] = *position.as_slice() else { return Err(AreaError::ShortPosition) };
        let at = space.check(Coord { x, y });
        at.map_err(|cause| AreaError::Position { x, y, cause })
    });
    let coords = coords.collect::<Result<Vec<_>, _>>()?;
    if coords.len() < 4 {
        return Err(AreaError::ShortRing(coords.len()));
    }
    if coords.first() != coords.last() {
        return Err(AreaError::OpenRing);
    }
    Ok(coords)
}

/// The boxes of many areas, to find the areas that a point may be in.
#[derive(Debug, Default)]
pub(crate) struct AreaBoxes {
    tree: RTree<AreaBox>,
}

#[derive(Debug)]
struct AreaBox {
    bounds: AABB<[f64; 2]>,
    owner: usize,
}

impl RTreeObject for AreaBox {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.bounds
    }
}

impl AreaBoxes {
    /// The boxes of `areas`, each with the number of its owner.
    pub(crate) fn new<'a>(areas: impl Iterator<Item = (usize, &'a Area)>) -> Self {
        let boxes = areas.flat_map(|(owner, area)| {
            area.boxes().map(move |bounds| AreaBox {
                bounds: AABB::from_corners(bounds.min().into(), bounds.max().into()),
                owner,
            })
        });
        Self { tree: RTree::bulk_load(boxes.collect()) }
    }

    /// Whether there is no box.
    pub(crate) fn is_empty(&self) -> bool {
        self.tree.size() == 0
    }

    /// The owners of the boxes that hold `at`; one with several may come several times.
    pub(crate) fn owners_at(&self, at: Coord) -> impl Iterator<Item = usize> + '_ {
        let point = AABB::from_point([at.x, at.y]);
        self.tree.locate_in_envelope_intersecting(&point).map(|found| found.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn area(value: serde_json::Value) -> Result<Area, AreaError> {
        Area::from_geojson(value, SpaceKind::Sphere)
    }

    fn with_hole() -> Area {
        area(json!({"type": "Polygon", "coordinates": [
            [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]],
            [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]],
        ]}))
        .expect("a square with a hole")
    }

    #[test]
    fn the_boundary_belongs_to_the_area() {
        let area = with_hole();
        for (x, y, inside) in [
            (1.0, 1.0, true),
            (0.0, 0.0, true),
            (10.0, 5.0, true),
            (5.0, 5.0, false),
            (4.0, 5.0, true),
            (10.000_001, 5.0, false),
            (-0.5, 11.0, false),
        ] {
            assert_eq!(area.contains(Coord { x, y }), inside, "({x}, {y})");
        }
    }

    #[test]
    fn many_polygons_are_one_area() {
        let area = area(json!({"type": "MultiPolygon", "coordinates": [
            [[[179, 0], [180, 0], [180, 1], [179, 1], [179, 0]]],
            [[[-180, 0], [-179, 0], [-179, 1], [-180, 1], [-180, 0]]],
        ]}))
        .expect("two polygons");
        assert!(area.contains(Coord { x: 179.5, y: 0.5 }));
        assert!(area.contains(Coord { x: -179.5, y: 0.5 }));
        assert!(!area.contains(Coord { x: 0.0, y: 0.5 }));
        assert!(area.window().contains(Coord { x: 179.5, y: 0.5 }));
    }

    #[test]
    fn what_is_no_area_says_why() {
        let ring = |ring| json!({"type": "Polygon", "coordinates": [ring]});
        assert_eq!(area(ring(json!([[0, 0], [1, 0], [0, 0]]))), Err(AreaError::ShortRing(3)));
        assert_eq!(area(ring(json!([[0, 0], [1, 0], [1, 1], [2, 2]]))), Err(AreaError::OpenRing));
        assert_eq!(area(json!({"type": "Polygon", "coordinates": []})), Err(AreaError::Empty));
        assert_eq!(area(json!({"type": "MultiPolygon", "coordinates": []})), Err(AreaError::Empty));
        let point = area(json!({"type": "Point", "coordinates": [0, 0]}));
        assert_eq!(point, Err(AreaError::Type("Point")));
        let off = area(ring(json!([[0, 0], [200, 0], [1, 1], [0, 0]])));
        assert!(off.expect_err("off the globe").to_string().contains("[200, 0]"));
        assert!(matches!(area(json!(5)), Err(AreaError::GeoJson(_))));
        assert!(area(ring(json!([[0], [1, 0], [1, 1], [0]]))).is_err());
    }

    #[test]
    fn boxes_find_their_owners() {
        let area = with_hole();
        let boxes = AreaBoxes::new([(7, &area)].into_iter());
        assert_eq!(boxes.owners_at(Coord { x: 10.0, y: 10.0 }).collect::<Vec<_>>(), [7]);
        assert_eq!(boxes.owners_at(Coord { x: 11.0, y: 10.0 }).count(), 0);
    }
}
