//! Files of several pages: each page is an image of its own, and one text holds those of all.

use rusqlite::{Row, params};

use super::SqliteStore;
use super::fault::{Fault, Outcome};
use super::rows::{column, length};
use crate::domain::ids::{ImageId, ShardId};
use crate::kit::hash::Short;
use crate::ledger::records::{TextOwner, WholeFile};

/// Files of which this shard asked a page and of which all pages have a text by now; without a shard, those of which a page is gone
/// and the others have texts that were never joined.
pub(super) fn whole_files(store: &SqliteStore, shard: Option<ShardId>) -> Outcome<Vec<WholeFile>> {
    const FILES: &str = "SELECT DISTINCT i.directory_id, i.name FROM line l JOIN image i ON i.id = l.image_id
        WHERE l.shard_id = ?1 AND i.format = 'tiff' AND EXISTS (SELECT 1 FROM image o
        WHERE o.directory_id = i.directory_id AND o.name = i.name AND o.page = 2)";
    // There are few pages that are gone, and the index knows them.
    const LEFT: &str = "SELECT DISTINCT g.directory_id, g.name FROM image g INDEXED BY image_ended
        JOIN image i ON i.directory_id = g.directory_id AND i.name = g.name AND i.page = 1
        WHERE g.state = 'failed' AND g.reason = 'missing_file' AND g.page > 1
        AND i.state = 'done' AND i.text = 'page' AND ?1 IS NULL";
    let mut find = store.connection.prepare_cached(if shard.is_some() { FILES } else { LEFT })?;
    let files = find
        .query_map([shard.map(|shard| shard.0)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, Vec<u8>)>>>()?;
    let mut whole = Vec::new();
    for (directory, name) in files {
        whole.extend(file(store, directory, &name)?);
    }
    Ok(whole)
}

/// A file whose pages are all done; a page that it had and has no more is not waited for.
fn file(store: &SqliteStore, directory: i64, name: &[u8]) -> Outcome<Option<WholeFile>> {
    const PAGES: &str = "SELECT i.id, d.path, i.name, i.page, i.state, i.text, i.text_hash
        FROM image i JOIN directory d ON d.id = i.directory_id WHERE i.directory_id = ?1 AND i.name = ?2
        AND NOT (i.state = 'failed' AND i.reason = 'missing_file' AND i.page > 1) ORDER BY i.page";
    let mut statement = store.connection.prepare_cached(PAGES)?;
    let pages: Vec<_> = statement.query_and_then(params![directory, name], page)?.collect::<Outcome<_>>()?;
    let Some((_, path, ..)) = pages.first() else { return Ok(None) };
    if pages.iter().any(|(.., state, _)| state != "done") {
        return Ok(None);
    }
    Ok(Some(WholeFile {
        path: path.clone(),
        text: pages.iter().find_map(|(.., hash)| *hash),
        pages: pages.iter().map(|(image, ..)| *image).collect(),
    }))
}

type Page = (ImageId, crate::domain::image::RelPath, String, Option<Short>);

/// A page, and the hash of the text of its file as we wrote it last.
fn page(row: &Row<'_>) -> Outcome<Page> {
    let kind: Option<String> = column(row, "text")?;
    let hash: Option<Short> = column(row, "text_hash")?;
    let of_file = hash.filter(|_| kind.as_deref() == Some("txt"));
    Ok((ImageId(column(row, "id")?), super::images::path(row)?, column(row, "state")?, of_file))
}

/// The text of a file stands: it is that of each of its pages, also of those that are asked anew since it was looked at, because
/// the file is another one. Otherwise the next text of the file would find one there that nobody knows, and leave it as a person's.
pub(super) fn joined(store: &SqliteStore, pages: &[ImageId], owner: TextOwner, hash: Short) -> Outcome<()> {
    const SQL: &str = "UPDATE image SET text = ?2, text_hash = ?3 WHERE id = ?1 AND deep = 0 AND state <> 'rough'";
    let word = if owner == TextOwner::Kept { "kept" } else { "txt" };
    let mut keep = store.connection.prepare_cached(SQL)?;
    for image in pages {
        keep.execute(params![image.0, word, hash])?;
    }
    Ok(())
}

/// Files of prepared pictures that a living plan names.
pub(super) fn prepared_files(store: &SqliteStore) -> Outcome<Vec<String>> {
    const SQL: &str = "SELECT l.prepared ->> '$.file' AS file FROM shard s CROSS JOIN line l ON l.shard_id = s.id
        WHERE s.state IN ('sealed', 'uploaded', 'opening', 'spent') AND l.prepared IS NOT NULL";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let files: Vec<Option<String>> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if files.iter().any(Option::is_none) {
        return Err(Fault::damaged(format!("one of {} prepared pictures has no file", length(files.len()))));
    }
    Ok(files.into_iter().flatten().collect())
}
