//! Collecting: from the end of a batch to its raw files on disk.

use rusqlite::params;

use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::paying::{hold_back, move_shard, unanswered};
use super::rows::{self, ENDED_BATCH, OPEN_BATCH, column, count, ended_batch, ending_text, int, open_batch};
use super::settling::Closing;
use super::shards::moved;
use super::{SqliteStore, admission, journal, money};
use crate::domain::batch::{BatchEnd, BatchTold, EndedBatch, OpenBatch, Refusal, Usage};
use crate::domain::ids::{BatchId, BatchNo, FileId, ShardId, Tag};
use crate::domain::recipe::Kind;
use crate::ledger::journal::Event;
use crate::ledger::moves::{BatchFacts, BatchState, ShardState};
use crate::ledger::records::{Ending, Hold, RawFile, Unswept};

/// Word for word the condition of the index `batch_todo`: without it, every batch there ever was would be read.
const LIVING: &str = "b.state IN ('opening', 'open', 'ended', 'fetched')";

/// Batches that have not ended, oldest first.
pub(super) fn open_batches(store: &SqliteStore) -> Outcome<Vec<OpenBatch>> {
    store.connection.prepare_cached(&open_sql())?.query_and_then([], open_batch)?.collect()
}

pub(super) fn open_sql() -> String {
    format!("{OPEN_BATCH} WHERE {LIVING} AND b.state = 'open' ORDER BY b.id")
}

/// Batches that ended and are not settled: those whose results vanish first come first.
pub(super) fn ended_batches(store: &SqliteStore) -> Outcome<Vec<EndedBatch>> {
    store.connection.prepare_cached(&ended_sql())?.query_and_then([], ended_batch)?.collect()
}

pub(super) fn ended_sql() -> String {
    let order = "ORDER BY coalesce(b.results_until, b.expires_at, b.opened_at), b.id";
    format!("{ENDED_BATCH} WHERE {LIVING} AND b.state IN ('ended', 'fetched') {order}")
}

/// What is known of a batch by now.
pub(super) fn told(store: &SqliteStore, batch: BatchNo) -> Outcome<BatchTold> {
    const SQL: &str = "SELECT s.tag, r.kind, b.opened_at, b.intent_at, b.ended_at, b.prompt_tokens, b.cached_tokens, b.output_tokens,
        b.reasoning_tokens FROM batch b JOIN shard s ON s.id = b.shard_id JOIN recipe r ON r.id = s.recipe_id WHERE b.id = ?1";
    let cost = money::told(store, batch)?;
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut found = statement.query([batch.0])?;
    let row = found.next()?.ok_or_else(|| Fault::stale(format!("there is no batch {batch}")))?;
    let kind: String = column(row, "kind")?;
    let opened: Option<i64> = column(row, "opened_at")?;
    let opened = opened.map_or_else(|| column(row, "intent_at"), Ok)?;
    let ended: Option<i64> = column(row, "ended_at")?;
    let tokens = |name: &str| column::<Option<i64>>(row, name).map(|tokens| tokens.map(count));
    let usage = tokens("prompt_tokens")?.or(tokens("output_tokens")?).map(|_| {
        let number = |name: &str| Ok::<_, Fault>(tokens(name)?.unwrap_or(0));
        Ok::<_, Fault>(Usage {
            prompt: number("prompt_tokens")?,
            cached: number("cached_tokens")?,
            output: number("output_tokens")?,
            reasoning: number("reasoning_tokens")?,
        })
    });
    Ok(BatchTold {
        shard: Tag(column(row, "tag")?),
        kind: rows::word(&kind, Kind::from_word)?,
        took_ms: ended.map(|ended| count(ended - opened)),
        usage: usage.transpose()?,
        cost: cost.filter(|_| ended.is_some()),
    })
}

fn one_ended(store: &SqliteStore, batch: BatchNo) -> Outcome<EndedBatch> {
    let mut statement = store
        .connection
        .prepare_cached(&format!("{ENDED_BATCH} WHERE b.id = ?1 AND b.state IN ('ended', 'fetched')"))?;
    let mut rows = statement.query([batch.0])?;
    let row = rows.next()?.ok_or_else(|| Fault::stale(format!("batch {batch} has not ended, or is settled")))?;
    ended_batch(row)
}

