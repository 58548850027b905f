//! Copies: who may be one, of whom, and how each ends. The picture of their states stands in `ledger/copies.rs`; the triggers of
//! the schema move a copy whenever its own row or its original's does.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Row, params};

use super::SqliteStore;
use super::fault::{Fault, Outcome};
use super::rows::{column, int, word};
use super::shards::moved;
use crate::domain::ids::{CorpusId, ImageId, RecipeId, ShardId};
use crate::domain::image::{Reason, RelPath, Stamp};
use crate::kit::hash::Short;
use crate::ledger::copies::{Alike, By, Lot, Pair, ReadyCopy, Seen, SeenHash, ServedCopy, Unread, is_of_content, lot};
use crate::ledger::moves::ImageState;
use crate::ledger::records::TextOwner;

/// Originals that are looked at for one image. Files that share length and sample and differ all the same are rare, and what is
/// passed over is asked by itself.
const MOST: u32 = 64;
/// Copies decided on at a time.
const STRETCH: u32 = 256;

/// An owed image that may become a copy: it has its file for itself, and no copy of its own waits for it.
const MAY_BE_COPY: &str = "SELECT i.id, d.path, i.name, i.page, i.bytes, i.mtime_ms, i.sample, i.content IS NULL AS unread
    FROM image i JOIN directory d ON d.id = i.directory_id
    WHERE i.id = ?1 AND d.corpus_id = ?2 AND i.state = 'owed' AND i.deep = 0 AND i.page = 1 AND NOT EXISTS (SELECT 1 FROM image p
    WHERE p.directory_id = i.directory_id AND p.name = i.name AND p.page = 2) AND NOT EXISTS (SELECT 1 FROM copy c
    WHERE c.original_id = i.id AND c.stands IN ('waiting', 'ended', 'ready'))";

/// Images that `?1` may be a copy of, as far as length and sample tell. One that has ended will do only for an image that never
/// had an end itself: otherwise it was put back to be asked. Of two that are owed, the one that came first is the original, so
/// that no two wait for each other.
const ORIGINALS: &str = "SELECT o.id, d.path, o.name, o.page, o.bytes, o.mtime_ms, o.state, o.content IS NULL AS unread,
    CASE WHEN o.state <> 'owed' THEN s.recipe_id END AS recipe
    FROM image i CROSS JOIN image o INDEXED BY image_alike ON o.bytes = i.bytes AND o.sample = i.sample
    JOIN directory d ON d.id = o.directory_id LEFT JOIN shard s ON s.id = o.shard_id
    LEFT JOIN wish v ON v.image_id = i.id LEFT JOIN wish w ON w.image_id = o.id
    WHERE i.id = ?1 AND i.sample <> -1 AND d.corpus_id = ?2 AND o.id <> i.id AND o.page = 1 AND v.model IS w.model
    AND NOT EXISTS (SELECT 1 FROM image p WHERE p.directory_id = o.directory_id AND p.name = o.name AND p.page = 2)
    AND (o.state = 'owed' AND o.id < i.id OR o.state = 'packed' OR i.shard_id IS NULL AND i.text IS NULL
      AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.image_id = i.id) AND (o.state IN ('done', 'rough') AND o.text IN ('txt', 'api')
      OR o.state = 'failed' AND o.reason NOT IN (SELECT value FROM json_each(?3))))";

/// Reasons of a path, as a JSON list of their words.
fn reasons_of_path() -> String {
    let words = Reason::ALL.into_iter().filter(|reason| !is_of_content(*reason)).map(Reason::word);
    serde_json::Value::from_iter(words).to_string()
}

fn unread(row: &Row<'_>) -> Outcome<Unread> {
    Ok(Unread {
        image: ImageId(column(row, "id")?),
        path: super::images::path(row)?,
        stamp: super::images::stamp(row)?,
    })
}

/// Of these owed images, those that may be copies.
pub(super) fn alike(store: &SqliteStore, corpus: CorpusId, images: &[ImageId], by: By) -> Outcome<Alike> {
    match by {
        By::Length => alike_by_length(store, corpus, images),
        By::Sample => alike_by_sample(store, corpus, images),
    }
}

