//! Cleaning of the texts of a tree that no ledger knows, such as one that the origin's scripts have left.
//!
//! A text may be a person's work: what stood there before is kept, and complete on disk before anything else is written. A life
//! that ends in between leaves a text kept that was not changed; the next one keeps no second copy of the same bytes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::found_text::{Look, look};
use super::polish::{PolishOptions, Polished};
use crate::corpus::beneath::Root;
use crate::corpus::names::is_left_out;
use crate::domain::image::RelPath;
use crate::domain::layout::ROUGH_ENDING;
use crate::kit::atomic_file::Mark;
use crate::kit::crash;
use crate::kit::folder::{Folder, Sort};
use crate::kit::path_bytes::{folder_parts, to_path};

/// Longest text that is read; no answer comes near it.
const LONGEST: u64 = 32 << 20;
/// Texts of one name that are kept; a person who cleans the same file more often has to look.
const MOST_KEPT: u32 = 1000;
/// It is longer than any answer.
const TOO_LONG: &str = "too_long";
/// It cannot be read.
const UNREADABLE: &str = "unreadable";
/// A rough text that is another one lies there already.
const ROUGH_THERE: &str = "rough_there";
/// Somebody has written it meanwhile.
const EDITED: &str = "edited";

/// What is to be cleaned, and how.
#[derive(Debug)]
pub struct Order<'a> {
    /// The tree.
    pub dir: &'a Path,
    /// Folders that are not walked; absolute, links resolved.
    pub skip: &'a [PathBuf],
    /// Where texts are kept as they were; `None`: nothing is changed.
    pub before: Option<&'a Path>,
    /// Endings of images, with the dot.
    pub endings: &'a [String],
    /// How texts are cleaned.
    pub polish: &'a PolishOptions,
    /// What was asked, to know its echo.
    pub prompt: &'a str,
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// Rules have changed it: their names.
    Cleaned(Vec<&'static str>),
    /// It is the rough text now, for these words.
    Rough(Vec<&'static str>),
    /// It was left, for this reason.
    Left(&'static str),
}

/// What a cleaning came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Texts that were found.
    pub texts: u64,
    /// Of them, those that were clean.
    pub clean: u64,
    /// Those that rules have changed.
    pub cleaned: u64,
    /// Those that are rough texts now.
    pub rough: u64,
    /// Those that the ledger of this workspace knows: they are cleaned from their answers.
    pub known: u64,
    /// Those that were left, by reason.
    pub left: BTreeMap<&'static str, u64>,
    /// How many texts each rule has changed.
    pub rules: BTreeMap<&'static str, u64>,
    /// Texts whose names are not those of images and `.txt`: they may be anybody's.
    pub passed_over: u64,
    /// Folders that could not be read.
    pub unreadable_folders: u64,
}

/// Cleans the texts of a tree. `knows` says of an image's path below it whether the ledger does; `each` hears of every text
/// that was not clean.
///
/// # Errors
/// `E` of `knows`, or the operating system's; what was changed by then is complete, and the next call goes on.
pub fn clean<E: From<io::Error>>(
    order: &Order<'_>,
    knows: &mut dyn FnMut(&RelPath) -> Result<bool, E>,
    each: &mut dyn FnMut(&RelPath, &Became),
) -> Result<Report, E> {
    let root = Root::open(order.dir)?;
    let desk = order.before.map(Desk::open).transpose()?;
    let mut report = Report::default();
    let mut folders = vec![Vec::new()];
    while let Some(path) = folders.pop() {
        let Ok(entries) = root.folder(&path).and_then(Folder::entries) else {
            report.unreadable_folders += 1;
            continue;
        };
        for entry in entries.flatten() {
            let below = RelPath { folder: path.clone(), name: entry.name, page: 1 };
            match entry.sort {
                Sort::Folder if !is_left_out(&below.name) => {
                    let folder = below.joined();
                    if !order.skip.contains(&order.dir.join(to_path(&folder))) {
                        folders.push(folder);
                    }
                }
                Sort::File if desk.as_ref().is_some_and(|desk| desk.mark.is_left_over(&below.name)) => {
                    root.folder(&path)?.remove(&below.name)?;
                }
                Sort::File => {
                    let Some(image) = image_of(&below, order.endings) else {
                        report.passed_over += u64::from(below.name.ends_with(b".txt"));
                        continue;
                    };
                    report.texts += 1;
                    if knows(&image)? {
                        report.known += 1;
                    } else {
                        one(order, &root, desk.as_ref(), &below, &mut report, each)?;
                    }
                }
                Sort::Folder | Sort::Link | Sort::Odd => {}
            }
        }
    }
    Ok(report)
}

/// The image that a text belongs to, by its name.
fn image_of(text: &RelPath, endings: &[String]) -> Option<RelPath> {
    let name = text.name.strip_suffix(b".txt")?;
    let lower = name.to_ascii_lowercase();
    let is_image = endings.iter().any(|ending| lower.ends_with(ending.to_ascii_lowercase().as_bytes()));
    is_image.then(|| RelPath { folder: text.folder.clone(), name: name.to_vec(), page: 1 })
}

fn one(
    order: &Order<'_>,
    root: &Root,
    desk: Option<&Desk>,
    path: &RelPath,
    report: &mut Report,
    each: &mut dyn FnMut(&RelPath, &Became),
) -> io::Result<()> {
    let found = match read(root, path) {
        Ok(bytes) if bytes.len() as u64 > LONGEST => Err(TOO_LONG),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(UNREADABLE),
    };
    let became = match found {
        Err(why) => Became::Left(why),
        Ok(bytes) => match look(&bytes, order.polish, order.prompt) {
            Look::Clean => {
                report.clean += 1;
                return Ok(());
            }
            Look::Left(why) => Became::Left(why),
            Look::Polished(polished) => put(desk, root, path, &bytes, &polished, false)?,
            Look::Rough(polished) => put(desk, root, path, &bytes, &polished, true)?,
        },
    };
    match &became {
        Became::Cleaned(rules) => {
            report.cleaned += 1;
            for rule in rules {
                *report.rules.entry(*rule).or_default() += 1;
            }
        }
        Became::Rough(_) => report.rough += 1,
        Became::Left(why) => *report.left.entry(*why).or_default() += 1,
    }
    each(path, &became);
    Ok(())
}

fn read(root: &Root, path: &RelPath) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    root.file(path)?.0.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Keeps the text before, then writes the one after: in its place, or as the rough text.
fn put(
    desk: Option<&Desk>,
    root: &Root,
    path: &RelPath,
    before: &[u8],
    after: &Polished,
    rough: bool,
) -> io::Result<Became> {
    let mut rules: Vec<&'static str> = after.steps.iter().map(|step| step.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let became = if rough { Became::Rough(after.rough.clone()) } else { Became::Cleaned(rules) };
    let Some(desk) = desk else { return Ok(became) };
    desk.keep(path, before)?;
    crash::point("clean.kept");
    if read(root, path).is_ok_and(|now| now != before) {
        return Ok(Became::Left(EDITED));
    }
    let folder = root.folder(&path.folder)?;
    let mut draft = folder.draft(&desk.mark)?;
    draft.fill(after.text.as_bytes())?;
    if !rough {
        draft.publish(&path.name)?;
        folder.sync()?;
        return Ok(became);
    }
    let name = [&path.name[..], ROUGH_ENDING.as_bytes()].concat();
    match draft.publish_new(&name) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            // An earlier life may have come as far as this.
            let rough = RelPath { folder: path.folder.clone(), name, page: 1 };
            if !read(root, &rough).is_ok_and(|there| there == after.text.as_bytes()) {
                return Ok(Became::Left(ROUGH_THERE));
            }
        }
        published => published?,
    }
    folder.sync()?;
    crash::point("clean.rough");
    folder.remove(&path.name)?;
    folder.sync()?;
    Ok(became)
}

