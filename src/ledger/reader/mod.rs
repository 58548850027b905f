//! Read-only questions of people: status, reports, audit.
//!
//! The connection cannot write, and no question holds the file for long: lists are paged by row, so that the keeper's
//! checkpoints get through while a process works.

mod asked;
mod audit;
mod batches;
mod bill;
mod books;
mod compare;
mod copies;
mod details;
mod ended;
mod engines;
mod forecast;
mod images;
mod money;
mod pilot;
mod placed;
mod plan;
mod provenance;
mod queues;
mod redo;
mod results;

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Row, params};

pub use self::asked::{RecipeRow, RunRow};
pub use self::audit::AuditFindings;
pub use self::batches::{BatchRow, CANCEL_ASKED, UsageSum};
pub use self::bill::{AnswersRow, Asked, Direct, ToldRow};
pub use self::books::Books;
pub use self::compare::{After, Answered, Pair, Side};
pub use self::copies::{CopyCount, CopyRow};
pub use self::details::{ImageDetails, LineDetails};
#[cfg(test)]
pub(crate) use self::ended::tests::with_failed;
pub use self::engines::EngineRow;
pub use self::forecast::{Delivery, EstimateRow};
pub use self::images::{AskedAs, EDITED, ImageRow};
pub use self::money::Planned;
pub use self::pilot::{Pilot, PilotPage};
pub use self::placed::PlacedImage;
pub use self::plan::{KnownImage, Made};
pub use self::provenance::{AskedWith, BatchTold, RecipeText, Request};
pub use self::queues::QueueRow;
pub use self::results::{ImageResult, LastAsked, Spent};
use super::LedgerError;
use super::journal::Account;
use super::moves::ImageState;
use super::records::{RawFile, Standing};
use super::sqlite::fault::{Fault, Outcome};
use super::sqlite::journal::stand;
use super::sqlite::{column, count, inspected, standing, word};
use crate::domain::batch::Usage;
use crate::domain::ids::{ImageId, Tag};
use crate::domain::image::RelPath;
use crate::kit::hash::Short;

type Result<T> = std::result::Result<T, LedgerError>;

/// A ledger opened for reading.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// An image that ended without a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The image: pass the last one to get the next page.
    pub image: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// Where it lies below the root.
    pub path: RelPath,
    /// Failed, skipped or rough.
    pub state: ImageState,
    /// Why, in the ledger's open list of words; empty for a rough text.
    pub reason: String,
}

/// How many images ended in a state for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// Failed, skipped or rough.
    pub state: ImageState,
    /// Why; empty for a rough text.
    pub reason: String,
    /// How many.
    pub images: u64,
}

/// A folder of images as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusRoot {
    /// Absolute, links resolved.
    pub root: Vec<u8>,
    /// As the user wrote it.
    pub given: Vec<u8>,
}

/// Whose text stands beside an image, as the ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneText {
    /// The image: pass the last one to get the next page.
    pub image: ImageId,
    /// The corpus root.
    pub root: Vec<u8>,
    /// Where the image lies below the root.
    pub path: RelPath,
    /// `txt`, `api`, `page` or `kept`.
    pub kind: String,
    /// BLAKE3 of the text.
    pub hash: Short,
}

