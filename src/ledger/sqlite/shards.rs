//! Shards: sealing, plans, and everything that happens to them before money is involved.

use rusqlite::{Row, params};

use super::events;
use super::fault::{Fault, Outcome};
use super::paying::{move_shard, unanswered};
use super::rows::{column, count, format, int, length, word};
use super::{SqliteStore, images, money, runs};
use crate::domain::ids::{FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use crate::domain::image::{Fate, Reason};
use crate::domain::money::Money;
use crate::domain::shard::{NewLine, NewShard, Plan, PlanLine, Prepared, ShardFacts};
use crate::ledger::moves::{ImageState, ShardState};
use crate::ledger::records::{Culprit, Remeasured};

/// How often a file may change under our hands before it is given up.
const MOST_CHANGES: i64 = 3;

/// The event of a shard that was too large.
const TOO_LARGE: &str = "too_large";
/// How long that is remembered.
const TRIED_AGAIN: i64 = 7 * 24 * 3600 * 1000;

const FACTS: &str =
    "SELECT s.id, s.tag, n.tag AS run, s.state, s.lines, s.bytes, s.est_tokens, s.worst_musd, r.endpoint, s.input_file_id,
    s.input_created, s.body_hash, s.not_before, s.recipe_id,
    1 + coalesce((SELECT max(attempt) FROM batch b WHERE b.shard_id = s.id AND b.stray = 0), 0) AS next_attempt
    FROM shard s JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id";

fn facts(row: &Row<'_>) -> Outcome<ShardFacts> {
    let state: String = column(row, "state")?;
    let input: Option<String> = column(row, "input_file_id")?;
    let created: Option<i64> = column(row, "input_created")?;
    Ok(ShardFacts {
        id: ShardId(column(row, "id")?),
        tag: Tag(column(row, "tag")?),
        run: Tag(column(row, "run")?),
        state: word(&state, ShardState::from_word)?,
        lines: column(row, "lines")?,
        bytes: count(column(row, "bytes")?),
        est_tokens: count(column(row, "est_tokens")?),
        worst: column::<Option<i64>>(row, "worst_musd")?.map(|micros| Money::from_micros(count(micros))),
        recipe: RecipeId(column(row, "recipe_id")?),
        endpoint: column(row, "endpoint")?,
        input: input.map(|file| (FileId(file), created.unwrap_or_default())),
        body_hash: column(row, "body_hash")?,
        not_before: column(row, "not_before")?,
        next_attempt: column(row, "next_attempt")?,
    })
}

/// The shard, its lines and its images, in one move.
pub(super) fn seal(store: &mut SqliteStore, new: &NewShard) -> Outcome<ShardFacts> {
    const SHARD: &str =
        "INSERT INTO shard (tag, run_id, recipe_id, state, owner, epoch, seal, sealed_at, lines, bytes, est_tokens,
        price_id, worst_musd) VALUES (?1, ?2, ?3, 'sealed', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let lines = length(new.lines.len());
    let (price, worst) = money::charged(store, new.recipe, new.charge.as_ref(), new.est_tokens, count(lines))?;
    let shard = ShardId(store.connection.prepare_cached(SHARD)?.insert(params![
        new.tag.as_str(),
        new.run.0,
        new.recipe.0,
        store.owner,
        store.epoch,
        new.seal.word(),
        store.clock.now(),
        lines,
        int(new.bytes()),
        int(new.est_tokens.max(1)),
        price,
        worst
    ])?);
    pack(store, shard, new)?;
    store.books.shard(None, ShardState::Sealed)?;
    store.books.images(Some(ImageState::Owed), ImageState::Packed, count(lines))?;
    one(store, shard)
}

/// Two statements whatever the number of lines: the lines arrive as one JSON array of `[image, bytes]`. One statement a
/// line would cost SQLite a journal of its own each time, because the triggers may abort it.
fn pack(store: &SqliteStore, shard: ShardId, new: &NewShard) -> Outcome<()> {
    const LINES: &str = "INSERT INTO line (shard_id, image_id, pos, bytes, prepared)
        SELECT ?1, value ->> 0, key + 1, value ->> 1, value ->> 2 FROM json_each(?2)";
    const INK: &str =
        "INSERT INTO ink (image_id, ink) VALUES (?1, ?2) ON CONFLICT (image_id) DO UPDATE SET ink = excluded.ink";
    const IMAGES: &str = "UPDATE image SET state = 'packed', shard_id = ?1, owed_seq = NULL
        WHERE state = 'owed' AND id IN (SELECT image_id FROM line WHERE shard_id = ?1)";
    let told = |cause: serde_json::Error| Fault::stale(format!("plan: {cause}"));
    let row = |line: &NewLine| {
        let prepared = line.prepared.as_ref().map(serde_json::to_string).transpose()?;
        Ok((line.image.0, int(line.bytes), prepared))
    };
    let lines = new.lines.iter().map(row).collect::<serde_json::Result<Vec<_>>>().map_err(told)?;
    let lines = serde_json::to_string(&lines).map_err(told)?;
    store.connection.prepare_cached(LINES)?.execute(params![shard.0, lines])?;
    let packed = store.connection.prepare_cached(IMAGES)?.execute([shard.0])?;
    for line in &new.lines {
        if let Some(ink) = line.ink {
            store.connection.prepare_cached(INK)?.execute(params![line.image.0, ink])?;
        }
    }
    if packed == new.lines.len() {
        return Ok(());
    }
    Err(Fault::stale(format!("of {} images to be packed only {packed} are owed", new.lines.len())))
}

/// One shard's facts.
pub(super) fn one(store: &SqliteStore, shard: ShardId) -> Outcome<ShardFacts> {
    let mut statement = store.connection.prepare_cached(&format!("{FACTS} WHERE s.id = ?1"))?;
    let mut rows = statement.query([shard.0])?;
    let row = rows.next()?.ok_or_else(|| Fault::stale(format!("there is no shard {shard}")))?;
    facts(row)
}

/// Shards that are not yet a batch, oldest first.
pub(super) fn to_open(store: &SqliteStore, after: Option<ShardId>, limit: u32) -> Outcome<Vec<ShardFacts>> {
    let sql = "WHERE s.state IN ('sealed', 'uploaded', 'opening') AND s.id > ?1 ORDER BY s.id LIMIT ?2";
    let mut statement = store.connection.prepare_cached(&format!("{FACTS} {sql}"))?;
    let after = after.map_or(0, |shard| shard.0);
    statement.query_and_then(params![after, limit], facts)?.collect()
}

/// The plan of a shard, lines in order.
pub(super) fn plan(store: &SqliteStore, shard: ShardId) -> Outcome<Plan> {
    const SQL: &str = "SELECT l.image_id, l.pos, l.bytes AS line_bytes, d.path, d.corpus_id, i.name, i.page, i.bytes, i.mtime_ms, i.format,
        i.asked, l.prepared, CASE i.deep WHEN 1 THEN i.text_hash END AS rough
        FROM line l CROSS JOIN image i ON i.id = l.image_id CROSS JOIN directory d ON d.id = i.directory_id
        WHERE l.shard_id = ?1 ORDER BY l.pos";
    let recipe = "SELECT recipe_id FROM shard WHERE id = ?1";
    let facts = one(store, shard)?;
    let recipe: i64 = store.connection.prepare_cached(recipe)?.query_row([shard.0], |row| row.get(0))?;
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query([shard.0])?;
    let mut lines = Vec::with_capacity(usize::try_from(facts.lines).unwrap_or_default());
    let mut corpus: Option<i64> = None;
    while let Some(row) = rows.next()? {
        let of_line: i64 = column(row, "corpus_id")?;
        if *corpus.get_or_insert(of_line) != of_line {
            return Err(Fault::damaged(format!("shard {shard} holds images of two corpora")));
        }
        lines.push(plan_line(row)?);
    }
    let corpus = corpus.ok_or_else(|| Fault::damaged(format!("shard {shard} has no lines")))?;
    let (given, root) = store
        .connection
        .prepare_cached("SELECT given, root FROM corpus WHERE id = ?1")?
        .query_row([corpus], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Plan { shard: facts, recipe: runs::kept_recipe(store, recipe)?, given, root, lines })
}

/// What a line keeps of a picture that was made ready.
fn prepared(text: &str) -> Outcome<Prepared> {
    serde_json::from_str(text).map_err(|cause| Fault::damaged(format!("a prepared picture: {cause}")))
}

fn plan_line(row: &Row<'_>) -> Outcome<PlanLine> {
    let asked: u32 = column(row, "asked")?;
    let prepared: Option<Prepared> = column::<Option<String>>(row, "prepared")?.as_deref().map(prepared).transpose()?;
    let format = prepared.as_ref().map_or_else(|| format(column(row, "format")?), |prepared| Ok(prepared.format))?;
    Ok(PlanLine {
        image: ImageId(column(row, "image_id")?),
        pos: column(row, "pos")?,
        bytes: count(column(row, "line_bytes")?),
        path: images::path(row)?,
        stamp: images::stamp(row)?,
        format,
        prepared,
        attempt: asked + 1,
        rough: column(row, "rough")?,
    })
}

/// sealed → uploaded; a body that differs from an earlier one of the same plan is refused.
pub(super) fn uploaded(
    store: &mut SqliteStore,
    shard: ShardId,
    input: &FileId,
    created: i64,
    hash: [u8; 16],
) -> Outcome<()> {
    const SQL: &str =
        "UPDATE shard SET state = 'uploaded', input_file_id = ?2, input_created = ?3, body_hash = ?4, epoch = ?5
        WHERE id = ?1 AND state = 'sealed' AND coalesce(body_hash, ?4) = ?4";
    let values = params![shard.0, input.as_str(), created, hash, store.epoch];
    let changed = store.connection.prepare_cached(SQL)?.execute(values)?;
    moved(changed, || format!("shard {shard} is not sealed, or its body is not the one it was"))?;
    store.books.shard(Some(ShardState::Sealed), ShardState::Uploaded)?;
    events::append(store, "uploaded", shard, input.as_str())
}

/// Keeps the hash of a spooled body.
pub(super) fn spooled(store: &SqliteStore, shard: ShardId, hash: [u8; 16]) -> Outcome<()> {
    const SQL: &str =
        "UPDATE shard SET body_hash = ?2 WHERE id = ?1 AND state = 'sealed' AND coalesce(body_hash, ?2) = ?2";
    let changed = store.connection.prepare_cached(SQL)?.execute(params![shard.0, hash])?;
    moved(changed, || format!("shard {shard} is not sealed, or its body is not the one it was"))
}

/// sealed or uploaded → dissolved, before anything was paid: its images are owed again, nothing is counted against them but
/// against the culprit.
pub(super) fn dissolve(store: &mut SqliteStore, shard: ShardId, culprit: Option<&Culprit>) -> Outcome<()> {
    let from = one(store, shard)?.state;
    moved(usize::from(matches!(from, ShardState::Sealed | ShardState::Uploaded)), || {
        format!("shard {shard} is not sealed or uploaded")
    })?;
    unanswered(store, shard)?;
    move_shard(store, shard, from, ShardState::Dissolved)?;
    if let Some(culprit) = culprit {
        let sql = "SELECT 1 FROM image WHERE id = ?1 AND state = 'packed' AND shard_id = ?2";
        let here = store.connection.prepare_cached(sql)?.exists([culprit.image.0, shard.0])?;
        moved(usize::from(here), || format!("image {} is not in shard {shard}", culprit.image))?;
    }
    release(store, shard, 0, 0)?;
    let detail = culprit.map(|culprit| format!("because of image {}", culprit.image)).unwrap_or_default();
    events::append(store, "dissolved", shard, &detail)?;
    culprit.map_or(Ok(()), |culprit| blame(store, culprit))
}

/// Of a shard `s`: that nothing of it was ever sent or written out, so that it is nobody's money. A shard has a body hash from its
/// first whole body on, whether that went to a provider or to a folder, and keeps it behind a fence. Any row of a batch, even a
/// void one, means that it may have been opened.
pub(super) const UNSENT: &str = "(s.state = 'sealed' AND s.input_file_id IS NULL AND s.body_hash IS NULL
    AND s.id NOT IN (SELECT shard_id FROM batch))";

