//! The one source of time: a handle, so that tests can turn a day into a millisecond.

mod manual;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use manual::Manual;

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
    Manual(Manual),
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
        Self { source: Source::Manual(Manual::new(start)) }
    }

    /// Now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.source {
            Source::Wall => wall_millis(),
            Source::Manual(time) => time.now(),
        }
    }

    /// Moves a manual clock forward and wakes whoever is due; the machine's clock is not ours to move.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.source {
            time.advance(millis(by));
        }
    }

    /// Moves a manual clock to the next moment that somebody sleeps for; `false` if nobody sleeps.
    ///
    /// Called whenever nothing else is left to do, it lets days pass in milliseconds and skips nothing in them.
    pub fn skip(&self) -> bool {
        match &self.source {
            Source::Wall => false,
            Source::Manual(time) => time.skip(),
        }
    }

    /// A clock that shows the same time until it is put forward or back by [`Clock::put`]: another machine's.
    #[must_use]
    pub fn another(&self) -> Self {
        match &self.source {
            Source::Wall => Self::wall(),
            Source::Manual(time) => Self { source: Source::Manual(time.another()) },
        }
    }

    /// Puts a manual clock forward, or back if `by` is negative, as a person or a time server does: nothing is awaited the
    /// longer or the shorter for it.
    pub fn put(&self, by: Millis) {
        if let Source::Manual(time) = &self.source {
            time.put(by);
        }
    }

    /// Sleeps until the clock shows `deadline` or later; never longer than that takes now, should the clock be put back
    /// meanwhile.
    pub async fn sleep_until(&self, deadline: Millis) {
        match &self.source {
            Source::Wall => sleep_by(wall_millis, deadline).await,
            Source::Manual(time) => time.sleep_until(deadline).await,
        }
    }

    /// Sleeps for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + millis(duration)).await;
    }
}

/// Sleeps in slices, so that a suspended laptop or a corrected clock is noticed within a minute.
async fn sleep_by(wall: impl Fn() -> Millis, deadline: Millis) {
    let (whole, slept) = (deadline.saturating_sub(wall()), Stopwatch::start());
    loop {
        let left = deadline.saturating_sub(wall()).min(whole - millis(slept.elapsed()).saturating_mul(haste()));
        if left <= 0 {
            return;
        }
        let left = left.div_euclid(haste()).unsigned_abs().clamp(1, 60_000);
        real_sleep(Duration::from_millis(left)).await;
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

    /// One that was started so long ago: tests need not wait.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub(crate) fn started_before(ago: Duration) -> Self {
        Self(Instant::now().checked_sub(ago).expect("the clock began before"))
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

/// A moment in UTC as RFC 3339, to the second.
#[must_use]
pub fn utc(at: Millis) -> String {
    let format = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), format)
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

    #[tokio::test]
    async fn a_clock_that_is_put_back_by_a_day_lengthens_no_sleep() {
        let looks = std::cell::Cell::new(0);
        let put_back = || {
            looks.set(looks.get() + 1);
            if looks.get() <= 2 { 0 } else { -86_400_000 }
        };
        // Ends at all: by the wall there would be a day to go.
        sleep_by(put_back, 5).await;
        assert!(looks.get() > 2);
    }
}