impl Reader {
    /// Opens the ledger at `path`; works while a process writes it.
    ///
    /// # Errors
    /// [`LedgerError::Newer`], [`LedgerError::Damaged`], or [`LedgerError::Io`] if there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = inspected(path).map_err(|fault| fault.told(path))?;
        // Otherwise a question that is asked for each of a million images is planned a million times: statistics let the plan
        // depend on the values that are bound.
        let set = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        set.map_err(|cause| Fault::from(cause).told(path))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The counts, from partial indexes. `walking` is true while a corpus is listed, and after a listing was cut short;
    /// a folder that was refused before anything of it was listed does not count.
    ///
    /// # Errors
    /// The ledger's.
    pub fn standing(&self) -> Result<Standing> {
        self.told(standing(&self.connection).and_then(|standing| {
            let sql = "SELECT EXISTS (SELECT 1 FROM corpus c WHERE walked_at IS NULL
                AND EXISTS (SELECT 1 FROM directory d WHERE d.corpus_id = c.id))";
            let walking = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(Standing { walking, ..standing })
        }))
    }

    /// Images that ended without a finished text, by row, at most `limit` after `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub fn failures(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<Failure>> {
        const SQL: &str = "SELECT i.id, c.root, d.path, i.name, i.page, i.state, coalesce(i.reason, '') AS reason
            FROM image i NOT INDEXED CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
            WHERE i.id > ?1 AND i.state IN ('rough', 'failed', 'skipped') ORDER BY i.id LIMIT ?2";
        self.paged(SQL, after.map_or(0, |image| image.0), limit, failure)
    }

    /// How many images ended for which reason.
    ///
    /// # Errors
    /// The ledger's.
    pub fn reasons(&self) -> Result<Vec<ReasonCount>> {
        const SQL: &str = "SELECT state, coalesce(reason, '') AS reason, count(*) AS images FROM image
            WHERE (state = 'rough' OR state = 'failed' OR state = 'skipped') AND ?1 = 0 GROUP BY state, reason ORDER BY state, images DESC LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| {
            let state: String = column(row, "state")?;
            Ok(ReasonCount {
                state: word(&state, ImageState::from_word)?,
                reason: column(row, "reason")?,
                images: count(column(row, "images")?),
            })
        })
    }

    /// Images with a text, by row, at most `limit` after `after`, so that audit can compare what lies on disk. Pages whose file
    /// waits for another one of it are left out: its text is made when that one has come.
    ///
    /// # Errors
    /// The ledger's.
    pub fn texts(&self, after: Option<ImageId>, limit: u32) -> Result<Vec<DoneText>> {
        const SQL: &str = "SELECT i.id, c.root, d.path, i.name, i.page, i.text, i.text_hash
            FROM image i NOT INDEXED CROSS JOIN directory d ON d.id = i.directory_id CROSS JOIN corpus c ON c.id = d.corpus_id
            WHERE i.id > ?1 AND i.state IN ('done', 'rough') AND NOT (i.format IS 'tiff' AND i.state = 'done' AND EXISTS (SELECT 1
            FROM image o WHERE o.directory_id = i.directory_id AND o.name = i.name AND o.state IN ('owed', 'packed', 'rough', 'failed')))
            ORDER BY i.id LIMIT ?2";
        self.paged(SQL, after.map_or(0, |image| image.0), limit, |row| {
            Ok(DoneText {
                image: ImageId(column(row, "id")?),
                root: column(row, "root")?,
                path: rel_path(row)?,
                kind: column(row, "text")?,
                hash: column(row, "text_hash")?,
            })
        })
    }

    /// Every image folder, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn corpora(&self) -> Result<Vec<CorpusRoot>> {
        const SQL: &str = "SELECT c.root, c.given FROM corpus c WHERE c.id > ?1 ORDER BY c.id LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| Ok(CorpusRoot { root: column(row, "root")?, given: column(row, "given")? }))
    }

    /// Tags of all runs, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub fn run_tags(&self) -> Result<Vec<Tag>> {
        const SQL: &str = "SELECT tag FROM run WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.paged(SQL, 0, u32::MAX, |row| Ok(Tag(column(row, "tag")?)))
    }

    /// Whether there is a shard of this name.
    ///
    /// # Errors
    /// The ledger's.
    pub fn knows_shard(&self, tag: &Tag) -> Result<bool> {
        let rows = self.connection.prepare_cached("SELECT 1 FROM shard WHERE tag = ?1");
        self.told(rows.and_then(|mut rows| rows.exists([tag.as_str()])).map_err(Into::into))
    }

    /// Whether the ledger lacks something of what the journal tells of a shard.
    ///
    /// # Errors
    /// The ledger's.
    pub fn lacks(&self, account: &Account) -> Result<bool> {
        self.told(account.is_lacked(|one| stand(&self.connection, &account.shard, one)))
    }

    /// Everything about the image at this absolute path; `None` if the ledger does not know it.
    ///
    /// # Errors
    /// The ledger's.
    pub fn image(&self, path: &[u8]) -> Result<Option<ImageDetails>> {
        self.told(details::of(&self.connection, path))
    }

    /// The image folder that answers are awaited for; without one, the folder that came last.
    ///
    /// # Errors
    /// The ledger's.
    pub fn corpus(&self) -> Result<Option<CorpusRoot>> {
        const AWAITED: &str = "SELECT c.root, c.given FROM image i JOIN directory d ON d.id = i.directory_id
            JOIN corpus c ON c.id = d.corpus_id WHERE i.state = 'packed' AND ?1 = 0 LIMIT ?2";
        const LAST: &str = "SELECT c.root, c.given FROM corpus c WHERE c.id > ?1
            AND EXISTS (SELECT 1 FROM directory d WHERE d.corpus_id = c.id) ORDER BY c.id DESC LIMIT ?2";
        for sql in [AWAITED, LAST] {
            let found = self
                .paged(sql, 0, 1, |row| Ok(CorpusRoot { root: column(row, "root")?, given: column(row, "given")? }))?;
            if let Some(corpus) = found.into_iter().next() {
                return Ok(Some(corpus));
            }
        }
        Ok(None)
    }

    /// Recounts everything from the tables, trusting no index condition and no count kept elsewhere.
    ///
    /// # Errors
    /// The ledger's; what does not hold is a finding, not an error.
    pub fn audit(&self) -> Result<AuditFindings> {
        self.told(audit::run(&self.connection))
    }

    fn paged<T>(&self, sql: &str, after: i64, limit: u32, read: impl FnMut(&Row<'_>) -> Outcome<T>) -> Result<Vec<T>> {
        self.told(all(&self.connection, sql, after, limit, read))
    }

    fn told<T>(&self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|fault| fault.told(&self.path))
    }
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    after: i64,
    limit: u32,
    read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    connection.prepare_cached(sql)?.query_and_then(params![after, limit], read)?.collect()
}

