//! A shard: a sealed plan, that is an ordered list of lines with their exact lengths.

use serde::{Deserialize, Serialize};

use super::ids::{FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use super::image::{Format, RelPath, Stamp};
use super::money::{Charge, Money};
use super::recipe::Recipe;

/// Why a plan was closed; kept, so that a person can read why shards are small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealReason {
    /// The next line would exceed the bytes.
    Bytes,
    /// The next line would exceed the number of lines.
    Lines,
    /// The next line would exceed the tokens.
    Tokens,
    /// Nothing else is to come.
    Dry,
    /// A trickle of second tries has waited long enough.
    Age,
    /// The program stops.
    Drain,
}

impl SealReason {
    /// The word of the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Lines => "lines",
            Self::Tokens => "tokens",
            Self::Dry => "dry",
            Self::Age => "age",
            Self::Drain => "drain",
        }
    }
}

/// A picture that was made ready to be sent: a file of ours, and what is known of it. The ledger keeps it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Its name among the prepared files.
    pub file: String,
    /// What it is.
    pub format: Format,
    /// Length in bytes.
    pub bytes: u64,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Whether it was turned as the original says that it lies.
    pub turned: bool,
    /// Whether it has fewer pixels than the original.
    pub shrunk: bool,
    /// BLAKE3 of its bytes, 32 hex digits.
    pub blake3_128: String,
    /// BLAKE3 of the file it was made from, where hashes are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_blake3_128: Option<String>,
}

/// One line of a plan about to be sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLine {
    /// The image it asks for.
    pub image: ImageId,
    /// Exact length in bytes, newline included.
    pub bytes: u64,
    /// What is sent in the place of the image's own file.
    pub prepared: Option<Prepared>,
    /// Share of dark pixels, where it was measured on the way.
    pub ink: Option<f64>,
}

/// A plan about to be sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewShard {
    /// Name for the provider.
    pub tag: Tag,
    /// Run that pays.
    pub run: RunId,
    /// How its lines are asked.
    pub recipe: RecipeId,
    /// Why it was closed.
    pub seal: SealReason,
    /// Its lines in order.
    pub lines: Vec<NewLine>,
    /// Estimated prompt tokens of all lines, at least 1.
    pub est_tokens: u64,
    /// What its lines are charged, where that is known.
    pub charge: Option<Charge>,
}

impl NewShard {
    /// Exact length of the body in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.bytes).sum()
    }

    /// The plan without the lines of images that `is_owed` denies; `None` if none is left. What is estimated is taken to be spread
    /// evenly over the lines.
    #[must_use]
    pub fn only(&self, is_owed: impl Fn(ImageId) -> bool) -> Option<Self> {
        let lines: Vec<NewLine> = self.lines.iter().filter(|line| is_owed(line.image)).cloned().collect();
        let (left, all) = (lines.len() as u64, self.lines.len() as u64);
        let est_tokens = self.est_tokens.saturating_mul(left).div_ceil(all.max(1)).max(1);
        (left > 0).then(|| Self { lines, est_tokens, ..self.clone() })
    }
}

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardState {
    /// Planned.
    Sealed,
    /// Its bytes are at the provider.
    Uploaded,
    /// A batch may exist.
    Opening,
    /// A batch exists.
    Spent,
    /// Its books are closed.
    Gone,
    /// Given up before anything was paid.
    Dissolved,
}

impl ShardState {
    /// The word of the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Uploaded => "uploaded",
            Self::Opening => "opening",
            Self::Spent => "spent",
            Self::Gone => "gone",
            Self::Dissolved => "dissolved",
        }
    }

    /// The state behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Sealed, Self::Uploaded, Self::Opening, Self::Spent, Self::Gone, Self::Dissolved]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// What everybody needs to know about a shard; never its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFacts {
    /// Its row.
    pub id: ShardId,
    /// Its name for the provider.
    pub tag: Tag,
    /// The tag of its run.
    pub run: Tag,
    /// Where it stands.
    pub state: ShardState,
    /// Number of lines.
    pub lines: u32,
    /// Exact length of the body in bytes.
    pub bytes: u64,
    /// Estimated prompt tokens.
    pub est_tokens: u64,
    /// What it costs at most, where a price was known.
    pub worst: Option<Money>,
    /// How its lines are asked.
    pub recipe: RecipeId,
    /// Endpoint of its lines, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// Input file at the provider and the server's time of its creation (unix seconds), once uploaded.
    pub input: Option<(FileId, i64)>,
    /// Hash of its first whole body.
    pub body_hash: Option<[u8; 16]>,
    /// Not to be opened before this time (unix milliseconds).
    pub not_before: i64,
    /// Number that its next batch will bear.
    pub next_attempt: u32,
}

/// One line of a sealed plan, with all that its bytes are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLine {
    /// The image it asks for.
    pub image: ImageId,
    /// Place in the plan, from 1.
    pub pos: u32,
    /// Exact length in bytes, newline included.
    pub bytes: u64,
    /// Where the image lies.
    pub path: RelPath,
    /// What the file was when it was measured.
    pub stamp: Stamp,
    /// What it is sent as.
    pub format: Format,
    /// What is sent in the place of the image's own file.
    pub prepared: Option<Prepared>,
    /// The counted try that this line is, from 1.
    pub attempt: u32,
    /// Hash of the rough text that is sent in the place of the image, for a deep cleaning.
    pub rough: Option<[u8; 16]>,
}

/// A sealed plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The shard's facts.
    pub shard: ShardFacts,
    /// How its lines are asked.
    pub recipe: Recipe,
    /// The corpus as the user wrote it: custom ids are made from it.
    pub given: Vec<u8>,
    /// The corpus root, absolute.
    pub root: Vec<u8>,
    /// Its lines in order.
    pub lines: Vec<PlanLine>,
}
