//! Exports: states, texts and costs in the forms that other programs read. Each walks through the ledger page by page and reads
//! one text at a time, so that its memory does not grow with the corpus; none changes anything but its own files.

mod alto;
mod archive;
#[cfg(feature = "parquet")]
mod columns;
mod hocr;
mod iiif;
mod lines;
mod page_xml;
mod tei;
mod texts;
mod tree;
mod tropy;
mod uri;
mod xml;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use self::archive::Target;
pub use self::iiif::base_address;
use self::texts::Texts;
use super::conditions::{Conditions, Traits};
use super::{report, text_file};
use crate::domain::image::{RelPath, shown};
use crate::domain::layout::Layout;
use crate::kit::hash;
use crate::ledger::LedgerError;
use crate::ledger::reader::{ImageResult, PlacedImage, Reader};

/// Images asked for at once.
const PAGE: u32 = 2_048;
/// Paths that are named where something could not be done.
const FIRST: usize = 3;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The files of the export cannot be written.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Where the list of files would be written lies one that is not ours.
    #[error("{} is not the list of an earlier export", .0.display())]
    NotOurs(PathBuf),
    /// No image is fit for a form that has to hold one.
    #[error("there is no page to be told")]
    NothingToTell(Told),
}

impl From<report::Error> for Error {
    fn from(error: report::Error) -> Self {
        match error {
            report::Error::Ledger(error) => Self::Ledger(error),
            report::Error::Disk(error) => Self::Disk(error),
        }
    }
}

/// Paths of one kind: how many, and the first of them, as people read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// All of them.
    pub count: u64,
    /// The first few.
    pub first: Vec<String>,
}

impl Named {
    fn add(&mut self, named: String) {
        self.count += 1;
        if self.first.len() < FIRST {
            self.first.push(named);
        }
    }
}

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Rows, pages or files that it holds.
    pub written: u64,
    /// Images and pages that have no text: owed, failed, or rough.
    pub without: u64,
    /// Texts that the ledger knows and that cannot be read, each with the cause.
    pub unread: Named,
    /// Images that the form cannot hold: it wants a size that was never measured, or a path that is text.
    pub unfit: Named,
    /// Files of somebody else where ours would have been written; they stay as they are.
    pub kept: Named,
}

/// What exports are made from.
#[derive(Debug)]
pub struct Source<'a> {
    reader: &'a Reader,
    layout: &'a Layout,
    /// Whether the ledger knows several corpora, whose paths could be the same.
    several: bool,
    /// What is left out.
    conditions: Option<Conditions>,
}

impl<'a> Source<'a> {
    /// The ledger, and where its texts lie.
    ///
    /// # Errors
    /// The ledger's.
    pub fn new(reader: &'a Reader, layout: &'a Layout) -> Result<Self, Error> {
        Ok(Self { reader, layout, several: reader.corpora_with_images()? > 1, conditions: None })
    }

    /// The same with those images alone that these conditions hold for.
    #[must_use]
    pub fn of_those(self, conditions: Conditions) -> Self {
        Self { conditions: Some(conditions), ..self }
    }

    /// A line of JSON for each image or page, with its text.
    ///
    /// # Errors
    /// [`Error`].
    pub fn jsonl(&self, to: &mut dyn Write) -> Result<Told, Error> {
        lines::write(self, to)
    }

    /// The same as Parquet: the names of the lines as columns, with types.
    ///
    /// # Errors
    /// [`Error`].
    #[cfg(feature = "parquet")]
    pub fn parquet(&self, to: &mut (dyn Write + Send)) -> Result<Told, Error> {
        columns::write(self, to)
    }

    /// The table of the report.
    ///
    /// # Errors
    /// [`Error`].
    pub fn csv(&self, to: &mut dyn Write) -> Result<Told, Error> {
        let mut told = Told::default();
        let wanted = |image: &ImageResult| self.has_result(image);
        report::table(self.reader, self.layout, to, &wanted, &mut |_| told.written += 1)?;
        Ok(told)
    }

