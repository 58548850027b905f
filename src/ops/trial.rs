//! What judging saved answers again would change: it is done to copies of the ledger and of the texts, in a folder of their own
//! that is removed in the end, and then the copies are compared with what lies there.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::text_file;
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Draft, Durability, move_file, private_folder};
use crate::kit::clock::Clock;
use crate::kit::hash::Short;
use crate::kit::path_bytes::to_path;
use crate::ledger::LedgerError;
use crate::ledger::backup::Backups;
use crate::ledger::reader::{ImageRow, Reader};

/// Rows of the ledger read at once.
const PAGE: u32 = 256;
/// Name of the folder below `batch_dir`; a trial that was killed leaves it to the next one.
const FOLDER: &str = "trial";
/// The two texts of an image, by the ledger's words.
const KINDS: [&str; 2] = ["txt", "api"];

/// Why a trial ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or copied.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What would become of the texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Texts that would become other ones.
    pub changed: u64,
    /// Texts that would be written where none is.
    pub new: u64,
    /// Texts that would be removed.
    pub removed: u64,
    /// Texts that would stay as they are.
    pub same: u64,
}

/// Copies of a workspace; gone with the value. The workspace's lock is the caller's affair.
#[derive(Debug)]
pub struct Trial {
    folder: PathBuf,
    layout: Layout,
    tried: Layout,
}

impl Trial {
    /// Copies the ledger, and each text that lies where one of ours would be written.
    ///
    /// # Errors
    /// [`Error`]
    pub fn begin(reader: &Reader, layout: &Layout, clock: &Clock) -> Result<Self, Error> {
        let folder = layout.batch.join(FOLDER);
        remove(&folder)?;
        let tried = Layout {
            batch: folder.join("batch"),
            completed: folder.join("completed"),
            output: layout.output.clone(),
            extraction: folder.join("results"),
            texts: Some(folder.join("texts")),
        };
        // From here on the folder is removed, whatever happens.
        let trial = Self { folder, layout: layout.clone(), tried };
        for folder in [&trial.folder, &trial.tried.batch, &trial.tried.completed, &trial.tried.extraction] {
            private_folder(folder)?;
        }
        let copy = Backups::new(layout.ledger(), trial.tried.batch.clone()).make(clock.now())?;
        move_file(&copy, &trial.tried.ledger())?;
        copy_files(&layout.pages(), &trial.tried.pages())?;
        trial.each(reader, |image, kind| trial.copy(image, kind))?;
        Ok(trial)
    }

    /// Where the copies lie; the saved answers are read from where they are.
    #[must_use]
    pub fn copies(&self) -> &Layout {
        &self.tried
    }

    /// Compares the copies of the texts with the texts themselves.
    ///
    /// # Errors
    /// [`Error`]
    pub fn changes(&self, reader: &Reader) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        self.each(reader, |image, kind| {
            // Where the image's own folder is gone, nothing would be written.
            if text_file::folder(&self.layout, &image.root, &image.path).is_err() {
                return Ok(());
            }
            match (self.hash(&self.layout, image, kind)?, self.hash(&self.tried, image, kind)?) {
                (None, None) => {}
                (None, Some(_)) => changes.new += 1,
                (Some(_), None) => changes.removed += 1,
                (Some(before), Some(after)) if before == after => changes.same += 1,
                (Some(_), Some(_)) => changes.changed += 1,
            }
            Ok(())
        })?;
        Ok(changes)
    }

    /// Goes through the texts of all images; the pages of a file have one, and each of them a rough one.
    fn each(&self, reader: &Reader, mut act: impl FnMut(&ImageRow, &str) -> io::Result<()>) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = reader.images(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for image in &page {
                KINDS
                    .iter()
                    .filter(|kind| image.path.page == 1 || **kind == "api")
                    .try_for_each(|kind| act(image, kind))?;
            }
        }
    }

    fn copy(&self, image: &ImageRow, kind: &str) -> io::Result<()> {
        let mut text = match text_file::open(&self.layout, &image.root, &image.path, kind) {
            Ok(text) => text,
            Err(cause) if is_nothing(&cause) => return Ok(()),
            Err(cause) => return self.stand_in(image, kind, &cause),
        };
        let target = self.place(image, kind)?;
        let mut draft = Draft::create(target.parent().unwrap_or(&self.folder), Access::Private)?;
        io::copy(&mut text, draft.file()?)?;
        draft.publish(&target, Durability::Derived)
    }

    /// What bears the name of a text and is no file of ours to read is left by a run as by its trial: something else stands there.
    fn stand_in(&self, image: &ImageRow, kind: &str, cause: &io::Error) -> io::Result<()> {
        tracing::debug!(path = %image.path.shown(), %cause, "what bears the name of a text cannot be read");
        fs_err::create_dir_all(self.place(image, kind)?)
    }

    /// Where the copy of a text lies; its folder is made.
    fn place(&self, image: &ImageRow, kind: &str) -> io::Result<PathBuf> {
        let folder = self.tried.texts.as_deref().unwrap_or(&self.folder).join(to_path(&image.path.folder));
        fs_err::create_dir_all(&folder)?;
        Ok(folder.join(to_path(&text_file::name(&image.path, kind))))
    }

    /// Hash of a text; none where nothing lies that can be read.
    fn hash(&self, layout: &Layout, image: &ImageRow, kind: &str) -> io::Result<Option<Short>> {
        match text_file::open(layout, &image.root, &image.path, kind) {
            Ok(text) => text_file::hash_of(text).map(Some),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(cause) = remove(&self.folder) {
            tracing::warn!(%cause, "the copies of a trial could not be removed");
        }
    }
}

fn is_nothing(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Copies the files of a folder of ours, if it is there.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs_err::read_dir(from) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    private_folder(to)?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let mut bytes = Vec::new();
            fs_err::File::open(entry.path())?.read_to_end(&mut bytes)?;
            let mut draft = Draft::create(to, Access::Private)?;
            draft.fill(&bytes)?;
            draft.publish(&to.join(entry.file_name()), Durability::Derived)?;
        }
    }
    Ok(())
}
