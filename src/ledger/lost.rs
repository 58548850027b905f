//! What is known of a shard that the ledger lost, and what came of bringing it back.

use super::records::RawFile;
use crate::domain::batch::Usage;
use crate::domain::ids::{BatchId, FileId, RecipeId, RunId, Tag};
use crate::domain::money::Charge;
use crate::domain::tokens::Counting;
use crate::kit::clock::Millis;

/// Who asked for the batches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOrigin {
    /// This program: its newest run of an account goes on, and its batches bear the run's tag.
    Own,
    /// Somebody else, such as the scripts before it: nothing is added to such a run.
    Import,
}

impl RunOrigin {
    /// Its word in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Import => "import",
        }
    }
}

/// The age of a shard of which nothing tells it: it is older than all others.
pub const UNDATED: Millis = 0;

/// A shard that the ledger lacks, or lacks batches of.
#[derive(Clone, Debug)]
pub struct LostShard {
    /// Its name for the provider.
    pub tag: Tag,
    /// The run that paid.
    pub run: RunId,
    /// How its lines were asked.
    pub recipe: RecipeId,
    /// When it was first to be paid for (unix milliseconds), or [`UNDATED`]: of several shards that asked for one image, the newest
    /// holds it.
    pub at: Millis,
    /// The server's time of its input file's creation (unix seconds).
    pub input_created: i64,
    /// Hash of its body.
    pub body_hash: [u8; 16],
    /// How its tokens are estimated.
    pub counting: Counting,
    /// What its lines were charged, where that is known.
    pub charge: Option<Charge>,
    /// Bytes of prompt text in each line.
    pub prompt_bytes: u64,
    /// Its lines in order, as far as they are known.
    pub lines: Vec<LostLine>,
    /// Its tries that may have been paid for, in order.
    pub tries: Vec<LostTry>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostLine {
    /// Whom it asks for: looked up, never taken apart.
    pub custom_id: String,
    /// Its exact length with the newline; 0 where only its answer is left.
    pub bytes: u64,
    /// Whether its answer came, good or bad.
    pub came: bool,
}

/// One try.
#[derive(Clone, Debug)]
pub struct LostTry {
    /// Its number.
    pub attempt: u32,
    /// Its name at the provider; without one it is in doubt.
    pub batch: Option<BatchId>,
    /// Its input file.
    pub input: FileId,
    /// End of its window (unix seconds).
    pub expires_at: Option<i64>,
    /// Its answers, if they are on disk.
    pub saved: Option<Saved>,
}

/// Result files on disk, each with its name at the provider.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Answers.
    pub output: Option<(FileId, RawFile)>,
    /// Errors.
    pub errors: Option<(FileId, RawFile)>,
    /// Tokens as the batch object tells them.
    pub usage: Option<Usage>,
    /// Model as the batch object tells it.
    pub model: Option<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Lines whose image is known: 0 = nothing was brought back.
    pub known: u32,
    /// Images that wait for its answers now.
    pub packed: u32,
    /// Batches that the ledger knows again.
    pub batches: u32,
}