    /// JSON-LD for Tropy's import: an item for each file, a photo for each page, its text as a note.
    ///
    /// # Errors
    /// [`Error`].
    pub fn tropy(&self, to: &mut dyn Write) -> Result<Told, Error> {
        tropy::write(self, to)
    }

    /// The texts as they are, by their names below the image folder, and a list of their checksums. `scratch` takes the list until
    /// the texts are all written.
    ///
    /// # Errors
    /// [`Error`].
    pub fn archive(&self, to: &mut dyn Target, scratch: &mut dyn Target) -> Result<Told, Error> {
        archive::write(self, to, scratch)
    }

    /// A tree of ALTO files below `out`, one a page, and a list of their checksums.
    ///
    /// # Errors
    /// [`Error`].
    pub fn alto(&self, out: &Path) -> Result<Told, Error> {
        tree::write(self, out, ".xml", &alto::document)
    }

    /// The same as PAGE-XML.
    ///
    /// # Errors
    /// [`Error`].
    pub fn page_xml(&self, out: &Path) -> Result<Told, Error> {
        tree::write(self, out, ".xml", &page_xml::document)
    }

    /// The same as TEI P5.
    ///
    /// # Errors
    /// [`Error`].
    pub fn tei(&self, out: &Path) -> Result<Told, Error> {
        tree::write(self, out, ".xml", &tei::document)
    }

    /// The same as hOCR.
    ///
    /// # Errors
    /// [`Error`].
    pub fn hocr(&self, out: &Path) -> Result<Told, Error> {
        tree::write(self, out, ".hocr", &hocr::document)
    }

    /// A IIIF manifest: a canvas for each page, its text as an annotation; `base` is the address below which the images are to be
    /// found by their paths, without a slash at its end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn iiif(&self, to: &mut dyn Write, base: &str) -> Result<Told, Error> {
        iiif::write(self, to, base)
    }

    /// Every image in the order of the tree.
    fn placed(&self, each: &mut dyn FnMut(PlacedImage) -> Result<(), Error>) -> Result<(), Error> {
        let mut after = None;
        loop {
            let images = self.reader.placed(after.as_ref(), PAGE)?;
            let Some(last) = images.last() else { return Ok(()) };
            after = Some(last.clone());
            for mut image in images {
                if self.looks_for_edited() {
                    let PlacedImage { root, path, text, text_hash, flags, .. } = &mut image;
                    self.look(root, path, text.as_deref(), *text_hash, flags);
                }
                if self.has_placed(&image) {
                    each(image)?;
                }
            }
        }
    }

    fn has_placed(&self, image: &PlacedImage) -> bool {
        let PlacedImage { state, reason, flags, asked, .. } = image;
        self.has(&Traits { state: *state, reason: reason.as_deref(), flags, asked: *asked })
    }

    fn has_result(&self, image: &ImageResult) -> bool {
        let ImageResult { root, path, text, text_hash, state, reason, asked, .. } = image;
        let mut flags = image.flags.clone();
        if self.looks_for_edited() {
            self.look(root, path, text.as_deref(), *text_hash, &mut flags);
        }
        let flags = &flags;
        self.has(&Traits { state: *state, reason: reason.as_deref(), flags, asked: *asked })
    }

    fn looks_for_edited(&self) -> bool {
        self.conditions.as_ref().is_some_and(Conditions::look_for_edited)
    }

    /// Flags a text that a person has changed where it lies.
    fn look(
        &self,
        root: &[u8],
        path: &RelPath,
        kind: Option<&str>,
        ours: Option<hash::Short>,
        flags: &mut Vec<String>,
    ) {
        if text_file::is_changed(self.layout, root, path, kind, ours) {
            text_file::flag_edited(flags);
        }
    }

    fn has(&self, image: &Traits<'_>) -> bool {
        self.conditions.as_ref().is_none_or(|conditions| conditions.hold(image))
    }

    /// The folder of an image within an export.
    fn folder(&self, root: &[u8], path: &RelPath) -> Vec<u8> {
        if self.several { own_folder(root, path) } else { path.folder.clone() }
    }

    fn texts(&self) -> Texts<'_> {
        Texts::new(self.reader, self.layout)
    }
}

