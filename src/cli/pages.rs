//! Lists of the ledger, read page by page, so that a million rows are never in memory.

use std::io;

use crate::domain::layout::Layout;
use crate::ledger::LedgerError;
use crate::ledger::journal::Journal;
use crate::ledger::lock::WorkspaceLock;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{BatchRow, Failure, ImageRow, Reader};
use crate::ledger::sqlite::SqliteStore;
use crate::settings::Problem;

use super::context::Context;
use super::exit::Fail;

/// Rows asked for at once.
const PAGE: u32 = 256;

type Rows<T> = Result<Vec<T>, LedgerError>;

/// The ledger; None if nothing was begun yet. A process that could not write its first page leaves an empty ledger,
/// which the next one fills.
pub(super) fn ledger(layout: &Layout) -> Result<Option<Reader>, LedgerError> {
    let path = layout.ledger();
    // Where there is no ledger, nothing may have been paid for either.
    let lost = || Journal::at(&layout.journal()).nothing_lost(layout);
    if path.metadata().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound) {
        return lost().map(|()| None);
    }
    match Reader::open(&path) {
        Err(error) if error.is_blank() => lost().map(|()| None),
        Err(LedgerError::Older { .. }) => upgraded(layout).map(Some),
        reader => reader.map(Some),
    }
}

/// The ledger of an earlier version, brought up to date unless somebody works with it.
fn upgraded(layout: &Layout) -> Result<Reader, LedgerError> {
    let path = layout.ledger();
    if let Ok(_held) = WorkspaceLock::take(&layout.lock(), "upgrade") {
        SqliteStore::upgrade(&path)?;
    }
    Reader::open(&path)
}

/// A list is one of paths or one of documents.
pub(super) fn no_json(context: &Context) -> Result<(), Fail> {
    if context.out.json {
        let problem = Problem::new("", "--null contradicts --json");
        return Err(Fail::usage(problem.hint("leave one of them out: paths ended by NUL bytes are no JSON")));
    }
    Ok(())
}

/// All rows of a paged question; ends after the first error.
fn paged<T, K: Copy>(
    mut page: impl FnMut(Option<K>) -> Rows<T>,
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = Result<T, LedgerError>> {
    let mut rows = Vec::new().into_iter();
    let mut after = None;
    let mut over = false;
    std::iter::from_fn(move || {
        if let Some(row) = rows.next() {
            return Some(Ok(row));
        }
        if over {
            return None;
        }
        match page(after) {
            Ok(more) => {
                after = more.last().map(&key);
                over = after.is_none();
                rows = more.into_iter();
                rows.next().map(Ok)
            }
            Err(error) => {
                over = true;
                Some(Err(error))
            }
        }
    })
}

/// All images.
pub(super) fn images(reader: &Reader) -> impl Iterator<Item = Result<ImageRow, LedgerError>> {
    paged(|after| reader.images(after, PAGE), |image: &ImageRow| image.id)
}

/// Images that failed.
pub(super) fn failed(reader: &Reader) -> impl Iterator<Item = Result<Failure, LedgerError>> {
    let all = paged(|after| reader.failures(after, PAGE), |failure: &Failure| failure.image);
    all.filter(|failure| failure.as_ref().map_or(true, |failure| failure.state == ImageState::Failed))
}

/// All batches.
pub(super) fn batches(reader: &Reader) -> impl Iterator<Item = Result<BatchRow, LedgerError>> {
    paged(|after| reader.batches(after, PAGE), |batch: &BatchRow| batch.no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_joined_and_an_error_ends_them() {
        let page = |after: Option<u32>| match after.unwrap_or(0) {
            0 => Ok(vec![1, 2]),
            2 => Ok(vec![3]),
            3 => Ok(Vec::new()),
            _ => Err(LedgerError::Closed),
        };
        let all: Vec<_> = paged(page, |row| *row).map(|row| row.expect("a row")).collect();
        assert_eq!(all, [1, 2, 3]);
        let broken = |after: Option<u32>| if after.is_none() { Ok(vec![1]) } else { Err(LedgerError::Closed) };
        let all: Vec<_> = paged(broken, |row| *row).collect();
        assert_eq!(all, [Ok(1), Err(LedgerError::Closed)]);
    }
}
