//! The pages of a TIFF, by the chain of its directories alone. Source: TIFF 6.0, and BigTIFF as libtiff writes it.
//!
//! Nothing is decoded: a directory is read for the size of its page and for where its pixels lie. Thumbnails, masks and what
//! hangs below a directory (sub-IFDs) are no pages. The chain has an end, whatever the file says.

use std::collections::HashSet;
use std::io::{self, Read, Seek};

use super::exif::{ORIENTATION, Turn};
use super::tags::{Entry, Layout, entries, entry, layout, number, value};
use super::window::Window;
use crate::domain::image::Pixels;

/// Pages of one file; one that claims more is not sent.
pub const MOST_PAGES: usize = 10_000;
/// Entries of all directories of a file. Real directories have some twenty; made ones may overlap and seem endless.
const MOST_ENTRIES: u64 = 1 << 20;
/// How far pixels may reach behind the end of the file: some writers round lengths up.
const SLACK: u64 = 16;

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where its directory lies.
    pub directory: u64,
    /// Its size as stored.
    pub stored: Pixels,
    /// How it becomes upright.
    pub turn: Turn,
}

/// What the chain of directories is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Pages in order, at least one.
    Pages(Vec<Page>),
    /// A sound file without a page that could be sent; why.
    Unsupported(&'static str),
    /// It cannot be true, or its end is missing.
    Damaged,
}

/// Reads the chain of a file of `bytes` bytes; `None` if it is no TIFF.
///
/// # Errors
/// The source's own; whatever the bytes are, they are no error.
pub(super) fn chain<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<Option<Chain>> {
    let Some(layout) = layout(window.first()) else { return Ok(None) };
    let mut seen = HashSet::new();
    let mut pages = Vec::new();
    let mut entries = 0;
    let mut next = layout.first;
    while next != 0 {
        if pages.len() == MOST_PAGES {
            return Ok(Some(Chain::Unsupported("TIFF of more than 10,000 pages")));
        }
        if !seen.insert(next) || entries > MOST_ENTRIES {
            return Ok(Some(Chain::Damaged));
        }
        let Some(directory) = Directory::read(window, layout, next)? else { return Ok(Some(Chain::Damaged)) };
        entries += directory.count.max(1);
        if !directory.is_aside {
            let Some(page) = directory.page(window, layout, next, bytes)? else { return Ok(Some(Chain::Damaged)) };
            pages.push(page);
        }
        next = directory.next;
    }
    Ok(Some(match pages.is_empty() {
        false => Chain::Pages(pages),
        true if seen.is_empty() => Chain::Damaged,
        true => Chain::Unsupported("TIFF of thumbnails"),
    }))
}

/// What a directory says, as far as it is of interest here.
struct Directory {
    count: u64,
    next: u64,
    /// A thumbnail or a mask of another page.
    is_aside: bool,
    turn: Turn,
    width: Option<u64>,
    height: Option<u64>,
    /// Where the strips or tiles lie, and how long they are.
    offsets: Option<Entry>,
    lengths: Option<Entry>,
}

impl Directory {
    fn read<R: Read + Seek>(window: &mut Window<'_, R>, layout: Layout, at: u64) -> io::Result<Option<Self>> {
        let Some((count, first)) = entries(window, layout, at)? else { return Ok(None) };
        let (length, pointer) = if layout.is_big { (20, 8) } else { (12, 4) };
        let mut found = Self {
            count,
            next: 0,
            is_aside: false,
            turn: Turn::NONE,
            width: None,
            height: None,
            offsets: None,
            lengths: None,
        };
        for n in 0..count {
            let Some(entry) = entry(window, layout, first + length * n)? else { return Ok(None) };
            found.take(window, layout, entry)?;
        }
        let end = first + length * count;
        found.next = match number(window, layout.order, end, pointer)? {
            Some(next) => next,
            // A file may end with its last directory, without a word about the next; in the middle of a word it was cut.
            None if window.bytes::<1>(end)?.is_none() => 0,
            None => return Ok(None),
        };
        Ok(Some(found))
    }

    fn take<R: Read + Seek>(&mut self, window: &mut Window<'_, R>, layout: Layout, entry: Entry) -> io::Result<()> {
        const REDUCED: u64 = 1;
        const MASK: u64 = 4;
        match entry.tag {
            254 => self.is_aside |= value(window, layout, entry, 0)?.is_some_and(|flags| flags & (REDUCED | MASK) != 0),
            // The older way to say so.
            255 => self.is_aside |= value(window, layout, entry, 0)? == Some(2),
            256 => self.width = value(window, layout, entry, 0)?,
            257 => self.height = value(window, layout, entry, 0)?,
            273 | 324 => self.offsets = Some(entry),
            279 | 325 => self.lengths = Some(entry),
            ORIENTATION => {
                self.turn = value(window, layout, entry, 0)?.and_then(Turn::from_exif).unwrap_or(Turn::NONE);
            }
            _ => {}
        }
        Ok(())
    }

    /// The page, unless its size or the place of its pixels cannot be true.
    fn page<R: Read + Seek>(
        &self,
        window: &mut Window<'_, R>,
        layout: Layout,
        directory: u64,
        bytes: u64,
    ) -> io::Result<Option<Page>> {
        let side = |length: Option<u64>| length.and_then(|side| u32::try_from(side).ok()).filter(|side| *side > 0);
        let (Some(width), Some(height)) = (side(self.width), side(self.height)) else { return Ok(None) };
        // Only the last strip is looked for: in a file that broke off it is missing.
        if let Some(offsets) = self.offsets {
            let last = offsets.count.saturating_sub(1);
            let begin = value(window, layout, offsets, last)?;
            let length = match self.lengths {
                Some(lengths) => value(window, layout, lengths, last)?.unwrap_or(0),
                None => 0,
            };
            let is_there = |begin: u64| begin < bytes && begin.saturating_add(length) <= bytes + SLACK;
            if !begin.is_some_and(is_there) {
                return Ok(None);
            }
        }
        Ok(Some(Page { directory, stored: Pixels { width, height }, turn: self.turn }))
    }
}

#[cfg(test)]
#[path = "tiff_tests.rs"]
mod tests;
