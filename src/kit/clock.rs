//! The one source of time: a handle, so that tests can turn a day into a millisecond.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;

/// Tells the time and sleeps; cheap to clone, shared by everybody who waits.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Wall,
    Manual(Arc<watch::Sender<Millis>>),
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn wall() -> Self {
        Self { source: Source::Wall }
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Millis) -> Self {
        Self { source: Source::Manual(Arc::new(watch::Sender::new(start))) }
    }

    /// Now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.source {
            Source::Wall => wall_millis(),
            Source::Manual(time) => *time.borrow(),
        }
    }

    /// Moves a manual clock forward and wakes whoever is due; the machine's clock is not ours to move.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.source {
            time.send_modify(|now| *now += millis(by));
        }
    }

    /// Sleeps until the clock shows `deadline` or later.
    pub async fn sleep_until(&self, deadline: Millis) {
        match &self.source {
            // In slices, so that a suspended laptop or a corrected clock is noticed within a minute.
            Source::Wall => loop {
                let left = deadline - wall_millis();
                if left <= 0 {
                    return;
                }
                let left = left.div_euclid(haste()).unsigned_abs().clamp(1, 60_000);
                real_sleep(Duration::from_millis(left)).await;
            },
            Source::Manual(time) => {
                let mut seen = time.subscribe();
                // Fails only when the sender is gone, and we hold one.
                drop(seen.wait_for(|now| *now >= deadline).await);
            }
        }
    }

    /// Sleeps for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + millis(duration)).await;
    }
}

/// A duration in whole milliseconds, as the ledger counts them.
#[must_use]
pub fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall_millis() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    hurried(millis(since), haste())
}

/// A moment from which hurried time is counted, so that it goes on from one process to the next (November 2026).
const HURRIED_SINCE: Millis = 1_795_000_000_000;

fn hurried(now: Millis, haste: i64) -> Millis {
    if haste == 1 { now } else { HURRIED_SINCE + (now - HURRIED_SINCE).saturating_mul(haste) }
}

/// How many times as fast the wall clock goes: a debug build takes `BATCHSCRIBE_HASTE` for tests of real processes.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "an order of a test, never a setting")]
fn haste() -> i64 {
    static HASTE: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let ordered = || std::env::var("BATCHSCRIBE_HASTE").ok()?.parse().ok().filter(|times| *times > 0);
    *HASTE.get_or_init(|| ordered().unwrap_or(1))
}

#[cfg(not(debug_assertions))]
fn haste() -> i64 {
    1
}

#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
async fn real_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Sleeps on the machine's clock whatever the pipeline's clock is: for I/O time-outs, which a virtual day must not trip.
pub async fn io_pause(duration: Duration) {
    real_sleep(duration).await;
}

/// Measures waits and work on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hurried_time_goes_on_from_one_process_to_the_next() {
        assert_eq!(hurried(HURRIED_SINCE + 5, 1), HURRIED_SINCE + 5);
        assert_eq!(hurried(HURRIED_SINCE + 5, 100), HURRIED_SINCE + 500);
    }

    #[tokio::test]
    async fn a_day_of_manual_time_passes_at_once() {
        let clock = Clock::manual(0);
        let sleeper = clock.sleep(Duration::from_secs(24 * 3600));
        let ((), ()) = tokio::join!(sleeper, async { clock.advance(Duration::from_secs(24 * 3600)) });
        assert_eq!(clock.now(), 86_400_000);
    }
}
