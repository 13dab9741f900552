//! What the topology says at the end of an epoch.

use std::cmp::Ordering;

use dunlin_index::Coord;
use dunlin_stream::Strings;
use serde::{Deserialize, Serialize};

use super::columns::eights;

/// One thing that an epoch brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StandingOutput {
    /// A command did nothing.
    Refused {
        /// Its place among the commands of the epoch, by lane and then as they lie in the lane.
        command: u32,
        /// Why, in words for who sent it.
        reason: String,
    },
    /// The list of a query's objects changed, or this is its first.
    Answer(QueryAnswer),
}

/// The whole answer of a query, in answer order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryAnswer {
    /// The query's number: queries are numbered from 0 in the order of their registration.
    pub query: u32,
    /// Its id.
    pub id: String,
    pub(super) names: Strings,
    /// Metres, or units of the plane; none for a query that asks for no distance.
    #[serde(with = "eights")]
    pub(super) distances: Vec<f64>,
    #[serde(with = "eights")]
    pub(super) x: Vec<f64>,
    #[serde(with = "eights")]
    pub(super) y: Vec<f64>,
}

impl StandingOutput {
    /// Refusals by their commands, then answers by their queries.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |output: &Self| match output {
            Self::Refused { command, .. } => (0, *command),
            Self::Answer(answer) => (1, answer.query),
        };
        place(self).cmp(&place(other))
    }
}

impl QueryAnswer {
    /// An answer of these objects: name, distance, position. Either all have a distance or none.
    ///
    /// # Panics
    /// If only some have a distance.
    pub fn of<'a>(
        query: u32,
        id: &str,
        objects: impl IntoIterator<Item = (&'a str, Option<f64>, Coord)>,
    ) -> Self {
        let mut answer = Self { query, id: id.to_owned(), ..Self::default() };
        objects.into_iter().for_each(|(name, distance, at)| answer.push(name, distance, at));
        let distances = answer.distances.len();
        assert!(
            distances == 0 || distances == answer.x.len(),
            "a distance for each object or none"
        );
        answer
    }

    /// The objects: name, distance if the query asks for one, position.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (&str, Option<f64>, Coord)> {
        (0..self.names.len()).map(|row| {
            let at = Coord { x: self.x[row], y: self.y[row] };
            (self.names.get(row), self.distances.get(row).copied(), at)
        })
    }

    /// Whether the answer lists the same objects in the same order as another.
    #[must_use]
    pub fn lists_as(&self, other: &Self) -> bool {
        self.names == other.names
    }

    /// About how many bytes of memory the answer takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const PER_OBJECT: usize = size_of::<u32>() + 3 * size_of::<f64>();
        size_of::<Self>() + self.id.len() + self.names.text_bytes() + self.names.len() * PER_OBJECT
    }

    pub(super) fn reserve(&mut self, objects: usize, has_distances: bool) {
        self.names = Strings::with_capacity(objects);
        self.distances.reserve(if has_distances { objects } else { 0 });
        self.x.reserve(objects);
        self.y.reserve(objects);
    }

    pub(super) fn push(&mut self, name: &str, distance: Option<f64>, at: Coord) {
        self.names.push(name);
        self.distances.extend(distance);
        self.x.push(at.x);
        self.y.push(at.y);
    }
}
