//! A running application: what becomes of records while the engine is behind, and what its figures
//! say of them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dunlin::index::{Coord, Plane};
use dunlin::live::{Live, LiveOptions, Sent, describe_metrics};
use dunlin::query::topology::{Command, PositionBatch, StandingOutput, StandingTopology};
use dunlin::stream::event_time::EventTimeRule;
use dunlin::stream::lane::Envelope;
use dunlin::stream::log::{Batch, GroupWriter, Log, MemoryLog, SyncPolicy, WriterOptions};
use dunlin::stream::overload::{GateCounts, Policy};
use dunlin::stream::process::Committed;
use dunlin::stream::{Timestamp, wire};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const PATIENCE: Duration = Duration::from_secs(20);

/// All figures of this process.
static FIGURES: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let handle = PrometheusBuilder::new().install_recorder().expect("the only recorder");
    describe_metrics();
    handle
});

/// A figure of an application, by its labels beside the application's name.
fn figure(name: &str, app: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let text = FIGURES.render();
    let wanted = |line: &&str| {
        line.split_once('{').is_some_and(|(of, rest)| {
            of == name
                && rest.contains(&format!("app=\"{app}\""))
                && labels.iter().all(|(key, value)| rest.contains(&format!("{key}=\"{value}\"")))
        })
    };
    text.lines().find(wanted)?.rsplit(' ').next()?.parse().ok()
}

/// An application whose engine stands still while `brake` is held.
struct Rig {
    live: Live<StandingTopology<Plane>>,
    brake: Arc<Mutex<()>>,
    answers: Receiver<(String, Vec<(String, f64)>)>,
    asked: Cell<u64>,
}

type Answers = Sender<(String, Vec<(String, f64)>)>;

fn rig(name: &str, credit: u64) -> Result<Rig> {
    LazyLock::force(&FIGURES);
    let rule = EventTimeRule { lateness_ms: 60_000, idle_ms: 600_000, skew_ms: 60_000 };
    let topology = StandingTopology::<Plane>::new(2).with_event_time(rule);
    let options = LiveOptions { credit_records: credit, ..LiveOptions::new(name) };
    let brake = Arc::new(Mutex::new(()));
    let (tells, answers): (Answers, _) = channel();
    let held = brake.clone();
    let tell = move |epoch: &Committed<'_, StandingOutput>| {
        drop(held.lock());
        for output in epoch.outputs {
            if let StandingOutput::Answer(answer) = output {
                let objects = answer.objects().map(|(name, _, at)| (name.to_owned(), at.x));
                drop(tells.send((answer.id.to_string(), objects.collect())));
            }
        }
    };
    let (live, _) = Live::start(topology, &options, tell)?;
    Ok(Rig { live, brake, answers, asked: Cell::new(0) })
}

#[expect(clippy::disallowed_methods, reason = "a live application takes times near its own")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    Timestamp::from_millis_unchecked(since.expect("after 1970").as_millis() as i64)
}

fn reports(rows: &[(&str, f64)]) -> PositionBatch {
    let mut batch = PositionBatch::default();
    rows.iter().for_each(|&(object, x)| batch.push(object, now(), Coord { x, y: 0.0 }));
    batch
}