/// Of these owed images, those whose length another file has.
fn alike_by_length(store: &SqliteStore, corpus: CorpusId, images: &[ImageId]) -> Outcome<Alike> {
    // Each half is one step in the index.
    const SHARED: &str =
        "SELECT EXISTS (SELECT 1 FROM image INDEXED BY image_alike WHERE bytes = ?1 AND sample IS NULL AND id < ?2)
        OR EXISTS (SELECT 1 FROM image INDEXED BY image_alike WHERE bytes = ?1 AND sample >= 0 AND id <> ?2)";
    const EARLIER: &str = "SELECT i.id, d.path, i.name, i.page, i.bytes, i.mtime_ms
        FROM image i INDEXED BY image_alike JOIN directory d ON d.id = i.directory_id WHERE i.bytes = ?1 AND i.sample IS NULL
        AND i.id < ?2 AND d.corpus_id = ?3 AND i.page = 1 AND i.state <> 'skipped' AND i.format IS NOT NULL LIMIT ?4";
    let (mut alike, mut listed) = (Alike::default(), BTreeSet::new());
    // Of each length the last image, and how many there are.
    let mut lengths: BTreeMap<i64, (i64, u32)> = BTreeMap::new();
    let mut one = store.connection.prepare_cached(MAY_BE_COPY)?;
    let mut shared = store.connection.prepare_cached(SHARED)?;
    for image in images {
        let mut rows = one.query([image.0, corpus.0])?;
        let Some(row) = rows.next()? else { continue };
        let bytes = column(row, "bytes")?;
        if !shared.query_row([bytes, image.0], |row| row.get::<_, bool>(0))? {
            continue;
        }
        if column::<Option<i64>>(row, "sample")?.is_none() && listed.insert(*image) {
            alike.unread.push(unread(row)?);
        }
        alike.images.push(*image);
        let (last, count) = lengths.entry(bytes).or_default();
        (*last, *count) = (image.0.max(*last), *count + 1);
    }
    // Once a length and not once an image: where all files have one length, each would be told of all before it.
    let mut earlier = store.connection.prepare_cached(EARLIER)?;
    for (bytes, (last, count)) in lengths {
        let others = earlier.query_and_then(params![bytes, last, corpus.0, MOST + count], unread)?;
        for file in others {
            let file = file?;
            if listed.insert(file.image) {
                alike.unread.push(file);
            }
        }
    }
    Ok(alike)
}

/// Of these owed images, those whose length and sample another one has that may be their original.
fn alike_by_sample(store: &SqliteStore, corpus: CorpusId, images: &[ImageId]) -> Outcome<Alike> {
    let (mut alike, mut listed) = (Alike::default(), BTreeSet::new());
    let mut recipes = BTreeSet::new();
    let mut one = store.connection.prepare_cached(MAY_BE_COPY)?;
    let mut find = store.connection.prepare_cached(&format!("{ORIGINALS} LIMIT {MOST}"))?;
    let reasons = reasons_of_path();
    for image in images {
        let mut rows = one.query([image.0, corpus.0])?;
        let Some(row) = rows.next()? else { continue };
        let this = column::<bool>(row, "unread")?.then(|| unread(row)).transpose()?;
        drop(rows);
        let read = |row: &Row<'_>| -> Outcome<_> {
            let file = column::<bool>(row, "unread")?.then(|| unread(row)).transpose()?;
            Ok((file, column::<Option<i64>>(row, "recipe")?))
        };
        let others = find.query_and_then(params![image.0, corpus.0, reasons], read)?;
        let others = others.collect::<Outcome<Vec<_>>>()?;
        if others.is_empty() {
            continue;
        }
        alike.images.push(*image);
        recipes.extend(others.iter().filter_map(|(_, recipe)| *recipe));
        let all = this.into_iter().chain(others.into_iter().filter_map(|(file, _)| file));
        alike.unread.extend(all.filter(|file| listed.insert(file.image)));
    }
    alike.recipes = recipes.into_iter().map(RecipeId).collect();
    Ok(alike)
}

