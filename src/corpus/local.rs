//! A folder of this computer, or of a mounted share.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::anywhere::Anywhere;
use super::arrivals::Arrivals;
use super::beneath::{self, Root};
use super::media::{Sniffed, sniff};
use super::names::{self, Promise};
use super::walk::{Gone, Walk};
use super::{Corpus, Known, Walked, ink};
use crate::domain::image::{Fate, Found, Looks, Pages, Pixels, Reason, RelPath, Stamp};
use crate::domain::layout;
use crate::domain::recipe::{Preparation, WayOut};
use crate::kit::atomic_file::Mark;
use crate::kit::clock::Stopwatch;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use crate::kit::{atomic_file, hash, thread};

/// Pages waiting for the Scanner.
pub const PAGES_WAITING: usize = 2;

/// Where the text of an image lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextsLocation {
    /// Beside the image.
    Beside,
    /// In the same folder below another root.
    Mirror(PathBuf),
}

/// Most pages of one file: a book has fewer, and a file that claims more would have each of them paid for.
const MOST_PAGES: usize = 2_000;

/// What of a folder belongs to the corpus.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Endings of images, lower case, with the dot.
    pub valid_endings: Vec<String>,
    /// Working folders, absolute, which are never walked.
    pub excluded_folders: Vec<PathBuf>,
    /// Largest file that is sent.
    pub max_image_bytes: u64,
    /// Largest image that is sent, in pixels: what the header claims, so that nobody has to decode a bomb to know it.
    pub max_pixels: u64,
    /// How pictures are made ready: one that is, may be as large as it likes.
    pub preparation: Preparation,
    /// What is asked of a file of several pages.
    pub pages: Pages,
    /// Where texts lie.
    pub texts: TextsLocation,
    /// Tells the temporary files that an earlier life of this workspace left; they are removed where the walk finds them.
    pub mark: Mark,
    /// What walks of the same folder know of one another; without it each looks at everything at once.
    pub arrivals: Option<Arrivals>,
}

/// A folder of images. Nothing is ever written to it here, and nothing but our own rubbish is removed.
#[derive(Clone, Debug)]
pub struct LocalCorpus {
    root: PathBuf,
    options: LocalOptions,
    /// Held while a large image is decoded.
    large: Arc<Mutex<()>>,
}

impl LocalCorpus {
    /// The folder at `root`; whether it can be read shows when it is walked.
    #[must_use]
    pub fn new(root: PathBuf, options: LocalOptions) -> Self {
        // A path that the system cannot make absolute is empty, and then the walk says so.
        Self { root: std::path::absolute(&root).unwrap_or(root), options, large: Arc::default() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn options(&self) -> &LocalOptions {
        &self.options
    }

    /// Opens what a folder of images needs; a walk keeps it until it comes to the next one.
    pub(super) fn place(&self, root: &Root, folder: &[u8]) -> io::Result<Place> {
        let images = root.folder(folder)?;
        let texts = match &self.options.texts {
            TextsLocation::Beside => Texts::Beside,
            TextsLocation::Mirror(root) => match Root::open(root).and_then(|root| root.folder(folder)) {
                Ok(folder) => Texts::Apart(folder),
                Err(cause) if is_gone(&cause) => Texts::Nowhere,
                Err(_) => Texts::Unknown,
            },
        };
        Ok(Place { images, texts })
    }

    /// Measures a file of an open folder.
    pub(super) fn measure_in(&self, place: &Place, path: &RelPath, listed: Listed) -> io::Result<Measured> {
        let (file, stamp) = beneath::regular(place.images.file(&[&path.name])?)?;
        let fate = match listed.promise {
            Promise::Excluded => Fate::Skipped(Reason::Excluded),
            _ if stamp.bytes == 0 => Fate::Failed(Reason::EmptyFile),
            Promise::Unsendable => Fate::Failed(Reason::UnsupportedFormat),
            Promise::Image | Promise::Other => self.fate(&file, stamp)?,
        };
        let text_present = matches!(fate, Fate::Owed(_)) && place.has_text(path, listed);
        Ok(Measured { stamp, fate, text_present })
    }

    /// What is known of a name without the folder it lies in.
    pub(super) fn listed(&self, name: &[u8]) -> Listed {
        Listed { promise: names::promise(name, &self.options.valid_endings), textless: None }
    }

    fn fate(&self, file: &File, stamp: Stamp) -> io::Result<Fate> {
        Ok(match sniff(&mut Anywhere::new(file), stamp.bytes)? {
            Sniffed::Image(looks) => self.of_image(looks, stamp),
            Sniffed::Unsupported(_) => Fate::Failed(Reason::UnsupportedFormat),
            Sniffed::Damaged => Fate::Failed(Reason::Damaged),
            Sniffed::NotAnImage => Fate::Failed(Reason::NotAnImage),
        })
    }
}

impl LocalCorpus {
    /// What becomes of an image, by its header alone.
    fn of_image(&self, mut looks: Looks, stamp: Stamp) -> Fate {
        let LocalOptions { preparation, pages, max_image_bytes, max_pixels, .. } = &self.options;
        match pages {
            Pages::Refuse if looks.pages.len() > 1 => return Fate::Failed(Reason::UnsupportedFormat),
            Pages::First => looks.pages.truncate(1),
            Pages::Each | Pages::Refuse => {}
        }
        let too_long = |pixels: &Pixels| preparation.way(looks.format, looks.needs, *pixels) == WayOut::AsItIs;
        if looks.pages.len() > MOST_PAGES {
            return Fate::Failed(Reason::TooLarge);
        }
        if looks.largest() > *max_pixels || stamp.bytes > *max_image_bytes && looks.pages.iter().any(too_long) {
            return Fate::Failed(Reason::TooLarge);
        }
        match preparation.way(looks.format, looks.needs, Pixels { width: 1, height: 1 }) {
            WayOut::NotAtAll => Fate::Failed(Reason::UnsupportedFormat),
            WayOut::AsItIs | WayOut::Prepared => Fate::Owed(looks),
        }
    }
}

/// What is known of a file before it is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    /// What its name promises.
    pub(super) promise: Promise,
    /// Since when its whole folder was listed at once, if no name there may be a text's.
    pub(super) textless: Option<Stopwatch>,
}

impl Listed {
    /// The same, without what its folder told so long ago or longer.
    pub(super) fn believed_for(self, limit: Duration) -> Self {
        Self { textless: self.textless.filter(|since| since.elapsed() < limit), ..self }
    }
}

/// What was found out about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    stamp: Stamp,
    fate: Fate,
    text_present: bool,
}

