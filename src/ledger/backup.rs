//! Copies of the ledger, made beside the keeper while it works, for the day on which the file is spoiled: `recover` builds
//! upon the newest one that is sound.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::sqlite::SqliteStore;
use crate::kit::atomic_file::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX, private_folder, publish_unsynced, sync_folder};
use crate::kit::clock::Millis;
use crate::kit::random;

/// Copies that are kept.
const KEPT: usize = 3;
/// A copy is made after so long at the latest, and after so many batches.
const EVERY: Millis = 3600 * 1000;
const BATCHES: u64 = 100;

/// Whether a copy is due: `since` is the time of the newest one, or of the start, `opened` the batches opened since then.
#[must_use]
pub fn is_due(since: Millis, now: Millis, opened: u64) -> bool {
    // A clock that was put back leaves a copy in the future.
    !(0..EVERY).contains(&(now - since)) || opened >= BATCHES
}

/// Where copies lie, and of what.
#[derive(Clone, Debug)]
pub struct Backups {
    ledger: PathBuf,
    folder: PathBuf,
}

impl Backups {
    /// Copies of `ledger` in `folder`.
    #[must_use]
    pub fn new(ledger: PathBuf, folder: PathBuf) -> Self {
        Self { ledger, folder }
    }

    /// All of them, oldest first; whether they are sound shows when they are read.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn list(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs_err::read_dir(&self.folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut copies = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if let Some(at) = time_of(&path) {
                copies.push((at, path));
            }
        }
        copies.sort();
        Ok(copies.into_iter().map(|(_, path)| path).collect())
    }

    /// When the newest one was made.
    #[must_use]
    pub fn newest(&self) -> Option<Millis> {
        time_of(self.list().ok()?.last()?)
    }

    /// Removes what a dead process was copying, with the journal that SQLite keeps beside it.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn tidy(&self) -> io::Result<()> {
        let entries = match fs_err::read_dir(&self.folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
                fs_err::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes one, whole or not at all, and removes those beyond the newest few. The keeper goes on meanwhile.
    ///
    /// # Errors
    /// The ledger's, or the operating system's.
    pub fn make(&self, now: Millis) -> Result<PathBuf, LedgerError> {
        let told =
            |cause: io::Error| LedgerError::Io { path: self.folder.display().to_string(), cause: cause.to_string() };
        private_folder(&self.folder).and_then(|()| self.tidy()).map_err(told)?;
        let stem = random::letters(8).map_err(told)?;
        let draft = self.folder.join(format!("{TEMPORARY_PREFIX}{stem}{TEMPORARY_SUFFIX}"));
        let copy = self.folder.join(format!("ledger-{now}.sqlite"));
        let made = SqliteStore::copy(&self.ledger, &draft)
            .and_then(|()| publish_unsynced(&draft, &copy).and_then(|()| sync_folder(&self.folder)).map_err(told));
        if made.is_err() {
            // What is left of it is removed at the next start in any case.
            drop(self.tidy());
        }
        made?;
        let mut copies = self.list().map_err(told)?;
        // Names of the future are those of a clock that ran ahead: older than this one all the same.
        copies.sort_by_key(|copy| time_of(copy).filter(|at| *at <= now));
        for old in &copies[..copies.len().saturating_sub(KEPT)] {
            fs_err::remove_file(old).map_err(told)?;
        }
        Ok(copy)
    }
}

/// The time that a copy bears in its name.
fn time_of(path: &Path) -> Option<Millis> {
    let name: OsString = path.file_name()?.to_owned();
    name.to_str()?.strip_prefix("ledger-")?.strip_suffix(".sqlite")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sqlite::tests::Desk;

    #[test]
    fn a_copy_is_due_by_time_or_by_work() {
        assert!(!is_due(0, EVERY - 1, BATCHES - 1));
        assert!(is_due(0, EVERY, 0) && is_due(0, 1, BATCHES) && is_due(5, 4, 0));
    }

    #[test]
    fn copies_are_whole_private_and_few() {
        let folder = tempfile::tempdir().expect("temp dir");
        let ledger = folder.path().join("ledger.sqlite");
        let mut desk = Desk::at(&ledger);
        desk.open_shard(1, 3);
        let backups = Backups::new(ledger, folder.path().join("backup"));
        assert_eq!(backups.newest(), None);
        for at in [9, 10, 11, 100] {
            let copy = backups.make(at).expect("a copy");
            SqliteStore::is_sound(&copy).expect("sound");
            #[cfg(unix)]
            assert_eq!(std::os::unix::fs::MetadataExt::mode(&copy.metadata().expect("a file")) & 0o777, 0o600);
        }
        let names: Vec<_> = backups.list().expect("list").iter().filter_map(|path| time_of(path)).collect();
        assert_eq!((names, backups.newest()), (vec![10, 11, 100], Some(100)), "by time, not by letters");
        // A clock that ran ahead: what was named after it goes first, and the newest one stays.
        backups.make(50).expect("a copy");
        let names: Vec<_> = backups.list().expect("list").iter().filter_map(|path| time_of(path)).collect();
        assert_eq!(names, [10, 11, 50]);
        // What a killed process left is gone with the next one.
        for name in [".bs-x.tmp", ".bs-x.tmp-journal"] {
            let left = crate::kit::atomic_file::append_private(&folder.path().join("backup").join(name));
            drop(left.expect("left over"));
        }
        backups.tidy().expect("tidy");
        assert_eq!(std::fs::read_dir(folder.path().join("backup")).expect("list").count(), 3);
        // The keeper went on.
        desk.open_shard(2, 3);
    }
}
