//! What the topology says at the end of an epoch.

use std::cmp::Ordering;
use std::sync::Arc;

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

/// The whole answer of a query, in answer order. A copy shares the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryAnswer {
    /// The query's number: queries are numbered from 0 in the order of their registration.
    pub query: u32,
    /// Its id.
    pub id: Arc<str>,
    pub(super) rows: Arc<Rows>,
}

/// The objects of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(Strings, Numbers)")]
pub(super) struct Rows {
    names: Strings,
    /// Of each object the distance, in metres or units of the plane, then x and y; only x and y in
    /// the answer to a question that asks for no distance.
    #[serde(with = "eights")]
    numbers: Vec<f64>,
}

/// The numbers of rows, as they are read.
#[derive(Deserialize)]
struct Numbers(#[serde(with = "eights")] Vec<f64>);

impl TryFrom<(Strings, Numbers)> for Rows {
    type Error = &'static str;

    fn try_from((names, Numbers(numbers)): (Strings, Numbers)) -> Result<Self, Self::Error> {
        let rows = Self { names, numbers };
        let len = rows.names.len() * rows.stride();
        if len == rows.numbers.len() { Ok(rows) } else { Err("numbers for other rows") }
    }
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
        let mut rows = Rows::default();
        objects.into_iter().for_each(|(name, distance, at)| rows.push(name, distance, at));
        let whole = rows.names.len() * rows.stride() == rows.numbers.len();
        assert!(whole, "a distance for each object or none");
        Self { query, id: id.into(), rows: Arc::new(rows) }
    }

    /// The objects: name, distance if the query asks for one, position.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (&str, Option<f64>, Coord)> {
        let Rows { names, numbers } = &*self.rows;
        let rows = numbers.chunks_exact(self.rows.stride());
        names.iter().zip(rows).map(|(name, row)| match *row {
            [distance, x, y] => (name, Some(distance), Coord { x, y }),
            [x, y] => (name, None, Coord { x, y }),
            _ => unreachable!("a row has two or three numbers"),
        })
    }

    /// Whether the answer lists the same objects in the same order as another.
    #[must_use]
    pub fn lists_as(&self, other: &Self) -> bool {
        self.rows.names == other.rows.names
    }

    /// About how many bytes of memory the answer takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Rows { names, numbers } = &*self.rows;
        let columns = names.text_bytes() + 4 * names.len() + 8 * numbers.len();
        size_of::<Self>() + size_of::<Rows>() + columns
    }
}

impl Rows {
    /// Room for so many objects.
    pub(super) fn with_capacity(objects: usize, has_distances: bool) -> Self {
        let stride = if has_distances { 3 } else { 2 };
        let numbers = Vec::with_capacity(objects * stride);
        Self { names: Strings::with_capacity(objects), numbers }
    }

    /// How many numbers a row has.
    fn stride(&self) -> usize {
        if self.numbers.len() > 2 * self.names.len() { 3 } else { 2 }
    }

    pub(super) fn push(&mut self, name: &str, distance: Option<f64>, at: Coord) {
        self.names.push(name);
        self.numbers.extend(distance.into_iter().chain([at.x, at.y]));
    }
}

#[cfg(test)]
mod tests {
    use dunlin_stream::wire;

    use super::*;

    #[test]
    fn answers_read_back_and_are_held_to_their_rows() {
        let at = Coord { x: 3.0, y: 4.0 };
        let answers = [
            QueryAnswer::of(7, "q", [("a", Some(1.0), at), ("b", Some(2.0), at)]),
            QueryAnswer::of(7, "q", [("a", None, at), ("b", None, at), ("c", None, at)]),
            QueryAnswer::of(7, "q", []),
        ];
        for answer in answers {
            assert_eq!(wire::decode(&wire::encode(&answer)), Ok(answer.clone()));
            let objects: Vec<_> = answer.objects().collect();
            assert_eq!(QueryAnswer::of(7, "q", objects), answer);
        }
        let names: Strings = ["a", "b"].into_iter().collect();
        for len in [0, 3, 5, 7] {
            let torn = Rows { names: names.clone(), numbers: vec![1.0; len] };
            let torn = QueryAnswer { query: 7, id: "q".into(), rows: Arc::new(torn) };
            assert!(wire::decode::<QueryAnswer>(&wire::encode(&torn)).is_err(), "{len} numbers");
        }
    }
}
