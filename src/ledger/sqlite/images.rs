//! Images: the feed, single ends, what is known of their texts and contents.

use rusqlite::{Row, params};

use super::SqliteStore;
use super::copies;
use super::events::{self, About};
use super::fault::{Fault, Outcome};
use super::rows::{column, count, format, length, needs};
use super::shards::moved;
use crate::domain::ids::{CorpusId, ImageId, ShardId};
use crate::domain::image::{OwedImage, Pixels, Reason, RelPath, Stamp};
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::records::{Cursor, KnownText, OwedPage, SpentRough};

/// The next owed images of `corpus` after `cursor`; copies are not asked.
pub(super) fn take_owed(store: &SqliteStore, corpus: CorpusId, cursor: Cursor, limit: u32) -> Outcome<OwedPage> {
    // CROSS JOIN keeps this order of tables: the feed's index is read forward and nothing is sorted.
    const SQL: &str =
        "SELECT i.id, d.path, i.name, i.page, i.bytes, i.mtime_ms, i.format, i.needs, i.width, i.height, i.asked, i.shard_id,
        i.owed_seq, CASE i.deep WHEN 1 THEN i.text_hash END AS rough, w.after, w.model
        FROM image i INDEXED BY image_owed CROSS JOIN directory d ON d.id = i.directory_id
        LEFT JOIN wish w ON w.image_id = i.id
        WHERE i.state = 'owed' AND i.owed_seq > ?1 AND d.corpus_id = ?2 AND NOT EXISTS (SELECT 1 FROM copy c
        WHERE c.image_id = i.id AND c.stands IN ('waiting', 'ended', 'ready')) ORDER BY i.owed_seq LIMIT ?3";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![cursor.0, corpus.0, limit])?;
    let mut page = OwedPage { images: Vec::new(), next: cursor };
    while let Some(row) = rows.next()? {
        page.images.push(owed(row)?);
        page.next = Cursor(column(row, "owed_seq")?);
    }
    if page.images.len() < limit as usize {
        // Nothing is left before the last place that was given; copies that lie there need not be passed again.
        page.next = Cursor(page.next.0.max(store.books.owed_seq));
    }
    Ok(page)
}

/// Those of these images that are owed. One statement, whatever their number.
pub(super) fn still_owed(store: &SqliteStore, images: &[ImageId]) -> Outcome<Vec<ImageId>> {
    const SQL: &str = "SELECT i.id FROM json_each(?1) e CROSS JOIN image i ON i.id = e.value WHERE i.state = 'owed'";
    let ids = serde_json::Value::from_iter(images.iter().map(|image| image.0)).to_string();
    let mut statement = store.connection.prepare_cached(SQL)?;
    Ok(statement.query_map([ids], |row| row.get(0).map(ImageId))?.collect::<rusqlite::Result<_>>()?)
}

fn owed(row: &Row<'_>) -> Outcome<OwedImage> {
    let asked: u32 = column(row, "asked")?;
    Ok(OwedImage {
        id: ImageId(column(row, "id")?),
        path: path(row)?,
        stamp: stamp(row)?,
        format: format(column(row, "format")?)?,
        needs: needs(column(row, "needs")?)?,
        pixels: Pixels { width: column(row, "width")?, height: column(row, "height")? },
        attempt: asked + 1,
        first: column::<Option<i64>>(row, "shard_id")?.is_none(),
        // A reason of a later version changes nothing here.
        after: column::<Option<String>>(row, "after")?.as_deref().and_then(Reason::from_word),
        model: column(row, "model")?,
        rough: column(row, "rough")?,
    })
}

/// Columns `path` (the folder's), `name` and `page`.
pub(super) fn path(row: &Row<'_>) -> Outcome<RelPath> {
    Ok(RelPath { folder: column(row, "path")?, name: column(row, "name")?, page: column(row, "page")? })
}

/// Columns `bytes` and `mtime_ms`.
pub(super) fn stamp(row: &Row<'_>) -> Outcome<Stamp> {
    Ok(Stamp { bytes: count(column(row, "bytes")?), mtime_ms: column(row, "mtime_ms")? })
}

/// owed → failed; a rough text that cannot be sent stays rough.
pub(super) fn cannot_ask(store: &mut SqliteStore, image: ImageId, reason: Reason) -> Outcome<()> {
    const FAILED: &str =
        "UPDATE image SET state = 'failed', reason = ?2, owed_seq = NULL WHERE id = ?1 AND state = 'owed' AND deep = 0";
    const ROUGH: &str =
        "UPDATE image SET state = 'rough', owed_seq = NULL, deep = 0 WHERE id = ?1 AND state = 'owed' AND deep = 1";
    if store.connection.prepare_cached(FAILED)?.execute(params![image.0, reason.word()])? == 1 {
        return store.books.images(Some(ImageState::Owed), ImageState::Failed, 1);
    }
    moved(store.connection.prepare_cached(ROUGH)?.execute([image.0])?, || format!("image {image} is not owed"))?;
    events::append(store, "not_sent", image, reason.word())?;
    store.books.images(Some(ImageState::Owed), ImageState::Rough, 1)
}

