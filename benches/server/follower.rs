//! A subscriber that remembers what it hears, to be compared with the server in the end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use dunlin::server::proto::Event;
use dunlin::server::proto::event::Kind;
use serde_json::Value;

/// See the module documentation.
pub(crate) struct Follower {
    id: String,
    heard: Mutex<Vec<Event>>,
}

impl Follower {
    pub(crate) fn new(id: String) -> Self {
        Self { id, heard: Mutex::default() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn hear(&self, event: Event) {
        self.heard().push(event);
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Event>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the whole answer came in place of changes.
    pub(crate) fn began_anew(&self) -> usize {
        self.heard().iter().filter(|event| event.kind() == Kind::Answer).count() - 1
    }

    /// 1 if what was heard does not lead to the answer that the server has now.
    pub(crate) fn misses(&self, url: &str) -> Result<usize> {
        let mut list = Vec::new();
        for event in &*self.heard() {
            let data: Value = serde_json::from_str(&event.json)?;
            if event.kind() == Kind::Answer {
                list = ids(&data)?;
            } else if apply(&mut list, &data).is_none() {
                return Ok(1);
            }
        }
        let answer = ureq::get(format!("{url}/v1/queries/{}/answer", self.id)).call()?;
        let answer: Value = serde_json::from_str(&answer.into_body().read_to_string()?)?;
        Ok(usize::from(list != ids(&answer)?))
    }
}

fn ids(answer: &Value) -> Result<Vec<String>> {
    let objects = answer["objects"].as_array().context("an answer has objects")?;
    let id = |object: &Value| Some(object["id"].as_str()?.to_owned());
    objects.iter().map(id).collect::<Option<_>>().context("objects have ids")
}

/// Who leaves or changes places goes, then who enters or has changed places is put in; `None` if
/// that cannot be.
fn apply(list: &mut Vec<String>, delta: &Value) -> Option<()> {
    let changes = delta["changes"].as_array()?;
    for change in changes {
        if let Some(id) = change["leave"].as_str().or(change["reorder"]["id"].as_str()) {
            list.remove(list.iter().position(|it| it == id)?);
        }
    }
    for change in changes {
        for kind in ["enter", "reorder"] {
            if let Some(id) = change[kind]["id"].as_str() {
                let rank = usize::try_from(change[kind]["rank"].as_u64()?).ok()?;
                if rank > list.len() || list.iter().any(|it| it == id) {
                    return None;
                }
                list.insert(rank, id.to_owned());
            }
        }
    }
    Some(())
}