impl Rig {
    /// The positions that the engine has, by asking a new question under `id`.
    fn positions(&self, id: &str) -> Result<Vec<(String, f64)>> {
        let mut commands = PositionBatch::default();
        let query = format!(r#"{{"id":"{id}","knn":{{"k":9,"at":[0,0]}}}}"#);
        commands.command(Command::Register { query });
        let sequence = self.asked.replace(self.asked.get() + 1);
        self.live.producer(99, sequence).command(&commands)?.wait()?;
        loop {
            let (told, objects) = self.answers.recv_timeout(PATIENCE).context("no answer")?;
            if told == id {
                return Ok(objects);
            }
        }
    }
}

/// Longer than some epochs.
fn pause() {
    let (_nobody, sends) = channel::<()>();
    assert!(sends.recv_timeout(Duration::from_millis(150)).is_err());
}

fn are(found: &[(String, f64)], expected: &[(&str, f64)]) -> Result<()> {
    let found: Vec<_> = found.iter().map(|(name, x)| (name.as_str(), *x)).collect();
    ensure!(found == expected, "{found:?}, not {expected:?}");
    Ok(())
}

#[test]
fn the_latest_of_each_object_waits_while_the_engine_is_behind() -> Result<()> {
    let rig = rig("latest", 4)?;
    are(&rig.positions("before")?, &[])?;
    let source = rig.live.source("gps", 1, 0, Policy::Latest { objects_max: 3 });
    let brake = rig.brake.lock();
    let first = source.send(reports(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]))?;
    ensure!(matches!(&first, Sent::Appended(parts) if !parts.is_empty()), "{first:?}");
    // The engine takes these perhaps before it stands still; then nothing goes on any more.
    let mut sent: u32 = 3;
    loop {
        let round = f64::from(sent);
        let outcome = source.send(reports(&[("a", 10.0 + round), ("b", 20.0 + round)]))?;
        sent += 2;
        if matches!(outcome, Sent::Held) {
            break;
        }
    }
    for round in 0..50 {
        let x = 1_000.0 + f64::from(round);
        let outcome = source.send(reports(&[("c", x), ("a", -x)]))?;
        ensure!(matches!(outcome, Sent::Held), "{outcome:?}");
        sent += 2;
    }
    let counts = source.counts();
    // a and b at first, c new, then each replaced but the first c.
    ensure!(counts.superseded == 99, "{counts:?}");
    ensure!(counts.offered == u64::from(sent) && counts.offered == counts.admitted + 99 + 3);
    drop(brake);
    while source.counts().admitted + 99 < source.counts().offered {
        std::thread::yield_now();
    }
    let b = 20.0 + f64::from(sent - 102);
    are(&rig.positions("after")?, &[("b", b), ("a", -1_049.0), ("c", 1_049.0)])?;
    let GateCounts { offered, admitted, superseded, shed } = source.counts();
    ensure!((superseded, shed, offered) == (99, 0, admitted + 99));
    let figure = |outcome| figure("dunlin_source_records_total", "latest", &[("outcome", outcome)]);
    ensure!(figure("superseded") == Some(99.0) && figure("admitted") == Some(admitted as f64));
    rig.live.stop()?;
    ensure!(source.send(reports(&[("a", 0.0)])).is_err(), "the application has ended");
    Ok(())
}

#[test]
fn rows_that_wait_when_the_application_stops_are_in_its_log() -> Result<()> {
    let rig = rig("stopping", 1)?;
    are(&rig.positions("before")?, &[])?;
    let Rig { live, brake, answers, .. } = rig;
    let source = live.source("gps", 1, 0, Policy::Latest { objects_max: 9 });
    let held = brake.lock();
    // The engine stands still in an epoch that has ended: these come in a later one.
    pause();
    let first = source.send(reports(&[("a", 0.5), ("b", 1.0)]))?;
    ensure!(matches!(first, Sent::Appended(_)), "{first:?}");
    let second = source.send(reports(&[("a", 2.0)]))?;
    ensure!(matches!(second, Sent::Held), "{second:?}");
    let stopping = std::thread::spawn(move || live.stop());
    pause();
    // Now it is told to stop before it can give any credit back.
    drop(held);
    stopping.join().ok().context("no panic")??;
    let last = answers.try_iter().last();
    let (_, objects) = last.context("the answer changed")?;
    are(&objects, &[("b", 1.0), ("a", 2.0)])?;
    Ok(())
}

