//! Figures of a running application, by the conventions of Prometheus: base units, `_total` for
//! what only grows, the application's name as a label.

use std::time::Instant;

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_stream::overload::GateCounts;
use dunlin_stream::{Operator, Process, RecordCounts, ShardLoad, Timestamp, Topology};
use metrics::{Counter, Gauge, Histogram, Unit};

/// Says what every figure means, to the recorder that is installed.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("dunlin_records_total", "Records read from the log, by what became of them");
    describe_counter!(
        "dunlin_records_rejected_total",
        "Records that cannot be taken, by reason; of unreadable ones, batches"
    );
    describe_counter!(
        "dunlin_source_records_total",
        "Records that sources sent, by what became of them before the log"
    );
    describe_counter!("dunlin_outputs_total", "Answers and reports that were committed");
    describe_counter!("dunlin_epochs_total", "Epochs that were run");
    describe_histogram!("dunlin_epoch_duration_seconds", Unit::Seconds, "How long an epoch took");
    describe_gauge!(
        "dunlin_epoch_lag_seconds",
        Unit::Seconds,
        "From the end of the last committed epoch to its commit"
    );
    describe_gauge!("dunlin_shards", "How many shards there are");
    describe_gauge!("dunlin_shard_keys", "Objects, words or events that a shard holds");
    describe_counter!("dunlin_shard_work_total", "Records applied and answers told by a shard");
    describe_counter!("dunlin_checkpoints_total", "Checkpoints, by whether they were written");
    describe_gauge!("dunlin_checkpoint_bytes", Unit::Bytes, "The size of the newest checkpoint");
    describe_gauge!(
        "dunlin_checkpoint_age_seconds",
        Unit::Seconds,
        "From the newest checkpoint to the last epoch"
    );
}

/// The handles of an application's figures.
pub(super) struct Figures {
    application: String,
    outcomes: [Counter; 3],
    rejected: [Counter; 3],
    outputs: Counter,
    epochs: Counter,
    duration: Histogram,
    lag: Gauge,
    shards: Gauge,
    /// Of each shard by its place: what it holds, what it has done, and how much that was.
    loads: Vec<(Gauge, Counter, u64)>,
    written: Counter,
    failed: Counter,
    checkpoint_bytes: Gauge,
    checkpoint_age: Gauge,
}

/// Measures one epoch.
pub(super) struct Watch(Instant);

impl Figures {
    pub(super) fn new(application: &str) -> Self {
        let app = || application.to_owned();
        let records = |outcome: &'static str| metrics::counter!("dunlin_records_total", "app" => app(), "outcome" => outcome);
        let rejected = |reason: &'static str| metrics::counter!("dunlin_records_rejected_total", "app" => app(), "reason" => reason);
        let checkpoints = |result: &'static str| metrics::counter!("dunlin_checkpoints_total", "app" => app(), "result" => result);
        Self {
            application: app(),
            outcomes: ["applied", "duplicate", "late"].map(records),
            rejected: ["unreadable", "absurd_time", "unfit"].map(rejected),
            loads: Vec::new(),
            outputs: metrics::counter!("dunlin_outputs_total", "app" => app()),
            epochs: metrics::counter!("dunlin_epochs_total", "app" => app()),
            duration: metrics::histogram!("dunlin_epoch_duration_seconds", "app" => app()),
            lag: metrics::gauge!("dunlin_epoch_lag_seconds", "app" => app()),
            shards: metrics::gauge!("dunlin_shards", "app" => app()),
            written: checkpoints("written"),
            failed: checkpoints("failed"),
            checkpoint_bytes: metrics::gauge!("dunlin_checkpoint_bytes", "app" => app()),
            checkpoint_age: metrics::gauge!("dunlin_checkpoint_age_seconds", "app" => app()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the shell measures what the core does")]
    pub(super) fn start_epoch(&self) -> Watch {
        Watch(Instant::now())
    }

    pub(super) fn committed(&self, end: Timestamp, outputs: usize, now: Timestamp) {
        self.outputs.increment(outputs as u64);
        self.lag.set(seconds_between(end, now));
    }

    pub(super) fn epoch<T: Topology>(
        &mut self,
        Watch(start): Watch,
        counts: RecordCounts,
        process: &Process<T>,
    ) {
        self.duration.record(start.elapsed().as_secs_f64());
        self.epochs.increment(1);
        let RecordCounts { applied, duplicate, late, unreadable, absurd, unfit, read: _ } = counts;
        add(&self.outcomes, [applied, duplicate, late]);
        add(&self.rejected, [unreadable, absurd, unfit]);
        self.shards(process.engine().shards().iter().map(Operator::load));
        if let Some(epoch) = process.last_epoch() {
            self.checkpoint(process, process.end_of(epoch));
        }
    }

    fn shards(&mut self, loads: impl ExactSizeIterator<Item = ShardLoad>) {
        self.shards.set(loads.len() as f64);
        for place in self.loads.len()..loads.len() {
            let labels = [("app", self.application.clone()), ("shard", place.to_string())];
            let keys = metrics::gauge!("dunlin_shard_keys", &labels);
            self.loads.push((keys, metrics::counter!("dunlin_shard_work_total", &labels), 0));
        }
        let none = std::iter::repeat(ShardLoad::default());
        for ((keys, work, before), load) in self.loads.iter_mut().zip(loads.chain(none)) {
            keys.set(load.keys as f64);
            // A shard that was made anew counts from zero.
            work.increment(load.work.checked_sub(*before).unwrap_or(load.work));
            *before = load.work;
        }
    }

    pub(super) fn checkpoint<T: Topology>(&self, process: &Process<T>, now: Timestamp) {
        let Some(kept) = process.kept_so_far() else { return };
        self.written.absolute(kept.written);
        self.failed.absolute(kept.failed);
        if let Some((epoch, bytes)) = kept.newest {
            self.checkpoint_bytes.set(bytes as f64);
            self.checkpoint_age.set(seconds_between(process.end_of(epoch), now));
        }
    }
}

fn add<const N: usize>(counters: &[Counter; N], counts: [u64; N]) {
    counters.iter().zip(counts).for_each(|(counter, count)| counter.increment(count));
}

/// The handles of a source's figures.
pub(super) struct SourceFigures {
    counters: [Counter; 3],
    noted: [AtomicU64; 3],
}

impl SourceFigures {
    pub(super) fn new(application: &str, source: &str) -> Self {
        let counter = |outcome: &'static str| {
            let (app, source) = (application.to_owned(), source.to_owned());
            let name = "dunlin_source_records_total";
            metrics::counter!(name, "app" => app, "source" => source, "outcome" => outcome)
        };
        let counters = ["admitted", "superseded", "shed"].map(counter);
        Self { counters, noted: Default::default() }
    }

    /// Brings the figures up to date with what a gate has counted.
    pub(super) fn note(&self, counts: GateCounts) {
        let counts = [counts.admitted, counts.superseded, counts.shed];
        for ((counter, noted), count) in self.counters.iter().zip(&self.noted).zip(counts) {
            counter.increment(count - noted.swap(count, Ordering::Relaxed));
        }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millis() - from.as_millis()) as f64 / 1_000.0
}
