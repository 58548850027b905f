//! Paying: the intent, what became of it, and the fence.

use rusqlite::{Row, params};

use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::rows::{OPEN_BATCH, column, open_batch, refusal_text};
use super::shards::{moved, release};
use super::{SqliteStore, admission, journal};
use crate::domain::batch::{Admission, Intent, OpenBatch, Refusal};
use crate::domain::ids::{BatchId, BatchNo, FileId, ShardId, Tag};
use crate::ledger::journal::Event;
use crate::ledger::moves::{BatchFacts, BatchState, ShardState};
use crate::ledger::records::Hold;

/// uploaded → opening: the intent, written before the request. The sum that allows it and the row that adds to it are one
/// transaction.
pub(super) fn intend(store: &mut SqliteStore, shard: ShardId) -> Outcome<Admission> {
    const BATCH: &str = "INSERT INTO batch (shard_id, attempt, state, owner, epoch, input_file_id, intent_at)
        SELECT id, 1 + coalesce((SELECT max(attempt) FROM batch b WHERE b.shard_id = s.id AND b.stray = 0), 0), 'opening', ?2, ?3,
        input_file_id, ?4 FROM shard s WHERE id = ?1";
    if let Some(no) = admission::refused(store, shard)? {
        return Ok(no);
    }
    // The last guard: nothing is paid for an image that another shard holds by now.
    unanswered(store, shard)?;
    move_shard(store, shard, ShardState::Uploaded, ShardState::Opening)?;
    let values = params![shard.0, store.owner, store.epoch, store.clock.now()];
    let no = BatchNo(store.connection.prepare_cached(BATCH)?.insert(values)?);
    store.books.batch(None, BatchState::Opening, BatchFacts::default())?;
    events::append(store, "intent", About { shard: Some(shard), batch: Some(no), image: None }, "")?;
    journal::note(store, Event::Intent, no)?;
    intent(store, shard).map(Admission::Granted)
}

/// The intent of a shard that is opening.
pub(super) fn intent(store: &SqliteStore, shard: ShardId) -> Outcome<Intent> {
    const SQL: &str =
        "SELECT b.id, b.attempt, n.tag AS run, s.tag, s.id AS shard_id, b.input_file_id, s.input_created, s.body_hash,
        b.fenced_at, b.doubt_at FROM batch b JOIN shard s ON s.id = b.shard_id JOIN run n ON n.id = s.run_id
        WHERE b.shard_id = ?1 AND b.stray = 0 AND b.state = 'opening'";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query([shard.0])?;
    let row = rows.next()?.ok_or_else(|| Fault::stale(format!("shard {shard} has no batch that is opening")))?;
    read_intent(row)
}

fn read_intent(row: &Row<'_>) -> Outcome<Intent> {
    Ok(Intent {
        no: BatchNo(column(row, "id")?),
        attempt: column(row, "attempt")?,
        run: Tag(column(row, "run")?),
        shard_tag: Tag(column(row, "tag")?),
        shard: ShardId(column(row, "shard_id")?),
        input: FileId(column(row, "input_file_id")?),
        input_created: column::<Option<i64>>(row, "input_created")?.unwrap_or_default(),
        body_hash: column(row, "body_hash")?,
        fenced: column::<Option<i64>>(row, "fenced_at")?.is_some(),
        doubted_at: column(row, "doubt_at")?,
    })
}

/// opening → open, shard spent.
pub(super) fn opened(
    store: &mut SqliteStore,
    batch: BatchNo,
    id: &BatchId,
    expires_at: Option<i64>,
    adopted: bool,
) -> Outcome<OpenBatch> {
    const SQL: &str =
        "UPDATE batch SET state = 'open', batch_id = ?2, opened_at = ?3, expires_at = ?4, adopted = ?5, epoch = ?6
        WHERE id = ?1 AND state = 'opening'";
    let values = params![batch.0, id.as_str(), store.clock.now(), expires_at, adopted, store.epoch];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    let shard = left_opening(store, batch, changed, BatchState::Open)?;
    move_shard(store, shard, ShardState::Opening, ShardState::Spent)?;
    let what = if adopted { "adopted" } else { "opened" };
    events::append(store, what, About { shard: Some(shard), batch: Some(batch), image: None }, id.as_str())?;
    journal::note(store, Event::Open, batch)?;
    one_open(store, batch)
}

