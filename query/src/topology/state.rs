//! The state of a shard between epochs, in columns: written, read, cut in two, joined.
//!
//! It holds what the next epochs depend on and nothing of how the shard got there: objects in order
//! of their ids, all queries as they were registered, and of those at home here the ids that they
//! last told. Answers are found anew with the first epoch after.

use dunlin_index::{Coord, ObjectNames, SharedNames, Slot, Space, StripIndex};
use dunlin_stream::wire::DecodeError;
use dunlin_stream::{AsStrings, Key, Strings};
use serde::{Deserialize, Serialize, Serializer};

use super::catalog::{Catalog, Place};
use super::columns::{Eights, eights};
use super::shard::StandingShard;
use crate::standing::StandingQueries;

/// See the module documentation.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ShardState {
    /// Rising.
    ids: Vec<u32>,
    names: Strings,
    #[serde(with = "eights")]
    x: Vec<f64>,
    #[serde(with = "eights")]
    y: Vec<f64>,
    /// All queries, by number, and the number of the next one.
    queries: Vec<(u32, String)>,
    next_query: u32,
    /// In order of their numbers.
    homes: Vec<Home>,
}

/// A query that is at home in the shard.
#[derive(Debug, Serialize, Deserialize)]
struct Home {
    query: u32,
    /// The object that it looks from.
    focus: Option<u32>,
    told: Vec<u32>,
}

impl<S: Space> StandingShard<S> {
    pub(super) fn state(&self) -> ShardState {
        self.parts().into_state()
    }

    /// What the state is made of, copied as fast as can be: the epochs wait for it.
    pub(super) fn parts(&self) -> ShardParts {
        let index = self.queries.index();
        let room = index.len();
        let mut objects =
            (Vec::with_capacity(room), Vec::with_capacity(room), Vec::with_capacity(room));
        let present = (0..).zip(index.positions()).filter(|(_, at)| !at.x.is_nan());
        objects.extend(present.map(|(id, at)| (id, at.x, at.y)));
        let (ids, x, y) = objects;
        let (queries, next_query) = self.catalog.texts();
        let homes = self.queries.numbers().map(|query| Home {
            query,
            focus: self.queries.focus_slot(query).map(|slot| slot.0),
            told: self.told_by(query),
        });
        ShardParts {
            names: self.queries.names().share(),
            rest: ShardState {
                ids,
                names: Strings::default(),
                x,
                y,
                queries,
                next_query,
                homes: homes.collect(),
            },
        }
    }

    pub(super) fn of_state(state: ShardState) -> Result<Self, DecodeError> {
        let wrong = |what: &str| DecodeError::Value(what.to_owned());
        state.check::<S>().map_err(wrong)?;
        let ShardState { ids, names: text, x, y, queries, next_query, homes } = state;
        let mut names = ObjectNames::default();
        ids.iter().zip(text.iter()).for_each(|(&id, name)| names.label(Slot(id), name));
        let slots: Vec<Slot> = ids.into_iter().map(Slot).collect();
        let to: Vec<Coord> = x.into_iter().zip(y).map(|(x, y)| Coord { x, y }).collect();
        let mut index = StripIndex::default();
        index.apply(&slots, &to);
        let catalog = Catalog::of_texts(queries, next_query, S::KIND);
        let catalog = catalog.ok_or_else(|| wrong("queries that cannot stand together"))?;
        let mut shard = Self::new(catalog, StandingQueries::new(names, index));
        for Home { query, focus, told } in homes {
            let focus = focus.map(Slot);
            if !shard.can_take_in(query, focus) {
                return Err(wrong("a query at home where it cannot be"));
            }
            shard.take_in(query, focus, Some(told));
        }
        Ok(shard)
    }

