//! Batches as people see them, and their sums.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row};

use super::{Reader, Result, raw_file, usage};
use crate::domain::batch::{BatchEnd, Usage};
use crate::domain::ids::{BatchId, BatchNo, Tag};
use crate::ledger::moves::BatchState;
use crate::ledger::records::RawFile;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, word};

/// The event that tells that the provider was asked to stop a batch.
pub const CANCEL_ASKED: &str = "cancel_asked";

/// A batch as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Its row: pass the last one to get the next page.
    pub no: BatchNo,
    /// Its name at the provider, once it has one.
    pub id: Option<BatchId>,
    /// Its shard's name.
    pub shard: Tag,
    /// Its run, for people.
    pub run: String,
    /// Number of the try.
    pub attempt: u32,
    /// Where it stands.
    pub state: BatchState,
    /// How it ended, once it has.
    pub end: Option<BatchEnd>,
    /// Whether it is a second batch of its shard.
    pub stray: bool,
    /// Whether it is unknown if it exists.
    pub doubted: bool,
    /// Its lines.
    pub lines: u32,
    /// Length of its body in bytes.
    pub bytes: u64,
    /// When its intent was written (unix milliseconds).
    pub intent_at: i64,
    /// When it was opened (unix milliseconds).
    pub opened_at: Option<i64>,
    /// When it ended (unix milliseconds).
    pub ended_at: Option<i64>,
    /// Tokens, as the provider told them.
    pub usage: Option<Usage>,
    /// The file of answers as it was saved, if there was one.
    pub output: Option<RawFile>,
    /// The file of errors as it was saved, if there was one.
    pub errors: Option<RawFile>,
}

/// Sums over all batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// Batches that exist or existed at the provider.
    pub batches: u64,
    /// Of them, batches whose tokens were told.
    pub told: u64,
    /// Their tokens.
    pub usage: Usage,
}

impl Reader {
    /// Whether the last process that wrote the ledger has left it in good order, and none writes it now.
    ///
    /// # Errors
    /// The ledger's.
    pub fn is_at_rest(&self) -> Result<bool> {
        let sql = "SELECT closed_at IS NOT NULL FROM keeper";
        self.told(self.connection.query_row(sql, [], |row| row.get(0)).map_err(Into::into))
    }

    /// How many result lines of each batch named no image of ours, for the few batches that have such. They were counted each time
    /// that the batch was read, so there may be more than there are.
    ///
    /// # Errors
    /// The ledger's.
    pub fn foreign_lines(&self) -> Result<BTreeMap<BatchNo, u64>> {
        const SQL: &str = "SELECT batch, sum(CAST(detail AS INTEGER)) AS many FROM event
            WHERE what = 'unknown_id' AND batch IS NOT NULL GROUP BY batch";
        let read = || -> Outcome<BTreeMap<BatchNo, u64>> {
            let mut statement = self.connection.prepare(SQL)?;
            let row = |row: &Row<'_>| Ok((BatchNo(row.get("batch")?), count(row.get("many")?)));
            Ok(statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
        };
        self.told(read())
    }

    /// Batches that have not ended and that the provider was asked to stop.
    ///
    /// # Errors
    /// The ledger's.
    pub fn being_cancelled(&self) -> Result<Vec<BatchNo>> {
        const SQL: &str =
            "SELECT id FROM batch INDEXED BY batch_todo WHERE state IN ('opening', 'open', 'ended', 'fetched')
            AND id IN (SELECT batch FROM event WHERE what = 'cancel_asked') AND id > ?1 LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| Ok(BatchNo(column(row, "id")?)))
    }

