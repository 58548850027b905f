//! The provider's queue of enqueued tokens, for each account and model.
//!
//! Nothing is counted up or down: what is used is a sum over the batches that may be enqueued, taken in the transaction
//! that writes the intent. Leaving these states is the release; no crash can lose or double it.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::fault::Outcome;
use super::rows::{column, count, int};
use super::{events, money};
use crate::domain::batch::Admission;
use crate::domain::ids::{RecipeId, RunId, ShardId};
use crate::kit::backoff::Backoff;
use crate::kit::clock::millis;
use crate::kit::crash;

/// Pauses after the queue was full. Others share it, and it may stay full for a day: they go on for ever.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };
/// A pause that ends later than this was written under another clock.
const BELIEVED: Duration = Duration::from_secs(2 * 3600);
/// A limit that was named longer ago is asked for again, by meeting it: accounts grow, and nobody tells.
const LIMIT_BELIEVED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Batches whose told tokens correct the estimate.
const LOOKED_BACK: u32 = 20;

/// Whose queue it is, and what is known of it.
struct Queue {
    account: i64,
    model: String,
    limit: Option<u64>,
    told_at: i64,
    penalty_until: i64,
    penalty_step: u32,
}

const QUEUE: &str =
    "SELECT n.account_id, r.model, a.limit_tokens, a.told_at, coalesce(a.penalty_until, 0) AS penalty_until,
    coalesce(a.penalty_step, 0) AS penalty_step, s.est_tokens
    FROM shard s JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id
    LEFT JOIN allowance a ON a.account_id = n.account_id AND a.model = r.model WHERE s.id = ?1";

impl Queue {
    fn read(row: &Row<'_>) -> Outcome<Self> {
        Ok(Self {
            account: column(row, "account_id")?,
            model: column(row, "model")?,
            limit: column::<Option<i64>>(row, "limit_tokens")?.map(count),
            told_at: column::<Option<i64>>(row, "told_at")?.unwrap_or(i64::MIN / 2),
            penalty_until: column(row, "penalty_until")?,
            penalty_step: column(row, "penalty_step")?,
        })
    }

    fn of(store: &SqliteStore, shard: ShardId) -> Outcome<Self> {
        let mut statement = store.connection.prepare_cached(QUEUE)?;
        let mut rows = statement.query([shard.0])?;
        rows.next()?.map_or_else(|| Err(super::fault::Fault::stale(format!("there is no shard {shard}"))), Self::read)
    }

    /// The limit in estimated tokens: what was told, by how much the estimates were wrong lately.
    fn estimated_limit(&self, store: &SqliteStore) -> Outcome<Option<u64>> {
        let believed = self.limit.filter(|_| store.clock.now() - self.told_at <= millis(LIMIT_BELIEVED));
        let Some(limit) = store.allowed.enqueued_tokens.or(believed) else { return Ok(None) };
        Ok(Some((limit.saturating_mul(100) / told_by_estimated(store, self)?).max(1)))
    }

    fn used(&self, store: &SqliteStore) -> Outcome<u64> {
        // The first condition is that of the index, word for word.
        const SQL: &str = "SELECT coalesce(sum(s.est_tokens), 0) FROM batch b INDEXED BY batch_todo
            CROSS JOIN shard s ON s.id = b.shard_id CROSS JOIN run n ON n.id = s.run_id CROSS JOIN recipe r ON r.id = s.recipe_id
            WHERE b.state IN ('opening', 'open', 'ended', 'fetched') AND b.state IN ('opening', 'open')
            AND n.account_id = ?1 AND r.model = ?2";
        let mut sum = store.connection.prepare_cached(SQL)?;
        Ok(count(sum.query_row(params![self.account, self.model], |row| row.get(0))?))
    }
}

/// Told tokens for a hundred estimated ones, over the last batches of the model; within 50 and 300, 100 if none was told.
fn told_by_estimated(store: &SqliteStore, queue: &Queue) -> Outcome<u64> {
    const SQL: &str = "SELECT sum(told) * 100 / sum(estimated) FROM (
        SELECT b.prompt_tokens AS told, s.est_tokens AS estimated FROM batch b
        CROSS JOIN shard s ON s.id = b.shard_id CROSS JOIN run n ON n.id = s.run_id CROSS JOIN recipe r ON r.id = s.recipe_id
        WHERE b.state = 'settled' AND b.ending = 'completed' AND b.prompt_tokens > 0 AND n.account_id = ?1 AND r.model = ?2
        ORDER BY b.id DESC LIMIT ?3)";
    let values = params![queue.account, queue.model, LOOKED_BACK];
    let told: Option<i64> = store.connection.prepare_cached(SQL)?.query_row(values, |row| row.get(0))?;
    Ok(told.map_or(100, count).clamp(50, 300))
}

