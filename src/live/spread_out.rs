//! Spreads the writing of checkpoints over time.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use dunlin_stream::checkpoint::Pace;

use super::locked;

/// Lets a checkpoint take so long, unless somebody waits for it.
#[derive(Debug)]
pub(super) struct SpreadOut {
    whole: Duration,
    hurry: Mutex<bool>,
    changed: Condvar,
}

impl SpreadOut {
    pub(super) fn over(whole: Duration) -> Self {
        Self { whole, hurry: Mutex::new(false), changed: Condvar::new() }
    }
}

impl Pace for SpreadOut {
    fn pause(&self, share: f64) {
        let pause = self.whole.mul_f64(share.clamp(0.0, 1.0));
        let waited = self.changed.wait_timeout_while(locked(&self.hurry), pause, |hurry| !*hurry);
        drop(waited);
    }

    fn hurry(&self, hurry: bool) {
        *locked(&self.hurry) = hurry;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it is about time")]
    fn who_waits_does_not_wait_for_pauses() {
        let pace = Arc::new(SpreadOut::over(Duration::from_secs(3_600)));
        let begin = Instant::now();
        pace.pause(1e-5);
        assert!(begin.elapsed() >= Duration::from_millis(36));
        let waits = pace.clone();
        let thread = std::thread::spawn(move || waits.pause(1.0));
        pace.hurry(true);
        thread.join().unwrap();
        pace.pause(1.0);
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}
