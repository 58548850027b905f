//! Images by page, with what became of each last: for the verbs that choose among them.

use rusqlite::{Connection, Row, params};

use super::{Reader, Result, rel_path};
use crate::domain::ids::{BatchId, ImageId};
use crate::domain::image::RelPath;
use crate::domain::recipe::IdStyle;
use crate::kit::clock::Millis;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, word};

/// The flag of a text that a person has changed.
pub const EDITED: &str = "edited";

/// An image, and what its last request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRow {
    /// Its row: pass the last one to get the next page.
    pub id: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// The corpus as the user wrote it.
    pub given: Vec<u8>,
    /// Where it lies below the root.
    pub path: RelPath,
    /// Where it stands.
    pub state: ImageState,
    /// Why it ended, if it ended without a text.
    pub reason: Option<String>,
    /// Counted tries so far.
    pub asked: u32,
    /// Whether format and size are known: nothing else can be asked.
    pub measured: bool,
    /// `txt`, `api`, `page` or `kept`, once there is a text.
    pub text: Option<String>,
    /// BLAKE3 of the text.
    pub text_hash: Option<Short>,
    /// Whether a person's edit was noted.
    pub edited: bool,
    /// Whether its last answer bears a flag.
    pub flagged: bool,
    /// Flags of its last answer, of the picture that was sent, and of the text that stands.
    pub flags: Vec<String>,
    /// How its last request was asked, if it was.
    pub asked_as: Option<AskedAs>,
    /// Why it is asked again, if it is.
    pub after: Option<String>,
}

/// How an image was asked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAs {
    /// The recipe's row.
    pub recipe: i64,
    /// When its shard was sealed (unix milliseconds).
    pub sealed_at: Millis,
    /// How its custom id was made.
    pub id_style: IdStyle,
    /// The custom id, where it is not the one that the rule makes.
    pub custom_id: Option<String>,
    /// Whether the answer was to be JSON.
    pub json: bool,
    /// The path that the rule makes the custom id of: the image's own, or that of the original whose answer it has.
    pub path: RelPath,
}

impl Reader {
    /// Images by row with what became of each last, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn images(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<ImageRow>> {
        self.told(page(&self.connection, after.map_or(0, |image| image.0), limit))
    }

    /// The batches in whose files the last answer of an image may be, newest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn batches_of(&self, image: ImageId) -> Result<Vec<BatchId>> {
        self.told(batches_of(&self.connection, image))
    }

    /// Whether the ledger has an image at this path below a root.
    ///
    /// # Errors
    /// The ledger's.
    pub fn knows_image(&self, root: &[u8], path: &RelPath) -> Result<bool> {
        self.told(knows(&self.connection, root, path))
    }
}

/// Images by row, at most `limit` after `after`.
fn page(connection: &Connection, after: i64, limit: u32) -> Outcome<Vec<ImageRow>> {
    const SQL: &str = concat!(
        "SELECT i.id, c.root, c.given, d.path, i.name, i.page, i.state, i.reason, i.asked, i.text_hash, ",
        flag_columns!(),
        ", i.format IS NOT NULL AND i.width IS NOT NULL AND i.height IS NOT NULL AS measured, w.after,
        o.edited_at IS NOT NULL AS edited, q.custom_id, s.sealed_at, r.id AS recipe_id, r.id_style, r.parameters ->> '$.answer_format.type' AS answer,
        ad.path AS asked_folder, a.name AS asked_name, a.page AS asked_page
        FROM image i NOT INDEXED CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
        LEFT JOIN copy y ON y.image_id = i.id AND y.stands = 'served'
        CROSS JOIN image a ON a.id = coalesce(y.original_id, i.id) CROSS JOIN directory ad ON ad.id = a.directory_id
        LEFT JOIN shard s ON s.id = i.shard_id LEFT JOIN recipe r ON r.id = s.recipe_id
        LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = a.id
        LEFT JOIN note q ON q.image_id = a.id LEFT JOIN note o ON o.image_id = i.id LEFT JOIN wish w ON w.image_id = i.id
        WHERE i.id > ?1 ORDER BY i.id LIMIT ?2"
    );
    connection.prepare_cached(SQL)?.query_and_then(params![after, limit], row)?.collect()
}