/// open → ended.
pub(super) fn ended(store: &mut SqliteStore, batch: BatchNo, ending: &Ending) -> Outcome<EndedBatch> {
    const SQL: &str = "UPDATE batch SET state = 'ended', ending = ?2, output_file_id = ?3, error_file_id = ?4, model_told = ?5,
        refusal = ?6, prompt_tokens = ?7, cached_tokens = ?8, output_tokens = ?9, reasoning_tokens = ?10, ended_at = ?11, epoch = ?12
        WHERE id = ?1 AND state = 'open'";
    let nothing_said = Refusal { code: String::new(), message: String::new(), line: None };
    // The schema asks every refused batch for its refusal, and a provider may give none.
    let refusal = match ending.end {
        BatchEnd::TurnedAway | BatchEnd::Refused => Some(ending.refusal.as_ref().unwrap_or(&nothing_said)),
        _ => ending.refusal.as_ref(),
    };
    let [prompt, cached, output, reasoning] = rows::usage(ending.usage);
    let changed = store.connection.prepare_cached(SQL)?.execute(params![
        batch.0,
        ending.end.word(),
        ending.output.as_ref().map(FileId::as_str),
        ending.errors.as_ref().map(FileId::as_str),
        ending.model,
        refusal.map(|refusal| ending_text(refusal, &ending.named)).transpose()?,
        prompt,
        cached,
        output,
        reasoning,
        store.clock.now(),
        store.epoch
    ])?;
    moved(changed, || format!("batch {batch} is not open"))?;
    store.books.batch(Some(BatchState::Open), BatchState::Ended, BatchFacts::default())?;
    events::append(store, "ended", batch, ending.end.word())?;
    let ended = one_ended(store, batch)?;
    if !matches!(ending.end, BatchEnd::TurnedAway | BatchEnd::Refused | BatchEnd::Vanished) {
        admission::queue_moves(store, ended.shard)?;
    }
    Ok(ended)
}

/// ended → refused, shard uploaded: turned away. A stray that is turned away moves no shard.
pub(super) fn turned_away(store: &mut SqliteStore, batch: BatchNo, hold: Hold) -> Outcome<()> {
    let closing = Closing::of(store, batch)?;
    closing.move_to(store, BatchState::Refused)?;
    journal::note(store, Event::Refused, batch)?;
    events::append(store, "turned_away", About { shard: Some(closing.shard), batch: Some(batch), image: None }, "")?;
    if closing.stray {
        return Ok(());
    }
    unanswered(store, closing.shard)?;
    move_shard(store, closing.shard, ShardState::Spent, ShardState::Uploaded)?;
    hold_back(store, closing.shard, hold)
}

/// ended → fetched: both raw files are on disk.
pub(super) fn fetched(
    store: &mut SqliteStore,
    batch: BatchNo,
    output: Option<RawFile>,
    errors: Option<RawFile>,
) -> Outcome<()> {
    const SQL: &str = "UPDATE batch SET state = 'fetched', output_bytes = ?2, output_sha256 = ?3, error_bytes = ?4, error_sha256 = ?5,
        fetched_at = ?6, epoch = ?7 WHERE id = ?1 AND state = 'ended'";
    let changed = store.connection.prepare_cached(SQL)?.execute(params![
        batch.0,
        output.map(|file| int(file.bytes)),
        output.map(|file| file.sha256),
        errors.map(|file| int(file.bytes)),
        errors.map(|file| file.sha256),
        store.clock.now(),
        store.epoch
    ])?;
    moved(changed, || format!("batch {batch} has not ended, or is fetched already"))?;
    store.books.batch(Some(BatchState::Ended), BatchState::Fetched, BatchFacts::default())?;
    events::append(store, "fetched", batch, "")
}

/// The names of result files that are gone move to an event, and the batch counts as vanished from here on: what it did
/// not answer may have been paid for, so that only a person asks again.
pub(super) fn results_gone(store: &SqliteStore, batch: BatchNo) -> Outcome<()> {
    const SQL: &str = "UPDATE batch SET output_file_id = NULL, error_file_id = NULL, ending = 'vanished' WHERE id = ?1 AND state = 'ended'";
    let ended = one_ended(store, batch)?;
    let changed = store.connection.prepare_cached(SQL)?.execute([batch.0])?;
    moved(changed, || format!("batch {batch} has not ended, or is fetched already"))?;
    let name = |file: &Option<FileId>| file.as_ref().map_or("-", FileId::as_str).to_owned();
    let detail = format!("{} output {} errors {}", ended.end.word(), name(&ended.output), name(&ended.errors));
    events::append(store, "results_gone", batch, &detail)
}

/// Settled batches whose leftovers may still lie around. A stray shares its input file with the batch of its shard, so it
/// waits for that.
pub(super) fn unswept(store: &SqliteStore, limit: u32) -> Outcome<Vec<Unswept>> {
    const SQL: &str = "SELECT id, batch_id, shard_id, input_file_id, output_file_id, error_file_id FROM batch
        WHERE state = 'settled' AND swept_at IS NULL
        AND (stray = 0 OR (SELECT s.state FROM shard s WHERE s.id = shard_id) IN ('gone', 'dissolved')) ORDER BY id LIMIT ?1";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let rows = statement.query_map([limit], |row| {
        Ok(Unswept {
            no: BatchNo(row.get(0)?),
            id: BatchId(row.get(1)?),
            shard: ShardId(row.get(2)?),
            input: FileId(row.get(3)?),
            output: row.get::<_, Option<String>>(4)?.map(FileId),
            errors: row.get::<_, Option<String>>(5)?.map(FileId),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that nothing of a settled batch is left.
pub(super) fn swept(store: &SqliteStore, batch: BatchNo) -> Outcome<()> {
    let sql = "UPDATE batch SET swept_at = coalesce(swept_at, ?2) WHERE id = ?1 AND state = 'settled'";
    let changed = store.connection.prepare_cached(sql)?.execute([batch.0, store.clock.now()])?;
    moved(changed, || format!("batch {batch} is not settled"))
}
