//! Rows of images that the ledger does not know yet.

use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Error, ToSql, params};

use super::SqliteStore;
use super::fault::Outcome;
use super::rows::int;
use crate::domain::image::{Fate, Found, Looks, Reason};
use crate::ledger::moves::ImageState;
use crate::ledger::records::Enrolled;

/// Plain files whose rows go in by one statement: it begins and ends once for all of them.
pub(super) const TOGETHER: usize = 32;

/// A file that is one owed image, unless the ledger knows it: nearly every file of a first walk.
pub(super) struct Plain<'a> {
    pub(super) directory: i64,
    pub(super) found: &'a Found,
    looks: &'a Looks,
}

impl<'a> Plain<'a> {
    /// The file, if it is plain.
    pub(super) fn of(directory: i64, found: &'a Found) -> Option<Self> {
        let Fate::Owed(looks) = &found.fate else { return None };
        let is_plain = !found.text_present && !looks.format.may_have_pages() && looks.pages.len() == 1;
        is_plain.then_some(Self { directory, found, looks })
    }
}

/// Records one page of a file, unless the ledger knows it; tells whether it is new.
pub(super) fn insert(
    store: &mut SqliteStore,
    directory: i64,
    found: &Found,
    (page, passed_over): (u32, bool),
    enrolled: &mut Enrolled,
) -> Outcome<bool> {
    const SQL: &str =
        "INSERT INTO image (directory_id, name, bytes, mtime_ms, width, height, format, state, reason, owed_seq, page, needs)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (directory_id, name, page) DO NOTHING";
    let (state, looks, reason) = match &found.fate {
        // A text that is there before its image is known is somebody else's; or the ledger was lost, and then its answer is
        // found by the measure that is kept here.
        Fate::Owed(looks) if passed_over => (ImageState::Skipped, Some(looks), Some(&Reason::TextPresent)),
        Fate::Owed(looks) => (ImageState::Owed, Some(looks), None),
        Fate::Failed(reason) => (ImageState::Failed, None, Some(reason)),
        Fate::Skipped(reason) => (ImageState::Skipped, None, Some(reason)),
    };
    let seq = (state == ImageState::Owed).then(|| store.books.next_seq());
    let inserted = store.connection.prepare_cached(SQL)?.execute(params![
        directory,
        found.path.name,
        int(found.stamp.bytes),
        found.stamp.mtime_ms,
        looks.and_then(|looks| looks.of_page(page)).map(|pixels| pixels.width),
        looks.and_then(|looks| looks.of_page(page)).map(|pixels| pixels.height),
        looks.map(|looks| looks.format.word()),
        state.word(),
        reason.map(|reason| reason.word()),
        seq,
        page,
        looks.and_then(|looks| looks.needs.word())
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    match state {
        ImageState::Owed => enrolled.owed += 1,
        ImageState::Failed => enrolled.failed += 1,
        _ => enrolled.skipped += 1,
    }
    store.books.images(None, state, 1)?;
    Ok(true)
}

/// The same for many plain files, in their order: all of them are recorded, or none. Tells whether all are new.
pub(super) fn insert_all(store: &mut SqliteStore, files: &[Plain<'_>], enrolled: &mut Enrolled) -> Outcome<bool> {
    let rows = vec!["(?, ?, ?, ?, ?, ?, ?, 'owed', ?, ?)"; files.len()].join(", ");
    let sql = format!(
        "INSERT INTO image (directory_id, name, bytes, mtime_ms, width, height, format, state, owed_seq, needs) VALUES {rows}"
    );
    let before = store.books;
    let mut statement = store.connection.prepare_cached(&sql)?;
    let mut at = 0;
    let mut bind = |value: &dyn ToSql| {
        at += 1;
        statement.raw_bind_parameter(at, value)
    };
    for Plain { directory, found, looks } in files {
        let pixels = looks.of_page(1);
        bind(directory)?;
        bind(&found.path.name)?;
        bind(&int(found.stamp.bytes))?;
        bind(&found.stamp.mtime_ms)?;
        bind(&pixels.map(|pixels| pixels.width))?;
        bind(&pixels.map(|pixels| pixels.height))?;
        bind(&looks.format.word())?;
        bind(&store.books.next_seq())?;
        bind(&looks.needs.word())?;
    }
    match statement.raw_execute() {
        Ok(_) => {
            enrolled.owed += u32::try_from(files.len()).unwrap_or(u32::MAX);
            store.books.images(None, ImageState::Owed, files.len() as u64)?;
            Ok(true)
        }
        // SQLite has taken back the rows of this statement, and no others.
        Err(error) if is_known(&error) => {
            store.books = before;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a row was refused because its image has one.
fn is_known(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_UNIQUE)
}