    fn can_take_in(&self, query: u32, focus: Option<Slot>) -> bool {
        if self.catalog.get(query).is_none() || self.queries.stands(query) {
            return false;
        }
        match (self.catalog.place(query), focus) {
            (Place::X(_), None) => true,
            (Place::Object(name), Some(slot)) => {
                self.queries.index().position(slot).is_some()
                    && self.queries.names().name(slot) == name
            }
            _ => false,
        }
    }
}

/// A state whose names are still by slot. It serializes as the state does.
pub(super) struct ShardParts {
    names: SharedNames,
    /// Everything but the names.
    rest: ShardState,
}

impl ShardParts {
    fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.rest.ids.iter().map(|&id| self.names.name(Slot(id)))
    }

    fn into_state(self) -> ShardState {
        let names = self.names().collect();
        ShardState { names, ..self.rest }
    }
}

impl Serialize for ShardParts {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let ShardState { ids, names: _, x, y, queries, next_query, homes } = &self.rest;
        let names = AsStrings(self.names());
        (ids, names, Eights(x), Eights(y), queries, next_query, homes).serialize(serializer)
    }
}

impl ShardState {
    fn with_room(objects: usize) -> Self {
        Self {
            ids: Vec::with_capacity(objects),
            names: Strings::with_capacity(objects),
            x: Vec::with_capacity(objects),
            y: Vec::with_capacity(objects),
            ..Self::default()
        }
    }

    fn push(&mut self, id: u32, name: &str, at: Coord) {
        self.ids.push(id);
        self.names.push(name);
        self.x.push(at.x);
        self.y.push(at.y);
    }

    fn objects(&self) -> impl Iterator<Item = (u32, &str, Coord)> {
        let at = self.x.iter().zip(&self.y).map(|(&x, &y)| Coord { x, y });
        self.ids.iter().zip(self.names.iter()).zip(at).map(|((&id, name), at)| (id, name, at))
    }

    /// Says what of the columns is not as it should be.
    fn check<S: Space>(&self) -> Result<(), &'static str> {
        let rows = self.ids.len();
        if [self.names.len(), self.x.len(), self.y.len()].iter().any(|&len| len != rows) {
            return Err("columns that differ in length");
        }
        if !self.ids.is_sorted_by(|a, b| a < b) {
            return Err("ids that do not rise");
        }
        let fit = self.objects().all(|(_, _, at)| S::check(at) == Ok(at));
        if fit { Ok(()) } else { Err("a position outside the space") }
    }

    /// The states of the objects and queries below a key and from it on.
    pub(super) fn cut(self, at: Key, catalog: &Catalog) -> (Self, Self) {
        let texts = || Self {
            queries: self.queries.clone(),
            next_query: self.next_query,
            ..Self::default()
        };
        let (mut below, mut above) = (texts(), texts());
        for (id, name, position) in self.objects() {
            let part = if Key::of_f64(position.x) < at { &mut below } else { &mut above };
            part.push(id, name, position);
        }
        for home in self.homes {
            let is_below = match (catalog.place(home.query), home.focus) {
                (Place::X(x), _) => Key::of_f64(x) < at,
                (_, focus) => focus.is_some_and(|id| below.ids.binary_search(&id).is_ok()),
            };
            if is_below { &mut below } else { &mut above }.homes.push(home);
        }
        (below, above)
    }

    /// The state of the objects and queries of two neighbours.
    pub(super) fn join(self, other: Self) -> Self {
        let mut joined = Self {
            queries: self.queries.clone(),
            next_query: self.next_query,
            ..Self::with_room(self.ids.len() + other.ids.len())
        };
        let mut others = other.objects().peekable();
        for (id, name, at) in self.objects() {
            while let Some((id, name, at)) = others.next_if(|&(other, ..)| other < id) {
                joined.push(id, name, at);
            }
            joined.push(id, name, at);
        }
        others.for_each(|(id, name, at)| joined.push(id, name, at));
        joined.homes = self.homes.into_iter().chain(other.homes).collect();
        joined.homes.sort_unstable_by_key(|home| home.query);
        joined
    }
}