/// Where there are several corpora, each has a folder of its own: by its name, and what tells it from one of the same name.
fn own_folder(root: &[u8], path: &RelPath) -> Vec<u8> {
    let name = root.rsplit(|byte| matches!(byte, b'/' | b'\\' | b':')).next().unwrap_or_default();
    let own = [name, b"~", hash::hex_digits(root, 8).as_bytes()].concat();
    if path.folder.is_empty() { own } else { [&own[..], b"/", &path.folder].concat() }
}

/// A path that a person reads, and why something about it could not be done.
fn because(path: &RelPath, cause: &dyn std::fmt::Display) -> String {
    format!("{}: {cause}", path.shown())
}

/// A cell of a list of files. A path that a spreadsheet would take for a formula begins with `./`, which names the same file.
fn listed(path: &[u8]) -> String {
    let name = shown(path);
    if name.starts_with(['=', '+', '-', '@']) { format!("./{name}") } else { name }
}

/// The columns of a list of files. `page` is empty where the file is a text of all pages.
const LIST: [&str; 7] = ["file", "image", "page", "bytes", "blake3", "sha256", "state"];
/// Of them, those that every list of ours has begun with.
const OLDEST: usize = 6;
/// Name of that list.
pub const LIST_NAME: &str = "manifest.csv";

/// A row of a list of files.
fn list_row(file: &[u8], image: &PlacedImage, page: Option<u32>, body: &[u8]) -> [String; LIST.len()] {
    let mut sha256 = hash::Sha256::default();
    sha256.update(body);
    [
        listed(file),
        listed(&image.path.joined()),
        page.map(|page| page.to_string()).unwrap_or_default(),
        body.len().to_string(),
        hash::hex_digits(body, 64),
        hash::hex(&sha256.finish()),
        image.state.word().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_do_not_meet_in_an_export() {
        let own = |root: &str, folder: &str| {
            let path = RelPath { folder: folder.into(), name: b"a.png".to_vec(), page: 1 };
            String::from_utf8(own_folder(root.as_bytes(), &path)).expect("text")
        };
        assert!(own("/disk/letters", "box").starts_with("letters~") && own("/disk/letters", "box").ends_with("/box"));
        assert_ne!(own("/a/letters", "box"), own("/b/letters", "box"));
        assert!(!own("/", "").contains('/') && !own("C:\\scans", "").contains([':', '\\']));
    }

    #[test]
    fn no_path_of_a_list_is_a_formula() {
        let told = ["=1+1/a.png", "@a", "-a", "a=b"].map(|path| listed(path.as_bytes()));
        assert_eq!(told, ["./=1+1/a.png", "./@a", "./-a", "a=b"]);
        let image = PlacedImage {
            id: crate::domain::ids::ImageId(1),
            directory: 1,
            root: b"/letters".to_vec(),
            path: RelPath { folder: b"box".to_vec(), name: b"a.png".to_vec(), page: 1 },
            pixels: None,
            state: crate::ledger::moves::ImageState::Failed,
            asked: 1,
            flags: Vec::new(),
            reason: Some("missing_file".to_owned()),
            text: Some("txt".to_owned()),
            text_hash: None,
            model: None,
            recipe: None,
        };
        let row = list_row(b"box/a.png.txt", &image, None, b"");
        assert_eq!((&row[1][..], &row[2][..], &row[3][..]), ("box/a.png", "", "0"));
        // The known answers of the two functions for no bytes.
        assert_eq!(row[6], "failed", "a text that outlived its image says so");
        assert!(row[4].starts_with("af1349b9f5f9a1a6") && row[5].starts_with("e3b0c44298fc1c14") && row[4].len() == 64);
    }
}
