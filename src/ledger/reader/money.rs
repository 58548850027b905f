//! What a question about money asks of the ledger: what waits to be sent, and how much a page has taken so far.

use super::{Reader, Result};
use crate::domain::money::Funds;
use crate::ledger::sqlite::fault::{Fault, Outcome};
use crate::ledger::sqlite::{column, count, money};

/// Requests that were planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Those that no batch was opened for yet.
    pub waiting: u64,
    /// Their estimated prompt tokens.
    pub waiting_tokens: u64,
    /// All there ever were.
    pub lines: u64,
    /// Their estimated prompt tokens.
    pub tokens: u64,
}

impl Reader {
    /// What was planned so far.
    ///
    /// # Errors
    /// The ledger's.
    pub fn planned(&self) -> Result<Planned> {
        self.told(self.plans())
    }

    /// How the ledger stands with money, under no limit.
    ///
    /// # Errors
    /// The ledger's.
    pub fn funds(&self) -> Result<Funds> {
        self.told(money::spent(&self.connection).and_then(|spent| money::sums(&self.connection, spent)))
    }

    /// Day of the newest list of prices that shards were planned with; what this computer reads has none.
    ///
    /// # Errors
    /// The ledger's.
    pub fn price_date(&self) -> Result<Option<String>> {
        // The price of this computer holds always, and says so where the others have their day.
        const SQL: &str = "SELECT max(as_of) FROM price WHERE as_of GLOB '[0-9]*'";
        self.told(self.connection.query_row(SQL, [], |row| row.get(0)).map_err(Fault::from))
    }

    /// Images of batches whose price is unknown: what they cost is in no sum.
    ///
    /// # Errors
    /// The ledger's.
    pub fn unpriced_images(&self) -> Result<u64> {
        const SQL: &str = "SELECT coalesce(sum(lines), 0) FROM (SELECT DISTINCT s.id, s.lines
            FROM batch b JOIN shard s ON s.id = b.shard_id WHERE b.batch_id IS NOT NULL AND s.price_id IS NULL)";
        self.told(self.connection.query_row(SQL, [], |row| row.get(0)).map(count).map_err(Fault::from))
    }

    fn plans(&self) -> Outcome<Planned> {
        const SQL: &str = "SELECT coalesce(sum(iif(waits, lines, 0)), 0) AS waiting, coalesce(sum(iif(waits, est_tokens, 0)), 0) AS waiting_tokens,
            coalesce(sum(lines), 0) AS lines, coalesce(sum(est_tokens), 0) AS tokens
            FROM (SELECT lines, est_tokens, state IN ('sealed', 'uploaded') AS waits FROM shard)";
        let mut statement = self.connection.prepare_cached(SQL)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(Planned::default()) };
        let number = |name: &str| column::<i64>(row, name).map(count);
        Ok(Planned {
            waiting: number("waiting")?,
            waiting_tokens: number("waiting_tokens")?,
            lines: number("lines")?,
            tokens: number("tokens")?,
        })
    }
}
