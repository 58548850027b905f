//! Counts everything that a process does to the world, and ends it where its plan says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use batchscribe::kit::clock::{Clock, Millis};
use tokio::sync::Notify;

/// A process that does more than this without an end goes round in circles.
const MOST_EFFECTS: u64 = 200_000;

/// Why a process has ended before its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    /// Killed, as planned.
    Killed,
    /// Nothing is left that it could wait for.
    Stuck,
    /// It works on and on.
    Restless,
    /// It did not end in the time that it has.
    Overdue,
}

/// What lies before one process.
#[derive(Clone, Debug)]
pub(crate) struct Fate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// It dies instead of its effect of this number; 0 = never.
    kill_at: u64,
    /// Its clock is put by so much before the effect of this number.
    step: (u64, Millis),
    clock: Clock,
    until: Millis,
    effects: AtomicU64,
    doom: Mutex<Option<Doom>>,
    told: Notify,
    log: Log,
}

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, at: Millis, what: &str) {
        self.0.lock().expect("log").push(format!("{at} {what}"));
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("log"))
    }
}

impl Fate {
    pub(crate) fn new(kill_at: u64, step: (u64, Millis), clock: Clock, until: Millis, log: Log) -> Self {
        let (effects, doom, told) = (AtomicU64::new(0), Mutex::new(None), Notify::new());
        Self(Arc::new(Inner { kill_at, step, clock, until, effects, doom, told, log }))
    }

    /// The process is about to do `what`; `false` if it dies instead, or is dead already.
    pub(crate) fn lets(&self, what: &str) -> bool {
        if self.doom().is_some() {
            return false;
        }
        let number = self.0.effects.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.log.note(self.0.clock.now(), what);
        if number == self.0.step.0 {
            self.0.clock.put(self.0.step.1);
        }
        match number {
            _ if number == self.0.kill_at => self.end(Doom::Killed),
            _ if number > MOST_EFFECTS => self.end(Doom::Restless),
            _ => return true,
        }
        false
    }

    /// Nothing is left to do at this moment: on to the next one.
    pub(crate) fn skip(&self, true_time: &Clock) {
        if true_time.now() > self.0.until {
            self.end(Doom::Overdue);
        } else if !self.0.clock.skip() {
            self.end(Doom::Stuck);
        }
    }

    fn end(&self, doom: Doom) {
        let mut known = self.0.doom.lock().expect("doom");
        if known.is_none() {
            self.0.log.note(self.0.clock.now(), &format!("{doom:?}"));
            *known = Some(doom);
            self.0.told.notify_one();
        }
    }

    pub(crate) fn doom(&self) -> Option<Doom> {
        *self.0.doom.lock().expect("doom")
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Doom {
        loop {
            if let Some(doom) = self.doom() {
                return doom;
            }
            self.0.told.notified().await;
        }
    }
}
