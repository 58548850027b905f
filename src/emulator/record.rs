//! What the service remembers of files and batches, and the events that change it.
//!
//! An [`Event`] is both a line of the journal and the only way state changes: what was replayed and what was lived are
//! the same. Times are milliseconds inside and become unix seconds at the door.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refusal::LineError;
use crate::kit::clock::Millis;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Input of a batch.
    Batch,
    /// Result of a batch: output lines or error lines.
    BatchOutput,
}

impl Purpose {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
        }
    }
}

/// A file; its bytes lie in the state folder under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) id: String,
    pub(crate) bytes: u64,
    pub(crate) filename: String,
    pub(crate) purpose: Purpose,
    pub(crate) created_at: Millis,
    pub(crate) expires_at: Millis,
}

/// Where a batch stands. `Expiring` is ours: its window is over, its last lines are being written; shown as finalizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Validating,
    InProgress,
    Finalizing,
    Completed,
    Expiring,
    Expired,
    Cancelling,
    Cancelled,
    Failed,
}

impl Status {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::InProgress => "in_progress",
            Self::Finalizing | Self::Expiring => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing will change any more.
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Expired | Self::Cancelled | Self::Failed)
    }
}

/// Tokens of one line, or the sum over a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.prompt += more.prompt;
        self.cached += more.cached;
        self.output += more.output;
        self.reasoning += more.reasoning;
    }
}

/// What reading the whole input file has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Lines of the file; 0 if it was refused.
    pub(crate) total: u32,
    /// The one model of all lines.
    pub(crate) model: Option<String>,
    /// Estimated prompt tokens of all lines.
    pub(crate) enqueued_tokens: u64,
    /// Why the file is refused; empty if it is not.
    pub(crate) errors: Vec<LineError>,
}

/// A batch as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) input_file_id: String,
    pub(crate) output_file_id: String,
    pub(crate) error_file_id: String,
    pub(crate) endpoint: String,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    /// Life of the result files from their own creation on.
    pub(crate) results_live: Millis,
    pub(crate) created_at: Millis,
    pub(crate) expires_at: Millis,
}

/// When a batch entered each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) in_progress: Option<Millis>,
    pub(crate) finalizing: Option<Millis>,
    pub(crate) completed: Option<Millis>,
    pub(crate) failed: Option<Millis>,
    pub(crate) expired: Option<Millis>,
    pub(crate) cancelling: Option<Millis>,
    pub(crate) cancelled: Option<Millis>,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchRecord {
    pub(crate) asked: Opened,
    pub(crate) status: Status,
    pub(crate) times: Times,
    pub(crate) verdict: Option<Verdict>,
    /// One bit for each answered line; emptied once the batch has ended.
    pub(crate) answered: Bits,
    pub(crate) completed: u32,
    pub(crate) failed: u32,
    pub(crate) tokens: Tokens,
    /// Lengths of the result files, up to the last line that the journal knows of.
    pub(crate) output_bytes: u64,
    pub(crate) error_bytes: u64,
    /// Whether the lines that never ran have their error lines.
    pub(crate) rest_written: bool,
}

impl BatchRecord {
    /// A batch that nobody has looked at yet.
    pub(crate) fn new(asked: Opened) -> Self {
        Self {
            asked,
            status: Status::Validating,
            times: Times::default(),
            verdict: None,
            answered: Bits::default(),
            completed: 0,
            failed: 0,
            tokens: Tokens::default(),
            output_bytes: 0,
            error_bytes: 0,
            rest_written: false,
        }
    }

    /// Lines of the batch; 0 until they are known.
    pub(crate) fn total(&self) -> u32 {
        self.verdict.as_ref().map_or(0, |verdict| verdict.total)
    }

    /// Enters `to` at `at`.
    pub(crate) fn enter(&mut self, to: Status, at: Millis) {
        self.status = to;
        let times = &mut self.times;
        match to {
            Status::Validating => {}
            Status::InProgress => times.in_progress = Some(at),
            Status::Finalizing | Status::Expiring => times.finalizing = Some(at),
            Status::Completed => times.completed = Some(at),
            Status::Expired => times.expired = Some(at),
            Status::Cancelling => times.cancelling = Some(at),
            Status::Cancelled => times.cancelled = Some(at),
            Status::Failed => times.failed = Some(at),
        }
        if to.is_terminal() {
            self.answered = Bits::default();
        }
    }
}

/// One fact of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The state folder was new; all ids follow from `seed`.
    Began { seed: String },
    /// A file is complete under its id.
    FileAdded { file: FileRecord },
    /// A file was deleted, or outlived its time.
    FileRemoved { file: String },
    /// A batch was accepted.
    BatchOpened { batch: Opened },
    /// Its input file was read to the end.
    BatchRead { batch: String, verdict: Verdict },
    /// It entered another status.
    BatchMoved { batch: String, to: Status, at: Millis },
    /// A line was answered; its result line ends at byte `end` of the error file (`failed`) or of the output file.
    LineAnswered { batch: String, line: u32, failed: bool, end: u64, tokens: Tokens },
    /// A line that ran and left no trace in either file: a fault of the scenario.
    LineLost { batch: String, line: u32, tokens: Tokens },
    /// The lines that never ran stand in the error file, which ends at byte `end`.
    RestWritten { batch: String, lines: u32, end: u64 },
    /// The queue is full, and stays so until then.
    QueueFull { until: Millis },
    /// Of a compacted journal: a file and its number.
    FileKept { number: u64, file: FileRecord },
    /// Of a compacted journal: a batch as it stood.
    BatchKept { record: Box<BatchRecord> },
    /// The end of a compacted journal: numbers given so far.
    Counted { given: u64 },
}

/// A growing set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    /// Adds `number`; whether it is new.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1u64 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(new);
        new
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.words.get(number as usize / 64).is_some_and(|word| word & (1u64 << (number % 64)) != 0)
    }

    /// Numbers in the set.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_count_each_number_once() {
        let mut bits = Bits::default();
        assert!(bits.insert(70) && bits.insert(0) && !bits.insert(70));
        assert_eq!((bits.len(), bits.contains(70), bits.contains(69), bits.contains(4000)), (2, true, false, false));
    }
}
