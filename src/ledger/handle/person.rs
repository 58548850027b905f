//! What a person does while the keeper is at work; for threads that may wait.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::WeakSender;

use super::{Commits, Failure, Ledger, Result, command};
use crate::domain::ids::ImageId;
use crate::domain::review::Deed;
use crate::kit::watch;
use crate::ledger::LedgerError;
use crate::ledger::keeper::{Command, Pace};
use crate::ledger::records::Standing;
use crate::ledger::store::Store;

/// A handle that keeps no keeper alive.
#[derive(Clone, Debug)]
pub struct WeakLedger {
    queue: WeakSender<Command>,
    standing: watch::Receiver<Standing>,
    waited: Arc<AtomicU64>,
    commits: Commits,
    failure: Failure,
}

impl WeakLedger {
    /// The handle, if the keeper is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Ledger> {
        let Self { queue, standing, waited, commits, failure } = self.clone();
        Some(Ledger { queue: queue.upgrade()?, standing, waited, commits, failure })
    }
}

impl Ledger {
    /// The same, which keeps no keeper alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakLedger {
        let Self { queue, standing, waited, commits, failure } = self.clone();
        WeakLedger { queue: queue.downgrade(), standing, waited, commits, failure }
    }

    /// Notes what a person did at the text of an image that the ledger has.
    ///
    /// # Errors
    /// The ledger's.
    pub fn person_did(&self, image: ImageId, deed: Deed) -> Result<()> {
        self.wait_for(move |store| store.person_did(image, deed))
    }

    /// As [`Self::ask_again`], with the recipe's model.
    ///
    /// # Errors
    /// The ledger's.
    pub fn person_asks_again(&self, images: Vec<ImageId>) -> Result<u64> {
        self.wait_for(move |store| store.ask_again(&images, None))
    }

    fn wait_for<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (command, answer) = command(Pace::Gathered, verb);
        self.queue.blocking_send(command).map_err(|_| LedgerError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(LedgerError::Closed))
    }
}
