//! Who has been silent for longer than a time to live.
//!
//! Every present object is watched once, in a bucket of the time of a report of it that need not be
//! its last. When a bucket gets old, its objects are looked at: who has reported since is watched by
//! that report, the others are silent. So an object is looked at a few times per `ttl`, however
//! often it reports, and costs four bytes.

use std::collections::BTreeMap;

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

/// Present objects by how long they may be silent; see the module documentation.
#[derive(Debug)]
pub(crate) struct SilenceWatch {
    ttl_ms: i64,
    buckets: BTreeMap<i64, Vec<Slot>>,
}

/// Buckets per time to live: more, fewer objects that are looked at too early.
const BUCKETS: i64 = 64;

impl SilenceWatch {
    /// Nobody is watched yet; objects may be silent for `ttl_ms`.
    pub(crate) fn new(ttl_ms: i64) -> Self {
        Self { ttl_ms, buckets: BTreeMap::new() }
    }

    /// Watches an object that reported at `time`; not one that is watched already.
    pub(crate) fn watch(&mut self, slot: Slot, time: Timestamp) {
        self.buckets.entry(self.bucket(time)).or_default().push(slot);
    }

    fn bucket(&self, time: Timestamp) -> i64 {
        time.as_millis().div_euclid((self.ttl_ms / BUCKETS).max(1))
    }

    /// The objects whose last report is more than the time to live before `end`, in order of slots.
    /// They are watched no longer.
    pub(crate) fn silent(&mut self, end: Timestamp, last: impl Fn(Slot) -> Timestamp) -> Vec<Slot> {
        let deadline = end.as_millis().saturating_sub(self.ttl_ms);
        let deadline = Timestamp::from_millis_unchecked(deadline);
        let due = self.bucket(deadline);
        let (mut silent, mut heard) = (Vec::new(), Vec::new());
        while let Some(bucket) = self.buckets.first_entry().filter(|bucket| *bucket.key() <= due) {
            for slot in bucket.remove() {
                if last(slot) < deadline { silent.push(slot) } else { heard.push(slot) }
            }
        }
        heard.into_iter().for_each(|slot| self.watch(slot, last(slot)));
        silent.sort_unstable();
        silent
    }
}