/// sealed → dissolved, for plans of other accounts of which nothing was ever sent.
pub(super) fn dissolve_unsent(store: &mut SqliteStore, run: RunId, limit: u32) -> Outcome<u64> {
    let sql = format!(
        "SELECT s.id FROM shard s INDEXED BY shard_todo JOIN run n ON n.id = s.run_id
         WHERE s.state IN ('sealed', 'uploaded', 'opening') AND n.account_id <> (SELECT account_id FROM run WHERE id = ?1)
         AND {UNSENT} ORDER BY s.id LIMIT ?2"
    );
    let mut statement = store.connection.prepare(&sql)?;
    let rows = statement.query_map(params![run.0, limit], |row| row.get(0).map(ShardId))?;
    let unsent = rows.collect::<rusqlite::Result<Vec<ShardId>>>()?;
    drop(statement);
    for shard in &unsent {
        dissolve(store, *shard, None)?;
    }
    Ok(length(unsent.len()).unsigned_abs())
}

/// sealed → dissolved, because the provider takes no file as large; which is remembered.
pub(super) fn too_large(store: &mut SqliteStore, shard: ShardId) -> Outcome<()> {
    dissolve(store, shard, None)?;
    events::append(store, TOO_LARGE, shard, "")
}

/// Bytes of the smallest shard that was too large for the account of `run`. Providers change: after a week it is tried again,
/// and what the clock puts into the future is not believed for longer.
pub(super) fn smallest_too_large(store: &SqliteStore, run: RunId) -> Outcome<Option<u64>> {
    const SQL: &str = "SELECT min(s.bytes) FROM event e JOIN shard s ON s.id = e.shard_id JOIN run n ON n.id = s.run_id
        WHERE e.what = ?1 AND abs(e.at - ?2) < ?3 AND n.account_id = (SELECT account_id FROM run WHERE id = ?4)";
    let values = params![TOO_LARGE, store.clock.now(), TRIED_AGAIN, run.0];
    let bytes: Option<i64> = store.connection.prepare_cached(SQL)?.query_row(values, |row| row.get(0))?;
    Ok(bytes.map(count))
}

