//! The report: what was asked, what came of it, what it cost, what left the building. One page of HTML that needs nothing but
//! itself, a table for spreadsheets, a document for programs; all three from one walk through the ledger.

mod cost;
pub(super) mod draw;
pub(super) mod facts;
mod page;
pub mod picture;
mod sent;
mod table;
mod timeline;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

pub use self::cost::{bill, funds};
pub use self::page::{balance, environment};
pub use self::table::utc;
pub use self::timeline::{Bar, bars};

use self::facts::{Facts, Surroundings};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Draft, Durability};
use crate::kit::clock::Millis;
use crate::ledger::LedgerError;
use crate::ledger::reader::{ImageResult, Reader};
use crate::settings::models::Models;

/// Images asked for at once.
const PAGE: u32 = 2_048;
/// The three files, in the order in which they are written.
pub const FILES: [&str; 3] = ["report.csv", "report.json", "report.html"];

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder of the report cannot be written.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What a report is made from.
#[derive(Debug)]
pub struct Report<'a> {
    /// The ledger.
    pub reader: &'a Reader,
    /// Where texts and saved answers lie.
    pub layout: &'a Layout,
    /// The price list.
    pub models: &'a Models,
    /// What the workspace is called.
    pub name: String,
    /// Pixels that the header of an image may claim.
    pub max_pixels: u64,
    /// Now.
    pub now: Millis,
}

impl Report<'_> {
    /// Writes the three files to `folder`, each whole or not at all, and tells their paths.
    ///
    /// # Errors
    /// [`Error`].
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        fs_err::create_dir_all(folder)?;
        let paths: Vec<PathBuf> = FILES.iter().map(|name| folder.join(name)).collect();
        let around = Surroundings::of(self)?;
        let facts = written(&paths[0], |file| self.rows(around, file))?;
        written(&paths[1], |file| {
            serde_json::to_writer_pretty(&mut *file, &facts.document()).map_err(io::Error::from)?;
            Ok(file.write_all(b"\n")?)
        })?;
        written(&paths[2], |file| Ok(page::write(self.layout, self.max_pixels, &facts, file)?))?;
        Ok(paths)
    }

    /// Counts all images; no text is opened.
    ///
    /// # Errors
    /// [`Error`].
    pub fn counted(&self) -> Result<Counted, Error> {
        let mut facts = Facts::new(Surroundings::of(self)?);
        let mut after = None;
        loop {
            let images = self.reader.results(after, PAGE)?;
            let Some(last) = images.last() else { return Ok(Counted(facts)) };
            after = Some(last.id);
            images.into_iter().for_each(|image| facts.add(image));
        }
    }

    /// Writes the table, and counts on the way.
    fn rows(&self, around: Surroundings, file: &mut BufWriter<File>) -> Result<Facts, Error> {
        let mut facts = Facts::new(around);
        table(self.reader, self.layout, file, &|_| true, &mut |image| facts.add(image))?;
        Ok(facts)
    }
}

/// The facts of a report that is not written anywhere. Its length does not grow with the images.
#[derive(Debug)]
pub struct Counted(Facts);

impl Counted {
    /// What the page tells without its pictures and texts, for a page of another kind.
    #[must_use]
    pub fn view(&self) -> serde_json::Value {
        page::view(&self.0)
    }

    /// The document for programs.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        self.0.document()
    }
}

/// Writes the table of all images, and hands each on.
pub(super) fn table(
    reader: &Reader,
    layout: &Layout,
    to: impl io::Write,
    wanted: &dyn Fn(&ImageResult) -> bool,
    each: &mut dyn FnMut(ImageResult),
) -> Result<(), Error> {
    let mut rows = table::Table::begin(to)?;
    let (mut after, mut looked_at) = (None, table::LookedAt::default());
    loop {
        let images = reader.results(after, PAGE)?;
        let Some(last) = images.last() else { return Ok(rows.end()?) };
        after = Some(last.id);
        for mut image in images.into_iter().filter(wanted) {
            let length = looked_at.next(layout, &mut image);
            rows.row(layout, &image, length)?;
            each(image);
        }
    }
}

/// Writes a file whole or not at all.
fn written<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<T, Error>) -> Result<T, Error> {
    let folder = crate::kit::atomic_file::folder_of(path);
    let mut draft = Draft::create(folder, Access::Umask)?;
    let told = {
        let mut file = BufWriter::new(draft.file()?.try_clone()?);
        let told = fill(&mut file)?;
        file.flush()?;
        told
    };
    draft.publish(path, Durability::Synced)?;
    Ok(told)
}
