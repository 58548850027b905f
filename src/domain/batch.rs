//! A batch: the provider's job for one shard.

use super::ids::{BatchId, BatchNo, FileId, RecipeId, ShardId, Tag};
use super::money::{Money, Shortage};
use super::recipe::Kind;

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

/// What is known of a batch beside its name whenever it changes, for whoever follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTold {
    /// Its shard's name.
    pub shard: Tag,
    /// What its lines send.
    pub kind: Kind,
    /// From its opening to its end, in milliseconds; absent until it has ended.
    pub took_ms: Option<u64>,
    /// Its tokens, if it told them.
    pub usage: Option<Usage>,
    /// What they cost, where a price is known.
    pub cost: Option<Money>,
}

/// What came back for the lines of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Lines that the model answered.
    pub ok: u32,
    /// Lines that came back as an error.
    pub failed: u32,
    /// Lines that never ran, or for which nothing came back.
    pub missing: u32,
}

/// No provider keeps a batch and its files for so long (milliseconds): whoever's key it is, it is gone. Source: `batch-api`
/// reference, results are kept for 30 days.
pub const KEPT_AT_MOST: i64 = 31 * 24 * 3600 * 1000;

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
    /// Its input file.
    pub input: FileId,
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
    /// Whether the ledger lost it, or somebody else asked for it: then it knows only of those of its images that are there today.
    pub restored: bool,
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

/// Codes of a full queue. Azure's `too_many_tasks` is none: that file has too many lines.
pub const QUEUE_CODES: [&str; 1] = ["token_limit_exceeded"];
/// Words of a full queue, lower case; the code is not always there.
pub const QUEUE_WORDS: [&str; 3] = ["enqueued token limit", "enqueued request limit", "number of enqueued tokens"];

impl Refusal {
    /// Whether the queue of enqueued tokens is full: nothing is wrong with the file.
    #[must_use]
    pub fn is_queue_full(&self) -> bool {
        let lower = self.message.to_lowercase();
        QUEUE_CODES.contains(&self.code.as_str()) || QUEUE_WORDS.iter().any(|word| lower.contains(word))
    }

    /// The limit of enqueued tokens that the words name, such as "Limit: 2,000,000 enqueued tokens" or "the configured
    /// limit of 30K".
    #[must_use]
    pub fn queue_limit(&self) -> Option<u64> {
        let lower = self.message.to_lowercase();
        lower.match_indices("limit").find_map(|(at, word)| number(&lower[at + word.len()..]))
    }
}

/// The number that `text` begins with, after a colon or "of": digits with commas, and k or m behind them.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([':', ' ']);
    let text = text.strip_prefix("of ").unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
    let times = match text[end..].chars().next() {
        Some('k') => 1_000,
        Some('m') => 1_000_000,
        _ => 1,
    };
    digits.parse::<u64>().ok()?.checked_mul(times).filter(|limit| *limit > 0)
}

/// Whether a shard may be opened now, as far as its model's queue is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is opening: its intent.
    Granted(Intent),
    /// Not now.
    Full {
        /// Estimated tokens that are enqueued.
        used: u64,
        /// The limit, if it is known.
        limit: Option<u64>,
        /// Not before then whatever ends (unix milliseconds).
        until: Option<i64>,
    },
    /// It never fits: the limit, in estimated tokens.
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// There is a money limit, and what it may cost is more than is left of it.
    NoMoney(Shortage),
    /// There is a money limit, and nobody knows what it may cost.
    NoPrice,
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
    /// When an earlier life began to doubt whether the batch exists, in milliseconds of our clock.
    pub doubted_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_the_words_of_a_refusal() {
        let refusal = |code: &str, message: &str| Refusal { code: code.into(), message: message.into(), line: None };
        let cases = [
            (
                "token_limit_exceeded",
                "Enqueued token limit reached for gpt-4o-mini in organization org-x. Limit: 2,000,000 enqueued tokens.",
                (true, Some(2_000_000)),
            ),
            ("", "Enqueued request limit reached for embeddings. Limit: 500 requests.", (true, Some(500))),
            (
                "",
                "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment x.",
                (true, Some(30_000)),
            ),
            ("token_limit_exceeded", "", (true, None)),
            ("token_limit_exceeded", "Limit: 0 tokens, limit: 99999999999999999999", (true, None)),
            ("invalid_json_line", "This line is not parseable as valid JSON.", (false, None)),
        ];
        for (code, message, expected) in cases {
            let refusal = refusal(code, message);
            assert_eq!((refusal.is_queue_full(), refusal.queue_limit()), expected, "{message}");
        }
    }
}
