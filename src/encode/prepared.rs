//! The files of pictures that were made ready: each lies in the workspace from its preparation until its batch is settled.
//!
//! They are derived, and none of them is synced: the ledger knows the hash of each, and one that a power cut has torn is made
//! again from the original, which nobody touches.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::ImageId;
use crate::domain::image::Format;
use crate::kit::atomic_file::{self, Access, Durability, private_folder};
use crate::kit::random;

/// Letters that tell two preparations of one image apart: the file of a plan that was given up may be removed after the next
/// one is there.
const LETTERS: usize = 8;

/// All prepared files of a workspace, and how many bytes they have.
#[derive(Clone, Debug)]
pub struct PreparedFiles {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Bytes from which on nothing more is prepared.
    most: u64,
    used: Mutex<u64>,
    /// Bytes that pictures under way are expected to have at most.
    promised: AtomicU64,
    freed: Notify,
}

/// Room that is kept for a picture until its file is written.
#[derive(Debug)]
pub struct Promise {
    files: PreparedFiles,
    bytes: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.files.inner.promised.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl PreparedFiles {
    /// The files in `folder`, which is made with the first of them. Nothing more is prepared while they have `most` bytes or more.
    #[must_use]
    pub fn new(folder: PathBuf, most: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                most,
                used: Mutex::new(0),
                promised: AtomicU64::new(0),
                freed: Notify::new(),
            }),
        }
    }

    /// What an earlier life left: names and lengths.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn left_over(&self) -> io::Result<Vec<(String, u64)>> {
        list(&self.inner.folder)
    }

    /// Takes over what an earlier life left: files that a plan still names are kept and counted, all others removed.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn take_over(&self, left_over: Vec<(String, u64)>, living: &HashSet<String>) -> io::Result<()> {
        for (name, bytes) in left_over {
            if living.contains(&name) {
                *self.used() += bytes;
            } else {
                remove(&self.inner.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Whether another picture may be prepared.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used().saturating_add(self.inner.promised.load(Ordering::Relaxed)) < self.inner.most
    }

    /// Keeps room for a picture under way; a bound that its file is not expected to exceed, in bytes.
    #[must_use]
    pub fn promise(&self, bytes: u64) -> Promise {
        self.inner.promised.fetch_add(bytes, Ordering::Relaxed);
        Promise { files: self.clone(), bytes }
    }

    /// Waits until files have gone since the last call that waited.
    pub async fn freed(&self) {
        self.inner.freed.notified().await;
    }

    /// Writes a prepared picture; its name.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn write(&self, image: ImageId, format: Format, bytes: &[u8]) -> io::Result<String> {
        private_folder(&self.inner.folder)?;
        let name = format!("{image}-{}.{}", random::letters(LETTERS)?, format.word());
        atomic_file::write_new(&self.inner.folder.join(&name), bytes, Access::Private, Durability::Derived)?;
        *self.used() += bytes.len() as u64;
        Ok(name)
    }

    /// Opens a prepared picture.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path_of(name)?)
    }

    /// Removes pictures of a plan that is settled or given up, by name and length. What is gone already is gone.
    pub fn discard(&self, files: impl Iterator<Item = (String, u64)>) {
        for (name, bytes) in files {
            match self.path_of(&name).and_then(|path| remove(&path)) {
                Ok(true) => {
                    let mut used = self.used();
                    *used = used.saturating_sub(bytes);
                }
                Ok(false) => {}
                Err(cause) => tracing::warn!(name, %cause, "a prepared picture stays; it is removed at the next start"),
            }
        }
        self.inner.freed.notify_one();
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        *self.used()
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self.used() == 0
    }

    /// Where a file of this name lies: a name of the ledger, which may be foreign or damaged.
    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(self.inner.folder.join(name))
    }

    fn used(&self) -> std::sync::MutexGuard<'_, u64> {
        self.inner.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names and lengths of the files in a folder; none if there is no folder.
fn list(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs_err::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), facts.len()));
        }
    }
    Ok(files)
}

/// Whether there was one to remove.
fn remove(path: &Path) -> io::Result<bool> {
    match fs_err::remove_file(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_a_plan_names_is_kept_and_counted() {
        let folder = tempfile::tempdir().expect("temp dir");
        let files = |most| PreparedFiles::new(folder.path().join("prepared"), most);
        let first = files(10);
        assert_eq!(first.left_over().expect("no folder"), []);
        let kept = first.write(ImageId(1), Format::Jpeg, b"12345").expect("written");
        let lost = first.write(ImageId(1), Format::Png, b"123456").expect("written");
        assert!(!first.has_room() && kept.starts_with("1-") && lost.ends_with(".png"));
        let second = files(10);
        let living = HashSet::from([kept.clone()]);
        second.take_over(second.left_over().expect("two"), &living).expect("taken over");
        let promise = second.promise(5);
        assert!(!second.has_room(), "five bytes lie there, and five are under way");
        drop(promise);
        assert!(second.has_room() && !second.is_empty() && second.open(&lost).is_err());
        assert!(second.open("../ledger.sqlite").is_err());
        second.discard([(kept.clone(), 5), (kept, 5)].into_iter());
        second.freed().await;
        assert!(second.is_empty());
        let elsewhere = folder.path().join("a-page.jpeg");
        atomic_file::write(&elsewhere, b"a person's", Access::Umask, Durability::Derived).expect("file");
        let names = ["../a-page.jpeg".to_owned(), elsewhere.display().to_string()];
        second.discard(names.into_iter().map(|name| (name, 10)));
        assert!(elsewhere.is_file(), "a name of a foreign ledger removes nothing outside the folder");
    }
}
