//! The clock that batches are stamped by: the machine's, but it never goes back.
//!
//! ```text
//! machine    10:00:05  10:00:06 | 09:59:30 (set back) …   10:00:42
//! ours       10:00:05  10:00:06 | 10:00:06 … half as fast 10:00:42   as the machine again
//! ```
//!
//! The log's stamps rise, so an engine whose clock went back would wait until the machine's has caught
//! up. Ours goes on instead, half as fast as time passes, until it has. A log that was written under a
//! clock that was ahead is treated the same.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use dunlin_stream::Timestamp;

use super::locked;

/// The time now, in milliseconds; never less than before.
pub(crate) fn now() -> Timestamp {
    let millis = locked(clock()).read(wall(), passed());
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
}

/// From here on it is not before `time`, the last stamp of a log. How far that is ahead of the
/// machine's clock, in milliseconds.
pub(super) fn at_least(time: Timestamp) -> i64 {
    locked(clock()).at_least(time.as_millis(), passed());
    time.as_millis() - wall()
}

fn clock() -> &'static Mutex<Clock> {
    static CLOCK: OnceLock<Mutex<Clock>> = OnceLock::new();
    CLOCK.get_or_init(|| Mutex::new(Clock { given: wall(), at: passed() }))
}

#[expect(clippy::disallowed_methods, reason = "the one place where the server reads the clock")]
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What has passed since some instant; nobody can set that.
#[expect(clippy::disallowed_methods, reason = "the one place where the server reads the clock")]
fn passed() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// See the module documentation.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The last time that was given, in milliseconds.
    given: i64,
    /// When that was, by what has passed.
    at: Duration,
}

impl Clock {
    fn read(&mut self, wall: i64, passed: Duration) -> i64 {
        if wall >= self.given {
            *self = Self { given: wall, at: passed };
            return wall;
        }
        let slowed = passed.saturating_sub(self.at).as_millis() / 2;
        let slowed = u32::try_from(slowed).unwrap_or(u32::MAX);
        self.given += i64::from(slowed);
        self.at += 2 * Duration::from_millis(slowed.into());
        self.given
    }

    fn at_least(&mut self, millis: i64, passed: Duration) {
        if millis > self.given {
            *self = Self { given: millis, at: passed };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_clock_that_is_set_back_goes_on_slowly_until_the_machine_has_caught_up() {
        let mut clock = Clock { given: 1_000, at: Duration::ZERO };
        assert_eq!(clock.read(1_010, 10 * MS), 1_010);
        // Set back by 40 ms.
        for passed in 10..200 {
            let wall = 960 + i64::from(passed);
            let slowed = 1_010 + i64::from(passed - 10) / 2;
            let (last, time) = (clock.given, clock.read(wall, passed * MS));
            let is_caught_up = wall >= last;
            assert_eq!(time, if is_caught_up { wall } else { slowed }, "after {passed} ms");
            assert_eq!(is_caught_up, passed >= 88);
        }
    }

    #[test]
    fn a_clock_behind_a_log_goes_on_from_there() {
        let mut clock = Clock { given: 1_000, at: Duration::ZERO };
        clock.at_least(500, Duration::ZERO);
        assert_eq!(clock.read(900, Duration::ZERO), 1_000);
        clock.at_least(9_000, 5 * MS);
        assert_eq!(
            [6, 7, 8, 105].map(|at| clock.read(1_000, at * MS)),
            [9_000, 9_001, 9_001, 9_050]
        );
        assert_eq!(clock.read(9_049, 106 * MS), 9_050);
        assert_eq!(clock.read(9_051, 107 * MS), 9_051);
    }
}
