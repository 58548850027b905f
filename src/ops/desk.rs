//! The ledger for a verb that writes it without actors: one transaction after the other, on the caller's thread.

use crate::domain::layout::Layout;
use crate::kit::clock::Clock;
use crate::ledger::LedgerError;
use crate::ledger::journal::Journal;
use crate::ledger::records::Allowed;
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::store::{Frame as _, Store};
use crate::settings::Settings;

/// An open ledger. The workspace's lock is the caller's affair.
#[derive(Debug)]
pub struct Desk(SqliteStore);

impl Desk {
    /// Opens the ledger of a workspace for writing.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], and where the journal knows of paid work that the ledger lacks.
    pub fn open(layout: &Layout, clock: Clock, settings: &Settings) -> Result<Self, LedgerError> {
        let journal = Journal::at(&layout.journal());
        journal.nothing_lost(layout)?;
        SqliteStore::open(&layout.ledger(), clock, allowed(settings))?.with_journal(journal).map(Self)
    }

    /// One transaction: durable when this returns, or as if it had never begun.
    ///
    /// # Errors
    /// The verb's, or the ledger's.
    pub fn act<T>(&mut self, verb: impl FnOnce(&mut dyn Store) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.0.begin()?;
        let told = verb(&mut self.0).and_then(|told| self.0.commit().map(|()| told));
        if told.is_err() {
            self.0.rollback();
        }
        told
    }

    /// Leaves in good order.
    ///
    /// # Errors
    /// The ledger's.
    pub fn close(mut self) -> Result<(), LedgerError> {
        self.0.close()
    }
}

/// What the settings allow an image and a model.
fn allowed(settings: &Settings) -> Allowed {
    Allowed {
        deep_clean: settings.clean.deep_clean,
        attempts: settings.retry.max_attempts,
        returns: settings.retry.max_returns,
        enqueued_tokens: settings.batch.max_enqueued_tokens,
        max_cost: settings.run.max_cost,
    }
}