/// Rough texts of ours are owed for deep cleaning; tells how many. One that a deep cleaning was tried on is left to a person.
pub(super) fn want_deep(store: &mut SqliteStore) -> Outcome<u64> {
    const WANTED: &str = "SELECT i.id FROM image i INDEXED BY image_ended JOIN shard s ON s.id = i.shard_id
        JOIN recipe r ON r.id = s.recipe_id WHERE i.state = 'rough' AND i.text = 'api'
        AND r.kind = 'read' AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.image_id = i.id AND c.stands = 'served') AND i.id > ?1 ORDER BY i.id LIMIT 1000";
    const OWED: &str = "UPDATE image SET state = 'owed', deep = 1, asked = 0, gaps = 0, owed_seq = ?2 WHERE id = ?1 AND state = 'rough'";
    let (mut after, mut many) = (0, 0);
    loop {
        let mut statement = store.connection.prepare_cached(WANTED)?;
        let page: Vec<i64> = statement.query_map([after], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        let Some(last) = page.last() else { break };
        after = *last;
        for image in &page {
            let seq = store.books.next_seq();
            let changed = store.connection.prepare_cached(OWED)?.execute([*image, seq])?;
            moved(changed, || format!("image {image} is not rough"))?;
            copies::wait_for_deep(store, ImageId(*image))?;
        }
        let these = count(length(page.len()));
        store.books.images(Some(ImageState::Rough), ImageState::Owed, these)?;
        many += these;
    }
    if many > 0 {
        events::append(store, "deep_wanted", About::default(), &many.to_string())?;
    }
    Ok(many)
}

/// Rough texts of a shard whose deep cleaning was accepted.
pub(super) fn spent_roughs(store: &SqliteStore, shard: ShardId) -> Outcome<Vec<SpentRough>> {
    const SQL: &str = "SELECT d.path, i.name, i.page, unhex(c.rules ->> '$[0].rough') AS rough FROM cleaning c
        JOIN image i ON i.id = c.image_id JOIN directory d ON d.id = i.directory_id
        WHERE c.shard_id = ?1 AND i.state = 'done' AND i.shard_id = ?1 AND c.rules ->> '$[0].rule' = 'deep_clean'";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query([shard.0])?;
    let mut roughs = Vec::new();
    while let Some(row) = rows.next()? {
        roughs.push(SpentRough { path: path(row)?, hash: column(row, "rough")? });
    }
    Ok(roughs)
}

/// Keeps BLAKE3 of images.
pub(super) fn content_seen(store: &SqliteStore, images: &[(ImageId, Short)]) -> Outcome<()> {
    let mut keep = store.connection.prepare_cached("UPDATE image SET content = ?2 WHERE id = ?1")?;
    for (image, hash) in images {
        if keep.execute(params![image.0, hash])? != 1 {
            return Err(Fault::stale(format!("there is no image {image}")));
        }
    }
    Ok(())
}

/// Texts of an earlier program, by hash: ours from here on.
pub(super) fn own_texts(store: &SqliteStore, root: &[u8], texts: &[(RelPath, Short)]) -> Outcome<u64> {
    const SQL: &str = "UPDATE image SET text = 'txt', text_hash = ?4 WHERE name = ?3 AND page = 1
        AND directory_id = (SELECT d.id FROM directory d JOIN corpus c ON c.id = d.corpus_id WHERE c.root = ?1 AND d.path = ?2)
        AND (state = 'packed' AND text IS NULL OR text = 'kept' AND text_hash = ?4)";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut changed = 0;
    for (path, hash) in texts {
        changed += statement.execute(params![root, path.folder, path.name, hash])? as u64;
    }
    Ok(changed)
}

/// Hashes of the texts that *we* wrote: one that a person keeps is not ours to replace.
pub(super) fn known_texts(store: &SqliteStore, images: &[ImageId]) -> Outcome<Vec<KnownText>> {
    let sql = "SELECT CASE WHEN i.text <> 'kept' THEN i.text_hash END AS hash,
        i.state, i.shard_id, w.after, w.said, w.image_id IS NOT NULL AND w.after IS NULL AS put_back, k.ink, i.format = 'tiff' AND EXISTS (SELECT 1 FROM image o
        WHERE o.directory_id = i.directory_id AND o.name = i.name AND o.page = 2) AS one_of_many, l.prepared IS NOT NULL AS prepared
        FROM image i LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = i.id LEFT JOIN wish w ON w.image_id = i.id LEFT JOIN ink k ON k.image_id = i.id WHERE i.id = ?1";
    let mut find = store.connection.prepare_cached(sql)?;
    images
        .iter()
        .map(|image| {
            let mut rows = find.query([image.0])?;
            let mut known = KnownText {
                image: *image,
                hash: None,
                packed_in: None,
                state: None,
                shard: None,
                after: None,
                put_back: false,
                said: None,
                ink: None,
                prepared: false,
                one_of_many: false,
            };
            if let Some(row) = rows.next()? {
                known.hash = column(row, "hash")?;
                known.shard = column::<Option<i64>>(row, "shard_id")?.map(ShardId);
                known.state = ImageState::from_word(&column::<String>(row, "state")?);
                known.packed_in = known.shard.filter(|_| known.state == Some(ImageState::Packed));
                // A reason of a later version changes nothing here.
                known.after = column::<Option<String>>(row, "after")?.as_deref().and_then(Reason::from_word);
                (known.said, known.ink) = (column(row, "said")?, column(row, "ink")?);
                (known.put_back, known.prepared) = (column(row, "put_back")?, column(row, "prepared")?);
                // Unknown where the image was never measured.
                known.one_of_many = column::<Option<bool>>(row, "one_of_many")?.unwrap_or_default();
            }
            Ok(known)
        })
        .collect()
}
