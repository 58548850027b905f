//! A batch: the provider's job for one shard.

use super::ids::{BatchId, BatchNo, FileId, RecipeId, ShardId, Tag};

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchEnd {
    /// No line is left; each may still have failed.
    Completed,
    /// The window was over; what ran has results.
    Expired,
    /// Somebody cancelled it; what ran has results.
    Cancelled,
    /// The provider refused the file because of its lines; nothing ran.
    Refused,
    /// Refused for now (queue full, file not yet visible); nothing ran, the same file is opened again later.
    TurnedAway,
    /// The provider no longer knows it.
    Vanished,
}

impl BatchEnd {
    /// The word of the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::TurnedAway => "turned_away",
            Self::Vanished => "vanished",
        }
    }

    /// The end behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Completed, Self::Expired, Self::Cancelled, Self::Refused, Self::TurnedAway, Self::Vanished]
            .into_iter()
            .find(|end| end.word() == word)
    }
}

/// Tokens as the provider tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, images included.
    pub prompt: u64,
    /// Part of them that came from a cache.
    pub cached: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Part of them that was reasoning.
    pub reasoning: u64,
}

/// Facts of an open batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBatch {
    /// Its row.
    pub no: BatchNo,
    /// Its name at the provider.
    pub id: BatchId,
    /// The shard it answers.
    pub shard: ShardId,
    /// Lines it was asked.
    pub lines: u32,
    /// When it was opened (unix milliseconds).
    pub opened_at: i64,
    /// Its input file.
    pub input: FileId,
}

/// What is known of a batch once it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedBatch {
    /// Its row.
    pub no: BatchNo,
    /// Its name at the provider.
    pub id: BatchId,
    /// The shard it answers.
    pub shard: ShardId,
    /// Lines it was asked.
    pub lines: u32,
    /// The settings it was asked with.
    pub recipe: RecipeId,
    /// When it was opened (unix milliseconds).
    pub opened_at: i64,
    /// How it ended.
    pub end: BatchEnd,
    /// Output file at the provider.
    pub output: Option<FileId>,
    /// Error file at the provider.
    pub errors: Option<FileId>,
    /// Whether both raw files are on disk already.
    pub fetched: bool,
    /// Why it was refused, in the provider's words.
    pub refusal: Option<Refusal>,
}

/// Why a whole batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// The provider's code, such as `token_limit_exceeded`; empty if it gave none.
    pub code: String,
    /// Its words.
    pub message: String,
    /// The line of the input file that it names, from 1.
    pub line: Option<u32>,
}

/// Codes that name a line and speak of the settings. Source: `batch-api` reference §4.2 and §11.1 (Azure).
const CODES_OF_ALL: [&str; 7] = [
    "model_not_found",
    "mismatched_model",
    "model_mismatch",
    "invalid_url",
    "url_mismatch",
    "streaming_unsupported",
    "unsupported_parameter",
];

impl Refusal {
    /// Whether every further batch would meet it, too: a reason that names no line, or none that is at fault itself.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        let names_a_reason = !(self.code.is_empty() && self.message.is_empty());
        names_a_reason && (self.line.is_none() || CODES_OF_ALL.contains(&self.code.as_str()))
    }
}

/// What a new batch carries as metadata, so that it is found again whatever happens to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its row, written before the request.
    pub no: BatchNo,
    /// Number of this try, from 1.
    pub attempt: u32,
    /// The run's tag.
    pub run: Tag,
    /// The shard's tag.
    pub shard_tag: Tag,
    /// The shard.
    pub shard: ShardId,
    /// Its input file.
    pub input: FileId,
    /// The server's time of the input file's creation (unix seconds).
    pub input_created: i64,
    /// Hash of the body.
    pub body_hash: [u8; 16],
    /// Whether the input file was deleted already to make a second create safe.
    pub fenced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_of_a_line_or_of_all() {
        let of_all = |code: &str, line| Refusal { code: code.into(), message: String::new(), line }.is_of_all();
        assert!(of_all("model_not_found", Some(1)) && of_all("invalid_url", Some(3)) && of_all("empty_file", None));
        assert!(!of_all("invalid_json_line", Some(1)) && !of_all("", None));
    }
}
