//! Bringing back what the ledger lost: a shard, its lines and its batches, in one move, on the same roads that led there
//! before. What comes of them afterwards is the affair of those who take up any other shard.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{OptionalExtension as _, params};

use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::open::create_private;
use super::paying::{doubted, move_shard, opened, stray};
use super::rows::{column, count, int, length, word};
use super::shards::moved;
use super::{SqliteStore, collecting, journal, money, paying, runs, shards};
use crate::domain::batch::BatchEnd;
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RunId, ShardId, Tag};
use crate::domain::image::{Pixels, RelPath};
use crate::domain::layout;
use crate::domain::recipe::IdStyle;
use crate::domain::shard::ShardState;
use crate::kit::hash;
use crate::ledger::LedgerError;
use crate::ledger::lost::{LostLine, LostShard, LostTry, Restored, RunOrigin, Saved, UNDATED};
use crate::ledger::moves::{BatchFacts, BatchState, ImageState};
use crate::ledger::records::{Ending, NewRun, RawFile};

/// Images named in one go.
const PAGE: usize = 4096;

/// Makes the table that custom ids are looked up in: one row an image, in a file of its own at `scratch`, so that it costs
/// no memory.
pub(super) fn name_images(store: &SqliteStore, corpus: CorpusId, style: IdStyle, scratch: &Path) -> Outcome<()> {
    const TABLE: &str = "PRAGMA ids.journal_mode = OFF; PRAGMA ids.synchronous = OFF; PRAGMA ids.cache_size = -16384;
        CREATE TABLE ids.named (custom_id TEXT PRIMARY KEY, image_id INTEGER NOT NULL, came INTEGER NOT NULL DEFAULT 0)
        STRICT, WITHOUT ROWID;";
    let told =
        |cause: std::io::Error| LedgerError::Io { path: scratch.display().to_string(), cause: cause.to_string() };
    create_private(scratch).map_err(told)?;
    let file = &store.connection;
    file.execute("ATTACH ?1 AS ids", [scratch.to_string_lossy()])?;
    file.execute_batch(TABLE)?;
    let given: Vec<u8> = file.query_row("SELECT given FROM corpus WHERE id = ?1", [corpus.0], |row| row.get(0))?;
    let mut after = 0;
    loop {
        let page = page_of_images(store, corpus, after)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let transaction = file.unchecked_transaction()?;
        let sql = "INSERT INTO ids.named (custom_id, image_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let mut name = file.prepare_cached(sql)?;
        for (image, path) in &page {
            let id = layout::custom_id(style, &given, path, |bytes| hash::hex_digits(bytes, 64));
            name.execute(params![id, image])?;
        }
        drop(name);
        transaction.commit()?;
    }
}

fn page_of_images(store: &SqliteStore, corpus: CorpusId, after: i64) -> Outcome<Vec<(i64, RelPath)>> {
    const SQL: &str = "SELECT i.id, d.path, i.name, i.page FROM image i CROSS JOIN directory d ON d.id = i.directory_id
        WHERE i.id > ?1 AND d.corpus_id = ?2 ORDER BY i.id LIMIT ?3";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let values = params![after, corpus.0, length(PAGE)];
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, RelPath { folder: row.get(1)?, name: row.get(2)?, page: row.get(3)? }))
    };
    Ok(statement.query_map(values, read)?.collect::<rusqlite::Result<_>>()?)
}

/// The run of this tag, made again in the account of `new` if it is not there.
pub(super) fn run(store: &SqliteStore, tag: &Tag, new: &NewRun, origin: RunOrigin) -> Outcome<RunId> {
    let known = "SELECT id FROM run WHERE tag = ?1";
    let found = store.connection.prepare_cached(known)?.query_row([tag.as_str()], |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(RunId(id)),
        None => runs::again(store, tag, new, origin),
    }
}

/// An image of a lost line.
struct Asked<'a> {
    id: ImageId,
    state: ImageState,
    pixels: Pixels,
    /// When the shard that holds it now, or held it last, was sealed.
    held_since: Option<i64>,
    /// Whether a line of a lost shard that was brought back before this one has its answer.
    holder_came: bool,
    line: &'a LostLine,
}

impl Asked<'_> {
    /// Whether it waits for the answer of the lost shard that was sealed `at`: of several that asked for it, the newest holds it.
    /// Of a shard of unknown age an answer is taken where no other is; it replaces no text, and nobody is robbed of what he paid.
    fn is_held_since(&self, at: i64) -> bool {
        let Some(since) = self.held_since else { return true };
        match self.state {
            _ if since < at => true,
            ImageState::Owed | ImageState::Failed => at == UNDATED && self.line.came,
            ImageState::Packed => since == at && self.line.came && !self.holder_came,
            ImageState::Done | ImageState::Rough | ImageState::Skipped => false,
        }
    }
}

