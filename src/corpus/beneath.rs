//! Files and folders below a root, and nothing else: no link, no device, no pipe that never opens.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::domain::image::{RelPath, Stamp};
use crate::kit::folder::{Folder, Sort, facts_of};
use crate::kit::path_bytes;

/// A root below which files are opened. It is held for one listing or one file, never for a run: a share may come and go.
#[derive(Debug)]
pub struct Root(Folder);

impl Root {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Folder::open(path).map(Self)
    }

    /// Opens the regular file at `path` for reading, and tells its stamp as the open handle has it.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for a link, behind one, for a folder, a device or a path that climbs.
    pub fn file(&self, path: &RelPath) -> io::Result<(File, Stamp)> {
        regular(self.0.file(&path_bytes::parts(path).ok_or_else(climbs)?)?)
    }

    /// Opens a folder below the root; empty for the root itself.
    ///
    /// # Errors
    /// The operating system's; `NotADirectory` for a link or behind one, `InvalidInput` for a path that climbs.
    pub fn folder(&self, folder: &[u8]) -> io::Result<Folder> {
        self.0.below(&path_bytes::folder_parts(folder).ok_or_else(climbs)?)
    }

    /// The same, made where it is not there yet.
    ///
    /// # Errors
    /// The operating system's; `NotADirectory` for a link or behind one, `InvalidInput` for a path that climbs.
    pub fn make_folder(&self, folder: &[u8]) -> io::Result<Folder> {
        self.0.make_below(&path_bytes::folder_parts(folder).ok_or_else(climbs)?)
    }
}

/// A file that was opened, if it is a regular one, and its stamp.
///
/// # Errors
/// The operating system's; `InvalidInput` for anything else.
pub fn regular(file: File) -> io::Result<(File, Stamp)> {
    let facts = facts_of(&file)?;
    if facts.sort != Sort::File {
        return Err(odd("no regular file"));
    }
    Ok((file, facts.stamp()))
}

/// Length and modification time of an open file, the latter rounded down to whole milliseconds.
///
/// # Errors
/// The operating system's.
pub fn stamp(file: &File) -> io::Result<Stamp> {
    facts_of(file).map(|facts| facts.stamp())
}

fn climbs() -> io::Error {
    odd("the path leaves the corpus")
}

fn odd(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_below_the_root_are_opened() {
        let place = tempfile::tempdir().expect("temp dir");
        let root = place.path().join("corpus");
        std::fs::create_dir_all(root.join("x")).expect("folders");
        file(&place.path().join("outside.jpg"));
        file(&root.join("x/a.jpg"));
        symlink("../../outside.jpg", root.join("x/link.jpg")).expect("link");
        symlink(place.path(), root.join("out")).expect("link");
        for (folder, name, good) in [
            ("x", "a.jpg", true),
            ("x", "link.jpg", false),
            ("out", "outside.jpg", false),
            ("..", "outside.jpg", false),
            ("x/..", "outside.jpg", false),
            ("", "x", false),
        ] {
            let path = RelPath { folder: folder.into(), name: name.into(), page: 1 };
            let opened = Root::open(&root).and_then(|root| root.file(&path));
            let kind = opened.err().map(|cause| cause.kind());
            assert_eq!(kind, (!good).then_some(io::ErrorKind::InvalidInput), "{folder}/{name}");
        }
    }

    fn file(path: &Path) {
        use crate::kit::atomic_file::{Access, Durability, write};
        write(path, b"x", Access::Umask, Durability::Derived).expect("file");
    }
}
