//! Questions for the oracle, drawn from a seed.
//!
//! Foci are near objects of the trace and objects themselves, k and radii go from almost nothing to
//! almost everything, areas are triangles with a hole.

use serde_json::{Value, json};

use super::World;
use super::trace::{Random, Row, Space};

/// A question with its id.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    focus: Focus,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Knn(usize),
    Within(f64),
    Inside(Rings),
}

#[derive(Clone, Debug)]
enum Focus {
    Point([f64; 2]),
    Object(String),
}

/// Rings of a polygon, the first around, the others holes.
#[derive(Clone, Debug)]
pub(crate) struct Rings(Vec<Vec<[f64; 2]>>);

impl Rings {
    /// Whether a ray from `at` crosses the rings an odd number of times.
    pub(crate) fn contains(&self, at: [f64; 2]) -> bool {
        let edges = self.0.iter().flat_map(|ring| ring.windows(2));
        let crossings = edges.filter(|edge| {
            let ([x0, y0], [x1, y1]) = (edge[0], edge[1]);
            (y0 > at[1]) != (y1 > at[1]) && at[0] < (x1 - x0) * (at[1] - y0) / (y1 - y0) + x0
        });
        crossings.count() % 2 == 1
    }
}

impl Ask {
    /// `count` questions about a trace.
    pub(crate) fn draw(count: usize, rows: &[Row], space: Space, seed: u64) -> Vec<Self> {
        let mut random = Random(seed);
        (0..count).map(|number| Self::one(number, rows, space, &mut random)).collect()
    }

    fn one(number: usize, rows: &[Row], space: Space, random: &mut Random) -> Self {
        let row = &rows[random.below(rows.len())];
        let unit = space.unit();
        let around = |[x, y]: [f64; 2], random: &mut Random| {
            let (dx, dy) = (random.share() - 0.5, random.share() - 0.5);
            space.clamp([x + dx * unit, y + dy * unit])
        };
        let focus = match random.below(5) {
            0 => Focus::Object("never seen".to_owned()),
            1 | 2 => Focus::Object(row.object.clone()),
            // On the spot of an object: distances are exact there, and tie where objects do.
            3 => Focus::Point(row.at),
            _ => Focus::Point(around(row.at, random)),
        };
        let kind = match random.below(3) {
            0 => Kind::Knn([1, 2, 10, 100, 100_000][random.below(5)]),
            1 => Kind::Within([0.0, 0.2, 2.0, 20.0][random.below(4)] * space.radius()),
            _ => {
                let [x, y] = around(row.at, random);
                let size = unit * (0.01 + random.share());
                let corner = |x, y| space.clamp([x, y]);
                let triangle = |size: f64| {
                    let first = corner(x - size, y - size);
                    vec![first, corner(x + size, y), corner(x, y + size), first]
                };
                Kind::Inside(Rings(vec![triangle(size), triangle(size * 0.31)]))
            }
        };
        Self { id: format!("ask {number}"), kind, focus }
    }

    /// The object that is asked from.
    pub(crate) fn object(&self) -> Option<&String> {
        match &self.focus {
            Focus::Object(name) => Some(name),
            Focus::Point(_) => None,
        }
    }

    /// Where it is asked from.
    pub(crate) fn focus_in(&self, world: &World) -> Option<[f64; 2]> {
        match &self.focus {
            Focus::Object(name) => world.get(name).copied(),
            Focus::Point(at) => Some(*at),
        }
    }

    /// The question as a query file has it.
    pub(crate) fn json(&self) -> Value {
        let (key, mut question) = match &self.kind {
            Kind::Knn(k) => ("knn", json!({"k": k})),
            Kind::Within(radius) => ("within", json!({"radius": radius})),
            Kind::Inside(Rings(rings)) => {
                let area = json!({"type": "Polygon", "coordinates": rings});
                return json!({"id": self.id, "inside": {"area": area}});
            }
        };
        match &self.focus {
            Focus::Object(name) => question["object"] = json!(name),
            Focus::Point(at) => question["at"] = json!(at),
        }
        json!({"id": self.id, key: question})
    }
}
