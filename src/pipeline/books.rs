//! The look into the books for whoever shows progress: every few seconds, on a thread of its own, beside the keeper.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::mission::Mission;
use crate::kit::clock::{Millis, Stopwatch, millis};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::holding::holds;
use crate::kit::thread;
use crate::ledger::LedgerError;
use crate::ledger::reader::{Books, Reader};

/// Time between two looks, in milliseconds.
const EVERY: Millis = 2_000;

/// Looks into the books when it is time.
pub(super) struct Looking {
    ledger: PathBuf,
    next: Millis,
    last: Option<Look>,
    seen: Arc<Mutex<Option<(Look, Books)>>>,
    flags: Arc<Mutex<Flags>>,
    under_way: Option<JoinHandle<()>>,
}

/// A look that was not in vain.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// How many commits there were before it.
    commits: u64,
    /// When it is time for another one although there was none since: flags were perhaps too young to be counted.
    at_the_latest: Millis,
}

/// How many images were flagged when they were counted last.
#[derive(Debug, Default)]
struct Flags {
    count: u64,
    /// Since then, and how long the count holds.
    counted: Option<(Stopwatch, Duration)>,
}

impl Flags {
    /// The count, made anew when it is old.
    fn told(&mut self, reader: &Reader) -> Result<u64, LedgerError> {
        if self.counted.as_ref().is_none_or(|(since, holds)| since.elapsed() >= *holds) {
            let watch = Stopwatch::start();
            self.count = reader.flagged()?;
            // They are looked at one by one.
            let holds = holds(watch.elapsed());
            self.counted = Some((watch, holds));
        }
        Ok(self.count)
    }
}

/// Whether there may be anything to be seen.
fn is_due(last: Option<Look>, commits: u64, now: Millis) -> bool {
    last.is_none_or(|last| last.commits != commits || now >= last.at_the_latest)
}

fn look(ledger: &Path, flags: &Mutex<Flags>) -> Result<Books, LedgerError> {
    let reader = Reader::open(ledger)?;
    let flagged = flags.lock().unwrap_or_else(PoisonError::into_inner).told(&reader)?;
    reader.books_but_flags(flagged)
}

impl Looking {
    pub(super) fn begun(mission: &Mission) -> Self {
        let next = mission.clock.now() + EVERY;
        let (seen, flags) = Default::default();
        Self { ledger: mission.layout.ledger(), next, last: None, seen, flags, under_way: None }
    }

    /// What the last look saw, once; begins another one when it is time, which is seldom while there are no more `commits`: a run
    /// that waits opens the ledger once a minute. Books that cannot be read, such as those of a ledger on a network drive, which is
    /// opened by one alone, stop nothing: the screen then shows what it has.
    pub(super) fn look(&mut self, now: Millis, commits: u64) -> Option<Books> {
        let busy = self.under_way.as_ref().is_some_and(|thread| !thread.is_finished());
        if !busy && now >= self.next && is_due(self.last, commits, now) {
            self.next = now + EVERY;
            let this = Look { commits, at_the_latest: now + millis(holds(Duration::ZERO)) };
            let (ledger, seen, flags) = (self.ledger.clone(), Arc::clone(&self.seen), Arc::clone(&self.flags));
            let looking = thread::spawn("books", ExitGuard::unheard("books"), move |guard| {
                match look(&ledger, &flags) {
                    Ok(books) => *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((this, books)),
                    Err(error) => tracing::debug!(%error, "the books could not be read for the screen"),
                }
                guard.drained();
            });
            self.under_way = looking.ok();
        }
        let (seen, books) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.last = Some(seen);
        Some(books)
    }

    /// Waits for a look that is under way: the keeper leaves the ledger last, and takes its working files with it.
    pub(super) fn end(self) {
        if self.under_way.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("looking into the books panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_nobody_writes_is_looked_at_seldom() {
        assert!(is_due(None, 0, 0));
        let last = Some(Look { commits: 7, at_the_latest: 60_000 });
        let due = [(8, 0), (7, 59_999), (7, 60_000)].map(|(commits, now)| is_due(last, commits, now));
        assert_eq!(due, [true, false, true]);
    }
}
