//! The text of each page: read where it lies, and cut at its form feeds.

use std::io::{self, Read as _};
use std::ops::Range;

use crate::domain::ids::ImageId;
use crate::domain::image::{Reason, RelPath};
use crate::domain::layout::{Layout, PAGE_BREAK};
use crate::kit::clock::Millis;
use crate::kit::hash::{Short, short};
use crate::kit::path_bytes::to_path;
use crate::ledger::reader::{ImageResult, PlacedImage, Reader};
use crate::ops::text_file;

use super::Error;

/// Bytes of the longest text that is exported: a text is held in memory, and one of a page has some thousand.
const LONGEST: u64 = 64 << 20;

/// What has to be known of an image to find its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    id: ImageId,
    root: &'a [u8],
    path: &'a RelPath,
    kind: Option<&'a str>,
    hash: Option<Short>,
}

impl<'a> Of<'a> {
    fn new(
        (id, root, path): (ImageId, &'a [u8], &'a RelPath),
        (kind, reason, hash): (Option<&'a str>, Option<&str>, Option<Short>),
    ) -> Self {
        // A text that a person wrote before the image was ever asked for is a text, too.
        let present = reason == Some(Reason::TextPresent.word());
        Self { id, root, path, kind: kind.or(present.then_some("kept")), hash }
    }

    /// Of an image in the order of the tree.
    pub(super) fn placed(image: &'a PlacedImage) -> Self {
        let place = (image.id, &image.root[..], &image.path);
        Self::new(place, (image.text.as_deref(), image.reason.as_deref(), image.text_hash))
    }

    /// Of an image of the report.
    pub(super) fn result(image: &'a ImageResult) -> Self {
        let place = (image.id, &image.root[..], &image.path);
        Self::new(place, (image.text.as_deref(), image.reason.as_deref(), image.text_hash))
    }

    /// The ledger's word for the text, if there is one: `txt`, `kept`, `page` or `api`.
    pub(super) fn kind(&self) -> Option<&'a str> {
        self.kind
    }

    /// Name of the file that holds the text beside the image, below the folder of texts.
    pub(super) fn file(&self) -> Option<RelPath> {
        let kind = self.kind.filter(|kind| *kind != "page")?;
        let name = text_file::name(self.path, kind);
        Some(RelPath { folder: self.path.folder.clone(), name, page: 1 })
    }

    /// The bytes of that file, and when it was changed last.
    ///
    /// # Errors
    /// The operating system's; `FileTooLarge` beyond 64 MiB.
    pub(super) fn bytes(&self, layout: &Layout) -> io::Result<(Vec<u8>, Millis)> {
        let file = match self.kind {
            Some("page") => fs_err::File::open(layout.page_text(self.id))?.into_file(),
            kind => text_file::open(layout, self.root, self.path, kind.unwrap_or("txt"))?,
        };
        let changed = crate::corpus::beneath::stamp(&file)?.mtime_ms;
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "over 64 MiB"));
        }
        Ok((bytes, changed))
    }
}

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageText {
    /// Its lines; what was no UTF-8 is U+FFFD.
    pub(super) text: String,
    /// Whether the file is as this program wrote it.
    pub(super) ours: bool,
    /// When the file was changed last (unix milliseconds).
    pub(super) changed: Millis,
}

/// Reads texts; of a file of several pages only once, if they are asked for one after the other.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    reader: &'a Reader,
    layout: &'a Layout,
    last: Option<Held>,
}

/// A text that was read, and its pages.
#[derive(Debug)]
struct Held {
    root: Vec<u8>,
    file: RelPath,
    whole: PageText,
    pages: Vec<Range<usize>>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(reader: &'a Reader, layout: &'a Layout) -> Self {
        Self { reader, layout, last: None }
    }