fn failure(row: &Row<'_>) -> Outcome<Failure> {
    let state: String = column(row, "state")?;
    Ok(Failure {
        image: ImageId(column(row, "id")?),
        root: column(row, "root")?,
        path: rel_path(row)?,
        state: word(&state, ImageState::from_word)?,
        reason: column(row, "reason")?,
    })
}

fn raw_file(row: &Row<'_>, bytes: &str, sha256: &str) -> Outcome<Option<RawFile>> {
    let bytes = column::<Option<i64>>(row, bytes)?.map(count);
    let sha256: Option<[u8; 32]> = column(row, sha256)?;
    Ok(bytes.zip(sha256).map(|(bytes, sha256)| RawFile { bytes, sha256 }))
}

fn rel_path(row: &Row<'_>) -> Outcome<RelPath> {
    Ok(RelPath { folder: column(row, "path")?, name: column(row, "name")?, page: column(row, "page")? })
}

fn usage(row: &Row<'_>) -> Outcome<Option<Usage>> {
    let tokens = |name: &str| Ok::<_, super::sqlite::fault::Fault>(column::<Option<i64>>(row, name)?.map(count));
    let Some(prompt) = tokens("prompt_tokens")? else { return Ok(None) };
    Ok(Some(Usage {
        prompt,
        cached: tokens("cached_tokens")?.unwrap_or(0),
        output: tokens("output_tokens")?.unwrap_or(0),
        reasoning: tokens("reasoning_tokens")?.unwrap_or(0),
    }))
}

#[cfg(test)]
mod tests;
