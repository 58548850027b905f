//! Opening a file below a root, and nothing else: no link that leaves it, no device, no pipe that never opens.

use std::fs::File;
use std::io;
use std::path::Path;

use super::path_bytes;
use crate::domain::image::{RelPath, Stamp};

/// A root below which files are opened. It is held for one listing or one file, never for a run: a share may come and go.
#[derive(Debug)]
pub struct Root(system::Root);

impl Root {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        system::Root::open(path).map(Self)
    }

    /// Opens the regular file at `path` for reading, and tells its stamp as the open handle has it.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for a link, a folder, a device or a path that climbs.
    pub fn file(&self, path: &RelPath) -> io::Result<(File, Stamp)> {
        let parts = path_bytes::parts(path).ok_or_else(|| odd("the path leaves the corpus"))?;
        let file = self.0.file(&parts)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(odd("no regular file"));
        }
        Ok((file, stamp(&facts)))
    }
}

/// Length and modification time, the latter rounded down to whole milliseconds.
#[cfg(unix)]
#[must_use]
pub fn stamp(facts: &std::fs::Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let mtime_ms = facts.mtime().saturating_mul(1_000).saturating_add(facts.mtime_nsec() / 1_000_000);
    Stamp { bytes: facts.len(), mtime_ms }
}

/// Length and modification time, the latter rounded down to whole milliseconds.
#[cfg(not(unix))]
#[must_use]
pub fn stamp(facts: &std::fs::Metadata) -> Stamp {
    let since = facts.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Stamp { bytes: facts.len(), mtime_ms: since.map_or(0, crate::kit::clock::millis) }
}

fn odd(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(unix)]
mod system {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::io::Errno;
    use std::os::fd::OwnedFd;

    /// `NONBLOCK` keeps a pipe from waiting for a writer; it changes nothing for files.
    const READ: OFlags =
        OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    #[derive(Debug)]
    pub(super) struct Root(pub(super) OwnedFd);

    impl Root {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
        }

        pub(super) fn file(&self, parts: &[&[u8]]) -> io::Result<File> {
            let opened = match at_once(&self.0, parts) {
                // An old kernel, or a sandbox that forbids what it does not know.
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN) => part_by_part(&self.0, parts),
                other => other,
            };
            match opened {
                Ok(file) => Ok(File::from(file)),
                Err(Errno::LOOP | Errno::XDEV) => Err(odd("a link, or behind one that leaves the corpus")),
                Err(Errno::NXIO) => Err(odd("no regular file")),
                Err(other) => Err(other.into()),
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn at_once(root: &OwnedFd, parts: &[&[u8]]) -> rustix::io::Result<OwnedFd> {
        use rustix::fs::{ResolveFlags, openat2};
        let path = parts.join(&b'/');
        openat2(root, path, READ, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
    }

    #[cfg(not(target_os = "linux"))]
    fn at_once(_: &OwnedFd, _: &[&[u8]]) -> rustix::io::Result<OwnedFd> {
        Err(Errno::NOSYS)
    }

    /// Stricter than the kernel's way: no link at all between root and file.
    pub(super) fn part_by_part(root: &OwnedFd, parts: &[&[u8]]) -> rustix::io::Result<OwnedFd> {
        const INNER: OFlags = FOLDER.union(OFlags::NOFOLLOW);
        let Some((name, folders)) = parts.split_last() else { return Err(Errno::INVAL) };
        let Some((first, others)) = folders.split_first() else { return openat(root, *name, READ, Mode::empty()) };
        let first = openat(root, *first, INNER, Mode::empty())?;
        let folder = others.iter().try_fold(first, |folder, part| openat(&folder, *part, INNER, Mode::empty()))?;
        openat(&folder, *name, READ, Mode::empty())
    }
}

#[cfg(not(unix))]
mod system {
    use super::*;

    #[derive(Debug)]
    pub(super) struct Root(std::path::PathBuf);

    impl Root {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            std::fs::metadata(path).map(|_| Self(path.to_path_buf()))
        }

        /// Looks before it opens: whoever can swap a folder in between can read the file anyway.
        pub(super) fn file(&self, parts: &[&[u8]]) -> io::Result<File> {
            let mut path = self.0.clone();
            for part in parts {
                path.push(path_bytes::to_path(part));
                if std::fs::symlink_metadata(&path)?.is_symlink() {
                    return Err(odd("a link, or behind one"));
                }
            }
            File::open(path)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_nowhere_and_both_ways_agree() {
        let place = tempfile::tempdir().expect("temp dir");
        let root = place.path().join("corpus");
        std::fs::create_dir_all(root.join("x")).expect("folders");
        atomic(&place.path().join("outside.jpg"));
        atomic(&root.join("x/a.jpg"));
        symlink("../../outside.jpg", root.join("x/link.jpg")).expect("link");
        symlink(place.path(), root.join("out")).expect("link");
        symlink("a.jpg", root.join("x/near.jpg")).expect("link");
        for (folder, name, good) in [
            ("x", "a.jpg", true),
            ("x", "link.jpg", false),
            ("out", "outside.jpg", false),
            ("x", "near.jpg", false),
            ("", "x", false),
        ] {
            let path = RelPath { folder: folder.into(), name: name.into() };
            let handle = Root::open(&root).expect("root");
            let opened = handle.file(&path);
            assert_eq!(opened.is_ok(), good, "{folder}/{name}");
            if let Err(cause) = opened {
                assert_eq!(cause.kind(), io::ErrorKind::InvalidInput, "{folder}/{name}");
            }
            let parts = path_bytes::parts(&path).expect("parts");
            let slowly = system::part_by_part(&handle.0.0, &parts);
            assert_eq!(slowly.is_ok(), good || name == "x", "{folder}/{name}");
        }
    }

    fn atomic(path: &Path) {
        use crate::kit::atomic_file::{Access, Durability, write};
        write(path, b"x", Access::Umask, Durability::Derived).expect("file");
    }
}
