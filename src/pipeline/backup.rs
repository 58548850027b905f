//! When the ledger is copied: now and then while a mission is worked off, on a thread of its own.

use std::thread::JoinHandle;

use super::mission::Mission;
use crate::kit::clock::Millis;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;
use crate::ledger::backup::{Backups, is_due};

/// Copies the ledger when it is time.
pub(super) struct Copying {
    backups: Backups,
    since: Millis,
    opened: u64,
    under_way: Option<JoinHandle<()>>,
}

impl Copying {
    pub(super) fn begun(mission: &Mission) -> Self {
        let backups = Backups::new(mission.layout.ledger(), mission.layout.backups());
        if let Err(cause) = backups.tidy() {
            tracing::warn!(%cause, "half a copy of the ledger stays");
        }
        let since = backups.newest().unwrap_or_else(|| mission.clock.now());
        Self { backups, since, opened: 0, under_way: None }
    }

    /// Looks whether it is time; `opened` is the number of batches that this process has opened. A copy that cannot be made
    /// stops nothing.
    pub(super) fn look(&mut self, now: Millis, opened: u64) {
        let busy = self.under_way.as_ref().is_some_and(|thread| !thread.is_finished());
        if busy || !is_due(self.since, now, opened - self.opened) {
            return;
        }
        (self.since, self.opened) = (now, opened);
        let backups = self.backups.clone();
        let copying = thread::spawn("backup", ExitGuard::unheard("backup"), move |guard| {
            match backups.make(now) {
                Ok(copy) => tracing::info!(copy = %copy.display(), "the ledger was copied"),
                Err(error) => tracing::warn!(%error, "the ledger could not be copied"),
            }
            guard.drained();
        });
        self.under_way = copying.ok();
    }

    /// Waits for a copy that is under way. One that the end of the process cuts short bears no copy's name, and is removed
    /// by the next one.
    pub(super) fn end(self) {
        if self.under_way.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("copying the ledger panicked");
        }
    }
}
