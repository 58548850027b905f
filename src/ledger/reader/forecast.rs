//! What earlier batches teach about the next ones: how far the estimate of tokens was off, how fast files went out, how long
//! answers took. The newest batches alone are looked at, so that a large ledger answers as fast as a small one.

use super::{Reader, Result};
use crate::kit::histogram::Histogram;
use crate::ledger::sqlite::{column, count};

/// Batches that are looked at.
const NEWEST: u32 = 200;
/// From a batch of a few lines to the end of the window, in milliseconds.
const DURATIONS: [u64; 9] =
    [60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000, 64_800_000, 86_400_000];
/// Batches whose lines are counted.
const COUNTED: u32 = 50;

/// Estimate against usage, for the batches of one model that ended with every line done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateRow {
    /// The model.
    pub model: String,
    /// Batches.
    pub batches: u64,
    /// Prompt tokens that we estimated for the lines that were answered.
    pub estimated: u64,
    /// Prompt tokens that the provider told.
    pub told: u64,
}

/// How one file went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its length.
    pub bytes: u64,
    /// When its plan was sealed (unix milliseconds).
    pub from: i64,
    /// When its batch was asked for, right after the upload (unix milliseconds).
    pub until: i64,
}

impl Reader {
    /// Estimate against usage by model. Only pages that a real provider read count, in batches whose books are closed, and only what
    /// the answers tell: a batch may be billed for one that never came.
    ///
    /// # Errors
    /// The ledger's.
    pub fn estimates(&self) -> Result<Vec<EstimateRow>> {
        // The estimate of a shard covers every line; a line that failed was not billed.
        const SQL: &str = "SELECT model, count(*) AS batches, sum(est_tokens * answered / lines) AS estimated, sum(told) AS told
            FROM (SELECT t.model, t.est_tokens, t.lines, count(l.prompt_tokens) AS answered, sum(l.prompt_tokens) AS told
                FROM (SELECT s.id, r.model, s.est_tokens, s.lines FROM batch b JOIN shard s ON s.id = b.shard_id
                    JOIN recipe r ON r.id = s.recipe_id JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
                    WHERE b.id > ?1 AND b.state = 'settled' AND b.ending = 'completed' AND b.stray = 0
                    AND r.kind = 'read' AND s.seal <> 'import' AND a.base_url <> 'local' ORDER BY b.id DESC LIMIT ?2) t
                CROSS JOIN line l ON l.shard_id = t.id GROUP BY t.id)
            WHERE answered > 0 GROUP BY model ORDER BY model";
        self.paged(SQL, 0, COUNTED, |row| {
            Ok(EstimateRow {
                model: column(row, "model")?,
                batches: count(column(row, "batches")?),
                estimated: count(column(row, "estimated")?),
                told: count(column(row, "told")?),
            })
        })
    }

    /// The newest files that went to a real provider.
    ///
    /// # Errors
    /// The ledger's.
    pub fn deliveries(&self) -> Result<Vec<Delivery>> {
        const SQL: &str = "SELECT s.bytes, s.sealed_at, b.intent_at FROM batch b JOIN shard s ON s.id = b.shard_id
            JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
            WHERE b.id > ?1 AND b.attempt = 1 AND b.stray = 0 AND b.batch_id IS NOT NULL AND s.seal <> 'import'
            AND a.base_url <> 'local' ORDER BY b.id DESC LIMIT ?2";
        self.paged(SQL, 0, NEWEST, |row| {
            Ok(Delivery {
                bytes: count(column(row, "bytes")?),
                from: column(row, "sealed_at")?,
                until: column(row, "intent_at")?,
            })
        })
    }

    /// How long all batches took that have ended, from the creation to the end, however they ended.
    ///
    /// # Errors
    /// The ledger's.
    pub fn durations(&self) -> Result<Histogram> {
        const SQL: &str = "SELECT b.ended_at - b.opened_at AS took FROM batch b JOIN shard s ON s.id = b.shard_id
            WHERE b.id > ?1 AND b.ended_at >= b.opened_at AND s.seal <> 'import' LIMIT ?2";
        let mut durations = Histogram::new(&DURATIONS);
        let took: Vec<u64> = self.paged(SQL, 0, u32::MAX, |row| Ok(count(column(row, "took")?)))?;
        took.into_iter().for_each(|ms| durations.note(ms));
        Ok(durations)
    }

    /// How long the newest batches of a real provider took from the creation to the end, in milliseconds.
    ///
    /// # Errors
    /// The ledger's.
    pub fn batch_times(&self) -> Result<Vec<u64>> {
        const SQL: &str = "SELECT b.ended_at - b.opened_at AS took FROM batch b JOIN shard s ON s.id = b.shard_id
            JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
            WHERE b.id > ?1 AND b.ending = 'completed' AND b.ended_at >= b.opened_at AND s.seal <> 'import'
            AND a.base_url <> 'local' ORDER BY b.id DESC LIMIT ?2";
        self.paged(SQL, 0, NEWEST, |row| Ok(count(column(row, "took")?)))
    }
}
