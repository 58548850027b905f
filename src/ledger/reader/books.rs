//! What a screen shows beside the counts: money, the queue of tokens, how old the batches are and how long others took.

use super::{Reader, Result};
use crate::domain::money::Funds;
use crate::ledger::sqlite::fault::{Fault, Outcome};
use crate::ledger::sqlite::{column, count};

/// Flagged answers that are the last of their image, and those that copies have from them.
pub(super) const FLAGGED: &str =
    "SELECT (SELECT count(*) FROM line l INDEXED BY line_flagged CROSS JOIN image i ON i.id = l.image_id
        WHERE l.flags IS NOT NULL AND i.shard_id = l.shard_id)
    + (SELECT count(*) FROM line l INDEXED BY line_flagged
        CROSS JOIN copy y ON y.original_id = l.image_id AND y.stands = 'served' CROSS JOIN image i ON i.id = y.image_id
        WHERE l.flags IS NOT NULL AND i.shard_id = l.shard_id)";

/// One look into the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Money, under no limit.
    pub funds: Funds,
    /// Images of batches whose price is unknown: where there are any, the sums are of at least that much.
    pub unpriced_images: u64,
    /// Day of the newest price list that a sum was made with.
    pub price_date: Option<String>,
    /// Images whose last answer has a flag.
    pub flagged: u64,
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

impl Books {
    /// Whether there are costs that nobody knows.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        self.unpriced_images > 0
    }
}

impl Reader {
    /// One look into the books.
    ///
    /// # Errors
    /// The ledger's.
    pub fn books(&self) -> Result<Books> {
        self.books_but_flags(self.flagged()?)
    }

    /// The same where the flagged images were counted before: the one question that grows with them. The others can be asked every few
    /// seconds.
    ///
    /// # Errors
    /// The ledger's.
    pub fn books_but_flags(&self, flagged: u64) -> Result<Books> {
        let queue = self.queues()?.into_iter().max_by_key(|queue| queue.used);
        let [oldest, youngest] = self.told(self.ages())?;
        Ok(Books {
            funds: self.funds()?,
            unpriced_images: self.unpriced_images()?,
            price_date: self.price_date()?,
            flagged,
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

    /// When each batch was opened whose results are not saved yet: those that have not ended, as far as anybody looked, and those
    /// that were not fetched.
    ///
    /// # Errors
    /// The ledger's.
    pub fn uncollected(&self) -> Result<Vec<i64>> {
        const SQL: &str =
            "SELECT opened_at FROM batch INDEXED BY batch_todo WHERE state IN ('opening', 'open', 'ended', 'fetched')
            AND state IN ('open', 'ended') AND opened_at IS NOT NULL AND id > ?1 LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| column(row, "opened_at"))
    }

    /// Images whose last answer has a flag; of a copy, that of its original. Only flagged answers are looked at.
    ///
    /// # Errors
    /// The ledger's.
    pub fn flagged(&self) -> Result<u64> {
        self.told(self.connection.query_row(FLAGGED, [], |row| row.get(0)).map(count).map_err(Fault::from))
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
