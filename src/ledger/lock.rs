//! The lock of the one process at work in a workspace.
//!
//! The operating system holds it, not the file's presence: it ends with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::kit::clock::{Clock, Millis};

/// Longest content that is read: a few short fields.
const LONGEST: u64 = 4096;

/// Held for the life of a process that writes; dropping it lets the next one in.
#[derive(Debug)]
pub struct WorkspaceLock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process is at work here.
    #[error("`{verb}` is at work here (process {pid} on {host})")]
    Held {
        /// Its process id; 0 if it could not be read.
        pid: u32,
        /// Its host.
        host: String,
        /// Since when (unix milliseconds); 0 if it could not be read.
        since: Millis,
        /// What it does.
        verb: String,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {path}: {cause}")]
    Io {
        /// Its path.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    boot: Option<String>,
    verb: String,
    since: Millis,
}

impl WorkspaceLock {
    /// Takes the lock at `path` for `verb`, or tells who has it; never waits.
    ///
    /// # Errors
    /// [`LockError::Held`], or [`LockError::Io`] if the file cannot be created, locked or written.
    pub fn take(path: &Path, verb: &str) -> Result<Self, LockError> {
        let failed = |cause| LockError::Io { path: path.display().to_string(), cause };
        let mut file = open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file)),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        sign(&mut file, verb).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Not truncated: until the lock is ours the content belongs to its holder.
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sign(file: &mut File, verb: &str) -> io::Result<()> {
    let Machine { host, pid, boot } = Machine::here();
    let holder = Holder { host, pid, boot, verb: verb.to_owned(), since: Clock::wall().now() };
    let text = serde_json::to_vec(&holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

/// The holder as it signed; blanks where it has not signed yet, or where the system hides a locked file's content.
fn held(file: &mut File) -> LockError {
    let mut text = Vec::new();
    let read = file.take(LONGEST).read_to_end(&mut text).is_ok();
    let holder = if read { serde_json::from_slice::<Holder>(&text).ok() } else { None };
    match holder {
        Some(Holder { host, pid, verb, since, .. }) => LockError::Held { pid, host, since, verb },
        None => LockError::Held { pid: 0, host: "unknown".to_owned(), since: 0, verb: "unknown".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_is_first() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.lock");
        let first = WorkspaceLock::take(&path, "run").expect("free");
        let refusal = WorkspaceLock::take(&path, "upload").expect_err("held");
        let LockError::Held { pid, verb, since, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!((*pid, verb.as_str()), (std::process::id(), "run"));
        assert!(*since > 0);
        drop(first);
        let _second = WorkspaceLock::take(&path, "upload").expect("free again");
        let text = std::fs::read_to_string(&path).expect("content");
        assert!(text.contains("\"upload\"") && !text.contains("\"run\""), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_not_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.lock");
        let _lock = WorkspaceLock::take(&path, "run").expect("free");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_unreadable_holder_is_still_a_holder() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("ledger.lock");
        let file = open(&path).expect("file");
        file.try_lock().expect("lock");
        let refusal = WorkspaceLock::take(&path, "run").expect_err("held");
        assert!(matches!(refusal, LockError::Held { pid: 0, .. }), "{refusal}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let refusal = WorkspaceLock::take(Path::new("/nonexistent/ledger.lock"), "run").expect_err("no folder");
        assert!(refusal.to_string().contains("/nonexistent/ledger.lock"), "{refusal}");
    }
}
