//! An open folder of the user's. Files in it, and folders below it, are reached by their names from the open handle, so that
//! nobody can swap a folder on the way for a link and lead a reader or a writer somewhere else.
//!
//! No link is followed between the handle and what is opened, wherever it leads. Where the kernel can be asked to look at
//! the whole way at once, it is; elsewhere each part is opened by itself.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::atomic_file::{Access, Durability, Mark, TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
use super::{path_bytes, random};
use crate::domain::image::Stamp;

#[cfg(not(unix))]
#[path = "folder/elsewhere.rs"]
mod system;
#[cfg(unix)]
#[path = "folder/unix.rs"]
mod system;

pub use system::Entries;

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// Pipe, socket, device, or nobody knows.
    Odd,
}

/// A name in a folder, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// What it stands for.
    pub sort: Sort,
}

/// What the system knows of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub sort: Sort,
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time, milliseconds since the Unix epoch, rounded down.
    pub mtime_ms: i64,
    /// When the system changed anything of it last, its name and rights among it (milliseconds since the Unix epoch); nobody can
    /// set this time. `None` where there is none.
    pub changed_ms: Option<i64>,
}

impl Facts {
    /// What the content is known by without reading it.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { bytes: self.bytes, mtime_ms: self.mtime_ms }
    }
}

/// What the system knows of an open file.
///
/// # Errors
/// The operating system's.
pub fn facts_of(file: &File) -> io::Result<Facts> {
    system::facts_of(file)
}

/// A folder that is held open.
#[derive(Debug)]
pub struct Folder {
    handle: system::Handle,
    /// For messages only.
    path: PathBuf,
    /// What was found out about its disk.
    disk: OnceLock<Option<u64>>,
}

impl Folder {
    fn at(handle: system::Handle, path: PathBuf) -> Self {
        Self { handle, path, disk: OnceLock::new() }
    }

    /// Opens the folder at `path`, which the user named.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = system::Handle::open(path).map_err(|cause| named(&cause, path))?;
        Ok(Self::at(handle, path.to_path_buf()))
    }

    /// Opens the folder below this one that `parts` lead to.
    ///
    /// # Errors
    /// The operating system's, with the path; `NotADirectory` for a link or behind one.
    pub fn below(&self, parts: &[&[u8]]) -> io::Result<Self> {
        if parts.is_empty() {
            return Ok(Self::at(self.handle.again()?, self.path.clone()));
        }
        let path = self.path_of(parts);
        let handle = self.handle.below(parts).map_err(|cause| named(&cause, &path))?;
        Ok(Self::at(handle, path))
    }

    /// The same, each part made where it is not there yet.
    ///
    /// # Errors
    /// The operating system's, with the path; `NotADirectory` for a link or behind one.
    pub fn make_below(&self, parts: &[&[u8]]) -> io::Result<Self> {
        let mut folder = self.below(&[])?;
        for part in parts {
            let path = folder.path_of(&[part]);
            folder.handle.make(part).map_err(|cause| named(&cause, &path))?;
            folder = folder.below(&[part])?;
        }
        Ok(folder)
    }

    /// Opens for reading whatever lies below this folder where `parts` lead to; a pipe does not wait for its writer.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for a link, behind one, and for what cannot be opened as a file.
    pub fn file(&self, parts: &[&[u8]]) -> io::Result<File> {
        self.handle.file(parts)
    }

    /// Its names, in the order of the system, until it is closed with them.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn entries(self) -> io::Result<Entries> {
        self.handle.entries().map_err(|cause| named(&cause, &self.path))
    }

    /// What bears `name`, without opening it or following a link.
    ///
    /// # Errors
    /// The operating system's; `NotFound` if nothing bears it.
    pub fn facts(&self, name: &[u8]) -> io::Result<Facts> {
        self.handle.facts(name)
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        self.handle.remove(name).map_err(|cause| named(&cause, &self.path_of(&[name])))
    }

    /// Begins a file under a temporary name that bears `mark`; its permissions follow the umask.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn draft(&self, mark: &Mark) -> io::Result<NewFile<&Self>> {
        begin(self, &mark.stem(&random::letters(8)?), Access::Umask, Durability::Synced)
    }

    /// The same, for whoever holds the folder until all the files of a stretch are written.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn draft_held(self: &Arc<Self>, mark: &Mark) -> io::Result<NewFile<Arc<Self>>> {
        begin(Arc::clone(self), &mark.stem(&random::letters(8)?), Access::Umask, Durability::Synced)
    }

    /// Writes a file for its user alone that can be made again: absent or complete, and not synced.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn write_private(&self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        let mut file = begin(self, &random::letters(8)?, Access::Private, Durability::Derived)?;
        file.fill(bytes)?;
        file.publish(name)
    }

    /// The same at once under its name, in a folder that nobody looks into yet: `AlreadyExists` if something bears the name.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn write_private_new(&self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        let written = self.handle.create(name, Access::Private).and_then(|mut file| file.write_all(bytes));
        written.map_err(|cause| named(&cause, &self.path_of(&[name])))
    }

    /// Gives a file or a folder in this one another name, replacing a file that bears it.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        self.handle.rename(from, to).map_err(|cause| named(&cause, &self.path_of(&[to])))
    }

    /// Number of the disk that this folder lies on, if everything that was written to that disk can be made durable at once
    /// and whatever fails meanwhile is told; `None` elsewhere: there each file has to be synced by itself.
    #[must_use]
    pub fn disk(&self) -> Option<u64> {
        *self.disk.get_or_init(|| self.handle.disk())
    }

    /// Makes everything durable that was written to the disk that this folder lies on.
    ///
    /// # Errors
    /// The operating system's, with the path of this folder.
    pub fn sync_disk(&self) -> io::Result<()> {
        self.handle.sync_disk().map_err(|cause| named(&cause, &self.path))
    }

    /// Makes the names in this folder survive a power cut.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync().map_err(|cause| named(&cause, &self.path))
    }

    /// Where something below this folder lies, for messages.
    #[must_use]
    pub fn path_of(&self, parts: &[&[u8]]) -> PathBuf {
        parts.iter().fold(self.path.clone(), |path, part| path.join(path_bytes::to_path(part)))
    }
}

