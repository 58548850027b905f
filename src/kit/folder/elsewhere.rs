//! Handles of systems that know none: the path is looked at part by part before it is opened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Access, Entry, Facts, Sort, odd};
use crate::kit::{atomic_file, path_bytes};

/// Looks before it opens: whoever can swap a folder in between can read and write the file anyway.
#[derive(Debug)]
pub(super) struct Handle(PathBuf);

/// The names of a folder.
#[derive(Debug)]
pub struct Entries(std::fs::ReadDir);

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|entry| {
            let sort = entry.file_type().map_or(Sort::Odd, sort);
            Entry { name: path_bytes::from_name(&entry.file_name()), sort }
        }))
    }
}

fn sort(kind: std::fs::FileType) -> Sort {
    match kind {
        _ if kind.is_dir() => Sort::Folder,
        _ if kind.is_file() => Sort::File,
        _ if kind.is_symlink() => Sort::Link,
        _ => Sort::Odd,
    }
}

/// What the system knows of an open file.
pub(super) fn facts_of(file: &File) -> io::Result<Facts> {
    Ok(told(&file.metadata()?))
}

fn told(facts: &std::fs::Metadata) -> Facts {
    let since = facts.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let mtime_ms = since.map_or(0, crate::kit::clock::millis);
    Facts { sort: sort(facts.file_type()), bytes: facts.len(), mtime_ms, changed_ms: None }
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_path_buf()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub(super) fn below(&self, parts: &[&[u8]]) -> io::Result<Self> {
        match self.looked_at(parts) {
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => Err(io::ErrorKind::NotADirectory.into()),
            path => Self::open(&path?),
        }
    }

    pub(super) fn file(&self, parts: &[&[u8]]) -> io::Result<File> {
        File::open(self.looked_at(parts)?)
    }

    pub(super) fn entries(self) -> io::Result<Entries> {
        std::fs::read_dir(&self.0).map(Entries)
    }

    pub(super) fn facts(&self, name: &[u8]) -> io::Result<Facts> {
        Ok(told(&std::fs::symlink_metadata(self.of(name))?))
    }

    pub(super) fn make(&self, name: &[u8]) -> io::Result<()> {
        match std::fs::create_dir(self.of(name)) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    pub(super) fn create(&self, name: &[u8], _: Access) -> io::Result<File> {
        std::fs::OpenOptions::new().write(true).create_new(true).open(self.of(name))
    }

    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        std::fs::remove_file(self.of(name))
    }

    pub(super) fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        atomic_file::move_file(&self.of(from), &self.of(to))
    }

    pub(super) fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        std::fs::hard_link(self.of(from), self.of(to))?;
        self.remove(from)
    }

    /// Windows cannot open a folder as a file, and syncs names with the files.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn disk(&self) -> Option<u64> {
        None
    }

    pub(super) fn sync_disk(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn of(&self, name: &[u8]) -> PathBuf {
        self.0.join(path_bytes::to_path(name))
    }

    fn looked_at(&self, parts: &[&[u8]]) -> io::Result<PathBuf> {
        let mut path = self.0.clone();
        for part in parts {
            path.push(path_bytes::to_path(part));
            if std::fs::symlink_metadata(&path)?.is_symlink() {
                return Err(odd("a link, or behind one"));
            }
        }
        Ok(path)
    }
}
