//! The state folder: file bytes under their ids, the journal, and a lock against a second server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::core::Service;
use crate::kit::atomic_file::{self, Access, Draft, Durability};

/// The state folder, locked for this process.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    files: PathBuf,
    lock: File,
}

impl Folder {
    /// Opens `root`, creating it if need be.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let files = root.join("files");
        atomic_file::private_folder(&files)?;
        let lock = atomic_file::append_private(&root.join("lock"))?;
        lock.try_lock().map_err(|cause| match cause {
            TryLockError::WouldBlock => {
                let message = format!("{}: another server uses this state folder", root.display());
                io::Error::new(ErrorKind::ResourceBusy, message)
            }
            TryLockError::Error(cause) => cause,
        })?;
        Ok(Self { root: root.to_owned(), files, lock })
    }

    /// Lets another server have the folder; whoever still holds this one must not write any more.
    pub(crate) fn unlock(&self) {
        if let Err(cause) = self.lock.unlock() {
            tracing::warn!(%cause, "the state folder cannot be unlocked before the process ends");
        }
    }

    /// Where the journal lies.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("state.jsonl")
    }

    /// A new file without a name.
    pub(crate) fn draft(&self) -> io::Result<Draft> {
        Draft::create(&self.files, Access::Private)
    }

    /// Gives a draft the name `id`.
    pub(crate) fn keep(&self, draft: Draft, id: &str) -> io::Result<()> {
        draft.publish(&self.files.join(id), Durability::Derived)
    }

    /// Opens the bytes of `id` at `offset`.
    pub(crate) fn read(&self, id: &str, offset: u64) -> io::Result<File> {
        let mut file = File::open(self.files.join(id))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }

    /// The bytes of one line.
    pub(crate) fn line(&self, id: &str, (offset, length): (u64, u64)) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        self.read(id, offset)?.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens a result file for appending.
    pub(crate) fn append(&self, id: &str) -> io::Result<File> {
        atomic_file::append_private(&self.files.join(id))
    }

    /// Removes the bytes of `id`, if there are any.
    pub(crate) fn remove(&self, id: &str) {
        if let Err(cause) = std::fs::remove_file(self.files.join(id))
            && cause.kind() != ErrorKind::NotFound
        {
            tracing::warn!(file = id, %cause, "a file could not be removed");
        }
    }

    /// Makes the folder agree with the journal: no bytes that nobody needs, no result line that it does not know.
    pub(crate) fn agree_with(&self, service: &Service) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.files)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if atomic_file::is_temporary(name.as_bytes()) || !service.needs_bytes(&name) {
                self.remove(&name);
            }
        }
        for batch in service.open_batches() {
            let asked = &batch.asked;
            for (id, bytes) in [(&asked.output_file_id, batch.output_bytes), (&asked.error_file_id, batch.error_bytes)]
            {
                match OpenOptions::new().write(true).open(self.files.join(id)) {
                    Ok(file) => file.set_len(bytes)?,
                    Err(cause) if cause.kind() == ErrorKind::NotFound && bytes == 0 => {}
                    Err(cause) => return Err(cause),
                }
            }
        }
        Ok(())
    }
}