/// Keeps what was seen in files that are still the same.
pub(super) fn seen(store: &SqliteStore, seen: &[Seen]) -> Outcome<()> {
    const SAMPLE: &str =
        "UPDATE image SET sample = ?4 WHERE id = ?1 AND (bytes, mtime_ms) = (?2, ?3) AND sample IS NULL";
    const CONTENT: &str =
        "UPDATE image SET content = ?4 WHERE id = ?1 AND (bytes, mtime_ms) = (?2, ?3) AND content IS NULL";
    for Seen { image, stamp: Stamp { bytes, mtime_ms }, hash } in seen {
        let bytes = int(*bytes);
        match hash {
            SeenHash::Sample(hash) => {
                store.connection.prepare_cached(SAMPLE)?.execute(params![image.0, bytes, mtime_ms, hash])?
            }
            SeenHash::Content(hash) => {
                store.connection.prepare_cached(CONTENT)?.execute(params![image.0, bytes, mtime_ms, hash])?
            }
        };
    }
    Ok(())
}

/// Makes copies of these owed images, where an original with the same bytes was or will be asked with one of `recipes`; tells
/// which are copies now.
pub(super) fn pair(
    store: &SqliteStore,
    corpus: CorpusId,
    images: &[ImageId],
    recipes: &[RecipeId],
) -> Outcome<Vec<ImageId>> {
    // A picture that could not be made ready has failed without having been in a shard. What is asked already comes first.
    let originals = format!(
        "{ORIGINALS} AND o.content = i.content AND (o.state = 'owed' OR s.id IS NULL
         OR s.recipe_id IN (SELECT value FROM json_each(?4))) ORDER BY o.state = 'owed', o.id LIMIT 1"
    );
    const COPY: &str = "INSERT INTO copy (image_id, original_id, stands) VALUES (?1, ?2, ?3)
        ON CONFLICT (image_id) DO UPDATE SET original_id = excluded.original_id, stands = excluded.stands";
    let recipes = serde_json::Value::from_iter(recipes.iter().map(|recipe| recipe.0)).to_string();
    let (reasons, mut copies) = (reasons_of_path(), Vec::new());
    for image in images {
        if !store.connection.prepare_cached(MAY_BE_COPY)?.exists([image.0, corpus.0])? {
            continue;
        }
        let mut find = store.connection.prepare_cached(&originals)?;
        let mut rows = find.query(params![image.0, corpus.0, reasons, recipes])?;
        let Some(row) = rows.next()? else { continue };
        let (original, state) = (column::<i64>(row, "id")?, column::<String>(row, "state")?);
        let stands = if matches!(&*state, "owed" | "packed") { "waiting" } else { "ended" };
        drop(rows);
        store.connection.prepare_cached(COPY)?.execute(params![image.0, original, stands])?;
        is_nobodys_original(store, *image)?;
        copies.push(*image);
    }
    Ok(copies)
}

/// Takes a copy out of the sight of those that look for originals.
fn is_nobodys_original(store: &SqliteStore, image: ImageId) -> Outcome<()> {
    store.connection.prepare_cached("UPDATE image SET sample = -1 WHERE id = ?1")?.execute([image.0])?;
    Ok(())
}

/// Decides what becomes of copies whose original has ended or that may be none any more; tells how many are to be asked now.
pub(super) fn sort(store: &mut SqliteStore) -> Outcome<u64> {
    // The index's own words are repeated: only so is it known to hold every row that is meant.
    const ENDED: &str =
        "SELECT c.image_id AS id, i.content = o.content AS same, o.state, o.reason, o.text IN ('txt', 'api') AS ours
        FROM copy c INDEXED BY copy_todo JOIN image i ON i.id = c.image_id JOIN image o ON o.id = c.original_id
        WHERE c.stands IN ('ended', 'ready') AND c.stands = 'ended' ORDER BY c.image_id LIMIT ?1";
    let mut alone = 0;
    loop {
        let mut statement = store.connection.prepare_cached(ENDED)?;
        let ended = statement.query_and_then([STRETCH], ended)?.collect::<Outcome<Vec<_>>>()?;
        drop(statement);
        if ended.is_empty() {
            return Ok(alone);
        }
        for (image, pair) in ended {
            match lot(pair) {
                Lot::Waits => stands(store, image, "waiting")?,
                Lot::Text => stands(store, image, "ready")?,
                Lot::Fails(reason) => fail(store, image, reason)?,
                Lot::Alone => {
                    ask_alone(store, &[image])?;
                    alone += 1;
                }
            }
        }
    }
}

