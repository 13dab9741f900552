//! Brute force for standing questions: positions, questions, and all objects looked at one by one.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each oracle uses its part")]

use dunlin_index::{Coord, ObjectNames, Slot, Space, SpaceKind};
use dunlin_query::{Focus, Member, Query, Question};
use proptest::prelude::*;

/// How positions are spread.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    Wide,
    City,
    Lattice,
    OneX,
    OnePoint,
    Antimeridian,
    Poles,
}

/// A position of a spread from two random numbers.
pub fn place(kind: SpaceKind, spread: Spread, u: f64, v: f64) -> Coord {
    let centered = |value: f64, width: f64| (value - 0.5) * width;
    let (x, y) = match (kind, spread) {
        (_, Spread::OnePoint) => (12.5, 41.25),
        (_, Spread::OneX) => (12.5, centered(v, 80.0)),
        (_, Spread::Lattice) => ((u * 5.0).floor(), (v * 5.0).floor()),
        (_, Spread::City) => (12.5 + centered(u, 0.1), 41.25 + centered(v, 0.1)),
        (SpaceKind::Sphere, Spread::Antimeridian) => {
            let lon = 180.0 + centered(u, 2.0);
            (if lon > 180.0 { lon - 360.0 } else { lon }, centered(v, 2.0))
        }
        (SpaceKind::Sphere, Spread::Poles) => {
            let lat = 90.0 - v * v * 1.5;
            (centered(u, 360.0), if u < 0.3 { -lat } else { lat })
        }
        (SpaceKind::Sphere, _) => (centered(u, 360.0), centered(v, 180.0)),
        (SpaceKind::Plane, _) => (centered(u, 1e4), centered(v, 1e4)),
    };
    Coord { x, y }
}

pub fn spreads() -> impl Strategy<Value = Spread> {
    prop_oneof![
        3 => Just(Spread::Wide), 3 => Just(Spread::City), 2 => Just(Spread::Lattice),
        1 => Just(Spread::OneX), 1 => Just(Spread::OnePoint),
        2 => Just(Spread::Antimeridian), 2 => Just(Spread::Poles),
    ]
}

pub const OBJECTS: u32 = 90;

/// Names whose order is not that of the slots.
pub fn name(slot: u32) -> String {
    let scrambled = slot * 7919 % 1009;
    match slot % 10 {
        3 => format!("é {scrambled}"),
        7 => format!("the object with number {scrambled}"),
        _ => format!("{scrambled}"),
    }
}

/// A question drawn from a choice and three random numbers.
pub fn question(spread: Spread, kind: SpaceKind, query: (u8, f64, f64, f64)) -> Question {
    let text = question_json("q", spread, kind, query);
    Query::from_json(&text, kind).expect("a drawn question is one").question
}

/// The same as JSON, under an id.
pub fn question_json(
    id: &str,
    spread: Spread,
    kind: SpaceKind,
    query: (u8, f64, f64, f64),
) -> String {
    let (choice, u, v, w) = query;
    let at = place(kind, spread, u, v);
    let object = (w * f64::from(OBJECTS + 5)) as u32;
    let (focus, from) = if choice % 2 == 0 {
        ("at", serde_json::json!([at.x, at.y]))
    } else {
        ("object", serde_json::json!(name(object)))
    };
    let k = [1, 2, 3, 10, 40, 200][usize::from(choice / 8) % 6];
    let radius = match spread {
        Spread::Lattice if matches!(kind, SpaceKind::Plane) => (w * 4.0).floor(),
        Spread::City if matches!(kind, SpaceKind::Plane) => w * 0.05,
        Spread::City => w * 5_000.0,
        _ if matches!(kind, SpaceKind::Plane) => w * 4_000.0,
        _ => w * w * 6_000_000.0,
    };
    let text = match choice % 8 {
        0..=4 => serde_json::json!({"id": id, "knn": {"k": k, focus: from}}),
        5 | 6 => serde_json::json!({"id": id, "within": {"radius": radius, focus: from}}),
        _ => serde_json::json!({"id": id, "inside": {"area": square(kind, at, w)}}),
    };
    text.to_string()
}

/// A square with a hole around a point, cut off at the ends of the space.
fn square(kind: SpaceKind, at: Coord, w: f64) -> serde_json::Value {
    let ring = |half: f64| {
        let cut = |value: f64, end: f64| {
            if matches!(kind, SpaceKind::Sphere) { value.clamp(-end, end) } else { value }
        };
        let corner = |dx: f64, dy: f64| [cut(at.x + dx, 180.0), cut(at.y + dy, 90.0)];
        [
            corner(-half, -half),
            corner(half, -half),
            corner(half, half),
            corner(-half, half),
            corner(-half, -half),
        ]
    };
    serde_json::json!({"type": "Polygon", "coordinates": [ring(w * 3.0), ring(w)]})
}

/// All objects, to be looked at one by one.
pub struct Table {
    pub at: Vec<Option<Coord>>,
}

impl Table {
    /// The answer of a question, in answer order.
    pub fn answer<S: Space>(&self, question: &Question, names: &ObjectNames) -> Vec<Member> {
        let (focus, radius, k) = match question {
            Question::Inside(area) => {
                let inside = self.present().filter(|(_, at)| area.contains(*at));
                let members = inside.map(|(slot, _)| Member { key: 0.0, slot }).collect();
                return in_order(members, names);
            }
            Question::Knn { k, focus } => (focus, f64::INFINITY, *k),
            Question::Within { radius, focus } => (focus, *radius, usize::MAX),
        };
        let (center, except) = match focus {
            Focus::Point(at) => (Some(*at), None),
            Focus::Object(name) => {
                let slot = names.slot(name);
                (slot.and_then(|slot| *self.at.get(slot.index())?), slot)
            }
        };
        let Some(center) = center else { return Vec::new() };
        let probe = S::probe(center);
        let others = self.present().filter(|(slot, _)| Some(*slot) != except);
        let members = others.map(|(slot, at)| Member { key: S::key(&probe, at), slot });
        let near = members.filter(|member| S::distance(member.key) <= radius).collect();
        let mut answer = in_order(near, names);
        answer.truncate(k);
        answer
    }

    fn present(&self) -> impl Iterator<Item = (Slot, Coord)> + '_ {
        let slots = (0..).map(Slot).zip(&self.at);
        slots.filter_map(|(slot, at)| Some((slot, (*at)?)))
    }
}

fn in_order(mut members: Vec<Member>, names: &ObjectNames) -> Vec<Member> {
    members.sort_by(|a, b| {
        a.key
            .total_cmp(&b.key)
            .then_with(|| names.name(a.slot).as_bytes().cmp(names.name(b.slot).as_bytes()))
    });
    members
}
