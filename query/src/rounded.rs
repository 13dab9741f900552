//! Windows rounded to 32 bits.
//!
//! Rounding to nearest never reorders two values: a position inside a window is, rounded, inside the
//! rounded window. So boxes of 16 bytes decide which questions to look at, never what to answer.

use dunlin_index::Window;

/// A closed box in rounded coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedBox {
    /// Least and greatest x.
    pub(crate) x: (f32, f32),
    /// Least and greatest y.
    pub(crate) y: (f32, f32),
}

impl RoundedBox {
    /// The box that holds nothing.
    pub(crate) const EMPTY: Self =
        Self { x: (f32::INFINITY, f32::NEG_INFINITY), y: (f32::INFINITY, f32::NEG_INFINITY) };

    /// A box around `window`; one that wraps gets all x.
    pub(crate) fn around(window: &Window) -> Self {
        let wraps = !window.x[1].is_empty();
        let all = (f32::NEG_INFINITY, f32::INFINITY);
        let x = if wraps { all } else { (window.x[0].min as f32, window.x[0].max as f32) };
        Self { x, y: (window.y.min as f32, window.y.max as f32) }
    }

    /// The smallest box around two rounded positions, one of which may be NaN.
    pub(crate) fn around_both(a: (f32, f32), b: (f32, f32)) -> Self {
        Self { x: (a.0.min(b.0), a.0.max(b.0)), y: (a.1.min(b.1), a.1.max(b.1)) }
    }

    /// Whether the box holds a rounded position. NaN is nowhere.
    #[inline]
    pub(crate) fn contains(&self, (x, y): (f32, f32)) -> bool {
        let inside = |(min, max): (f32, f32), value: f32| (min <= value) & (value <= max);
        inside(self.x, x) & inside(self.y, y)
    }

    /// Whether the box holds another in its interior.
    #[inline]
    pub(crate) fn encloses(&self, other: &Self) -> bool {
        let inside =
            |outer: (f32, f32), inner: (f32, f32)| (outer.0 < inner.0) & (inner.1 < outer.1);
        inside(self.x, other.x) & inside(self.y, other.y)
    }
}
