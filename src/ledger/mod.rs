//! The only memory that survives: images, plans, batches, verdicts, hashes of texts.
//!
//! *Job*: legal moves, each one durable transaction; counts published after every commit.
//! *In*: verbs ([`store::Store`]) behind a bounded queue. *Out*: values, after their commit, and [`records::Standing`].
//! *Owns*: `batch/ledger.sqlite` and its one writing connection; `batch/batches.jsonl`. *Bound*: 64 commands wait, then the callers do.
//! *If it crashes here*: a commit happened or did not; the next start derives everything from the file.

pub mod backup;
pub mod copies;
mod handle;
pub mod journal;
pub mod keeper;
pub mod lock;
pub mod lost;
mod machine;
pub mod moves;
pub mod ours;
pub mod place;
pub mod reader;
pub mod records;
pub mod second_look;
pub mod sqlite;
pub mod store;

/// What can go wrong with the ledger; each kind is a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A move whose "from" state no longer holds: somebody else was faster, or this program is wrong. Nothing was written.
    #[error("the ledger refused a move: {0}")]
    Stale(String),
    /// The disk is full; nothing more is prepared or paid.
    #[error("disk full: cannot write {path}")]
    Full {
        /// The ledger's path.
        path: String,
    },
    /// The ledger cannot be read or written.
    #[error("cannot use the ledger {path}: {cause}")]
    Io {
        /// The ledger's path.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// Written by a newer program; nothing was touched.
    #[error("the ledger {path} is of a newer version ({version})")]
    Newer {
        /// The ledger's path.
        path: String,
        /// Its version.
        version: i64,
    },
    /// Written by an older program; a verb that only reads cannot bring it up to date.
    #[error("the ledger {path} is of an older version ({version})")]
    Older {
        /// The ledger's path.
        path: String,
        /// Its version.
        version: i64,
    },
    /// Not a ledger of ours, or a damaged one.
    #[error("the ledger {path} is damaged: {check}")]
    Damaged {
        /// The ledger's path.
        path: String,
        /// What did not hold.
        check: String,
    },
    /// Another process took the ledger over.
    #[error("another process has taken the ledger over")]
    TakenOver,
    /// The keeper has ended.
    #[error("the ledger is closed")]
    Closed,
}

/// What does not hold of a ledger whose making was cut short; the next process makes it anew.
const BLANK: &str = "it is empty";

impl LedgerError {
    /// Whether the file holds nothing at all yet.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Damaged { check, .. } if check == BLANK)
    }
}
