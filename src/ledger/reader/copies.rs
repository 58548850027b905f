//! Copies: whose answer stands beside an image that was never asked.

use rusqlite::Row;

use super::{Reader, Result, rel_path};
use crate::domain::ids::{ImageId, Tag};
use crate::domain::image::RelPath;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, word};

/// How many images are copies of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCount {
    /// Those that wait for what becomes of their originals.
    pub waiting: u64,
    /// Those that ended as their originals did.
    pub served: u64,
}

impl CopyCount {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.waiting + self.served
    }
}

/// A copy that has ended as its original did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// Its row: pass the last one to get the next page.
    pub id: ImageId,
    /// Where it lies below the corpus root.
    pub path: RelPath,
    /// The image that was asked.
    pub original: RelPath,
    /// The shard in which that was asked; none where it failed before it was in one.
    pub shard: Option<Tag>,
    /// BLAKE3 of the bytes of both.
    pub content: Option<Short>,
    /// Where it stands.
    pub state: ImageState,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// `txt`, `api` or `kept`, and BLAKE3 of the text.
    pub text: Option<(String, Short)>,
}

impl Reader {
    /// How many images are copies of others.
    ///
    /// # Errors
    /// The ledger's.
    pub fn copy_count(&self) -> Result<CopyCount> {
        const SQL: &str = "SELECT (SELECT waiting FROM copies) AS waiting,
            (SELECT count(*) FROM copy WHERE stands = 'served') AS served";
        let read =
            |row: &Row<'_>| Ok(CopyCount { waiting: count(row.get("waiting")?), served: count(row.get("served")?) });
        self.told(self.connection.query_row(SQL, [], read).map_err(Into::into))
    }

    /// Copies that have ended as their originals did, by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn copies(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<CopyRow>> {
        const SQL: &str = "SELECT i.id, d.path, i.name, i.page, i.state, i.reason, i.text, i.text_hash, i.content, s.tag,
            od.path AS original_folder, o.name AS original_name, o.page AS original_page
            FROM copy c CROSS JOIN image i ON i.id = c.image_id JOIN directory d ON d.id = i.directory_id
            JOIN image o ON o.id = c.original_id JOIN directory od ON od.id = o.directory_id LEFT JOIN shard s ON s.id = i.shard_id
            WHERE c.image_id > ?1 AND c.stands = 'served' ORDER BY c.image_id LIMIT ?2";
        self.paged(SQL, after.map_or(0, |image| image.0), limit, copy)
    }
}

fn copy(row: &Row<'_>) -> Outcome<CopyRow> {
    let state: String = column(row, "state")?;
    let text: Option<String> = column(row, "text")?;
    Ok(CopyRow {
        id: ImageId(column(row, "id")?),
        path: rel_path(row)?,
        original: RelPath {
            folder: column(row, "original_folder")?,
            name: column(row, "original_name")?,
            page: column(row, "original_page")?,
        },
        shard: column::<Option<String>>(row, "tag")?.map(Tag),
        content: column(row, "content")?,
        state: word(&state, ImageState::from_word)?,
        reason: column(row, "reason")?,
        text: text.zip(column(row, "text_hash")?),
    })
}
