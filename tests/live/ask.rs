//! Questions to a running application: they see whole epochs, do not hold up the clock, and end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dunlin::index::Plane;
use dunlin::live::{AskError, JOBS_MAX, Live, LiveOptions};
use dunlin::query::topology::{PositionBatch, Reader, StandingOutput, StandingTopology};
use dunlin::stream::Timestamp;
use dunlin::stream::process::Committed;

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
    let (done, asked) = (Arc::new(AtomicU64::new(0)), asker.clone());
    let counted = done.clone();
    // The queue is never empty: a job takes longer than it takes to hand in the next.
    let flood = std::thread::spawn(move || {
        loop {
            let counted = counted.clone();
            match asked.submit(move |_| {
                busy(&counted);
            }) {
                Ok(()) | Err(AskError::Busy) => std::thread::yield_now(),
                Err(_) => return,
            }
        }
    });
    let begin = Instant::now();
    while done.load(Ordering::Relaxed) <= 100 {
        ensure!(begin.elapsed() < PATIENCE, "hardly a question");
        std::thread::yield_now();
    }
    let (first, begin) = (epochs.load(Ordering::Relaxed), Instant::now());
    while epochs.load(Ordering::Relaxed) < first + 20 {
        ensure!(begin.elapsed() < PATIENCE, "no epoch is run any more");
        std::thread::yield_now();
    }
    live.stop()?;
    flood.join().ok().context("the flood does not panic")?;
    Ok(())
}

/// Keeps the engine's thread for half a millisecond.
fn busy(done: &AtomicU64) -> u64 {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(500) {
        std::hint::spin_loop();
    }
    done.fetch_add(1, Ordering::Relaxed)
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
