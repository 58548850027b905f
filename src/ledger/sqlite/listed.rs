//! Batches that the provider's list shows: ours or not, and if ours, whether the ledger lacks them.

use rusqlite::{OptionalExtension as _, params};

use super::events::{self, About};
use super::fault::Outcome;
use super::paying::{move_shard, opened, stray};
use super::rows::word;
use super::shards::moved;
use super::{SqliteStore, journal};
use crate::domain::batch::OpenBatch;
use crate::domain::ids::{BatchId, BatchNo, FileId, ShardId};
use crate::ledger::journal::Event;
use crate::ledger::moves::{BatchFacts, BatchState, ShardState};
use crate::ledger::records::{Listed, Recognised, Witnesses};

/// Batches by which a key is told: each is one question.
const MOST_WITNESSES: i64 = 8;

/// Whether anything was ever planned.
pub(super) fn any_shard(store: &SqliteStore) -> Outcome<bool> {
    Ok(store.connection.prepare_cached("SELECT 1 FROM shard")?.exists([])?)
}

/// The batches of a shard that the provider has named.
pub(super) fn named_batches(store: &SqliteStore, shard: ShardId) -> Outcome<Vec<BatchId>> {
    let sql = "SELECT batch_id FROM batch WHERE shard_id = ?1 AND batch_id IS NOT NULL";
    let mut statement = store.connection.prepare_cached(sql)?;
    let ids = statement.query_map([shard.0], |row| row.get(0).map(BatchId))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// What the life that wrote the intent of a batch has seen at the provider, and what was left there to tell a key by. Only that
/// life's key is sure to be the one that the create was sent with.
pub(super) fn witnesses(store: &SqliteStore, batch: BatchNo) -> Outcome<Witnesses> {
    const FILES: &str =
        "SELECT detail FROM event WHERE what = 'witness' AND batch = ?1 AND detail IS NOT NULL ORDER BY id";
    const BATCHES: &str = "SELECT DISTINCT b.batch_id FROM event e JOIN batch b ON b.id = e.batch
        WHERE e.what IN ('opened', 'adopted', 'stray', 'fetched') AND b.batch_id IS NOT NULL
        AND e.epoch = (SELECT epoch FROM event WHERE what = 'intent' AND batch = ?1) ORDER BY b.id DESC LIMIT ?2";
    let mut files = store.connection.prepare_cached(FILES)?;
    let files = files.query_map([batch.0], |row| row.get(0).map(FileId))?.collect::<rusqlite::Result<_>>()?;
    let mut batches = store.connection.prepare_cached(BATCHES)?;
    let batches = batches.query_map([batch.0, MOST_WITNESSES], |row| row.get(0).map(BatchId))?;
    Ok(Witnesses { files, batches: batches.collect::<rusqlite::Result<_>>()? })
}

/// Tells each listed batch apart, and records those of ours that are missing here.
pub(super) fn recognise(store: &mut SqliteStore, listed: &[Listed]) -> Outcome<Vec<Recognised>> {
    listed.iter().map(|batch| one(store, batch)).collect()
}

fn one(store: &mut SqliteStore, listed: &Listed) -> Outcome<Recognised> {
    let known = "SELECT 1 FROM batch WHERE batch_id = ?1";
    if store.connection.prepare_cached(known)?.exists([listed.id.as_str()])? {
        return Ok(Recognised::Known);
    }
    let Some(shard) = shard_of(store, listed)? else { return Ok(Recognised::Foreign) };
    if listed.failed {
        // Nothing ran, and nothing is billed.
        return Ok(Recognised::Known);
    }
    Ok(match shard.state {
        // Whoever opens it, or resolves the doubt about it, lists for himself.
        ShardState::Opening => Recognised::Known,
        ShardState::Sealed | ShardState::Uploaded => Recognised::Adopted(adopt(store, &shard, listed)?),
        ShardState::Spent | ShardState::Gone | ShardState::Dissolved => {
            let input = listed.input.clone().or(shard.input).unwrap_or_else(|| FileId(String::new()));
            Recognised::Stray(stray(store, shard.id, &input, &listed.id)?)
        }
    })
}

struct Named {
    id: ShardId,
    state: ShardState,
    input: Option<FileId>,
}

/// The shard that a listed batch says it is of, by the random tags of its run and its own.
fn shard_of(store: &SqliteStore, listed: &Listed) -> Outcome<Option<Named>> {
    const SQL: &str = "SELECT s.id, s.state, s.input_file_id FROM shard s JOIN run n ON n.id = s.run_id
        WHERE s.tag = ?1 AND n.tag = ?2";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    };
    let named = statement.query_row([listed.shard.as_str(), listed.run.as_str()], read).optional()?;
    let Some((id, state, input)) = named else { return Ok(None) };
    let state = word(&state, ShardState::from_word)?;
    Ok(Some(Named { id: ShardId(id), state, input: input.map(FileId) }))
}

/// sealed or uploaded → spent, with a batch that is open already: its intent was given up, or is lost. Nobody asks for room:
/// the provider counts it in any case.
fn adopt(store: &mut SqliteStore, shard: &Named, listed: &Listed) -> Outcome<OpenBatch> {
    const INTENT: &str = "INSERT INTO batch (shard_id, attempt, state, owner, epoch, input_file_id, intent_at)
        SELECT id, 1 + coalesce((SELECT max(attempt) FROM batch b WHERE b.shard_id = s.id AND b.stray = 0), 0), 'opening', ?2, ?3,
        coalesce(?4, input_file_id), ?5 FROM shard s WHERE id = ?1";
    if shard.state == ShardState::Sealed {
        upload_of(store, shard.id, listed)?;
    }
    move_shard(store, shard.id, ShardState::Uploaded, ShardState::Opening)?;
    let input = listed.input.as_ref().map(FileId::as_str);
    let values = params![shard.id.0, store.owner, store.epoch, input, store.clock.now()];
    let no = BatchNo(store.connection.prepare_cached(INTENT)?.insert(values)?);
    store.books.batch(None, BatchState::Opening, BatchFacts::default())?;
    journal::note(store, Event::Intent, no)?;
    events::append(store, "found", About { shard: Some(shard.id), batch: Some(no), image: None }, listed.id.as_str())?;
    opened(store, no, &listed.id, listed.expires_at, true)
}

/// sealed → uploaded: what the batch was made from. The hash of an earlier body stays; without one, the batch's own word
/// counts, and a plan whose body nobody ever hashed has nothing to compare with.
fn upload_of(store: &mut SqliteStore, shard: ShardId, listed: &Listed) -> Outcome<()> {
    const SQL: &str = "UPDATE shard SET state = 'uploaded', input_file_id = ?2, input_created = ?3,
        body_hash = coalesce(body_hash, ?4), epoch = ?5 WHERE id = ?1 AND state = 'sealed'";
    let input = listed.input.as_ref().map_or("", FileId::as_str);
    let hash = listed.body_hash.unwrap_or_default();
    let values = params![shard.0, input, listed.created_at, hash, store.epoch];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    moved(changed, || format!("shard {shard} is not sealed"))?;
    store.books.shard(Some(ShardState::Sealed), ShardState::Uploaded)
}
