//! What SQLite says, translated into the ledger's kinds of error.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::ledger::LedgerError;

/// An error within a verb: SQLite's own until the boundary gives it the ledger's path.
#[derive(Debug)]
pub(in crate::ledger) enum Fault {
    /// SQLite's.
    Sql(rusqlite::Error),
    /// Already in the ledger's words.
    Ledger(LedgerError),
}

/// Result of everything below the trait.
pub(in crate::ledger) type Outcome<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Fault {
    /// A move whose "from" no longer holds.
    pub(in crate::ledger) fn stale(what: impl Into<String>) -> Self {
        Self::Ledger(LedgerError::Stale(what.into()))
    }

    /// A row that no version of this program can have written. The path is filled in at the boundary.
    pub(in crate::ledger) fn damaged(check: impl Into<String>) -> Self {
        Self::Ledger(LedgerError::Damaged { path: String::new(), check: check.into() })
    }

    /// The ledger's kind of this error.
    pub(in crate::ledger) fn told(self, path: &Path) -> LedgerError {
        let path = path.display().to_string();
        match self {
            Self::Ledger(LedgerError::Damaged { check, .. }) => LedgerError::Damaged { path, check },
            Self::Ledger(error) => error,
            Self::Sql(error) => translated(&error, path),
        }
    }
}

fn translated(error: &rusqlite::Error, path: String) -> LedgerError {
    let cause = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LedgerError::Full { path },
        // A check, a unique index or a trigger of the schema: the second guard said no, and nothing was written.
        Some(ErrorCode::ConstraintViolation) => LedgerError::Stale(cause),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, check: cause },
        // A type that does not fit is a row that this program did not write.
        None => LedgerError::Damaged { path, check: cause },
        Some(_) => LedgerError::Io { path, cause },
    }
}
