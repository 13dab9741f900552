//! Which questions stand: registering, removing, finding them by id and number.

use dunlin_index::Space;

use super::{Lookup, REMOVED, StandingQueries};
use crate::member::Member;
use crate::query_state::{Kind, QueryState, SlotFocus};
use crate::question::{Focus, Query, Question};

/// Why a query cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The id is taken.
    #[error("query id \"{0}\" is already registered; give every query its own id")]
    DuplicateId(String),
}

impl<S: Space> StandingQueries<S> {
    /// Registers `query`; its first answer comes with the next epoch. Returns its number: queries
    /// are numbered from 0 in the order of their registration.
    ///
    /// # Errors
    /// [`RegisterError::DuplicateId`].
    pub fn register(&mut self, query: Query) -> Result<usize, RegisterError> {
        if self.by_id.contains_key(&query.id) {
            return Err(RegisterError::DuplicateId(query.id));
        }
        let mut focus = |focus| match focus {
            Focus::Point(at) => SlotFocus::Point(at),
            Focus::Object(name) => SlotFocus::Object(self.names.intern(&name)),
        };
        let kind = match query.question {
            Question::Knn { k, focus: from } => Kind::Knn { k, focus: focus(from) },
            Question::Within { radius, focus: from } => Kind::Within { radius, focus: focus(from) },
            Question::Inside(area) => Kind::Inside(Box::new(area)),
        };
        let number = self.places.len();
        self.by_id.insert(query.id.clone(), number);
        self.insert(number as u32, query.id.into(), kind);
        Ok(number)
    }

    /// Lets a question stand under a number that none has.
    pub(crate) fn insert(&mut self, number: u32, id: Box<str>, kind: Kind) {
        let places = self.places.len().max(number as usize + 1);
        self.places.resize(places, REMOVED);
        let place = u32::try_from(self.states.len()).ok().filter(|&place| place != REMOVED);
        self.places[number as usize] = place.expect("fewer than 2^32 queries");
        self.states.push(QueryState::new(number, id, kind));
        self.inboxes.push();
        self.lookup = Lookup::None;
    }

    /// Removes the query `id` between two epochs and returns its number, if it is registered. The
    /// others keep their numbers and answers; what the last epoch changed is forgotten.
    pub fn remove(&mut self, id: &str) -> Option<usize> {
        let number = self.by_id.remove(id)?;
        self.remove_number(number as u32);
        Some(number)
    }

    /// Removes a query by its number; whether it stood.
    pub(crate) fn remove_number(&mut self, number: u32) -> bool {
        let Some(place) = self.places.get(number as usize).copied() else { return false };
        if place == REMOVED {
            return false;
        }
        self.reordered.clear();
        self.places[number as usize] = REMOVED;
        self.states.swap_remove(place as usize);
        self.inboxes.pop();
        if let Some(state) = self.states.get(place as usize) {
            self.places[state.number as usize] = place;
        }
        self.lookup = Lookup::None;
        true
    }

    /// How many queries are registered.
    #[must_use]
    pub fn query_count(&self) -> usize {
        self.states.len()
    }

    /// The id of query `number`.
    ///
    /// # Panics
    /// As all that asks by number: if there is no such query, or no longer.
    #[must_use]
    pub fn id(&self, number: usize) -> &str {
        &self.state(number).id
    }

    /// The answer of the query `id`.
    #[must_use]
    pub fn members(&self, id: &str) -> Option<&[Member]> {
        Some(self.answer(*self.by_id.get(id)?))
    }

    /// Whether query `number` asks for distances.
    #[must_use]
    pub fn has_distances(&self, number: usize) -> bool {
        !self.state(number).is_area()
    }
}