    /// The text of a page; `None` where it has none. The inner error is that of its file.
    pub(super) fn of(&mut self, of: Of<'_>) -> Result<io::Result<Option<PageText>>, Error> {
        if of.kind.is_none() {
            return Ok(Ok(None));
        }
        let Some(file) = of.file() else {
            return Ok(of.bytes(self.layout).map(|read| Some(whole(of, read))));
        };
        if of.kind == Some("api") {
            return Ok(of.bytes(self.layout).map(|read| Some(whole(of, read))));
        }
        let held = self.last.take().filter(|held| held.file == file && held.root == of.root);
        let held = match held {
            Some(held) => held,
            None => match self.read(of, file)? {
                Ok(held) => held,
                Err(cause) => return Ok(Err(cause)),
            },
        };
        let index = of.path.page.saturating_sub(1) as usize;
        let part = held.pages.get(index).map(|range| PageText {
            text: held.whole.text[range.clone()].to_owned(),
            ..PageText { text: String::new(), ..held.whole }
        });
        self.last = Some(held);
        Ok(Ok(part))
    }

    fn read(&self, of: Of<'_>, file: RelPath) -> Result<io::Result<Held>, Error> {
        let whole = match of.bytes(self.layout) {
            Ok(read) => whole(of, read),
            Err(cause) => return Ok(Err(cause)),
        };
        let broken = memchr::memchr(PAGE_BREAK, whole.text.as_bytes()).is_some();
        let pages = if broken { self.reader.pages_of(of.id)? } else { 1 };
        let pages = parts(&whole.text, pages);
        Ok(Ok(Held { root: of.root.to_vec(), file, whole, pages }))
    }
}

fn whole(of: Of<'_>, (bytes, changed): (Vec<u8>, Millis)) -> PageText {
    let ours = of.kind != Some("kept") && of.hash == Some(short(&bytes));
    let text = String::from_utf8(bytes).unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned());
    // Editors on Windows begin a file with it; it is no letter of the page.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    PageText { text, ours, changed }
}

/// The parts of a text that belong to its pages. A text whose form feeds do not make as many parts as there are pages, because
/// a person wrote it, stands whole on the first.
fn parts(text: &str, pages: u32) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for end in memchr::memchr_iter(PAGE_BREAK, text.as_bytes()).chain([text.len()]) {
        parts.push(begin..end);
        begin = end + 1;
    }
    if parts.len() == pages as usize { parts } else { std::iter::once(0..text.len()).collect() }
}

/// The lines of a page. A form feed that parts no pages ends a line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(char::from(PAGE_BREAK)).flat_map(str::lines)
}

/// Runs of lines between empty ones: what a transcription keeps of paragraphs.
pub(super) fn paragraphs(text: &str) -> Vec<Vec<&str>> {
    let mut paragraphs = vec![Vec::new()];
    for line in lines(text) {
        match paragraphs.last_mut() {
            Some(last) if !line.trim().is_empty() => last.push(line),
            Some(last) if !last.is_empty() => paragraphs.push(Vec::new()),
            _ => {}
        }
    }
    paragraphs.retain(|lines| !lines.is_empty());
    paragraphs
}

/// The root of a corpus joined with a path below it.
pub(super) fn absolute(root: &[u8], path: &RelPath) -> std::path::PathBuf {
    to_path(root).join(to_path(&path.joined()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, pages: u32) -> Vec<&str> {
        parts(text, pages).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn form_feeds_part_pages_where_they_fit() {
        assert_eq!(cut("a\n\x0c\x0cc\n", 3), ["a\n", "", "c\n"], "a blank page between two");
        assert_eq!(cut("a\x0cb", 3), ["a\x0cb"], "one is lacking: the text stands on the first page");
        assert_eq!(cut("a\x0cb", 1), ["a\x0cb"]);
        assert_eq!((cut("", 1), cut("", 2)), (vec![""], vec![""]));
    }

    #[test]
    fn lines_and_paragraphs() {
        assert_eq!(lines("a\r\nb\x0cc\n\nd\n").collect::<Vec<_>>(), ["a", "b", "c", "", "d"]);
        assert_eq!(paragraphs("\n\na\n b\n \n\nc"), [vec!["a", " b"], vec!["c"]]);
        assert!(paragraphs("").is_empty() && paragraphs("\n \n").is_empty());
    }
}
