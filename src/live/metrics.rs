//! Figures of a running application, by the conventions of Prometheus: base units, `_total` for
//! what only grows, the application's name as a label.

use std::time::Instant;

use dunlin_stream::{Process, RecordCounts, Timestamp, Topology};
use metrics::{Counter, Gauge, Histogram, Unit};

/// Says what every figure means, to the recorder that is installed.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("dunlin_records_total", "Records read from the log, by what became of them");
    describe_counter!("dunlin_outputs_total", "Answers and reports that were committed");
    describe_counter!("dunlin_epochs_total", "Epochs that were run");
    describe_histogram!("dunlin_epoch_duration_seconds", Unit::Seconds, "How long an epoch took");
    describe_gauge!(
        "dunlin_epoch_lag_seconds",
        Unit::Seconds,
        "From the end of the last committed epoch to its commit"
    );
    describe_gauge!("dunlin_shards", "How many shards there are");
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
    outcomes: [Counter; 4],
    outputs: Counter,
    epochs: Counter,
    duration: Histogram,
    lag: Gauge,
    shards: Gauge,
    written: Counter,
    failed: Counter,
    checkpoint_bytes: Gauge,
    checkpoint_age: Gauge,
}

/// Measures one epoch.
pub(super) struct Watch(Instant);

impl Figures {
    pub(super) fn new(application: &str) -> Self {
        let records = |outcome: &'static str| metrics::counter!("dunlin_records_total", "app" => application.to_owned(), "outcome" => outcome);
        let checkpoints = |result: &'static str| metrics::counter!("dunlin_checkpoints_total", "app" => application.to_owned(), "result" => result);
        let app = || application.to_owned();
        Self {
            outcomes: ["applied", "duplicate", "late", "rejected"].map(records),
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
        &self,
        Watch(start): Watch,
        before: RecordCounts,
        after: RecordCounts,
        process: &Process<T>,
    ) {
        self.duration.record(start.elapsed().as_secs_f64());
        self.epochs.increment(1);
        self.shards.set(process.engine().table().len() as f64);
        let counts = [
            after.applied - before.applied,
            after.duplicate - before.duplicate,
            after.late - before.late,
            after.rejected - before.rejected,
        ];
        self.outcomes.iter().zip(counts).for_each(|(outcome, count)| outcome.increment(count));
        if let Some(epoch) = process.last_epoch() {
            self.checkpoint(process, process.end_of(epoch));
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

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millis() - from.as_millis()) as f64 / 1_000.0
}
