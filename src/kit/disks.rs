//! Many small files made durable together: where a disk can be synced as a whole, it is waited for once and not once a file.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::folder::{Folder, NewFile};

/// Files from which on syncing a whole disk, with what others wrote to it, is cheaper than syncing each.
const MANY: usize = 8;

/// Disks that hold files which are not durable yet, each with a folder on it.
#[derive(Debug)]
pub struct Disks {
    many: bool,
    unsynced: Mutex<BTreeMap<u64, Arc<Folder>>>,
}

impl Disks {
    /// No files yet; there will be `most` at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { many: most >= MANY, unsynced: Mutex::default() }
    }

    /// Ends the writing of a file, which is durable after the next [`Disks::sync`].
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn close(&self, file: &mut NewFile<Arc<Folder>>) -> io::Result<()> {
        let folder = file.held();
        let Some(disk) = folder.disk().filter(|_| self.many) else { return file.close() };
        file.close_unsynced();
        // A thread that panicked left nothing half done.
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).entry(disk).or_insert(folder);
        Ok(())
    }

    /// Waits until all of them are durable.
    ///
    /// # Errors
    /// The operating system's, with the path of a folder on the disk that failed: then none of the files is known to be durable.
    pub fn sync(&self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        unsynced.values().try_for_each(|folder| folder.sync_disk())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::atomic_file::Mark;

    #[test]
    fn files_get_their_names_after_their_bytes_are_durable_however_many_there_are() {
        let place = tempfile::tempdir().expect("temp dir");
        let mark = Mark::new(place.path()).expect("randomness");
        let folder = Arc::new(Folder::open(place.path()).expect("a folder"));
        for most in [1, MANY] {
            let disks = Disks::new(most);
            let write = |number: usize| {
                let mut file = folder.draft_held(&mark)?;
                file.fill(number.to_string().as_bytes())?;
                disks.close(&mut file).map(|()| file)
            };
            let files = (0..most).map(write).collect::<io::Result<Vec<_>>>().expect("written");
            let waiting = disks.unsynced.lock().expect("whole").len();
            assert_eq!(waiting, usize::from(most >= MANY && folder.disk().is_some()));
            disks.sync().expect("synced");
            assert!(disks.unsynced.lock().expect("whole").is_empty());
            for (number, file) in files.into_iter().enumerate() {
                let name = format!("{most}-{number}");
                file.publish_new(name.as_bytes()).expect("a name");
                assert_eq!(std::fs::read_to_string(place.path().join(name)).expect("text"), number.to_string());
            }
        }
    }
}
