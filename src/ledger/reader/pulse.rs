//! What a monitor asks of the ledger again and again: cheap, by indexes.

use super::{Reader, Result};
use crate::kit::clock::Millis;
use crate::ledger::sqlite::fault::Fault;

impl Reader {
    /// When the oldest batch was opened that has not ended (unix milliseconds).
    ///
    /// # Errors
    /// The ledger's.
    pub fn oldest_open(&self) -> Result<Option<Millis>> {
        const SQL: &str = "SELECT min(opened_at) FROM batch INDEXED BY batch_todo
            WHERE state IN ('opening', 'open', 'ended', 'fetched') AND state = 'open'";
        self.told(self.connection.query_row(SQL, [], |row| row.get(0)).map_err(Fault::from))
    }
}
