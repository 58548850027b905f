//! What everybody who is asked looks at: the newest tally, the sums of earlier missions of this process, what is in the way.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::events::Hub;
use super::health::{Phase, Vitals, ready};
use super::reading::{self, Counts, Reading};
use crate::domain::money::Money;
use crate::kit::clock::{Clock, Millis, Stopwatch};
use crate::pipeline::mission::Tally;

/// A reading of the ledger is as good as new for so long, whoever asks for it.
const FRESH: Duration = Duration::from_secs(5);
/// A loop that has not been heard for so long is stuck: it comes by four times a second.
const STUCK: Duration = Duration::from_secs(60);

/// The board; clones show the same.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    progress: watch::Sender<Tally>,
    ledger: PathBuf,
    hub: Hub,
    now: Mutex<Now>,
    beat: Mutex<Stopwatch>,
    reading: Mutex<Option<(Stopwatch, Reading)>>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// When it came to that.
    since: Millis,
    /// What earlier missions of this process have counted.
    before: Counts,
    terms: Terms,
}

/// What of the settings is shown, or decides whether all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Longest time between two looks at open batches.
    pub longest_pause: Duration,
    /// What the workspace may cost.
    pub limit: Option<Money>,
    /// Tokens that may be enqueued for one model, where the settings say so.
    pub max_enqueued: Option<u64>,
}

impl Board {
    /// An empty board about the ledger at this place.
    #[must_use]
    pub fn new(clock: Clock, ledger: PathBuf, terms: Terms) -> Self {
        let now = Now { phase: Phase::Starting, since: clock.now(), before: Counts::default(), terms };
        Self(Arc::new(Inner {
            clock,
            progress: watch::Sender::new(Tally::default()),
            ledger,
            hub: Hub::default(),
            now: Mutex::new(now),
            beat: Mutex::new(Stopwatch::start()),
            reading: Mutex::default(),
        }))
    }

    /// Where a mission publishes its progress.
    #[must_use]
    pub fn progress(&self) -> watch::Sender<Tally> {
        self.0.progress.clone()
    }

    /// Where events are told.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The newest tally.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.0.progress.borrow().clone()
    }

    /// Other settings hold from now on.
    pub fn agree(&self, terms: Terms) {
        self.now().terms = terms;
    }

    /// The server does something else from now on.
    pub fn enter(&self, phase: Phase) {
        let at = self.0.clock.now();
        let mut now = self.now();
        if now.phase != phase {
            (now.phase, now.since) = (phase, at);
        }
    }

    /// What the server is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.now().phase.clone()
    }

    /// A mission is over: the counts of the next one begin at zero, and the sums go on.
    pub fn mission_over(&self) {
        let mut now = self.now();
        let mut ended = Counts::default();
        self.0.progress.send_modify(|tally| {
            ended = Counts::of(tally);
            let (run, standing, last_look) = (tally.run.take(), tally.standing, tally.last_look);
            *tally = Tally { run, standing, last_look, ..Tally::default() };
        });
        now.before.add(&ended);
    }

    /// The loop that attends the server came by.
    pub fn beat(&self) {
        *lock(&self.0.beat) = Stopwatch::start();
    }

    /// Whether the loop that attends the server still comes by.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        lock(&self.0.beat).elapsed() < STUCK
    }

    /// Whether nothing is in the way.
    ///
    /// # Errors
    /// What is, in one sentence.
    pub fn is_ready(&self) -> Result<(), String> {
        let tally = self.tally();
        let now = self.now();
        ready(&Vitals {
            phase: &now.phase,
            batches_open: tally.standing.batches_open,
            last_look: tally.last_look,
            began: now.since,
            longest_pause: now.terms.longest_pause,
            now: self.0.clock.now(),
        })
    }

    /// The metrics. Reads the ledger, so that it may take a moment: not for a thread that others wait for.
    #[must_use]
    pub fn metrics(&self) -> String {
        let reading = self.reading();
        let is_ready = self.is_ready().is_ok();
        let now = self.now();
        let tally = self.tally();
        let mut counts = now.before.clone();
        counts.add(&Counts::of(&tally));
        let standing = if now.phase == Phase::Watching { reading.standing } else { Some(tally.standing) };
        let scene = reading::Scene {
            standing,
            last_look: tally.last_look,
            arriving: tally.passed_over.arriving,
            counts: &counts,
            leases: &tally.leases,
            limit: now.terms.limit,
            max_enqueued: now.terms.max_enqueued,
            is_ready,
            now: self.0.clock.now(),
        };
        reading::text(&scene, &reading)
    }

    /// What the ledger says, not older than a few seconds; who comes meanwhile waits for the same.
    fn reading(&self) -> Reading {
        let mut kept = lock(&self.0.reading);
        match &*kept {
            Some((since, reading)) if since.elapsed() < FRESH => reading.clone(),
            _ => {
                let reading = Reading::of(&self.0.ledger);
                *kept = Some((Stopwatch::start(), reading.clone()));
                reading
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        lock(&self.0.now)
    }
}

/// Nobody panics while writing to a board; what was written last holds.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_on_from_one_mission_to_the_next() {
        let board = Board::new(Clock::manual(1), "/nowhere".into(), Terms::default());
        board.enter(Phase::Working);
        let publish = |sent_bytes| {
            let waits = vec![("slot_wait", 500_000)];
            board.progress().send_replace(Tally { sent_bytes, waits, ..Tally::default() });
        };
        publish(5);
        board.mission_over();
        assert!(
            board.metrics().contains("batchscribe_upload_bytes_total 5\n"),
            "none is lost or counted twice between"
        );
        publish(7);
        let metrics = board.metrics();
        assert!(metrics.contains("batchscribe_upload_bytes_total 12\n"), "{metrics}");
        assert!(metrics.contains("batchscribe_edge_wait_seconds_total{edge=\"slot_wait\"} 1\n"), "{metrics}");
        assert!(metrics.contains("batchscribe_ready 1\n"), "{metrics}");
    }
}