fn ended(row: &Row<'_>) -> Outcome<(ImageId, Pair)> {
    let state: String = column(row, "state")?;
    // Unknown is as good as different.
    let is = |name: &str| Ok::<_, Fault>(column::<Option<bool>>(row, name)?.unwrap_or_default());
    let pair = Pair {
        same: is("same")?,
        original: word(&state, ImageState::from_word)?,
        ours: is("ours")?,
        reason: column::<Option<String>>(row, "reason")?.as_deref().and_then(Reason::from_word),
    };
    Ok((ImageId(column(row, "id")?), pair))
}

fn stands(store: &SqliteStore, copy: ImageId, word: &str) -> Outcome<()> {
    const SQL: &str = "UPDATE copy SET stands = ?2 WHERE image_id = ?1 AND stands IN ('waiting', 'ended', 'ready')";
    let changed = store.connection.prepare_cached(SQL)?.execute(params![copy.0, word])?;
    moved(changed, || format!("image {copy} is no copy that waits"))
}

fn fail(store: &mut SqliteStore, copy: ImageId, reason: Reason) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'failed', reason = ?2, owed_seq = NULL, deep = 0 WHERE id = ?1 AND state = 'owed'";
    stands(store, copy, "served")?;
    belongs_to_shard_of_original(store, copy)?;
    let changed = store.connection.prepare_cached(SQL)?.execute(params![copy.0, reason.word()])?;
    moved(changed, || format!("image {copy} is not owed"))?;
    store.books.images(Some(ImageState::Owed), ImageState::Failed, 1)
}

/// Copies that are asked by themselves from here on. They come to the feed anew: it has passed their old places.
pub(super) fn ask_alone(store: &mut SqliteStore, copies: &[ImageId]) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET sample = NULL, owed_seq = ?2 WHERE id = ?1 AND state = 'owed'";
    for copy in copies {
        stands(store, *copy, "alone")?;
        let seq = store.books.next_seq();
        let changed = store.connection.prepare_cached(SQL)?.execute(params![copy.0, seq])?;
        moved(changed, || format!("image {copy} is not owed"))?;
    }
    Ok(())
}

/// Columns of [`ready_copy`]; a text that a person keeps is not ours to replace.
const READY: &str = "SELECT i.id, d.path, i.name, i.page, CASE WHEN i.text <> 'kept' THEN i.text_hash END AS known,
    od.path AS original_path, o.name AS original_name, o.text_hash, o.state = 'rough' AS rough";

/// Copies whose text can be written, after this one.
pub(super) fn ready(store: &SqliteStore, after: ImageId, limit: u32) -> Outcome<Vec<ReadyCopy>> {
    let sql = format!(
        "{READY} FROM copy c INDEXED BY copy_todo JOIN image i ON i.id = c.image_id JOIN directory d ON d.id = i.directory_id
         JOIN image o ON o.id = c.original_id JOIN directory od ON od.id = o.directory_id
         WHERE c.stands IN ('ended', 'ready') AND c.stands = 'ready' AND c.image_id > ?1 ORDER BY c.image_id LIMIT ?2"
    );
    store.connection.prepare_cached(&sql)?.query_and_then(params![after.0, limit], ready_copy)?.collect()
}

/// Copies that have ended with an original whose answer came with this shard, and whose text may have to be made anew.
pub(super) fn of_shard(store: &SqliteStore, shard: ShardId) -> Outcome<Vec<ReadyCopy>> {
    let sql = format!(
        "{READY} FROM line l JOIN copy c ON c.original_id = l.image_id JOIN image i ON i.id = c.image_id
         JOIN directory d ON d.id = i.directory_id JOIN image o ON o.id = c.original_id JOIN directory od ON od.id = o.directory_id
         WHERE l.shard_id = ?1 AND o.shard_id = ?1 AND c.stands = 'served' AND i.content = o.content
         AND o.state IN ('done', 'rough') AND o.text IN ('txt', 'api')"
    );
    store.connection.prepare_cached(&sql)?.query_and_then([shard.0], ready_copy)?.collect()
}

