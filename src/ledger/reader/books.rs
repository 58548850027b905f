//! What a screen shows beside the counts: money, the queue of tokens, how old the batches are and how long others took.

use super::{Reader, Result};
use crate::domain::money::Funds;
use crate::ledger::sqlite::column;
use crate::ledger::sqlite::fault::Outcome;

/// One look into the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Money, under no limit.
    pub funds: Funds,
    /// Whether a batch was opened whose price is unknown: then the sums are of at least that much.
    pub is_unpriced: bool,
    /// Estimated tokens that are enqueued, of the model with most of them.
    pub queue_used: u64,
    /// The limit that the provider named for that model.
    pub queue_limit: Option<u64>,
    /// When the oldest of the open batches was opened (unix milliseconds).
    pub oldest: Option<i64>,
    /// When the youngest of them was.
    pub youngest: Option<i64>,
    /// How long the newest batches of a real provider took, in milliseconds.
    pub batch_times: Vec<u64>,
}

impl Reader {
    /// One look into the books. None of its questions grows with the images, so it can be asked every few seconds.
    ///
    /// # Errors
    /// The ledger's.
    pub fn books(&self) -> Result<Books> {
        let queue = self.queues()?.into_iter().max_by_key(|queue| queue.used);
        let [oldest, youngest] = self.told(self.ages())?;
        Ok(Books {
            funds: self.funds()?,
            is_unpriced: self.is_unpriced()?,
            queue_used: queue.as_ref().map_or(0, |queue| queue.used),
            queue_limit: queue.and_then(|queue| queue.limit),
            oldest,
            youngest,
            batch_times: self.batch_times()?,
        })
    }

    /// When the oldest batch was opened that has not ended (unix milliseconds).
    ///
    /// # Errors
    /// The ledger's.
    pub fn oldest_open(&self) -> Result<Option<i64>> {
        let [oldest, _] = self.told(self.ages())?;
        Ok(oldest)
    }

    fn ages(&self) -> Outcome<[Option<i64>; 2]> {
        // The index holds the batches that are not over; without the hint, all that ever were would be looked at.
        const SQL: &str = "SELECT min(opened_at) AS oldest, max(opened_at) AS youngest FROM batch INDEXED BY batch_todo
            WHERE state IN ('opening', 'open', 'ended', 'fetched') AND state = 'open'";
        let mut statement = self.connection.prepare_cached(SQL)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok([None, None]) };
        Ok([column(row, "oldest")?, column(row, "youngest")?])
    }
}