fn row(row: &Row<'_>) -> Outcome<ImageRow> {
    let state: String = column(row, "state")?;
    let style: Option<String> = column(row, "id_style")?;
    let style = style.map(|style| word(&style, IdStyle::from_word)).transpose()?;
    let sealed_at: Option<Millis> = column(row, "sealed_at")?;
    let answer: Option<String> = column(row, "answer")?;
    let (custom_id, json) = (column(row, "custom_id")?, answer.is_some_and(|answer| answer != "text"));
    let asked = RelPath {
        folder: column(row, "asked_folder")?,
        name: column(row, "asked_name")?,
        page: column(row, "asked_page")?,
    };
    Ok(ImageRow {
        id: ImageId(column(row, "id")?),
        root: column(row, "root")?,
        given: column(row, "given")?,
        path: rel_path(row)?,
        state: word(&state, ImageState::from_word)?,
        reason: column(row, "reason")?,
        asked: column(row, "asked")?,
        measured: column(row, "measured")?,
        text: column(row, "text")?,
        text_hash: column(row, "text_hash")?,
        edited: column(row, "edited")?,
        flagged: column::<Option<String>>(row, "flags")?.is_some(),
        flags: all_flags(row)?,
        asked_as: style.zip(column(row, "recipe_id")?).map(|(id_style, recipe)| AskedAs {
            recipe,
            sealed_at: sealed_at.unwrap_or_default(),
            id_style,
            custom_id,
            json,
            path: asked,
        }),
        after: column(row, "after")?,
    })
}

/// The flags of a line.
pub(super) fn flags(joined: Option<String>) -> Vec<String> {
    joined.map(|flags| flags.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

/// The columns that [`all_flags`] reads: of a line `l` and an image `i`.
macro_rules! flag_columns {
    () => {
        "l.flags, l.prepared ->> '$.turned' AS turned, l.prepared ->> '$.shrunk' AS shrunk, i.text"
    };
}
pub(super) use flag_columns;

/// The flags of an answer, of the picture that was sent for it, and of the text that stands.
pub(super) fn all_flags(row: &Row<'_>) -> Outcome<Vec<String>> {
    let mut all = flags(column(row, "flags")?);
    let is = |name: &str| column::<Option<bool>>(row, name).map(|is| is == Some(true));
    let text: Option<String> = column(row, "text")?;
    for (is, flag) in [(is("turned")?, "rotated"), (is("shrunk")?, "shrunk"), (text.as_deref() == Some("kept"), EDITED)]
    {
        if is && !all.iter().any(|known| known == flag) {
            all.push(flag.to_owned());
        }
    }
    Ok(all)
}

/// Every name at the provider that a batch of the image's last shard had: its answer is in the files of one of them.
fn batches_of(connection: &Connection, image: ImageId) -> Outcome<Vec<BatchId>> {
    const SQL: &str = "SELECT b.batch_id FROM image i JOIN batch b ON b.shard_id = i.shard_id
        WHERE i.id = ?1 AND b.batch_id IS NOT NULL ORDER BY b.id DESC";
    let read = |row: &Row<'_>| Ok(BatchId(column(row, "batch_id")?));
    connection.prepare_cached(SQL)?.query_and_then([image.0], read)?.collect()
}

/// Whether there is an image at this path below a root.
fn knows(connection: &Connection, root: &[u8], path: &RelPath) -> Outcome<bool> {
    const SQL: &str =
        "SELECT 1 FROM corpus c JOIN directory d ON d.corpus_id = c.id JOIN image i ON i.directory_id = d.id
        WHERE c.root = ?1 AND d.path = ?2 AND i.name = ?3";
    Ok(connection.prepare_cached(SQL)?.exists(params![root, path.folder, path.name])?)
}
