//! What was asked of whom: the runs and the recipes that requests were sent with.

use rusqlite::Row;

use super::{Reader, Result};
use crate::kit::hash::Short;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count};

/// A run, and what it has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// For people: `2026-11-22-a`.
    pub name: String,
    /// The version of the program that began it.
    pub version: String,
    /// When it began (unix milliseconds).
    pub started_at: i64,
    /// Address of the provider; `local` for the built-in engine.
    pub base_url: String,
    /// Requests of batches that exist or existed at the provider.
    pub requests: u64,
    /// Bytes of the shards of those batches.
    pub bytes: u64,
}

/// A recipe in full, and how many requests were sent with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeRow {
    /// Its hash.
    pub hash: Short,
    /// `read` or `deep`.
    pub kind: String,
    /// The counted try it is meant for.
    pub step: u32,
    /// Model asked.
    pub model: String,
    /// The prompt, word for word.
    pub prompt: String,
    /// Everything but model, endpoint and prompt, as JSON.
    pub parameters: String,
    /// Requests sent with it.
    pub requests: u64,
}

impl Reader {
    /// Every run, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        const SQL: &str = "SELECT n.name, n.version, n.started_at, a.base_url,
            coalesce(sum(s.lines) FILTER (WHERE s.paid), 0) AS requests, coalesce(sum(s.bytes) FILTER (WHERE s.paid), 0) AS bytes
            FROM run n JOIN account a ON a.id = n.account_id
            LEFT JOIN (SELECT run_id, lines, bytes,
                EXISTS (SELECT 1 FROM batch b WHERE b.shard_id = shard.id AND b.batch_id IS NOT NULL) AS paid FROM shard) s
                ON s.run_id = n.id
            WHERE n.id > ?1 GROUP BY n.id ORDER BY n.id LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row: &Row<'_>| {
            Ok(RunRow {
                name: column(row, "name")?,
                version: column(row, "version")?,
                started_at: column(row, "started_at")?,
                base_url: column(row, "base_url")?,
                requests: count(column(row, "requests")?),
                bytes: count(column(row, "bytes")?),
            })
        })
    }

    /// Every recipe that a request was sent with, the most used first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn recipes_sent(&self) -> Result<Vec<RecipeRow>> {
        const SQL: &str = "SELECT r.hash, r.kind, r.step, r.model, r.prompt, r.parameters, sum(s.lines) AS requests
            FROM recipe r JOIN shard s ON s.recipe_id = r.id
            WHERE r.id > ?1 AND EXISTS (SELECT 1 FROM batch b WHERE b.shard_id = s.id AND b.batch_id IS NOT NULL)
            GROUP BY r.id ORDER BY requests DESC, r.id LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, recipe)
    }
}

fn recipe(row: &Row<'_>) -> Outcome<RecipeRow> {
    Ok(RecipeRow {
        hash: column(row, "hash")?,
        kind: column(row, "kind")?,
        step: column(row, "step")?,
        model: column(row, "model")?,
        prompt: column(row, "prompt")?,
        parameters: column(row, "parameters")?,
        requests: count(column(row, "requests")?),
    })
}