fn ready_copy(row: &Row<'_>) -> Outcome<ReadyCopy> {
    Ok(ReadyCopy {
        image: ImageId(column(row, "id")?),
        path: super::images::path(row)?,
        known: column(row, "known")?,
        original: RelPath { folder: column(row, "original_path")?, name: column(row, "original_name")?, page: 1 },
        text: column(row, "text_hash")?,
        rough: column(row, "rough")?,
    })
}

/// The texts of copies are on disk. One whose original has another text by now is decided on again.
pub(super) fn served(store: &mut SqliteStore, copies: &[ServedCopy]) -> Outcome<()> {
    const SERVED: &str = "UPDATE copy SET stands = 'served' WHERE image_id = ?1 AND stands IN ('ready', 'served')
        AND EXISTS (SELECT 1 FROM image o WHERE o.id = copy.original_id AND o.text_hash = ?2 AND o.state = ?3)";
    const AGAIN: &str = "UPDATE copy SET stands = 'ended' WHERE image_id = ?1 AND stands = 'ready'";
    for ServedCopy { copy, stands } in copies {
        let to = if copy.rough { ImageState::Rough } else { ImageState::Done };
        let values = params![copy.image.0, copy.text, to.word()];
        if store.connection.prepare_cached(SERVED)?.execute(values)? == 1 {
            has_text(store, copy.image, to, *stands)?;
        } else {
            store.connection.prepare_cached(AGAIN)?.execute([copy.image.0])?;
        }
    }
    Ok(())
}

/// From where the recipe, the price and the batch of its answer are found.
fn belongs_to_shard_of_original(store: &SqliteStore, copy: ImageId) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET shard_id = (SELECT o.shard_id FROM copy c JOIN image o ON o.id = c.original_id
        WHERE c.image_id = ?1) WHERE id = ?1";
    store.connection.prepare_cached(SQL)?.execute([copy.0])?;
    Ok(())
}

fn has_text(store: &mut SqliteStore, copy: ImageId, to: ImageState, (owner, hash): (TextOwner, Short)) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET state = ?2, reason = NULL, deep = 0, owed_seq = NULL, text = ?3, text_hash = ?4
        WHERE id = ?1 AND state = ?5";
    let sql = "SELECT state FROM image WHERE id = ?1";
    let from: String = store.connection.prepare_cached(sql)?.query_row([copy.0], |row| row.get(0))?;
    let from = word(&from, ImageState::from_word)?;
    belongs_to_shard_of_original(store, copy)?;
    let owner = match owner {
        TextOwner::Kept => "kept",
        _ if to == ImageState::Rough => "api",
        _ => "txt",
    };
    let values = params![copy.0, to.word(), owner, hash, from.word()];
    moved(store.connection.prepare_cached(SQL)?.execute(values)?, || format!("image {copy} has moved"))?;
    store.connection.prepare_cached("DELETE FROM wish WHERE image_id = ?1")?.execute([copy.0])?;
    if from == to { Ok(()) } else { store.books.images(Some(from), to, 1) }
}

/// The original of rough copies is cleaned deeply: they wait for what comes of it.
pub(super) fn wait_for_deep(store: &mut SqliteStore, original: ImageId) -> Outcome<()> {
    const ROUGH: &str = "SELECT i.id FROM copy c JOIN image i ON i.id = c.image_id
        WHERE c.original_id = ?1 AND c.stands = 'served' AND i.state = 'rough' AND i.text = 'api' ORDER BY i.id";
    const OWED: &str =
        "UPDATE image SET state = 'owed', asked = 0, gaps = 0, owed_seq = ?2 WHERE id = ?1 AND state = 'rough'";
    const WAITS: &str = "UPDATE copy SET stands = 'waiting' WHERE image_id = ?1";
    let mut statement = store.connection.prepare_cached(ROUGH)?;
    let copies: Vec<i64> = statement.query_map([original.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    for copy in copies {
        let seq = store.books.next_seq();
        let changed = store.connection.prepare_cached(OWED)?.execute([copy, seq])?;
        moved(changed, || format!("image {copy} is not rough"))?;
        store.books.images(Some(ImageState::Rough), ImageState::Owed, 1)?;
        // The move has made it an image like any other.
        store.connection.prepare_cached(WAITS)?.execute([copy])?;
        is_nobodys_original(store, ImageId(copy))?;
    }
    Ok(())
}
