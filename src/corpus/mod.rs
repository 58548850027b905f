//! The user's files behind one trait: walk, measure, open; never written, renamed or removed.
//!
//! *Job*: tell what lies in a tree and what its first and last bytes say. *In*: a root. *Out*: pages of [`Found`], open files.
//! *Owns*: one walk thread. *Bound*: pages of 1,024 files, two of them waiting; 10,000 names of open folders in all.
//! *If it crashes here*: the walk is begun again; enrolling is idempotent.

mod accepted;
mod anywhere;
pub mod arrivals;
pub mod beneath;
mod converted;
pub mod exif;
pub mod ink;
pub mod local;
pub mod look;
pub mod media;
pub mod names;
pub mod rough;
pub mod tags;
pub mod tiff;
mod walk;
mod whole;
mod window;

use std::fs::File;
use std::io;

use crate::domain::image::{Found, RelPath, Stamp};
use crate::domain::layout;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use tokio::sync::mpsc;

/// Most images in one page of the walk, but for further ones of its last file.
pub const PAGE: usize = 1_024;

/// What the walk tells.
#[derive(Debug)]
pub enum Walked {
    /// Up to [`PAGE`] files that were looked at, and how many others were passed over.
    Page(Vec<Found>, PassedOver),
    /// The listing is over.
    Over,
    /// The root itself cannot be read.
    Broken(io::Error),
}

/// Files and folders that are not images of this corpus, counted, never silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Other files, by lower-case ending (without the dot; empty for none).
    pub by_ending: std::collections::BTreeMap<String, u64>,
    /// Folders that could not be read, with the system's words; the first [`MOST_NAMED`] of them.
    pub unreadable_folders: Vec<String>,
    /// How many folders could not be read.
    pub unreadable: u64,
    /// Files that may still be on their way; only where a folder is walked again.
    pub arriving: u64,
    /// Links and odd files passed over.
    pub links: u64,
    /// Folders that were not walked: hidden, a system's, or our own working folders.
    pub folders: u64,
}

/// Unreadable folders that are named; the others are counted.
pub const MOST_NAMED: usize = 100;
/// Endings that are counted one by one; files of all others are counted under [`OTHER_ENDINGS`].
const MOST_ENDINGS: usize = 500;
/// What stands for the endings beyond the first few hundred.
pub const OTHER_ENDINGS: &str = "*";

impl PassedOver {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        for (ending, count) in other.by_ending {
            self.add_files(ending, count);
        }
        let room = MOST_NAMED.saturating_sub(self.unreadable_folders.len());
        self.unreadable_folders.extend(other.unreadable_folders.into_iter().take(room));
        self.unreadable += other.unreadable;
        self.arriving += other.arriving;
        self.links += other.links;
        self.folders += other.folders;
    }

    /// Counts `count` files with this ending.
    pub fn add_files(&mut self, ending: String, count: u64) {
        let known = self.by_ending.len() < MOST_ENDINGS || self.by_ending.contains_key(&ending);
        *self.by_ending.entry(if known { ending } else { OTHER_ENDINGS.to_owned() }).or_default() += count;
    }

    /// Counts a folder that could not be read, in the words of `why`.
    pub fn add_unreadable(&mut self, why: String) {
        self.unreadable += 1;
        if self.unreadable_folders.len() < MOST_NAMED {
            self.unreadable_folders.push(why);
        }
    }
}

/// Tells of files, up to [`PAGE`] at a time, which of them are known and are what they were: these are not opened, and not told of.
/// On a network share a look into each of a million files takes hours.
pub type Known = Box<dyn Fn(Vec<(RelPath, Stamp)>) -> Vec<bool> + Send>;

/// A tree of images.
pub trait Corpus: Send + Sync {
    /// Starts listing on a thread of its own; the lane holds two pages and then the walk waits. Without `known`, every file
    /// is looked into.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    fn walk(&self, known: Option<Known>, guard: ExitGuard) -> io::Result<mpsc::Receiver<Walked>>;

    /// Opens an image for reading and tells what it is now.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for what is no regular file.
    fn open(&self, path: &RelPath) -> io::Result<(File, Stamp)>;

    /// Looks at one file anew: its stamp, and what becomes of it.
    ///
    /// # Errors
    /// The operating system's.
    fn measure(&self, path: &RelPath) -> io::Result<Found>;

    /// Share of dark pixels of an image; `None` if it cannot be decoded, or, where only `sparse` ones are of interest, if there is
    /// too much in the file for a blank page.
    ///
    /// # Errors
    /// The operating system's.
    fn ink(&self, path: &RelPath, sparse: bool) -> io::Result<Option<f64>>;

    /// The name of an image's text.
    fn text_name(&self, path: &RelPath) -> Vec<u8>;

    /// The name of an image's rough text, in the same folder.
    fn rough_name(&self, path: &RelPath) -> Vec<u8> {
        let mut of_page = path.clone();
        of_page.name = layout::page_name(&path.name, path.page);
        [&self.text_name(&of_page)[..], layout::ROUGH_ENDING.as_bytes()].concat()
    }

    /// Opens the folder that an image's text belongs in: beside it, where no folder is ours to make, or in the mirror tree,
    /// where it is made if need be. `None` if the image's own folder is gone.
    ///
    /// # Errors
    /// The operating system's; `NotFound` if the whole tree of images is away.
    fn text_folder(&self, path: &RelPath) -> io::Result<Option<Folder>>;
}