/// Brings a shard back: planted anew if the ledger never had it, then each batch that it lacks.
pub(super) fn shard(store: &mut SqliteStore, lost: &LostShard) -> Outcome<Restored> {
    let mut restored = Restored::default();
    let known = "SELECT id, lines FROM shard WHERE tag = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((ShardId(row.get(0)?), row.get(1)?));
    let known = store.connection.prepare_cached(known)?.query_row([lost.tag.as_str()], read).optional()?;
    let id = match known {
        Some((id, lines)) => {
            restored.known = lines;
            id
        }
        None => match plant(store, lost, &mut restored)? {
            Some(id) => id,
            None => return Ok(restored),
        },
    };
    for one in &lost.tries {
        restored.batches += u32::from(batch(store, id, lost, one)?);
    }
    Ok(restored)
}

/// Seals it again; `None` if no line names an image that can be asked for.
fn plant(store: &mut SqliteStore, lost: &LostShard, restored: &mut Restored) -> Outcome<Option<ShardId>> {
    const SHARD: &str =
        "INSERT INTO shard (tag, run_id, recipe_id, state, owner, epoch, seal, sealed_at, lines, bytes, est_tokens,
        price_id, worst_musd) VALUES (?1, ?2, ?3, 'sealed', ?4, ?5, 'import', ?6, ?7, ?8, ?9, ?10, ?11)";
    let images = asked(store, lost)?;
    if images.is_empty() {
        return Ok(None);
    }
    let bytes: u64 = images.iter().map(|image| image.line.bytes).sum();
    let tokens: u64 = images.iter().map(|image| lost.counting.line(image.pixels, lost.prompt_bytes)).sum();
    let lines = length(images.len());
    let (price, worst) = money::charged(store, lost.recipe, lost.charge.as_ref(), tokens, count(lines))?;
    let id = ShardId(store.connection.prepare_cached(SHARD)?.insert(params![
        lost.tag.as_str(),
        lost.run.0,
        lost.recipe.0,
        store.owner,
        store.epoch,
        lost.at,
        lines,
        int(bytes),
        int(tokens.max(1)),
        price,
        worst
    ])?);
    store.books.shard(None, ShardState::Sealed)?;
    events::append(store, "restored", id, "")?;
    for (place, image) in images.iter().enumerate() {
        let line = "INSERT INTO line (shard_id, image_id, pos, bytes) VALUES (?1, ?2, ?3, ?4)";
        let values = params![id.0, image.id.0, length(place + 1), int(image.line.bytes)];
        store.connection.prepare_cached(line)?.execute(values)?;
        restored.packed += u32::from(hold(store, id, image, lost.at)?);
    }
    restored.known = u32::try_from(lines).unwrap_or(u32::MAX);
    Ok(Some(id))
}

/// The images of its lines in order, each once.
fn asked<'a>(store: &SqliteStore, lost: &'a LostShard) -> Outcome<Vec<Asked<'a>>> {
    const SQL: &str = "SELECT i.id, i.state, i.width, i.height, s.sealed_at, n.came FROM ids.named n
        CROSS JOIN image i ON i.id = n.image_id LEFT JOIN shard s ON s.id = i.shard_id
        WHERE n.custom_id = ?1 AND i.format IS NOT NULL";
    let mut find = store.connection.prepare_cached(SQL)?;
    let mut seen = HashSet::new();
    let mut images = Vec::with_capacity(lost.lines.len());
    for line in &lost.lines {
        let mut rows = find.query([&line.custom_id])?;
        let Some(row) = rows.next()? else { continue };
        let id: i64 = column(row, "id")?;
        if !seen.insert(id) {
            continue;
        }
        let state: String = column(row, "state")?;
        images.push(Asked {
            id: ImageId(id),
            state: word(&state, ImageState::from_word)?,
            pixels: Pixels { width: column(row, "width")?, height: column(row, "height")? },
            held_since: column(row, "sealed_at")?,
            holder_came: column(row, "came")?,
            line,
        });
    }
    Ok(images)
}

