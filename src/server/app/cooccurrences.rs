//! Co-occurrence queries come and go: first on disk, then at work.

use std::sync::Arc;

use super::App;
use crate::live::{locked, now};
use crate::server::cooccurrence::{self, Cooccurrence, CooccurrenceQuery};
use crate::server::error::{QueryError, ServerError};
use crate::server::hub::{Tag, TopicKind};
use crate::server::registry::QueryKind;
use crate::server::settings::{Settings, Stored};

impl App {
    /// Lets a query stand, on disk and at work.
    pub(super) fn create_cooccurrence(
        &self,
        query: &CooccurrenceQuery,
        text: String,
    ) -> Result<String, QueryError> {
        let entry = (QueryKind::Cooccurrence, text.as_str().into());
        locked(&self.commands).0.reserve(&query.id, entry, self.room())?;
        let begun = self.begin_cooccurrence(query, text);
        let mut commands = locked(&self.commands);
        match &begun {
            Ok(()) => commands.0.settle(&query.id),
            Err(_) => commands.0.forget(&query.id),
        }
        begun.map(|()| query.id.clone())
    }

    fn begin_cooccurrence(
        &self,
        query: &CooccurrenceQuery,
        text: String,
    ) -> Result<(), QueryError> {
        // Before it begins: what is not on disk must not stand, and no number is used twice.
        let stored = self.change_settings(|settings| {
            let stored = Stored { number: settings.next, query: text };
            settings.next += 1;
            settings.cooccurrences.push(stored.clone());
            stored
        })?;
        let number = stored.number;
        // Whoever resumes from a query that had the id before begins anew.
        let after = Tag::behind(cooccurrence::epoch_before(now()));
        self.feed.hub().open(&query.id, TopicKind::Reports, after);
        let begun = Cooccurrence::start(
            query,
            (stored, self.free_place()),
            (&self.storage, &self.limits),
            &self.feed,
        );
        let begun = begun.inspect_err(|_| {
            self.feed.hub().close(&query.id);
            let forgotten = self.change_settings(|settings| {
                settings.cooccurrences.retain(|it| it.number != number);
            });
            if let Err(error) = forgotten {
                tracing::error!(%error, query = query.id, "a query that did not begin stands on disk");
            }
        })?;
        locked(&self.cooccurrences).push(Arc::new(begun));
        Ok(())
    }

    /// The least number that no running co-occurrence query has for its place.
    fn free_place(&self) -> usize {
        let running = locked(&self.cooccurrences);
        let is_free = |place: &usize| running.iter().all(|it| it.place != *place);
        (1..).find(is_free).expect("a few queries run")
    }

    /// Changes the settings, on disk first.
    fn change_settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> Result<R, QueryError> {
        let mut settings = locked(&self.settings);
        let mut changed = settings.clone();
        let told = change(&mut changed);
        if let Some(folder) = &self.storage.data {
            changed.save(folder)?;
        }
        *settings = changed;
        Ok(told)
    }

    /// Starts the co-occurrence queries that stood.
    pub(super) fn restore_cooccurrences(&self) -> Result<(), ServerError> {
        let settings = locked(&self.settings);
        for stored in &settings.cooccurrences {
            let query = CooccurrenceQuery::from_json(&stored.query)
                .map_err(|source| ServerError::Stored { number: stored.number, source })?;
            let mut commands = locked(&self.commands);
            let entry = (QueryKind::Cooccurrence, stored.query.as_str().into());
            let _ = commands.0.reserve(&query.id, entry, (usize::MAX, usize::MAX));
            commands.0.settle(&query.id);
            let lanes = cooccurrence::lanes(&*self.storage.log, stored.number)?;
            self.feed.rebuild::<dunlin_cep::topology::NamedReport>(
                &*self.storage.log,
                lanes.output,
                &query.id,
            )?;
            self.feed.hub().open(&query.id, TopicKind::Reports, Tag::START);
            let kept = (&self.storage, &self.limits);
            let stored = (stored.clone(), self.free_place());
            let begun = Cooccurrence::start(&query, stored, kept, &self.feed)?;
            locked(&self.cooccurrences).push(Arc::new(begun));
        }
        Ok(())
    }

    /// Ends a query for ever.
    pub(super) fn end_cooccurrence(&self, id: &str) -> Result<(), QueryError> {
        let found = locked(&self.cooccurrences).iter().find(|it| it.id == id).cloned();
        let Some(ended) = found else { return Ok(()) };
        let number = ended.stored.number;
        self.change_settings(|settings| settings.cooccurrences.retain(|it| it.number != number))?;
        locked(&self.cooccurrences).retain(|it| it.stored.number != number);
        // It does not stand any more, whatever becomes of what is left of it.
        if let Err(error) = alone(ended).remove(&self.storage) {
            tracing::error!(%error, query = id, "what a removed query has left does not go");
        }
        Ok(())
    }
}

/// Waits until nobody else holds it: whoever sends events to it at this moment is done soon.
fn alone<T>(mut shared: Arc<T>) -> T {
    loop {
        match Arc::try_unwrap(shared) {
            Ok(alone) => return alone,
            Err(still) => shared = still,
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
}
