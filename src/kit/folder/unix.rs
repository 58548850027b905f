//! Handles of Unix: everything is done relative to an open folder.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::{Access, Entry, Facts, Sort, odd};

/// `NONBLOCK` keeps a pipe from waiting for a writer; it changes nothing for files.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INNER: OFlags = FOLDER.union(OFlags::NOFOLLOW);
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

/// The names of an open folder, `.` and `..` left out.
#[derive(Debug)]
pub struct Entries(Dir);

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.0.read()? {
                Ok(entry) => entry,
                Err(cause) => return Some(Err(cause.into())),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let sort = match entry.file_type() {
                // Some file systems tell it only when they are asked for each.
                FileType::Unknown => self
                    .0
                    .fd()
                    .and_then(|folder| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))
                    .map_or(Sort::Odd, |facts| sort(FileType::from_raw_mode(facts.st_mode))),
                known => sort(known),
            };
            return Some(Ok(Entry { name: name.to_vec(), sort }));
        }
    }
}

/// Seconds, which are narrower on some systems.
fn wide(seconds: impl Into<i64>) -> i64 {
    seconds.into()
}

fn sort(kind: FileType) -> Sort {
    match kind {
        FileType::Directory => Sort::Folder,
        FileType::RegularFile => Sort::File,
        FileType::Symlink => Sort::Link,
        _ => Sort::Odd,
    }
}

/// What the system knows of an open file.
pub(super) fn facts_of(file: &File) -> io::Result<Facts> {
    Ok(told(&fstat(file)?))
}

fn told(facts: &Stat) -> Facts {
    let sort = sort(FileType::from_raw_mode(facts.st_mode));
    let ms = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000);
    let mtime_ms = ms(wide(facts.st_mtime), facts.st_mtime_nsec as i64);
    let changed_ms = Some(ms(wide(facts.st_ctime), facts.st_ctime_nsec as i64));
    Facts { sort, bytes: u64::try_from(facts.st_size).unwrap_or_default(), mtime_ms, changed_ms }
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    pub(super) fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub(super) fn below(&self, parts: &[&[u8]]) -> io::Result<Self> {
        match resolve(&self.0, parts, INNER) {
            // The kernel says the one of a link in the last place, the other of one before.
            Err(Errno::LOOP | Errno::XDEV) => Err(io::ErrorKind::NotADirectory.into()),
            opened => Ok(Self(opened?)),
        }
    }

    pub(super) fn file(&self, parts: &[&[u8]]) -> io::Result<File> {
        match resolve(&self.0, parts, READ) {
            Ok(file) => Ok(File::from(file)),
            Err(Errno::LOOP | Errno::XDEV) => Err(odd("a link, or behind one")),
            Err(Errno::NXIO) => Err(odd("no regular file")),
            Err(other) => Err(other.into()),
        }
    }

    pub(super) fn entries(self) -> io::Result<Entries> {
        // Not opened anew through itself: a folder may be listed without leave to reach into it.
        Ok(Entries(Dir::new(self.0)?))
    }

    pub(super) fn facts(&self, name: &[u8]) -> io::Result<Facts> {
        Ok(told(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(super) fn make(&self, name: &[u8]) -> io::Result<()> {
        match mkdirat(&self.0, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    pub(super) fn create(&self, name: &[u8], access: Access) -> io::Result<File> {
        let mode = if access == Access::Private { 0o600 } else { 0o666 };
        Ok(File::from(openat(&self.0, name, NEW, Mode::from_raw_mode(mode))?))
    }

    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Some network file systems know no such rename.
            Err(Errno::INVAL | Errno::NOSYS) => self.link_new(from, to),
            renamed => Ok(renamed?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        self.link_new(from, to)
    }

    /// A hard link refuses to replace, too.
    fn link_new(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
        self.remove(from)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }
}

#[cfg(target_os = "linux")]
impl Handle {
    /// Local file systems alone: a network's, and one in user space, may take `syncfs` for less than `fsync` (`fuse_sync_fs`
    /// in the kernel's `fs/fuse/inode.c` asks nobody).
    pub(super) fn disk(&self) -> Option<u64> {
        /// ext2 to ext4, XFS, Btrfs, F2FS, tmpfs; source: statfs(2).
        const LOCAL: [u64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];
        let kind = rustix::fs::fstatfs(&self.0).ok()?.f_type;
        (LOCAL.contains(&u64::try_from(kind).ok()?) && tells_of_failed_writes())
            .then(|| fstat(&self.0).ok().map(|facts| facts.st_dev))?
    }

    pub(super) fn sync_disk(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

/// Whether `syncfs` fails where a write failed: since Linux 5.8; source: syncfs(2).
#[cfg(target_os = "linux")]
fn tells_of_failed_writes() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|digits| digits.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(8))
}

#[cfg(not(target_os = "linux"))]
impl Handle {
    pub(super) fn disk(&self) -> Option<u64> {
        None
    }

    pub(super) fn sync_disk(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn resolve(root: &OwnedFd, parts: &[&[u8]], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // The kernel's word for a way that climbs.
    if parts.iter().any(|part| *part == b".." || part.contains(&b'/')) {
        return Err(Errno::XDEV);
    }
    match at_once(root, parts, flags) {
        // An old kernel, a sandbox that forbids what it does not know, or a way that is longer than one path may be.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN | Errno::NAMETOOLONG) => {
            part_by_part(root, parts, flags)
        }
        opened => opened,
    }
}

#[cfg(target_os = "linux")]
fn at_once(root: &OwnedFd, parts: &[&[u8]], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    const WAY: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
    match parts {
        // One step that is no link leads nowhere else, and nothing has to be looked at but that.
        [name] => openat(root, *name, flags, Mode::empty()),
        _ => openat2(root, parts.join(&b'/'), flags, Mode::empty(), WAY),
    }
}

#[cfg(not(target_os = "linux"))]
fn at_once(_: &OwnedFd, _: &[&[u8]], _: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

fn part_by_part(root: &OwnedFd, parts: &[&[u8]], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let Some((name, folders)) = parts.split_last() else { return Err(Errno::INVAL) };
    let mut folder: Option<OwnedFd> = None;
    for part in folders {
        folder = Some(openat(folder.as_ref().unwrap_or(root), *part, INNER, Mode::empty())?);
    }
    openat(folder.as_ref().unwrap_or(root), *name, flags, Mode::empty())
}

#[cfg(test)]
pub(super) fn slowly(folder: &super::Folder, parts: &[&[u8]]) -> rustix::io::Result<()> {
    part_by_part(&folder.handle.0, parts, READ).map(drop)
}