impl Measured {
    /// The same, with the name of the file.
    pub(super) fn of(self, path: RelPath) -> Found {
        Found { path, stamp: self.stamp, fate: self.fate, text_present: self.text_present }
    }
}

/// An open folder of images, and where their texts lie.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) images: Folder,
    texts: Texts,
}

#[derive(Debug)]
enum Texts {
    Beside,
    Apart(Folder),
    /// The mirror tree has no such folder yet.
    Nowhere,
    /// The mirror tree cannot be looked at.
    Unknown,
}

impl Place {
    /// Whether something bears the name of its text already: then an image that the ledger does not know is not asked for.
    fn has_text(&self, path: &RelPath, listed: Listed) -> bool {
        let folder = match &self.texts {
            Texts::Beside if listed.textless.is_some() => return false,
            Texts::Beside => &self.images,
            Texts::Apart(folder) => folder,
            Texts::Nowhere => return false,
            Texts::Unknown => return true,
        };
        // What cannot be looked at counts as there: an image is rather not asked for than paid for and then not written.
        folder.facts(&text_name(path)).map_or_else(|cause| !is_gone(&cause), |_| true)
    }
}

fn text_name(path: &RelPath) -> Vec<u8> {
    layout::text_name(&path.name, |bytes| hash::hex_digits(bytes, 64))
}

fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Corpus for LocalCorpus {
    fn walk(&self, known: Option<Known>, guard: ExitGuard) -> io::Result<mpsc::Receiver<Walked>> {
        let (sender, lane) = mpsc::channel(PAGES_WAITING);
        let corpus = self.clone();
        // The thread ends with its lane; its guard tells how.
        let _detached = thread::spawn("walk", guard, move |guard| match Walk::new(&corpus, known, &sender).run() {
            // A walk that nobody listens to any more has nothing left to do.
            Ok(()) | Err(Gone) => guard.drained(),
        })?;
        Ok(lane)
    }

    fn open(&self, path: &RelPath) -> io::Result<(File, Stamp)> {
        Root::open(&self.root)?.file(path)
    }

    fn measure(&self, path: &RelPath) -> io::Result<Found> {
        let place = self.place(&Root::open(&self.root)?, &path.folder)?;
        Ok(self.measure_in(&place, path, self.listed(&path.name))?.of(path.clone()))
    }

    fn ink(&self, path: &RelPath, sparse: bool) -> io::Result<Option<f64>> {
        let (file, stamp) = self.open(path)?;
        Ok(ink::measure(file, self.options.max_pixels, sparse.then_some(stamp.bytes), &self.large))
    }

    fn text_name(&self, path: &RelPath) -> Vec<u8> {
        text_name(path)
    }

    fn text_folder(&self, path: &RelPath) -> io::Result<Option<Folder>> {
        match &self.options.texts {
            TextsLocation::Beside => match Root::open(&self.root)?.folder(&path.folder) {
                // A link in its place is not followed: whatever it leads to is not the folder that the image lay in.
                Err(cause) if is_gone(&cause) => Ok(None),
                folder => folder.map(Some),
            },
            TextsLocation::Mirror(root) => {
                atomic_file::open_folder(root)?;
                Root::open(root)?.make_folder(&path.folder).map(Some)
            }
        }
    }
}

#[cfg(all(test, unix))]
#[path = "local_tests.rs"]
mod tests;