/// Why an uploaded shard may not be opened now, if it may not.
pub(super) fn refused(store: &SqliteStore, shard: ShardId) -> Outcome<Option<Admission>> {
    let sql = "SELECT est_tokens FROM shard WHERE id = ?1 AND state = 'uploaded'";
    let need: Option<i64> = store.connection.prepare_cached(sql)?.query_row([shard.0], |row| row.get(0)).optional()?;
    let Some(need) = need.map(count).filter(|_| !crash::without("sum")) else { return Ok(None) };
    let queue = Queue::of(store, shard)?;
    let limit = queue.estimated_limit(store)?;
    if let Some(limit) = limit.filter(|limit| need > *limit) {
        return Ok(Some(Admission::TooLarge { limit }));
    }
    // A full queue empties by itself; what the limit does not allow waits for a person, perhaps.
    if let Some(no) = money::refused(store, shard)? {
        return Ok(Some(no));
    }
    let used = queue.used(store)?;
    let now = store.clock.now();
    let held = queue.penalty_until > now && queue.penalty_until - now <= millis(BELIEVED);
    if held {
        return Ok(Some(Admission::Full { used, limit, until: Some(queue.penalty_until) }));
    }
    Ok(limit.filter(|limit| used + need > *limit).map(|limit| Admission::Full {
        used,
        limit: Some(limit),
        until: None,
    }))
}

/// Remembers that the queue of a shard's model was full, and the limit if it was named: nothing of that model is opened
/// for a while, each time longer.
pub(super) fn queue_was_full(store: &SqliteStore, shard: ShardId, limit: Option<u64>, spread: f64) -> Outcome<()> {
    const SQL: &str = "INSERT INTO allowance (account_id, model, limit_tokens, told_at, penalty_until, penalty_step)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (account_id, model) DO UPDATE SET
        told_at = iif(excluded.limit_tokens IS NULL, told_at, excluded.told_at),
        limit_tokens = coalesce(excluded.limit_tokens, limit_tokens),
        penalty_until = excluded.penalty_until, penalty_step = excluded.penalty_step";
    let queue = Queue::of(store, shard)?;
    let limit = limit.map(|told| remembered(store, &queue, shard, told)).transpose()?;
    let now = store.clock.now();
    let step = queue.penalty_step.saturating_add(1);
    let until = now + millis(PAUSES.pause(step, spread));
    let values = params![queue.account, queue.model, limit.map(int), limit.map(|_| now), until, step];
    store.connection.prepare_cached(SQL)?.execute(values)?;
    let limit = limit.map(|limit| format!(" of {limit} tokens")).unwrap_or_default();
    events::append(store, "queue_full", shard, &format!("{}{limit}", queue.model))
}

/// What is remembered of a limit that was told. A plan below it that was refused although nothing else of ours was enqueued
/// needs more than its estimate says: the limit counts as that much lower, and the plan is made anew in smaller ones. One that
/// would fit twice says nothing of the kind: others share the queue.
fn remembered(store: &SqliteStore, queue: &Queue, shard: ShardId, told: u64) -> Outcome<u64> {
    let sql = "SELECT est_tokens FROM shard WHERE id = ?1";
    let need: i64 = store.connection.prepare_cached(sql)?.query_row([shard.0], |row| row.get(0))?;
    let needed = count(need).saturating_mul(told_by_estimated(store, queue)?) / 100;
    let is_alone = queue.used(store)? == 0;
    Ok(if is_alone && needed > told / 2 && needed <= told { (needed - 1).max(1) } else { told })
}

/// A batch of the shard's model ran: the next full queue is the first one again.
pub(super) fn queue_moves(store: &SqliteStore, shard: ShardId) -> Outcome<()> {
    const SQL: &str = "UPDATE allowance SET penalty_step = 0 WHERE penalty_step > 0
        AND (account_id, model) = (SELECT n.account_id, r.model FROM shard s JOIN run n ON n.id = s.run_id
        JOIN recipe r ON r.id = s.recipe_id WHERE s.id = ?1)";
    store.connection.prepare_cached(SQL)?.execute([shard.0])?;
    Ok(())
}

/// Most estimated tokens that may be enqueued for the model of a recipe, as far as known.
pub(super) fn limit_of(store: &SqliteStore, run: RunId, recipe: RecipeId) -> Outcome<Option<u64>> {
    Ok(queue_of(store, run, recipe)?.map(|queue| queue.estimated_limit(store)).transpose()?.flatten())
}

/// Prompt tokens that the provider told lately for a hundred estimated ones of the model of a recipe, where that is more.
pub(super) fn told_percent(store: &SqliteStore, run: RunId, recipe: RecipeId) -> Outcome<u64> {
    let told = queue_of(store, run, recipe)?.map(|queue| told_by_estimated(store, &queue)).transpose()?;
    Ok(told.unwrap_or(100).max(100))
}

fn queue_of(store: &SqliteStore, run: RunId, recipe: RecipeId) -> Outcome<Option<Queue>> {
    const SQL: &str = "SELECT n.account_id, r.model, a.limit_tokens, a.told_at, 0 AS penalty_until, 0 AS penalty_step
        FROM run n CROSS JOIN recipe r LEFT JOIN allowance a ON a.account_id = n.account_id AND a.model = r.model
        WHERE n.id = ?1 AND r.id = ?2";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query([run.0, recipe.0])?;
    rows.next()?.map(Queue::read).transpose()
}
