//! The look into the books for whoever shows progress: every few seconds, on a thread of its own, beside the keeper.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::mission::Mission;
use crate::kit::clock::Millis;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;
use crate::ledger::reader::{Books, Reader};

/// Time between two looks, in milliseconds.
const EVERY: Millis = 2_000;

/// Looks into the books when it is time.
pub(super) struct Looking {
    ledger: PathBuf,
    next: Millis,
    seen: Arc<Mutex<Option<Books>>>,
    under_way: Option<JoinHandle<()>>,
}

impl Looking {
    pub(super) fn begun(mission: &Mission) -> Self {
        let next = mission.clock.now() + EVERY;
        Self { ledger: mission.layout.ledger(), next, seen: Arc::default(), under_way: None }
    }

    /// What the last look saw, once; begins another one when it is time. Books that cannot be read, such as those of a ledger
    /// on a network drive, which is opened by one alone, stop nothing: the screen then shows what it has.
    pub(super) fn look(&mut self, now: Millis) -> Option<Books> {
        let busy = self.under_way.as_ref().is_some_and(|thread| !thread.is_finished());
        if !busy && now >= self.next {
            self.next = now + EVERY;
            let (ledger, seen) = (self.ledger.clone(), Arc::clone(&self.seen));
            let looking = thread::spawn("books", ExitGuard::unheard("books"), move |guard| {
                match Reader::open(&ledger).and_then(|reader| reader.books()) {
                    Ok(books) => *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(books),
                    Err(error) => tracing::debug!(%error, "the books could not be read for the screen"),
                }
                guard.drained();
            });
            self.under_way = looking.ok();
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a look that is under way: the keeper leaves the ledger last, and takes its working files with it.
    pub(super) fn end(self) {
        if self.under_way.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("looking into the books panicked");
        }
    }
}
