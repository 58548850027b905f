//! Listings of the service, page by page.

use super::Service;
use crate::emulator::record::{BatchRecord, FileRecord};
use crate::emulator::refusal::Refusal;

/// A page of a listing: the records, and whether there are more.
pub(crate) struct Page<T> {
    pub(crate) records: Vec<T>,
    pub(crate) has_more: bool,
}

impl Service {
    /// Batches newest first, at most `limit` after `after`, without those that `hidden` says.
    pub(crate) fn batches(
        &self,
        after: Option<&str>,
        limit: usize,
        hidden: impl Fn(&str) -> bool,
    ) -> Result<Page<&BatchRecord>, Refusal> {
        let end = match after {
            Some(id) => *self.batch_numbers.get(id).ok_or_else(|| Refusal::no_such_batch(id).param("after"))?,
            None => self.batches.len(),
        };
        let rest = self.batches[..end].iter().rev().filter(|batch| !hidden(&batch.asked.id));
        Ok(page(rest, limit))
    }

    /// Files of `purpose`, at most `limit` after `after`.
    pub(crate) fn files(
        &self,
        purpose: Option<&str>,
        after: Option<&str>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Page<&FileRecord>, Refusal> {
        let cursor = match after {
            Some(id) => Some(*self.file_numbers.get(id).ok_or_else(|| Refusal::no_such_file(id).param("after"))?),
            None => None,
        };
        let wanted = |file: &&FileRecord| purpose.is_none_or(|purpose| purpose == file.purpose.word());
        Ok(if newest_first {
            let end = cursor.unwrap_or(u64::MAX);
            page(self.files.range(..end).rev().map(|(_, file)| file).filter(wanted), limit)
        } else {
            let begin = cursor.map_or(0, |number| number + 1);
            page(self.files.range(begin..).map(|(_, file)| file).filter(wanted), limit)
        })
    }
}

fn page<'a, T>(mut rest: impl Iterator<Item = &'a T>, limit: usize) -> Page<&'a T> {
    let records: Vec<&T> = rest.by_ref().take(limit).collect();
    Page { has_more: rest.next().is_some(), records }
}
