//! One image, for the person who asks what became of it.

use rusqlite::{Connection, Row, params};

use super::usage;
use crate::domain::batch::Usage;
use crate::domain::ids::{BatchId, ImageId, Tag};
use crate::domain::image::{Format, Pixels, RelPath, Stamp};
use crate::kit::hash::Short;
use crate::ledger::moves::{ImageState, ShardState};
use crate::ledger::sqlite::fault::Outcome;
use crate::ledger::sqlite::{column, count, word};

/// What the ledger knows of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDetails {
    /// Its row.
    pub id: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// Where it lies below the root.
    pub path: RelPath,
    /// Where it stands.
    pub state: ImageState,
    /// Why it ended, if it ended without a text.
    pub reason: Option<String>,
    /// Length and time as measured.
    pub stamp: Stamp,
    /// What it is sent as, if it was measured.
    pub format: Option<Format>,
    /// Its size, if it was measured.
    pub pixels: Option<Pixels>,
    /// Counted tries so far.
    pub asked: u32,
    /// Uncounted returns so far.
    pub gaps: u32,
    /// `txt`, `api`, `page` or `kept`, once there is a text.
    pub text: Option<String>,
    /// BLAKE3 of the text.
    pub text_hash: Option<Short>,
    /// Its requests, oldest first.
    pub lines: Vec<LineDetails>,
    /// The image whose bytes it has and whose answer is its own, if it is a copy.
    pub copy_of: Option<RelPath>,
}

/// One request for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDetails {
    /// The shard's name.
    pub shard: Tag,
    /// Where the shard stands.
    pub shard_state: ShardState,
    /// Place in the shard, from 1: the line of the input file.
    pub pos: u32,
    /// Model asked.
    pub model: String,
    /// The batch that answered, or will.
    pub batch: Option<BatchId>,
    /// What we thought of the answer.
    pub verdict: Option<String>,
    /// Flags of the answer.
    pub flags: Vec<String>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
}

/// Looks for the image at an absolute path.
pub(super) fn of(connection: &Connection, path: &[u8]) -> Outcome<Option<ImageDetails>> {
    let mut roots = connection.prepare_cached("SELECT id, root FROM corpus ORDER BY length(root) DESC")?;
    let mut rows = roots.query([])?;
    while let Some(row) = rows.next()? {
        let (corpus, root): (i64, Vec<u8>) = (column(row, "id")?, column(row, "root")?);
        let Some(below) = below(&root, path) else { continue };
        let path = split(below);
        if let Some(details) = find(connection, corpus, &root, &path)? {
            return Ok(Some(details));
        }
        if let Some(details) = page_of(&path).map(|page| find(connection, corpus, &root, &page)).transpose()?.flatten()
        {
            return Ok(Some(details));
        }
    }
    Ok(None)
}

/// The part of `path` below `root`.
fn below<'p>(root: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(root)?;
    if root.ends_with(b"/") { Some(rest) } else { rest.strip_prefix(b"/") }
}

fn split(path: &[u8]) -> RelPath {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => RelPath { folder: path[..slash].to_vec(), name: path[slash + 1..].to_vec(), page: 1 },
        None => RelPath { folder: Vec::new(), name: path.to_vec(), page: 1 },
    }
}

/// `scan.tif#3`: the third page of `scan.tif`.
fn page_of(path: &RelPath) -> Option<RelPath> {
    let at = path.name.iter().rposition(|byte| *byte == b'#')?;
    let page = std::str::from_utf8(&path.name[at + 1..]).ok()?.parse().ok()?;
    Some(RelPath { name: path.name[..at].to_vec(), page, ..path.clone() })
}

fn find(connection: &Connection, corpus: i64, root: &[u8], path: &RelPath) -> Outcome<Option<ImageDetails>> {
    const SQL: &str = "SELECT i.* FROM directory d JOIN image i ON i.directory_id = d.id
        WHERE d.corpus_id = ?1 AND d.path = ?2 AND i.name = ?3 AND i.page = ?4";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![corpus, path.folder, path.name, path.page])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let state: String = column(row, "state")?;
    let (width, height): (Option<u32>, Option<u32>) = (column(row, "width")?, column(row, "height")?);
    let id = ImageId(column(row, "id")?);
    Ok(Some(ImageDetails {
        id,
        root: root.to_vec(),
        path: path.clone(),
        state: word(&state, ImageState::from_word)?,
        reason: column(row, "reason")?,
        stamp: Stamp { bytes: count(column(row, "bytes")?), mtime_ms: column(row, "mtime_ms")? },
        format: column::<Option<String>>(row, "format")?.map(|text| word(&text, Format::from_word)).transpose()?,
        pixels: width.zip(height).map(|(width, height)| Pixels { width, height }),
        asked: column(row, "asked")?,
        gaps: column(row, "gaps")?,
        text: column(row, "text")?,
        text_hash: column(row, "text_hash")?,
        lines: lines(connection, id)?,
        copy_of: original(connection, id)?,
    }))
}

fn original(connection: &Connection, copy: ImageId) -> Outcome<Option<RelPath>> {
    const SQL: &str = "SELECT d.path, i.name, i.page FROM copy c JOIN image i ON i.id = c.original_id
        JOIN directory d ON d.id = i.directory_id WHERE c.image_id = ?1 AND c.stands <> 'alone'";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([copy.0])?;
    rows.next()?.map(super::rel_path).transpose()
}

/// Lines are kept by shard, so this looks into every shard: thousands of look-ups, for one person asking about one image.
fn lines(connection: &Connection, image: ImageId) -> Outcome<Vec<LineDetails>> {
    const SQL: &str =
        "SELECT s.tag, s.state, l.pos, r.model, b.batch_id, l.verdict, l.flags, l.prompt_tokens, l.cached_tokens,
        l.output_tokens, l.reasoning_tokens FROM shard s CROSS JOIN line l ON l.shard_id = s.id AND l.image_id = ?1
        JOIN recipe r ON r.id = s.recipe_id
        LEFT JOIN batch b ON b.shard_id = s.id AND b.stray = 0 AND b.state NOT IN ('refused', 'void') ORDER BY s.id";
    connection.prepare_cached(SQL)?.query_and_then([image.0], line)?.collect()
}

fn line(row: &Row<'_>) -> Outcome<LineDetails> {
    let state: String = column(row, "state")?;
    let flags: Option<String> = column(row, "flags")?;
    Ok(LineDetails {
        shard: Tag(column(row, "tag")?),
        shard_state: word(&state, ShardState::from_word)?,
        pos: column(row, "pos")?,
        model: column(row, "model")?,
        batch: column::<Option<String>>(row, "batch_id")?.map(BatchId),
        verdict: column(row, "verdict")?,
        flags: flags.map(|flags| flags.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        usage: usage(row)?,
    })
}
