//! What came of a recovery, for people.

use std::path::PathBuf;

use super::Ground;
use crate::domain::ids::BatchId;
use crate::ledger::journal::Account;
use crate::ledger::lost::{LostShard, Restored};
use crate::ledger::records::Standing;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the ledger was found.
    pub ground: Ground,
    /// The backup it was built upon.
    pub backup: Option<PathBuf>,
    /// Where the damaged one is kept.
    pub kept_as: Option<PathBuf>,
    /// Whether anything was changed.
    pub changed: bool,
    /// Shards that were brought back.
    pub shards: u64,
    /// Batches that were brought back: answers on disk, open at the provider, in doubt.
    pub batches: [u64; 3],
    /// Images that wait for their answers again.
    pub images: u64,
    /// Shards of which nothing is left, lines of them.
    pub nothing_left: (u64, u64),
    /// What could not be brought back yet.
    pub waiting: Vec<Waiting>,
    /// Counts at the end.
    pub standing: Standing,
}

/// A shard that could not be brought back yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The batch, or the shard where it has none.
    pub name: String,
    /// Its lines; 0 = not told.
    pub lines: u32,
    /// Why.
    pub why: Why,
}

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Only the provider can tell what it asked for.
    OnlyAtProvider,
    /// Its input file is gone, and it has not ended.
    Running,
    /// The provider does not know it with this key.
    Unknown,
    /// None of the images that it names lies in the folder.
    NoImages,
}

impl Report {
    pub(super) fn new(ground: Ground, backup: Option<PathBuf>, standing: Standing) -> Self {
        Self {
            ground,
            backup,
            kept_as: None,
            changed: false,
            shards: 0,
            batches: [0; 3],
            images: 0,
            nothing_left: (0, 0),
            waiting: Vec::new(),
            standing,
        }
    }

    pub(super) fn waits(&mut self, account: &Account, why: Why) {
        let batch = account.tries.iter().rev().find_map(|one| one.batch.as_ref().map(BatchId::to_string));
        let name = batch.unwrap_or_else(|| format!("shard {}", account.shard));
        self.waiting.push(Waiting { name, lines: account.lines, why });
    }

    pub(super) fn nothing_left_of(&mut self, account: &Account) {
        self.nothing_left.0 += 1;
        self.nothing_left.1 += u64::from(account.lines);
    }

    pub(super) fn brought_back(&mut self, lost: &LostShard, restored: Restored) {
        self.shards += 1;
        self.images += u64::from(restored.packed);
        for one in &lost.tries {
            let place = match (&one.saved, &one.batch) {
                (Some(_), _) => 0,
                (None, Some(_)) => 1,
                (None, None) => 2,
            };
            self.batches[place] += 1;
        }
    }
}
