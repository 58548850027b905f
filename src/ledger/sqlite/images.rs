//! Images: the feed, single ends, what is known of their texts and contents.

use rusqlite::{Row, params};

use super::SqliteStore;
use super::fault::{Fault, Outcome};
use super::rows::{column, count, format};
use crate::domain::ids::{CorpusId, ImageId, ShardId};
use crate::domain::image::{OwedImage, Pixels, Reason, RelPath, Stamp};
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::records::{Cursor, KnownText, OwedPage};

/// The next owed images of `corpus` after `cursor`.
pub(super) fn take_owed(store: &SqliteStore, corpus: CorpusId, cursor: Cursor, limit: u32) -> Outcome<OwedPage> {
    // CROSS JOIN keeps this order of tables: the feed's index is read forward and nothing is sorted.
    const SQL: &str =
        "SELECT i.id, d.path, i.name, i.bytes, i.mtime_ms, i.format, i.width, i.height, i.asked, i.shard_id, i.owed_seq
        FROM image i INDEXED BY image_owed CROSS JOIN directory d ON d.id = i.directory_id
        WHERE i.state = 'owed' AND i.owed_seq > ?1 AND d.corpus_id = ?2 ORDER BY i.owed_seq LIMIT ?3";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![cursor.0, corpus.0, limit])?;
    let mut page = OwedPage { images: Vec::new(), next: cursor };
    while let Some(row) = rows.next()? {
        page.images.push(owed(row)?);
        page.next = Cursor(column(row, "owed_seq")?);
    }
    Ok(page)
}

fn owed(row: &Row<'_>) -> Outcome<OwedImage> {
    let asked: u32 = column(row, "asked")?;
    Ok(OwedImage {
        id: ImageId(column(row, "id")?),
        path: path(row)?,
        stamp: stamp(row)?,
        format: format(column(row, "format")?)?,
        pixels: Pixels { width: column(row, "width")?, height: column(row, "height")? },
        attempt: asked + 1,
        first: column::<Option<i64>>(row, "shard_id")?.is_none(),
    })
}

/// Columns `path` (the folder's) and `name`.
pub(super) fn path(row: &Row<'_>) -> Outcome<RelPath> {
    Ok(RelPath { folder: column(row, "path")?, name: column(row, "name")? })
}

/// Columns `bytes` and `mtime_ms`.
pub(super) fn stamp(row: &Row<'_>) -> Outcome<Stamp> {
    Ok(Stamp { bytes: count(column(row, "bytes")?), mtime_ms: column(row, "mtime_ms")? })
}

/// owed → failed.
pub(super) fn cannot_ask(store: &mut SqliteStore, image: ImageId, reason: Reason) -> Outcome<()> {
    const SQL: &str =
        "UPDATE image SET state = 'failed', reason = ?2, owed_seq = NULL WHERE id = ?1 AND state = 'owed'";
    let changed = store.connection.prepare_cached(SQL)?.execute(params![image.0, reason.word()])?;
    if changed != 1 {
        return Err(Fault::stale(format!("image {image} is not owed")));
    }
    store.books.images(Some(ImageState::Owed), ImageState::Failed, 1)
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

/// Hashes of the texts that *we* wrote: one that a person keeps is not ours to replace.
pub(super) fn known_texts(store: &SqliteStore, images: &[ImageId]) -> Outcome<Vec<KnownText>> {
    let sql = "SELECT CASE WHEN i.text <> 'kept' THEN i.text_hash END AS hash,
        CASE WHEN i.state = 'packed' THEN i.shard_id END AS packed_in, w.after, w.said, k.ink
        FROM image i LEFT JOIN wish w ON w.image_id = i.id LEFT JOIN ink k ON k.image_id = i.id WHERE i.id = ?1";
    let mut find = store.connection.prepare_cached(sql)?;
    images
        .iter()
        .map(|image| {
            let mut rows = find.query([image.0])?;
            let mut known =
                KnownText { image: *image, hash: None, packed_in: None, after: None, said: None, ink: None };
            if let Some(row) = rows.next()? {
                known.hash = column(row, "hash")?;
                known.packed_in = column::<Option<i64>>(row, "packed_in")?.map(ShardId);
                // A reason of a later version changes nothing here.
                known.after = column::<Option<String>>(row, "after")?.as_deref().and_then(Reason::from_word);
                (known.said, known.ink) = (column(row, "said")?, column(row, "ink")?);
            }
            Ok(known)
        })
        .collect()
}