fn begin<F: Deref<Target = Folder>>(
    folder: F,
    stem: &str,
    access: Access,
    durability: Durability,
) -> io::Result<NewFile<F>> {
    let temporary = format!("{TEMPORARY_PREFIX}{stem}{TEMPORARY_SUFFIX}").into_bytes();
    let created = folder.handle.create(&temporary, access);
    let file = created.map_err(|cause| named(&cause, &folder.path_of(&[&temporary])))?;
    Ok(NewFile { folder, file: Some(file), temporary, durability })
}

/// A file of an open folder that is being written; gone when dropped before it got its name.
#[derive(Debug)]
pub struct NewFile<F: Deref<Target = Folder>> {
    folder: F,
    file: Option<File>,
    temporary: Vec<u8>,
    durability: Durability,
}

impl<F: Deref<Target = Folder>> NewFile<F> {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|cause| named(&cause, &self.folder.path_of(&[&self.temporary])))
    }

    /// Where it is being written.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Ends the writing, its bytes on disk.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn close(&mut self) -> io::Result<()> {
        let synced = match self.file.take() {
            Some(file) if self.durability == Durability::Synced => file.sync_all(),
            _ => Ok(()),
        };
        synced.map_err(|cause| named(&cause, &self.folder.path_of(&[&self.temporary])))
    }

    /// Ends the writing for a caller who makes the bytes durable by [`Folder::sync_disk`] before he gives the file its name.
    pub fn close_unsynced(&mut self) {
        self.file = None;
    }

    /// Gives it its name, replacing what bears that.
    ///
    /// # Errors
    /// The operating system's, with the path; the temporary file is gone then.
    pub fn publish(self, name: &[u8]) -> io::Result<()> {
        self.named(name, system::Handle::rename)
    }

    /// The same unless something bears that name already: then `AlreadyExists`.
    ///
    /// # Errors
    /// The operating system's, with the path; the temporary file is gone then.
    pub fn publish_new(self, name: &[u8]) -> io::Result<()> {
        self.named(name, system::Handle::rename_new)
    }

    fn named(mut self, name: &[u8], rename: fn(&system::Handle, &[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        // Its bytes are on disk before anybody sees its name.
        self.close()?;
        let renamed = rename(&self.folder.handle, &self.temporary, name);
        renamed.map_err(|cause| named(&cause, &self.folder.path_of(&[name])))?;
        // Nothing is left under the temporary name.
        self.temporary.clear();
        Ok(())
    }
}

impl NewFile<Arc<Folder>> {
    /// Where it is being written, for longer than the file itself.
    #[must_use]
    pub fn held(&self) -> Arc<Folder> {
        Arc::clone(&self.folder)
    }
}

impl<F: Deref<Target = Folder>> Drop for NewFile<F> {
    fn drop(&mut self) {
        if !self.temporary.is_empty() {
            // Where it cannot be removed, the next start sweeps it.
            drop(self.folder.handle.remove(&self.temporary));
        }
    }
}

/// The same kind of error, with the path in its words.
fn named(cause: &io::Error, path: &Path) -> io::Error {
    io::Error::new(cause.kind(), format!("{}: {cause}", path.display()))
}

fn odd(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::kit::atomic_file::write;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_nowhere_and_both_ways_agree() {
        let place = tempfile::tempdir().expect("temp dir");
        let root = place.path().join("corpus");
        std::fs::create_dir_all(root.join("x/y")).expect("folders");
        let file = |path: PathBuf| write(&path, b"x", Access::Umask, Durability::Derived).expect("file");
        file(place.path().join("outside.jpg"));
        file(root.join("x/a.jpg"));
        symlink("../../outside.jpg", root.join("x/link.jpg")).expect("link");
        symlink(place.path(), root.join("out")).expect("link");
        symlink("a.jpg", root.join("x/near.jpg")).expect("link");
        symlink("x", root.join("inside")).expect("link");
        let folder = Folder::open(&root).expect("root");
        for (path, kind) in [
            ("x/a.jpg", None),
            ("x/link.jpg", Some(io::ErrorKind::InvalidInput)),
            ("x/near.jpg", Some(io::ErrorKind::InvalidInput)),
            ("out/outside.jpg", Some(io::ErrorKind::InvalidInput)),
            ("inside/a.jpg", Some(io::ErrorKind::InvalidInput)),
            ("x/none.jpg", Some(io::ErrorKind::NotFound)),
            ("x/a.jpg/b.jpg", Some(io::ErrorKind::NotADirectory)),
        ] {
            let parts: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').collect();
            assert_eq!(folder.file(&parts).err().map(|cause| cause.kind()), kind, "{path}");
            assert_eq!(system::slowly(&folder, &parts).is_err(), kind.is_some(), "{path}");
        }
        for (path, good) in [("x", true), ("out", false), ("inside", false), ("inside/y", false), ("x/y", true)] {
            let parts: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').collect();
            assert_eq!(folder.below(&parts).is_ok(), good, "{path}");
            assert_eq!(folder.make_below(&parts).is_ok(), good, "{path}");
        }
        for part in [&b".."[..], b"../outside.jpg", b"out/outside.jpg", b"inside/a.jpg"] {
            let name = String::from_utf8_lossy(part);
            assert!(
                folder.file(&[part]).is_err() && folder.below(&[part]).is_err(),
                "one part that is several: {name}"
            );
        }
        assert!(folder.make_below(&[b"inside", b"new"]).is_err() && !root.join("x/new").is_dir());
        folder.make_below(&[b"new", b"newer"]).expect("made");
        assert!(root.join("new/newer").is_dir());
    }

    #[test]
    fn a_file_goes_where_its_folder_went() {
        let place = tempfile::tempdir().expect("temp dir");
        let mark = Mark::new(place.path()).expect("randomness");
        std::fs::create_dir_all(place.path().join("a")).expect("folder");
        std::fs::create_dir_all(place.path().join("outside")).expect("folder");
        let folder = Folder::open(place.path()).expect("root").below(&[b"a"]).expect("folder");
        crate::kit::atomic_file::move_file(&place.path().join("a"), &place.path().join("b")).expect("moved");
        symlink("outside", place.path().join("a")).expect("link");
        let write = |bytes: &[u8]| {
            let mut file = folder.draft(&mark)?;
            file.fill(bytes)?;
            file.publish_new(b"page.txt")
        };
        write(b"one").expect("written");
        assert_eq!(write(b"two").map_err(|cause| cause.kind()), Err(io::ErrorKind::AlreadyExists));
        let mut text = String::new();
        folder.file(&[b"page.txt"]).and_then(|mut file| file.read_to_string(&mut text)).expect("read");
        assert_eq!(text, "one");
        drop(folder.draft(&mark).expect("begun"));
        let folder = std::sync::Arc::new(folder);
        let mut held = folder.draft_held(&mark).expect("begun");
        held.fill(b"three").expect("written");
        held.close_unsynced();
        if folder.disk().is_some() {
            folder.sync_disk().expect("synced");
        }
        held.publish(b"page.txt").expect("replaced");
        assert_eq!(std::fs::read(place.path().join("b/page.txt")).expect("text"), b"three");
        let names = |folder: &str| std::fs::read_dir(place.path().join(folder)).expect("list").count();
        assert_eq!((names("b"), names("outside")), (1, 0), "nothing else, and nothing outside");
    }
}
