//! Who writes into the ledger for a person: a process that holds nothing, or one in which pipelines work.

use std::time::Duration;

use super::{Entry, NotNoted, Notebook, held};
use crate::domain::layout::Layout;
use crate::kit::clock::Clock;
use crate::ledger::LedgerError;
use crate::ledger::lock::{LockError, WorkspaceLock};
use crate::ledger::place::Place;
use crate::ops::desk::Desk;
use crate::settings::Settings;

/// How long a person waits for a pipeline that begins or ends; opening a large ledger takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The notebook of a process that holds nothing: for every entry it takes the workspace's lock, and gives it back.
#[derive(Debug)]
pub struct EachByItself {
    layout: Layout,
    clock: Clock,
    settings: Settings,
}

impl EachByItself {
    /// For the workspace of `settings`.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        Self { layout: settings.layout(), clock, settings }
    }

    /// Writes where the lock is held already.
    fn within_the_lock(&self, entry: Entry) -> Result<u64, NotNoted> {
        let mut desk = Desk::open(&self.layout, self.clock.clone(), &self.settings)?;
        let written = desk.act(|store| match entry {
            Entry::Did(image, deed) => store.person_did(image, deed).map(|()| 1),
            Entry::AskAgain(images) => store.ask_again(&images, None),
        });
        desk.close()?;
        held(written?)
    }
}

impl Notebook for EachByItself {
    fn write(&self, entry: Entry) -> Result<u64, NotNoted> {
        let _lock = WorkspaceLock::take(&self.layout.lock(), "review").map_err(locked)?;
        self.within_the_lock(entry)
    }
}

/// The notebook of a process that holds the workspace's lock for its whole life and has pipelines at work: their keeper writes,
/// and between two of them the process itself.
#[derive(Debug)]
pub struct BesidePipelines {
    place: Place,
    between: EachByItself,
}

impl BesidePipelines {
    /// For the workspace of `settings`, whose pipelines tell `place` of their keepers.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock, place: Place) -> Self {
        Self { place, between: EachByItself::new(settings, clock) }
    }
}

impl Notebook for BesidePipelines {
    fn write(&self, entry: Entry) -> Result<u64, NotNoted> {
        let same = entry.clone();
        let written = self.place.write(
            PATIENCE,
            || self.between.within_the_lock(entry),
            |ledger| match same {
                Entry::Did(image, deed) => Ok(ledger.person_did(image, deed).map(|()| 1)?),
                Entry::AskAgain(images) => held(ledger.person_asks_again(images)?),
            },
        );
        match written {
            None | Some(Err(NotNoted::Ledger(LedgerError::Closed))) => Err(NotNoted::Between),
            Some(written) => written,
        }
    }
}

fn locked(error: LockError) -> NotNoted {
    match error {
        LockError::Held { .. } => NotNoted::Locked(error.to_string()),
        LockError::Io { path, cause } => LedgerError::Io { path, cause: cause.to_string() }.into(),
    }
}
