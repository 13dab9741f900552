//! The queries that stand, as the server knows them.
//!
//! ```text
//!            reserve                settle
//! (none) ───────────────> coming ───────────> standing ── leave ──> leaving ── forget ──> (none)
//! ```
//!
//! An id is taken from its reservation until it is forgotten, so commands about one id never overtake
//! each other on their way to the engine.

use std::sync::Arc;

use indexmap::IndexMap;

/// What kind of query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryKind {
    /// kNN, within, inside.
    Standing,
    /// Co-occurrence.
    Cooccurrence,
}

/// A registered query.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) kind: QueryKind,
    /// Its JSON, as it was put.
    pub(crate) text: Arc<str>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    Standing,
    Leaving,
}

/// Why an id is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReserveError {
    #[error("a query with this id stands already; remove it first, or choose another id")]
    Taken,
    #[error("there are {0} queries already; remove some first")]
    Full(usize),
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    queries: IndexMap<String, Registered>,
    cooccurrences: usize,
    /// Of all texts.
    bytes: usize,
}

impl Registry {
    /// Takes an id.
    pub(crate) fn reserve(
        &mut self,
        id: &str,
        (kind, text): (QueryKind, Arc<str>),
        (queries_max, bytes_max): (usize, usize),
    ) -> Result<(), ReserveError> {
        if self.queries.contains_key(id) {
            return Err(ReserveError::Taken);
        }
        if self.bytes.saturating_add(text.len()) > bytes_max {
            return Err(ReserveError::Full(self.queries.len()));
        }
        let (there, max) = match kind {
            QueryKind::Standing => (self.queries.len() - self.cooccurrences, queries_max),
            QueryKind::Cooccurrence => (self.cooccurrences, super::cooccurrence::COOCCURRENCES_MAX),
        };
        if there >= max {
            return Err(ReserveError::Full(there));
        }
        self.bytes += text.len();
        self.cooccurrences += usize::from(kind == QueryKind::Cooccurrence);
        let query = Registered { kind, text, state: State::Coming };
        self.queries.insert(id.to_owned(), query);
        Ok(())
    }

    /// The query stands from now on.
    pub(crate) fn settle(&mut self, id: &str) {
        if let Some(query) = self.queries.get_mut(id) {
            query.state = State::Standing;
        }
    }

    /// Begins to remove a query that stands.
    pub(crate) fn leave(&mut self, id: &str) -> Option<QueryKind> {
        let query = self.queries.get_mut(id).filter(|query| query.state == State::Standing)?;
        query.state = State::Leaving;
        Some(query.kind)
    }

    /// Gives an id back.
    pub(crate) fn forget(&mut self, id: &str) {
        if let Some(query) = self.queries.shift_remove(id) {
            self.bytes -= query.text.len();
            self.cooccurrences -= usize::from(query.kind == QueryKind::Cooccurrence);
        }
    }

    /// A query that stands.
    pub(crate) fn get(&self, id: &str) -> Option<&Registered> {
        self.queries.get(id).filter(|query| query.state == State::Standing)
    }

    /// Whether an id is taken.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.queries.contains_key(id)
    }

    /// How many queries there are.
    pub(crate) fn len(&self) -> usize {
        self.queries.len()
    }

    /// Queries in the order of their creation.
    pub(crate) fn page(&self, offset: usize, limit: usize) -> Vec<(String, Arc<str>)> {
        let queries = self.queries.iter().skip(offset).take(limit);
        queries.map(|(id, query)| (id.clone(), query.text.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(registry: &mut Registry, id: &str, kind: QueryKind) -> Result<(), ReserveError> {
        registry.reserve(id, (kind, "{}".into()), (2, 40))
    }

    #[test]
    fn an_id_is_taken_until_it_is_forgotten() {
        let mut registry = Registry::default();
        reserve(&mut registry, "a", QueryKind::Standing).unwrap();
        assert!(registry.get("a").is_none() && registry.has("a"));
        assert_eq!(registry.leave("a"), None);
        registry.settle("a");
        assert!(registry.get("a").is_some());
        assert_eq!(reserve(&mut registry, "a", QueryKind::Standing), Err(ReserveError::Taken));
        assert_eq!(registry.leave("a"), Some(QueryKind::Standing));
        assert_eq!((registry.leave("a"), registry.get("a").is_some()), (None, false));
        assert_eq!(reserve(&mut registry, "a", QueryKind::Standing), Err(ReserveError::Taken));
        registry.forget("a");
        reserve(&mut registry, "a", QueryKind::Standing).unwrap();
    }

    #[test]
    fn kinds_have_limits_of_their_own() {
        let mut registry = Registry::default();
        for number in 0..super::super::cooccurrence::COOCCURRENCES_MAX {
            reserve(&mut registry, &format!("c{number}"), QueryKind::Cooccurrence).unwrap();
        }
        let full = reserve(&mut registry, "c", QueryKind::Cooccurrence);
        assert_eq!(full, Err(ReserveError::Full(16)));
        for id in ["a", "b"] {
            reserve(&mut registry, id, QueryKind::Standing).unwrap();
        }
        assert_eq!(reserve(&mut registry, "d", QueryKind::Standing), Err(ReserveError::Full(2)));
        registry.forget("c3");
        registry.forget("b");
        reserve(&mut registry, "c", QueryKind::Cooccurrence).unwrap();
        reserve(&mut registry, "d", QueryKind::Standing).unwrap();
        let page: Vec<_> = registry.page(15, 2).into_iter().map(|it| it.0).collect();
        assert_eq!((registry.len(), page), (18, vec!["a".to_owned(), "c".to_owned()]));
        registry.forget("a");
        let large = (QueryKind::Standing, " ".repeat(7).into());
        assert_eq!(registry.reserve("e", large, (2, 40)), Err(ReserveError::Full(17)));
    }
}
