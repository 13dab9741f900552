//! The box in which objects move.

use dunlin_index::{Coord, PositionError, SpaceKind};

/// A closed box, in degrees or in units of the plane; it does not cross the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    min: Coord,
    max: Coord,
}

/// Why two corners make no area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// A corner does not fit the space.
    #[error("a corner of the area is unfit: {0}")]
    Corner(#[from] PositionError),
    /// The least corner is not below the greatest, in x or in y.
    #[error("area is empty: give the least x and y first, then the greatest")]
    Empty,
}

impl Area {
    /// The box from `min` to `max`.
    ///
    /// # Errors
    /// A corner that is unfit for `space`, or no extent in x or in y.
    pub fn new(space: SpaceKind, min: Coord, max: Coord) -> Result<Self, AreaError> {
        let (min, max) = (space.check(min)?, space.check(max)?);
        if min.x < max.x && min.y < max.y { Ok(Self { min, max }) } else { Err(AreaError::Empty) }
    }

    /// The least x and y.
    #[must_use]
    pub fn min(&self) -> Coord {
        self.min
    }

    /// The greatest x and y.
    #[must_use]
    pub fn max(&self) -> Coord {
        self.max
    }

    /// Width and height.
    #[must_use]
    pub fn extent(&self) -> Coord {
        Coord { x: self.max.x - self.min.x, y: self.max.y - self.min.y }
    }

    /// Whether the area holds `at`.
    #[must_use]
    pub fn contains(&self, at: Coord) -> bool {
        self.clamp(at) == at
    }

    /// The position at a share of width and height.
    pub(crate) fn at(&self, share: Coord) -> Coord {
        let extent = self.extent();
        self.clamp(Coord { x: self.min.x + share.x * extent.x, y: self.min.y + share.y * extent.y })
    }

    /// The nearest position in the area.
    #[inline]
    pub(crate) fn clamp(&self, at: Coord) -> Coord {
        Coord { x: at.x.clamp(self.min.x, self.max.x), y: at.y.clamp(self.min.y, self.max.y) }
    }
}

/// Where a straight way from `min` to `value` ends when both ends of the interval are mirrors, and
/// whether it then runs backwards.
#[inline]
pub(crate) fn reflect(value: f64, min: f64, max: f64) -> (f64, bool) {
    if min <= value && value <= max {
        return (value, false);
    }
    let width = max - min;
    let way = (value - min).abs() % (2.0 * width);
    let (folded, turned) = if way > width { (2.0 * width - way, true) } else { (way, false) };
    ((min + folded).clamp(min, max), turned != (value < min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_checked() {
        let area = |space, x, y| Area::new(space, Coord { x: 0.0, y: 0.0 }, Coord { x, y });
        assert_eq!(area(SpaceKind::Plane, 0.0, 1.0), Err(AreaError::Empty));
        assert_eq!(area(SpaceKind::Plane, -1.0, 1.0), Err(AreaError::Empty));
        let unfit = Err(AreaError::Corner(PositionError::Latitude));
        assert_eq!(area(SpaceKind::Sphere, 1.0, 91.0), unfit);
        assert!(area(SpaceKind::Plane, 1.0, 91.0).is_ok());
    }

    #[test]
    fn ways_fold_at_the_borders() {
        assert_eq!(reflect(3.0, 0.0, 10.0), (3.0, false));
        assert_eq!(reflect(12.0, 0.0, 10.0), (8.0, true));
        assert_eq!(reflect(-2.0, 0.0, 10.0), (2.0, true));
        assert_eq!(reflect(23.0, 0.0, 10.0), (3.0, false));
        assert_eq!(reflect(-12.0, 0.0, 10.0), (8.0, false));
        assert_eq!(reflect(15.0, 10.0, 12.0), (11.0, false));
    }
}