/// Packs an image, unless a newer shard asked for it as well: then that one holds it, and this one's answer is one of its
/// earlier tries. Tells whether it is packed here.
fn hold(store: &mut SqliteStore, shard: ShardId, image: &Asked<'_>, at: i64) -> Outcome<bool> {
    const EARLIER: &str =
        "UPDATE image SET asked = asked + ?2, gaps = gaps + ?3 WHERE id = ?1 AND state IN ('packed', 'owed')";
    const OWED: &str = "UPDATE image SET state = 'owed', reason = NULL, owed_seq = ?3, asked = asked + ?4
        WHERE id = ?1 AND state = ?2";
    const PACKED: &str =
        "UPDATE image SET state = 'packed', shard_id = ?2, owed_seq = NULL WHERE id = ?1 AND state = 'owed'";
    if !image.is_held_since(at) {
        let (asked, gaps) = if image.line.came { (1, 0) } else { (0, 1) };
        store.connection.prepare_cached(EARLIER)?.execute(params![image.id.0, asked, gaps])?;
        return Ok(false);
    }
    if image.state != ImageState::Owed {
        // It was asked again although the older shard holds it: that one's answer was of no use.
        let again = i64::from(image.state == ImageState::Packed);
        let values = params![image.id.0, image.state.word(), store.books.next_seq(), again];
        let changed = store.connection.prepare_cached(OWED)?.execute(values)?;
        moved(changed, || format!("image {} is no longer {}", image.id, image.state.word()))?;
        store.books.images(Some(image.state), ImageState::Owed, 1)?;
    }
    let changed = store.connection.prepare_cached(PACKED)?.execute([image.id.0, shard.0])?;
    moved(changed, || format!("image {} is not owed", image.id))?;
    store.books.images(Some(ImageState::Owed), ImageState::Packed, 1)?;
    let came = "UPDATE ids.named SET came = ?2 WHERE custom_id = ?1";
    store.connection.prepare_cached(came)?.execute(params![image.line.custom_id, image.line.came])?;
    Ok(true)
}

/// Plans of an older ledger that were given up after it, and whose images are in newer shards by now. Those whose creation is in
/// doubt have their end when the doubt is settled.
pub(super) fn dissolve_robbed(store: &mut SqliteStore) -> Outcome<u64> {
    const SQL: &str = "SELECT s.id, s.state FROM shard s WHERE s.state IN ('sealed', 'uploaded') AND s.lines >
        (SELECT count(*) FROM image i INDEXED BY image_packed WHERE i.shard_id = s.id AND i.state = 'packed')";
    let mut statement = store.connection.prepare(SQL)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let robbed: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    for (id, state) in &robbed {
        paying::dissolve_robbed(store, ShardId(*id), word(state, ShardState::from_word)?)?;
    }
    Ok(robbed.len() as u64)
}

/// Brings one try back, as far as it is not known; tells whether it was.
fn batch(store: &mut SqliteStore, shard: ShardId, lost: &LostShard, one: &LostTry) -> Outcome<bool> {
    if let Some(id) = &one.batch
        && let Some((no, state)) = known(store, id)?
    {
        return match &one.saved {
            // An older copy of the ledger waits for what was fetched since, and is gone at the provider.
            Some(saved) if state == BatchState::Open => fetched_again(store, no, saved).map(|()| true),
            Some(saved) if state == BatchState::Ended => saved_again(store, no, saved).map(|()| true),
            _ => Ok(false),
        };
    }
    let state = shards::one(store, shard)?.state;
    let no = match (state, &one.batch) {
        (ShardState::Sealed | ShardState::Uploaded, Some(id)) => {
            let no = intend_again(store, shard, state, lost, one)?;
            opened(store, no, id, one.expires_at, true)?.no
        }
        (ShardState::Sealed | ShardState::Uploaded, None) => {
            let no = intend_again(store, shard, state, lost, one)?;
            return doubted(store, no).map(|()| true);
        }
        (ShardState::Opening, Some(id)) => {
            let no = paying::intent(store, shard)?.no;
            opened(store, no, id, one.expires_at, true)?.no
        }
        (ShardState::Spent | ShardState::Gone | ShardState::Dissolved, Some(id)) => {
            stray(store, shard, &one.input, id)?.no
        }
        // A batch is there, or the doubt is known: nothing is lost.
        (_, None) => return Ok(false),
    };
    if let Some(saved) = &one.saved {
        fetched_again(store, no, saved)?;
    }
    Ok(true)
}

fn known(store: &SqliteStore, id: &BatchId) -> Outcome<Option<(BatchNo, BatchState)>> {
    let sql = "SELECT id, state FROM batch WHERE batch_id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((BatchNo(row.get(0)?), row.get::<_, String>(1)?));
    let found = store.connection.prepare_cached(sql)?.query_row([id.as_str()], read).optional()?;
    found.map(|(no, state)| Ok((no, word(&state, BatchState::from_word)?))).transpose()
}

