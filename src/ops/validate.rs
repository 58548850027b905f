//! `validate`: are the texts what was asked for? What is ours, untouched and unusable leaves its place, and its image is owed
//! again; everything else is left and listed. Nothing leaves this machine.
//!
//! The ledger has each move before a file is touched. A life that ends in between leaves a text that the ledger no longer
//! counts; the next one recognises it by its hash and finishes the work.

mod decide;
mod unknown;

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use crate::kit::json_schema::JsonSchema;

pub use self::decide::{Became, Fault, examine};
use self::decide::{Holder, decide};

use super::desk::Desk;
use super::raw_answer;
use super::text_file::{self, Whose};
use crate::domain::image::{Reason, RelPath};
use crate::domain::layout::{self, Layout};
use crate::kit::atomic_file::Mark;
use crate::kit::crash;
use crate::kit::hash::{Short, short};
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{ImageRow, Reader};

/// Rows of the ledger read at once, and images moved in one transaction.
const PAGE: u32 = 256;
/// Longest text that is read; no answer comes near it.
const LONGEST: u64 = 32 << 20;

/// What texts have to be.
#[derive(Debug)]
pub struct Rules {
    /// Whether all of them are JSON, or none; otherwise those that JSON was asked for.
    pub json: Option<bool>,
    /// Whether JSON is asked for now, for texts that were never asked.
    pub asks_json: bool,
    /// What JSON has to fit; usable.
    pub schema: Option<JsonSchema>,
    /// Endings of images, with the dot.
    pub endings: Vec<String>,
}

/// A text that is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its image, below the image folder.
    pub path: RelPath,
    /// What is wrong.
    pub fault: Fault,
    /// What became of it, or would.
    pub became: Became,
}

/// What a validation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Texts that were read.
    pub checked: u64,
    /// Of them, those that are good.
    pub valid: u64,
    /// The others, by what is wrong and what became of them.
    pub invalid: BTreeMap<(&'static str, &'static str), u64>,
    /// Moves that an earlier life had begun and that are finished now.
    pub finished: u64,
}

/// Why a validation ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What is done to an image whose text is unusable.
struct Order {
    image: ImageRow,
    /// Of the text as it lies there.
    hash: Short,
    /// Of what is this page's of it; the same unless its file has several.
    part: Short,
    reason: Reason,
    became: Became,
}

/// Validates the texts of a workspace; without a desk nothing is changed. `each` hears of every finding.
///
/// # Errors
/// [`Error`]; what was moved by then is finished by the next call.
pub fn validate(
    reader: &Reader,
    layout: &Layout,
    rules: &Rules,
    mut desk: Option<&mut Desk>,
    each: &mut dyn FnMut(&Finding),
) -> Result<Report, Error> {
    let mut work = Work { layout, rules, report: Report::default(), each };
    let mut after = None;
    let mut orders: Vec<Order> = Vec::new();
    loop {
        let page = reader.images(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for image in page {
            orders.extend(work.look(reader, image)?);
        }
        if let Some(desk) = desk.as_deref_mut() {
            // The pages of one file share a text, and are moved together: others of the last file may be still to come.
            let is_of_last = orders.last().map(|last| last.text());
            let begun = is_of_last.and_then(|text| orders.iter().position(|order| order.text() == text));
            let held = orders.split_off(begun.unwrap_or(0));
            work.carry_out(desk, std::mem::replace(&mut orders, held))?;
        }
    }
    if let Some(desk) = desk {
        work.carry_out(desk, orders)?;
    }
    unknown::walk(reader, &mut work)?;
    Ok(work.report)
}

/// The text of one page in that of its file: pages are parted by form feeds, and there is none in JSON.
fn of_page(bytes: &[u8], page: u32) -> &[u8] {
    let nth = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX);
    bytes.split(|byte| *byte == b'\x0c').nth(nth).unwrap_or(bytes)
}

impl Order {
    /// The text that it is about, however many pages share it.
    fn text(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.image.root, &self.image.path.folder, &self.image.path.name)
    }
}

struct Work<'a> {
    layout: &'a Layout,
    rules: &'a Rules,
    report: Report,
    each: &'a mut dyn FnMut(&Finding),
}