/// All images that a shard still holds are owed again, in the order of its lines; `gaps` is added to their returns,
/// `asked` to their tries.
pub(super) fn release(store: &mut SqliteStore, shard: ShardId, gaps: u32, asked: u32) -> Outcome<u64> {
    const SQL: &str = "UPDATE image INDEXED BY image_packed SET state = 'owed', gaps = gaps + ?2, asked = asked + ?4,
        owed_seq = ?3 + (SELECT pos FROM line l WHERE l.shard_id = ?1 AND l.image_id = image.id)
        WHERE shard_id = ?1 AND state = 'packed'";
    let base = store.books.owed_seq;
    let many = store.connection.prepare_cached(SQL)?.execute(params![shard.0, gaps, base, asked])?;
    let last: i64 = store
        .connection
        .prepare_cached("SELECT lines FROM shard WHERE id = ?1")?
        .query_row([shard.0], |row| row.get(0))?;
    store.books.owed_seq = base + last;
    let many = count(length(many));
    store.books.images(Some(ImageState::Packed), ImageState::Owed, many)?;
    Ok(many)
}

/// The culprit is owed by now; it goes on with its new measure, or ends.
fn blame(store: &mut SqliteStore, culprit: &Culprit) -> Outcome<()> {
    const NOTE: &str = "INSERT INTO note (image_id, changes) VALUES (?1, 1)
        ON CONFLICT (image_id) DO UPDATE SET changes = changes + 1 RETURNING changes";
    const MEASURE: &str =
        "UPDATE image SET bytes = ?2, mtime_ms = ?3, format = ?4, width = ?5, height = ?6, needs = ?7, content = NULL,
        sample = NULL
        WHERE id = ?1 AND state = 'owed'";
    let image = culprit.image;
    let changes: i64 = store.connection.prepare_cached(NOTE)?.query_row([image.0], |row| row.get(0))?;
    match &culprit.now {
        Err(reason) => images::cannot_ask(store, image, *reason),
        Ok(_) if changes >= MOST_CHANGES => images::cannot_ask(store, image, Reason::KeepsChanging),
        Ok(Remeasured { stamp, fate: Fate::Owed(looks) }) => {
            let page = store
                .connection
                .prepare_cached("SELECT page FROM image WHERE id = ?1")?
                .query_row([image.0], |row| row.get(0))?;
            let Some(pixels) = looks.of_page(page) else { return images::cannot_ask(store, image, Reason::Missing) };
            let (bytes, mtime, format) = (int(stamp.bytes), stamp.mtime_ms, looks.format.word());
            let values = params![image.0, bytes, mtime, format, pixels.width, pixels.height, looks.needs.word()];
            let changed = store.connection.prepare_cached(MEASURE)?.execute(values)?;
            moved(changed, || format!("image {image} is not owed"))
        }
        Ok(Remeasured { fate: Fate::Failed(reason) | Fate::Skipped(reason), .. }) => {
            images::cannot_ask(store, image, *reason)
        }
    }
}

/// A move must have changed exactly one row.
pub(super) fn moved(changed: usize, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if changed == 1 { Ok(()) } else { Err(Fault::stale(otherwise())) }
}