/// Where texts are kept as they were.
struct Desk {
    before: Folder,
    mark: Mark,
}

impl Desk {
    fn open(before: &Path) -> io::Result<Self> {
        Ok(Self { before: Folder::open(before)?, mark: Mark::new(before)? })
    }

    /// Keeps a text under its path; an earlier one that is another stays, and this one gets a number.
    fn keep(&self, path: &RelPath, bytes: &[u8]) -> io::Result<()> {
        let parts = folder_parts(&path.folder).ok_or(ErrorKind::InvalidInput)?;
        let folder = self.before.make_below(&parts)?;
        for number in 1..MOST_KEPT {
            let name = if number == 1 {
                path.name.clone()
            } else {
                [&path.name[..], format!(".{number}").as_bytes()].concat()
            };
            let mut draft = folder.draft(&self.mark)?;
            draft.fill(bytes)?;
            match draft.publish_new(&name) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                    let mut there = Vec::new();
                    folder.file(&[&name])?.take(LONGEST + 1).read_to_end(&mut there)?;
                    if there == bytes {
                        return Ok(());
                    }
                }
                published => {
                    published?;
                    return folder.sync();
                }
            }
        }
        Err(io::Error::other(format!("{}: kept too often", folder.path_of(&[&path.name]).display())))
    }
}