impl Work<'_> {
    /// Reads the text of an image, and tells what is to be done about it.
    fn look(&mut self, reader: &Reader, image: ImageRow) -> Result<Option<Order>, Error> {
        let Some(bytes) = self.text(&image.root, &image.path)? else { return Ok(None) };
        let (hash, own) = (short(&bytes), of_page(&bytes, image.path.page));
        let part = short(own);
        let ours = image.text_hash == Some(hash) && image.text.as_deref() != Some("kept");
        let rough = image.state == ImageState::Rough && image.text.as_deref() == Some("api");
        if rough && image.text_hash == Some(part) {
            // Its rough text was about to take its place.
            return Ok(Some(Order { image, hash, part, reason: Reason::JsonInvalid, became: Became::Rough }));
        }
        let json =
            self.rules.json.unwrap_or_else(|| image.asked_as.as_ref().map_or(self.rules.asks_json, |asked| asked.json));
        let Some(fault) = self.judged(own, json) else { return Ok(None) };
        let holder = match (ours, image.text.is_some()) {
            (true, _) => Holder::Ours,
            (false, true) => Holder::Edited,
            (false, false) => Holder::NeverOurs,
        };
        let raw = holder == Holder::Ours && image.state == ImageState::Done && self.has_raw(reader, &image)?;
        let mut became = decide(&image, holder, raw);
        if became == Became::Rough && !self.has_room_as_rough(&image, part) {
            became = Became::NoRoom;
        }
        let reason = fault.reason();
        self.found(&image.path, fault, became);
        Ok(became.moves().then_some(Order { image, hash, part, reason, became }))
    }

    /// The text beside an image, if there is one.
    fn text(&self, root: &[u8], path: &RelPath) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        let read = text_file::open(self.layout, root, path, "txt")
            .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            // No file of ours: a folder, a link, one that we may not read, or none.
            Err(cause) => match cause.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied => Ok(None),
                _ => Err(Error::Disk(cause)),
            },
        }
    }

    /// Counts a text, and tells what is wrong with it.
    fn judged(&mut self, bytes: &[u8], json: bool) -> Option<Fault> {
        self.report.checked += 1;
        let fault = if bytes.len() as u64 > LONGEST {
            Some(Fault::TooLong)
        } else {
            examine(bytes, json, self.rules.schema.as_ref())
        };
        self.report.valid += u64::from(fault.is_none());
        fault
    }

    fn found(&mut self, path: &RelPath, fault: Fault, became: Became) {
        *self.report.invalid.entry((fault.word(), became.word())).or_default() += 1;
        (self.each)(&Finding { path: path.clone(), fault, became });
    }

    fn has_raw(&self, reader: &Reader, image: &ImageRow) -> Result<bool, Error> {
        let Some(asked) = &image.asked_as else { return Ok(false) };
        let by_rule = || {
            layout::custom_id(asked.id_style, &image.given, &asked.path, |bytes| {
                crate::kit::hash::hex_digits(bytes, 64)
            })
        };
        let custom_id = asked.custom_id.clone().unwrap_or_else(by_rule);
        Ok(raw_answer::is_saved(self.layout, &reader.batches_of(image.id)?, &custom_id)?)
    }

    /// Whether nothing but the same text bears the name of the rough text.
    fn has_room_as_rough(&self, image: &ImageRow, part: Short) -> bool {
        text_file::whose(self.layout, &image.root, &image.path, "api", part) != Whose::Theirs
    }

    /// The ledger first, in one transaction; then the files.
    fn carry_out(&mut self, desk: &mut Desk, orders: Vec<Order>) -> Result<(), Error> {
        if orders.is_empty() {
            return Ok(());
        }
        desk.act(|store| {
            for order in orders.iter().filter(|order| order.image.state == ImageState::Done) {
                match order.became {
                    Became::Rough => store.only_copy(order.image.id, order.hash, order.part)?,
                    _ => store.unusable(order.image.id, order.hash, order.reason).map(drop)?,
                }
            }
            Ok(())
        })?;
        crash::point("validate.moved");
        self.report.finished += orders.iter().filter(|order| order.image.state != ImageState::Done).count() as u64;
        for file in orders.chunk_by(|one, other| one.text() == other.text()) {
            self.leave_place(file)?;
        }
        Ok(())
    }

    /// Takes a text from its place, unless somebody has edited it meanwhile; `pages` are those of its file.
    fn leave_place(&self, pages: &[Order]) -> io::Result<()> {
        let Some(Order { image, hash, .. }) = pages.first() else { return Ok(()) };
        if text_file::whose(self.layout, &image.root, &image.path, "txt", *hash) != Whose::Ours {
            return Ok(());
        }
        let folder = text_file::folder(self.layout, &image.root, &image.path)?;
        let name = text_file::name(&image.path, "txt");
        for page in pages.iter().filter(|page| page.became == Became::Rough) {
            if !self.copy_as_rough(&folder, page, &name)? {
                return Ok(());
            }
            crash::point("validate.copied");
        }
        folder.remove(&name)?;
        folder.sync()?;
        crash::point("validate.removed");
        Ok(())
    }

    /// The rough text of a page, complete before the text goes; whether it stands there then. Somebody else's stays.
    fn copy_as_rough(&self, folder: &crate::kit::folder::Folder, page: &Order, name: &[u8]) -> io::Result<bool> {
        let image = &page.image;
        let mut bytes = Vec::new();
        folder.file(&[name])?.take(LONGEST + 1).read_to_end(&mut bytes)?;
        let mut draft = folder.draft(&Mark::new(&self.layout.batch)?)?;
        draft.fill(of_page(&bytes, image.path.page))?;
        match draft.publish_new(&text_file::name(&image.path, "api")) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                Ok(text_file::whose(self.layout, &image.root, &image.path, "api", page.part) == Whose::Ours)
            }
            published => published.map(|()| true),
        }
    }
}

/// The name of an image behind that of a text, if its ending is that of an image.
fn image_name<'n>(text: &'n [u8], endings: &[String]) -> Option<&'n [u8]> {
    let image = text.strip_suffix(b".txt")?;
    let lower = image.to_ascii_lowercase();
    endings.iter().any(|ending| lower.ends_with(ending.to_ascii_lowercase().as_bytes())).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_images_are_known_by_their_names() {
        let endings = [".jpg".to_owned(), ".png".to_owned()];
        assert_eq!(image_name(b"a.JPG.txt", &endings), Some(b"a.JPG".as_slice()));
        assert_eq!(image_name(b"notes.txt", &endings), None);
        assert_eq!(image_name(b"a.jpg", &endings), None);
    }
}