/// sealed or uploaded → opening, with the intent as it was.
fn intend_again(
    store: &mut SqliteStore,
    shard: ShardId,
    state: ShardState,
    lost: &LostShard,
    one: &LostTry,
) -> Outcome<BatchNo> {
    const INTENT: &str = "INSERT INTO batch (shard_id, attempt, state, owner, epoch, input_file_id, intent_at)
        SELECT id, max(?2, 1 + coalesce((SELECT max(attempt) FROM batch b WHERE b.shard_id = s.id AND b.stray = 0), 0)), 'opening',
        ?3, ?4, ?5, ?6 FROM shard s WHERE id = ?1";
    if state == ShardState::Sealed {
        shards::uploaded(store, shard, &one.input, lost.input_created, lost.body_hash)?;
    }
    move_shard(store, shard, ShardState::Uploaded, ShardState::Opening)?;
    let values = params![shard.0, one.attempt, store.owner, store.epoch, one.input.as_str(), lost.at];
    let no = BatchNo(store.connection.prepare_cached(INTENT)?.insert(values)?);
    store.books.batch(None, BatchState::Opening, BatchFacts::default())?;
    journal::note(store, crate::ledger::journal::Event::Intent, no)?;
    events::append(store, "restored", About { shard: Some(shard), batch: Some(no), image: None }, one.input.as_str())?;
    Ok(no)
}

/// ended → fetched, with those of its files that are on disk.
fn saved_again(store: &mut SqliteStore, batch: BatchNo, saved: &Saved) -> Outcome<()> {
    const SQL: &str = "UPDATE batch SET output_file_id = iif(?2, coalesce(output_file_id, ?3), NULL),
        error_file_id = iif(?4, coalesce(error_file_id, ?5), NULL) WHERE id = ?1 AND state = 'ended'";
    let name = |file: &Option<(FileId, RawFile)>| file.as_ref().map(|(id, _)| id.to_string());
    let (output, errors) = (name(&saved.output), name(&saved.errors));
    let values = params![batch.0, output.is_some(), output, errors.is_some(), errors];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    moved(changed, || format!("batch {batch} has not ended"))?;
    let file = |file: &Option<(FileId, RawFile)>| file.as_ref().map(|(_, raw)| *raw);
    collecting::fetched(store, batch, file(&saved.output), file(&saved.errors))
}

/// open → ended → fetched: its answers are on disk.
fn fetched_again(store: &mut SqliteStore, batch: BatchNo, saved: &Saved) -> Outcome<()> {
    let name = |file: &Option<(FileId, _)>| file.as_ref().map(|(id, _)| id.clone());
    let ending = Ending {
        end: BatchEnd::Completed,
        output: name(&saved.output),
        errors: name(&saved.errors),
        usage: saved.usage,
        model: saved.model.clone(),
        refusal: None,
        named: Vec::new(),
    };
    collecting::ended(store, batch, &ending)?;
    let file = |file: &Option<(FileId, RawFile)>| file.as_ref().map(|(_, raw)| *raw);
    collecting::fetched(store, batch, file(&saved.output), file(&saved.errors))
}

/// Brings the write-ahead log into the file.
pub(super) fn gather(store: &SqliteStore) -> Outcome<()> {
    let busy: i64 = store.connection.query_row("PRAGMA main.wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err(Fault::stale("the ledger is read by somebody else")) }
}

/// A copy of one moment, without what was deleted.
pub(super) fn copy(path: &Path, target: &Path) -> Outcome<()> {
    let told = |cause: std::io::Error| LedgerError::Io { path: target.display().to_string(), cause: cause.to_string() };
    create_private(target).map_err(told)?;
    let connection = super::open::inspected(path)?;
    // Of the ledger nothing is written all the same: it was opened for reading.
    connection.execute_batch("PRAGMA query_only = OFF")?;
    connection.execute("VACUUM main INTO ?1", [target.to_string_lossy()])?;
    Ok(())
}

/// Counts every page of the file and every row: what `quick_check` leaves out, too.
pub(super) fn is_sound(path: &Path) -> Outcome<()> {
    let connection = super::open::inspected(path)?;
    let told: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let broken: i64 = connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
    match (told.as_str(), count(broken)) {
        ("ok", 0) => Ok(()),
        ("ok", many) => Err(Fault::damaged(format!("{many} rows refer to nothing"))),
        (told, _) => Err(Fault::damaged(told)),
    }
}