    /// Base URL of another account than this one that has open batches.
    ///
    /// # Errors
    /// The ledger's.
    pub fn other_account(&self, base_url: &str, identity: &str) -> Result<Option<String>> {
        const SQL: &str = "SELECT a.base_url FROM batch b INDEXED BY batch_todo JOIN shard s ON s.id = b.shard_id
            JOIN run n ON n.id = s.run_id JOIN account a ON a.id = n.account_id
            WHERE b.state IN ('opening', 'open', 'ended', 'fetched') AND b.state = 'open' AND (a.base_url, a.identity) IS NOT (?1, ?2) LIMIT 1";
        let find =
            || Ok(self.connection.prepare_cached(SQL)?.query_row([base_url, identity], |row| row.get(0)).optional()?);
        self.told(find())
    }

    /// How many batches stand where.
    ///
    /// # Errors
    /// The ledger's.
    pub fn batch_counts(&self) -> Result<Vec<(BatchState, u64)>> {
        const SQL: &str = "SELECT state, count(*) AS batches FROM batch WHERE id > ?1 GROUP BY state LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| {
            let state: String = column(row, "state")?;
            Ok((word(&state, BatchState::from_word)?, count(column(row, "batches")?)))
        })
    }

    /// Batches by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn batches(&self, after: Option<BatchNo>, limit: u32) -> Result<Vec<BatchRow>> {
        const SQL: &str = "SELECT b.*, s.tag, s.lines, s.bytes, n.name FROM batch b JOIN shard s ON s.id = b.shard_id
            JOIN run n ON n.id = s.run_id WHERE b.id > ?1 ORDER BY b.id LIMIT ?2";
        self.paged(SQL, after.map_or(0, |batch| batch.0), limit, batch_row)
    }

    /// Batches from the newest on, at most `limit` before `before`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn newest_batches(&self, before: Option<BatchNo>, limit: u32) -> Result<Vec<BatchRow>> {
        const SQL: &str = "SELECT b.*, s.tag, s.lines, s.bytes, n.name FROM batch b JOIN shard s ON s.id = b.shard_id
            JOIN run n ON n.id = s.run_id WHERE b.id < ?1 ORDER BY b.id DESC LIMIT ?2";
        self.paged(SQL, before.map_or(i64::MAX, |batch| batch.0), limit, batch_row)
    }

    /// Tokens as the provider told them, over all batches.
    ///
    /// # Errors
    /// The ledger's.
    pub fn usage(&self) -> Result<UsageSum> {
        const SQL: &str = "SELECT count(*) AS batches, count(prompt_tokens) AS told, coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
            coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
            coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens FROM batch WHERE batch_id IS NOT NULL AND id > ?1 LIMIT ?2";
        let sums = self.paged(SQL, 0, 1, |row| {
            Ok(UsageSum {
                batches: count(column(row, "batches")?),
                told: count(column(row, "told")?),
                usage: usage(row)?.unwrap_or_default(),
            })
        })?;
        Ok(sums.into_iter().next().unwrap_or_default())
    }
}

fn batch_row(row: &Row<'_>) -> Outcome<BatchRow> {
    let state: String = column(row, "state")?;
    let state = word(&state, BatchState::from_word)?;
    let end: Option<String> = column(row, "ending")?;
    Ok(BatchRow {
        no: BatchNo(column(row, "id")?),
        id: column::<Option<String>>(row, "batch_id")?.map(BatchId),
        shard: Tag(column(row, "tag")?),
        run: column(row, "name")?,
        attempt: column(row, "attempt")?,
        state,
        end: end.map(|end| word(&end, BatchEnd::from_word)).transpose()?,
        stray: column(row, "stray")?,
        doubted: state == BatchState::Opening && column::<Option<i64>>(row, "doubt_at")?.is_some(),
        lines: column(row, "lines")?,
        bytes: count(column(row, "bytes")?),
        intent_at: column(row, "intent_at")?,
        opened_at: column(row, "opened_at")?,
        ended_at: column(row, "ended_at")?,
        usage: usage(row)?,
        output: raw_file(row, "output_bytes", "output_sha256")?,
        errors: raw_file(row, "error_bytes", "error_sha256")?,
    })
}