#[test]
fn a_class_is_shed_and_the_others_wait() -> Result<()> {
    let rig = rig("shedding", 10)?;
    let (less, more) = (
        rig.live.source("less", 1, 0, Policy::Shed { from_percent: 50 }),
        rig.live.source("more", 2, 0, Policy::Block),
    );
    are(&rig.positions("before")?, &[])?;
    let brake = rig.brake.lock();
    let mut admitted: u32 = 0;
    while !matches!(less.send(reports(&[("a", f64::from(admitted))]))?, Sent::Shed) {
        admitted += 1;
    }
    let blocked = std::thread::spawn(move || -> Result<()> {
        for x in 0..30 {
            more.send(reports(&[("b", f64::from(x)), ("c", 50.0)]))?;
        }
        ensure!(more.counts().admitted == 60);
        Ok(())
    });
    for _ in 0..7 {
        ensure!(matches!(less.send(reports(&[("a", -1.0), ("d", 1.0)]))?, Sent::Shed));
    }
    ensure!(!blocked.is_finished(), "it does not wait");
    drop(brake);
    blocked.join().map_err(|_| anyhow::anyhow!("panicked"))??;
    let a = f64::from(admitted - 1);
    are(&rig.positions("after")?, &[("a", a), ("b", 29.0), ("c", 50.0)])?;
    let counts = less.counts();
    ensure!(counts.shed == 15 && counts.admitted == u64::from(admitted), "{counts:?}");
    let shed = figure(
        "dunlin_source_records_total",
        "shedding",
        &[("source", "less"), ("outcome", "shed")],
    );
    ensure!(shed == Some(15.0), "{shed:?}");
    rig.live.stop()?;
    Ok(())
}

#[test]
fn figures_say_what_became_of_every_record() -> Result<()> {
    LazyLock::force(&FIGURES);
    let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let rule = EventTimeRule { lateness_ms: 1_000, idle_ms: 600_000, skew_ms: 60_000 };
    let topology = StandingTopology::<Plane>::new(2).with_event_time(rule);
    let folder = tempfile::tempdir()?;
    let checkpoints = dunlin::stream::checkpoint::Checkpoints::in_folder(folder.path())?;
    let (live, _) = Live::start_on(
        topology,
        log.clone(),
        Some(checkpoints),
        &LiveOptions::new("figures"),
        |_| (),
    )?;
    let lane = live.lanes().input[0];
    let writer = GroupWriter::start(log, &WriterOptions::new(SyncPolicy::Os))?;
    let append = |payload| -> Result<()> {
        writer.submit(vec![Batch { lane, expected: None, stamp: now(), payload }]).wait()?;
        Ok(())
    };
    let mut batch = reports(&[("a", 1.0), ("b", 2.0), ("", 3.0), ("c", f64::NAN)]);
    let far = Timestamp::from_millis_unchecked(now().as_millis() + 3_600_000);
    batch.push("d", far, Coord { x: 1.0, y: 1.0 });
    let sent = wire::encode(&Envelope { producer: 1, sequence: 1, batch });
    append(sent.clone())?;
    append(sent)?;
    append(b"no batch at all".to_vec())?;
    let mut late = PositionBatch::default();
    late.push(
        "a",
        Timestamp::from_millis_unchecked(now().as_millis() - 3_600_000),
        Coord::default(),
    );
    append(wire::encode(&Envelope { producer: 1, sequence: 2, batch: late }))?;
    live.stop()?;

    let of = |name: &str, label: (&str, &str)| figure(name, "figures", &[label]);
    let expected = BTreeMap::from([
        (("dunlin_records_total", "outcome", "applied"), 2.0),
        (("dunlin_records_total", "outcome", "duplicate"), 5.0),
        (("dunlin_records_total", "outcome", "late"), 1.0),
        (("dunlin_records_rejected_total", "reason", "unreadable"), 1.0),
        (("dunlin_records_rejected_total", "reason", "absurd_time"), 1.0),
        (("dunlin_records_rejected_total", "reason", "unfit"), 2.0),
        (("dunlin_shard_keys", "shard", "0"), 2.0),
        (("dunlin_shard_work_total", "shard", "0"), 2.0),
        (("dunlin_checkpoints_total", "result", "written"), 1.0),
    ]);
    for ((name, key, value), expected) in expected {
        let found = of(name, (key, value));
        ensure!(found == Some(expected), "{name} {value}: {found:?}, not {expected}");
    }
    ensure!(figure("dunlin_shards", "figures", &[]) == Some(1.0));
    ensure!(figure("dunlin_epochs_total", "figures", &[]).is_some_and(|epochs| epochs >= 1.0));
    ensure!(figure("dunlin_checkpoint_bytes", "figures", &[]).is_some_and(|bytes| bytes > 0.0));
    ensure!(figure("dunlin_epoch_duration_seconds_count", "figures", &[]).is_some());
    Ok(())
}
