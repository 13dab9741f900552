//! Questions to a running application: they see whole epochs, do not hold up the clock, and end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dunlin::index::Plane;
use dunlin::live::{AskError, JOBS_MAX, Live, LiveOptions};
use dunlin::query::topology::{PositionBatch, Reader, StandingOutput, StandingTopology};
use dunlin::stream::process::Committed;
use dunlin::stream::{Process, Timestamp};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(epochs: &Arc<AtomicU64>) -> Result<Live<StandingTopology<Plane>>> {
    let mut options = LiveOptions::new("ask");
    options.lanes = 1;
    options.epoch_ms = 5;
    let told = epochs.clone();
    let tell = move |_: &Committed<'_, StandingOutput>| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    Ok(Live::start(StandingTopology::new(1), &options, tell)?.0)
}

#[test]
fn an_object_that_was_sent_is_seen_after_its_epoch() -> Result<()> {
    let live = start(&Arc::default())?;
    let mut batch = PositionBatch::default();
    batch.push("taxi 7", Timestamp::from_millis(5)?, (3.0, 4.0).into());
    live.producer(1, 0).send(0, &batch)?.wait()?;
    let (told, seen) = channel();
    // Asks again until the epoch has come; every answer is of a whole epoch.
    for _ in 0..2_000 {
        let told = told.clone();
        let found = live.ask(|process| {
            let reader = Reader::new(process.engine());
            (reader.object("taxi 7"), reader.object_count())
        })?;
        ensure!(found.0.is_some() == (found.1 == 1), "half an epoch: {found:?}");
        if let Some(located) = found.0 {
            told.send(located)?;
            break;
        }
    }
    assert_eq!(seen.recv_timeout(PATIENCE)?.at, (3.0, 4.0).into());
    live.stop()?;
    Ok(())
}

#[test]
fn a_flood_of_questions_does_not_stop_the_clock() -> Result<()> {
    let epochs = Arc::new(AtomicU64::new(0));
    let live = start(&epochs)?;
    let asker = live.asker();
    let flood = std::thread::spawn(move || {
        let mut asked = 0u64;
        while asker.ask(Process::last_epoch).is_ok() {
            asked += 1;
        }
        asked
    });
    let (first, mut waits) = (epochs.load(Ordering::Relaxed), 0);
    while epochs.load(Ordering::Relaxed) < first + 20 {
        live.ask(|_| ())?;
        waits += 1;
        ensure!(waits < 1_000_000, "no epoch is run any more");
    }
    live.stop()?;
    let asked = flood.join().ok().context("the flood does not panic")?;
    ensure!(asked > 20, "only {asked} questions");
    Ok(())
}

/// Each question takes longer than an epoch, and there is always one that waits.
#[test]
fn slow_questions_without_a_pause_do_not_stop_the_clock() -> Result<()> {
    let epochs = Arc::new(AtomicU64::new(0));
    let live = start(&epochs)?;
    let slow = |_: &Process<StandingTopology<Plane>>| {
        let (_nobody, sends) = channel::<()>();
        drop(sends.recv_timeout(Duration::from_millis(6)));
    };
    let askers: Vec<_> = (0..4).map(|_| live.asker()).collect();
    let floods: Vec<_> = askers
        .into_iter()
        .map(|asker| std::thread::spawn(move || while asker.ask(slow).is_ok() {}))
        .collect();
    let (first, mut asked) = (epochs.load(Ordering::Relaxed), 0);
    while epochs.load(Ordering::Relaxed) < first + 20 {
        live.ask(slow)?;
        asked += 1;
        ensure!(asked < 100, "no epoch is run any more");
    }
    live.stop()?;
    floods.into_iter().try_for_each(std::thread::JoinHandle::join).ok().context("no panic")?;
    Ok(())
}

#[test]
fn the_queue_is_bounded_and_ends_with_the_application() -> Result<()> {
    let live = start(&Arc::default())?;
    let asker = live.asker();
    let (go, gone) = channel::<()>();
    // The engine is held up, so what is submitted stays in the queue.
    asker.submit(move |_| {
        let _ = gone.recv_timeout(PATIENCE);
    })?;
    let mut taken = 0;
    let refused = loop {
        match asker.submit(|_| ()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        ensure!(taken <= JOBS_MAX + 1, "{taken} jobs wait");
    };
    assert_eq!(refused, AskError::Busy);
    drop(go);
    live.stop()?;
    assert_eq!(asker.ask(|_| ()), Err(AskError::Ended));
    Ok(())
}