/// opening → refused, shard uploaded: surely nothing was created.
pub(super) fn not_created(store: &mut SqliteStore, batch: BatchNo, refusal: &Refusal, hold: Hold) -> Outcome<()> {
    let sql = "UPDATE batch SET state = 'refused', refusal = ?2, epoch = ?3 WHERE id = ?1 AND state = 'opening'";
    let refusal = refusal_text(refusal)?;
    let changed = store.connection.prepare_cached(sql)?.execute(params![batch.0, refusal, store.epoch])?;
    let shard = left_opening(store, batch, changed, BatchState::Refused)?;
    unanswered(store, shard)?;
    move_shard(store, shard, ShardState::Opening, ShardState::Uploaded)?;
    hold_back(store, shard, hold)?;
    journal::note(store, Event::Refused, batch)?;
    events::append(store, "not_created", About { shard: Some(shard), batch: Some(batch), image: None }, &refusal)
}

/// Why the last create of an uploaded shard was refused, if it was.
pub(super) fn last_refusal(store: &SqliteStore, shard: ShardId) -> Outcome<Option<Refusal>> {
    const SQL: &str = "SELECT b.state, b.refusal FROM shard s JOIN batch b ON b.shard_id = s.id
        WHERE s.id = ?1 AND s.state = 'uploaded' AND b.stray = 0 ORDER BY b.attempt DESC LIMIT 1";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query([shard.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (state, refusal): (String, Option<String>) = (column(row, "state")?, column(row, "refusal")?);
    let refusal = refusal.filter(|_| state == BatchState::Refused.word());
    // What cannot be read is no reason to give a plan up.
    Ok(refusal.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Notes that it is unknown whether the batch exists; the first doubt counts.
pub(super) fn doubted(store: &SqliteStore, batch: BatchNo) -> Outcome<()> {
    let sql = "UPDATE batch SET doubt_at = coalesce(doubt_at, ?2) WHERE id = ?1 AND state = 'opening'";
    let changed = store.connection.prepare_cached(sql)?.execute([batch.0, store.clock.now()])?;
    moved(changed, || format!("batch {batch} is not opening"))?;
    events::append(store, "doubted", batch, "")
}

/// Notes that the input file is deleted; the first fence counts.
pub(super) fn fenced(store: &SqliteStore, batch: BatchNo) -> Outcome<()> {
    let sql = "UPDATE batch SET fenced_at = coalesce(fenced_at, ?2) WHERE id = ?1 AND state = 'opening'";
    let changed = store.connection.prepare_cached(sql)?.execute([batch.0, store.clock.now()])?;
    moved(changed, || format!("batch {batch} is not opening"))?;
    events::append(store, "fenced", batch, "")
}

/// opening → void, shard sealed without an input file; the hash of its body stays, so that the next one must be the same. A
/// shard that does not hold all its images any more (a ledger that was built again gave some to newer ones) is dissolved.
pub(super) fn voided(store: &mut SqliteStore, batch: BatchNo) -> Outcome<()> {
    const SHARD: &str = "UPDATE shard SET state = 'sealed', input_file_id = NULL, input_created = NULL, epoch = ?2
        WHERE id = ?1 AND state = 'opening'";
    let sql = "UPDATE batch SET state = 'void', epoch = ?2 WHERE id = ?1 AND state = 'opening'";
    let changed = store.connection.prepare_cached(sql)?.execute([batch.0, store.epoch])?;
    let shard = left_opening(store, batch, changed, BatchState::Void)?;
    let is_whole = holds_all(store, shard)?;
    not_doubled(store, shard)?;
    let changed = store.connection.prepare_cached(SHARD)?.execute([shard.0, store.epoch])?;
    moved(changed, || format!("shard {shard} is not opening"))?;
    store.books.shard(Some(ShardState::Opening), ShardState::Sealed)?;
    journal::note(store, Event::Void, batch)?;
    events::append(store, "voided", About { shard: Some(shard), batch: Some(batch), image: None }, "")?;
    if is_whole { Ok(()) } else { dissolve_robbed(store, shard, ShardState::Sealed) }
}

/// A plan whose images are in newer shards by now: to pay for them would be to pay twice. What it holds still is owed.
pub(super) fn dissolve_robbed(store: &mut SqliteStore, shard: ShardId, from: ShardState) -> Outcome<()> {
    move_shard(store, shard, from, ShardState::Dissolved)?;
    release(store, shard, 0, 0)?;
    events::append(store, "dissolved", shard, "newer shards have asked for its images")
}

/// A second batch of a shard. Its number is that of the try it doubles: strays are told apart by their names.
pub(super) fn stray(store: &mut SqliteStore, shard: ShardId, input: &FileId, id: &BatchId) -> Outcome<OpenBatch> {
    const SQL: &str = "INSERT INTO batch (shard_id, attempt, state, owner, epoch, input_file_id, batch_id, stray, intent_at, opened_at)
        SELECT s.id, coalesce((SELECT max(attempt) FROM batch b WHERE b.shard_id = s.id AND b.stray = 0), 1), 'open', ?2, ?3, ?4, ?5,
        1, ?6, ?6 FROM shard s WHERE s.id = ?1 AND s.state IN ('opening', 'spent', 'gone', 'dissolved')";
    let values = params![shard.0, store.owner, store.epoch, input.as_str(), id.as_str(), store.clock.now()];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    moved(changed, || format!("shard {shard} was never to be opened"))?;
    let batch = BatchNo(store.connection.last_insert_rowid());
    store.books.batch(None, BatchState::Open, BatchFacts::default())?;
    events::append(store, "stray", About { shard: Some(shard), batch: Some(batch), image: None }, id.as_str())?;
    journal::note(store, Event::Open, batch)?;
    one_open(store, batch)
}

/// A shard goes back to be opened again only if no stray has answered for it, or still may: that answer would be paid for
/// a second time.
pub(super) fn unanswered(store: &SqliteStore, shard: ShardId) -> Outcome<()> {
    not_doubled(store, shard)?;
    moved(usize::from(holds_all(store, shard)?), || {
        format!("some images of shard {shard} are not packed in it any more")
    })
}

/// Whether all images of a shard wait for its answer.
fn holds_all(store: &SqliteStore, shard: ShardId) -> Outcome<bool> {
    const SQL: &str = "SELECT 1 FROM shard s WHERE s.id = ?1 AND s.lines =
        (SELECT count(*) FROM image i INDEXED BY image_packed WHERE i.shard_id = s.id AND i.state = 'packed')";
    Ok(store.connection.prepare_cached(SQL)?.exists([shard.0])?)
}

/// That no stray of a shard still may answer, or has left a verdict that is held.
fn not_doubled(store: &SqliteStore, shard: ShardId) -> Outcome<()> {
    const SQL: &str = "SELECT 1 FROM line l WHERE l.shard_id = ?1 AND l.verdict LIKE 'held %'
        UNION ALL SELECT 1 FROM batch b INDEXED BY batch_todo
            WHERE b.state IN ('opening', 'open', 'ended', 'fetched') AND b.stray = 1 AND b.shard_id = ?1";
    let doubled = store.connection.prepare_cached(SQL)?.exists([shard.0])?;
    moved(usize::from(!doubled), || format!("shard {shard} has a second batch that answers for it"))
}

/// Books a batch out of `opening`, if it was there, and tells its shard.
fn left_opening(store: &mut SqliteStore, batch: BatchNo, changed: usize, to: BatchState) -> Outcome<ShardId> {
    moved(changed, || format!("batch {batch} is not opening"))?;
    store.books.batch(Some(BatchState::Opening), to, BatchFacts::default())?;
    let mut row = store.connection.prepare_cached("SELECT shard_id FROM batch WHERE id = ?1")?;
    Ok(ShardId(row.query_row([batch.0], |row| row.get(0))?))
}

/// Moves a shard whose other columns stay.
pub(super) fn move_shard(store: &mut SqliteStore, shard: ShardId, from: ShardState, to: ShardState) -> Outcome<()> {
    let sql = "UPDATE shard SET state = ?3, epoch = ?4 WHERE id = ?1 AND state = ?2";
    let values = params![shard.0, from.word(), to.word(), store.epoch];
    let changed = store.connection.prepare_cached(sql)?.execute(values)?;
    moved(changed, || format!("shard {shard} is not {}", from.word()))?;
    store.books.shard(Some(from), to)
}

/// A shard that came back is not opened again before its time.
pub(super) fn hold_back(store: &SqliteStore, shard: ShardId, hold: Hold) -> Outcome<()> {
    let not_before = match hold {
        Hold::Until(until) => until,
        Hold::Queue { limit, spread } => return admission::queue_was_full(store, shard, limit, spread),
    };
    let sql = "UPDATE shard SET not_before = ?2 WHERE id = ?1";
    store.connection.prepare_cached(sql)?.execute([shard.0, not_before])?;
    Ok(())
}

fn one_open(store: &SqliteStore, batch: BatchNo) -> Outcome<OpenBatch> {
    let mut statement = store.connection.prepare_cached(&format!("{OPEN_BATCH} WHERE b.id = ?1"))?;
    let mut rows = statement.query([batch.0])?;
    let row = rows.next()?.ok_or_else(|| Fault::stale(format!("there is no batch {batch}")))?;
    open_batch(row)
}
