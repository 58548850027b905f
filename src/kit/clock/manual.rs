//! A clock that moves only when it is told to, and knows who sleeps for what.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Millis;
use crate::kit::watch;

/// True time, as far as there is any, and how wrong this clock goes.
#[derive(Clone, Debug)]
pub(super) struct Manual {
    time: Arc<Time>,
    wrong_by: Arc<AtomicI64>,
}

#[derive(Debug)]
struct Time {
    now: watch::Sender<Millis>,
    /// Moments that somebody sleeps for, each with a number of its own.
    alarms: Mutex<BTreeSet<(Millis, u64)>>,
    numbers: AtomicU64,
}

impl Time {
    fn alarms(&self) -> MutexGuard<'_, BTreeSet<(Millis, u64)>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, to: impl FnOnce(Millis) -> Millis) {
        self.now.send_if_modified(|now| {
            let then = std::mem::replace(now, to(*now));
            then != *now
        });
    }
}

/// A sleeper's alarm; gone when the sleeper wakes or is dropped.
struct Alarm<'a> {
    time: &'a Time,
    at: (Millis, u64),
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.time.alarms().remove(&self.at);
    }
}

impl Manual {
    pub(super) fn new(start: Millis) -> Self {
        let time = Time { now: watch::Sender::new(start), alarms: Mutex::default(), numbers: AtomicU64::new(0) };
        Self { time: Arc::new(time), wrong_by: Arc::default() }
    }

    pub(super) fn another(&self) -> Self {
        Self { time: Arc::clone(&self.time), wrong_by: Arc::new(AtomicI64::new(self.wrong_by())) }
    }

    fn wrong_by(&self) -> Millis {
        self.wrong_by.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Millis {
        *self.time.now.borrow() + self.wrong_by()
    }

    pub(super) fn put(&self, by: Millis) {
        self.wrong_by.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn advance(&self, by: Millis) {
        self.time.set(|now| now + by);
    }

    pub(super) fn skip(&self) -> bool {
        let next = self.time.alarms().first().map(|(at, _)| *at);
        let Some(next) = next.filter(|at| *at < Millis::MAX) else { return false };
        self.time.set(|now| now.max(next));
        true
    }

    pub(super) async fn sleep_until(&self, deadline: Millis) {
        let mut seen = self.time.now.subscribe();
        let at = deadline.saturating_sub(self.wrong_by());
        let number = self.time.numbers.fetch_add(1, Ordering::Relaxed);
        self.time.alarms().insert((at, number));
        let _alarm = Alarm { time: &self.time, at: (at, number) };
        // Fails only when the sender is gone, and we hold one.
        drop(seen.wait_for(|now| *now >= at).await);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use crate::kit::clock::Clock;

    #[tokio::test]
    async fn time_skips_from_sleeper_to_sleeper() {
        let clock = Clock::manual(1_000);
        assert!(!clock.skip(), "nobody sleeps");
        let mut long = Box::pin(clock.sleep(Duration::from_hours(24)));
        let mut short = Box::pin(clock.sleep(Duration::from_secs(1)));
        assert!((&mut long).now_or_never().is_none() && (&mut short).now_or_never().is_none());
        assert!(clock.skip());
        assert_eq!(clock.now(), 2_000);
        assert!((&mut long).now_or_never().is_none() && (&mut short).now_or_never().is_some());
        drop(long);
        assert!(!clock.skip(), "a sleeper that was dropped wants nothing");
    }

    #[tokio::test]
    async fn a_clock_that_is_put_back_lengthens_no_sleep() {
        let server = Clock::manual(0);
        let client = server.another();
        let mut sleep = Box::pin(client.sleep(Duration::from_secs(5)));
        assert!((&mut sleep).now_or_never().is_none());
        client.put(-86_400_000);
        assert!(client.skip());
        assert_eq!((server.now(), client.now()), (5_000, 5_000 - 86_400_000));
        assert!((&mut sleep).now_or_never().is_some());
    }
}
