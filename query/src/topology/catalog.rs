//! All registered queries, as every shard knows them.
//!
//! Commands go to all shards in one order, so all catalogs are equal, and a number or a refusal
//! means the same everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_index::{Slot, SpaceKind};

use super::batch::Command;
use crate::query_state::{Kind, SlotFocus};
use crate::question::{Focus, Query, Question};

/// Registered queries by number, id, and the object that they look from.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    entries: BTreeMap<u32, Entry>,
    by_id: BTreeMap<String, u32>,
    by_focus: BTreeMap<String, Vec<u32>>,
    next: u32,
}

#[derive(Debug)]
struct Entry {
    /// The JSON that it was registered with.
    text: String,
    query: Query,
    /// The query's id, for its answers to share.
    id: Arc<str>,
}

/// What decides which shard is a query's home.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place<'a> {
    /// The shard of this x.
    X(f64),
    /// The shard that has this object.
    Object(&'a str),
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Registered(u32),
    Removed(u32),
    Refused(String),
}

impl Catalog {
    pub(super) fn apply(&mut self, command: Command, space: SpaceKind) -> Done {
        match command {
            Command::Register { query } => self.register(query, space),
            Command::Remove { id } => self.remove(&id),
        }
    }

    fn register(&mut self, text: String, space: SpaceKind) -> Done {
        let query = match Query::from_json(&text, space) {
            Ok(query) => query,
            Err(error) => return Done::Refused(error.to_string()),
        };
        if self.by_id.contains_key(&query.id) {
            let error = crate::RegisterError::DuplicateId(query.id);
            return Done::Refused(error.to_string());
        }
        let number = self.next;
        self.insert(number, text, query);
        Done::Registered(number)
    }

    fn insert(&mut self, number: u32, text: String, query: Query) {
        self.next = number.checked_add(1).expect("fewer than 2^32 queries");
        self.by_id.insert(query.id.clone(), number);
        if let Some(name) = focus_object(&query.question) {
            self.by_focus.entry(name.to_owned()).or_default().push(number);
        }
        let id = query.id.as_str().into();
        self.entries.insert(number, Entry { text, query, id });
    }

    fn remove(&mut self, id: &str) -> Done {
        let Some(number) = self.by_id.remove(id) else {
            return Done::Refused(format!("there is no query \"{id}\" to remove"));
        };
        let entry = self.entries.remove(&number).expect("an id leads to its query");
        if let Some(name) = focus_object(&entry.query.question) {
            let followers = self.by_focus.get_mut(name).expect("a follower is listed");
            followers.retain(|&follower| follower != number);
            if followers.is_empty() {
                self.by_focus.remove(name);
            }
        }
        Done::Removed(number)
    }

    /// The numbers and texts of all queries, and the number of the next one.
    pub(super) fn texts(&self) -> (Vec<(u32, String)>, u32) {
        let texts = self.entries.iter().map(|(&number, entry)| (number, entry.text.clone()));
        (texts.collect(), self.next)
    }

    /// The catalog of such texts; `None` if there is none.
    pub(super) fn of_texts(texts: Vec<(u32, String)>, next: u32, space: SpaceKind) -> Option<Self> {
        let mut catalog = Self::default();
        for (number, text) in texts {
            let query = Query::from_json(&text, space).ok()?;
            let is_new = number >= catalog.next && number < next;
            if !is_new || catalog.by_id.contains_key(&query.id) {
                return None;
            }
            catalog.insert(number, text, query);
        }
        catalog.next = next;
        Some(catalog)
    }

    fn question(&self, number: u32) -> &Question {
        &self.entries[&number].query.question
    }

    /// What is asked by a query, if it is registered.
    pub(super) fn get(&self, number: u32) -> Option<&Query> {
        self.entries.get(&number).map(|entry| &entry.query)
    }

    /// The id of a query, if it is registered.
    pub(super) fn id(&self, number: u32) -> Option<Arc<str>> {
        self.entries.get(&number).map(|entry| entry.id.clone())
    }

    /// A query by its id: its number, and the JSON that it was registered with.
    pub(super) fn find(&self, id: &str) -> Option<(u32, &str)> {
        let &number = self.by_id.get(id)?;
        Some((number, &self.entries[&number].text))
    }

    /// The numbers, ids and texts of the queries from a number on.
    pub(super) fn list(&self, from: u32) -> impl Iterator<Item = (u32, &str, &str)> {
        let entries = self.entries.range(from..);
        entries.map(|(&number, entry)| (number, &*entry.query.id, &*entry.text))
    }

    /// How many queries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The queries that look from an object.
    pub(super) fn followers(&self, name: &str) -> &[u32] {
        self.by_focus.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether no query looks from an object.
    pub(super) fn has_no_followers(&self) -> bool {
        self.by_focus.is_empty()
    }

    /// What decides where a query is at home.
    pub(super) fn place(&self, number: u32) -> Place<'_> {
        match self.question(number) {
            Question::Knn { focus, .. } | Question::Within { focus, .. } => match focus {
                Focus::Point(at) => Place::X(at.x),
                Focus::Object(name) => Place::Object(name),
            },
            Question::Inside(area) => Place::X(area.window().x[0].min),
        }
    }

    /// What a query asks, with the slot of the object that it looks from, if it does.
    ///
    /// # Panics
    /// If it looks from an object and there is no slot.
    pub(super) fn kind(&self, number: u32, object: Option<Slot>) -> Kind {
        let from = |focus: &Focus| match focus {
            Focus::Point(at) => SlotFocus::Point(*at),
            Focus::Object(_) => SlotFocus::Object(object.expect("a follower stands by its object")),
        };
        match self.question(number) {
            Question::Knn { k, focus } => Kind::Knn { k: *k, focus: from(focus) },
            Question::Within { radius, focus } => {
                Kind::Within { radius: *radius, focus: from(focus) }
            }
            Question::Inside(area) => Kind::Inside(Box::new(area.clone())),
        }
    }
}

fn focus_object(question: &Question) -> Option<&str> {
    match question {
        Question::Knn { focus: Focus::Object(name), .. }
        | Question::Within { focus: Focus::Object(name), .. } => Some(name),
        _ => None,
    }
}
