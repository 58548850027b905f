//! The auditor: a JSON line for everything that a real service would count, written at the moment of deciding and before
//! any fault on the way back.
//!
//! It knows nothing of who asks. Every line has `at` (unix milliseconds) and `what`:
//!
//! | `what` | members |
//! |---|---|
//! | `upload` | `file`, `name`, `bytes` |
//! | `create` | `batch` (null if refused), `file`, `metadata`, `refused` (null or the words) |
//! | `enqueue` | `batch`, `tokens`, `sum` of all enqueued tokens with it; only where there is a limit |
//! | `cancel` | `batch` |
//! | `delete` | `file` |
//! | `fetch` | `file`, `offset` |
//! | `line` | `batch`, `file`, `number` (of the line, from 1), `custom_id`, `images` (SHA-256 of each picture, hex), `prompt_tokens`, `output_tokens`, |
//! | | `cached_tokens`, `reasoning_tokens` (parts of them; only above zero), |
//! | | `withheld` (only if true: a fault of the scenario keeps the answer from the result files), |
//! | | `forced` (only if the scenario made something of the answer: its word for it) |
//! | `chat` | `images`, `prompt_tokens`, `output_tokens` |
//!
//! A line that the endpoint refused costs nothing and is not there. A line is billed once for a batch, also if the
//! server was killed between the bill and its journal.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::answer::Forced;
use super::journal::cut_torn_end;
use crate::kit::atomic_file;
use crate::kit::clock::Millis;
use crate::kit::hash::{self, Short};

/// What is counted; see the table above.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Entry<'a> {
    Upload {
        file: &'a str,
        name: &'a str,
        bytes: u64,
    },
    Create {
        batch: Option<&'a str>,
        file: Option<&'a str>,
        metadata: Option<&'a BTreeMap<String, String>>,
        refused: Option<&'a str>,
    },
    Enqueue {
        batch: &'a str,
        tokens: u64,
        sum: u64,
    },
    Cancel {
        batch: &'a str,
    },
    Delete {
        file: &'a str,
    },
    Fetch {
        file: &'a str,
        offset: u64,
    },
    Line {
        batch: &'a str,
        file: &'a str,
        number: u32,
        custom_id: &'a str,
        images: &'a [String],
        prompt_tokens: u64,
        output_tokens: u64,
        #[serde(skip_serializing_if = "is_zero")]
        cached_tokens: u64,
        #[serde(skip_serializing_if = "is_zero")]
        reasoning_tokens: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        forced: Option<Forced>,
    },
    Chat {
        images: &'a [String],
        prompt_tokens: u64,
        output_tokens: u64,
    },
}

#[derive(Serialize)]
struct Stamped<'a> {
    at: Millis,
    #[serde(flatten)]
    entry: &'a Entry<'a>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

/// The members by which a billed line is known again.
#[derive(Deserialize)]
struct Billed {
    what: String,
    batch: Option<String>,
    number: Option<u32>,
}

/// The open bill.
#[derive(Debug)]
pub(crate) struct Bill {
    file: File,
    lines: HashSet<Short>,
}

impl Bill {
    /// Opens the bill at `path` and goes on where it ends.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut lines = HashSet::new();
        if cut_torn_end(path)? > 0 {
            for line in BufReader::new(File::open(path)?).lines() {
                let billed: Billed = serde_json::from_str(&line?)?;
                if let ("line", Some(batch), Some(number)) = (billed.what.as_str(), billed.batch, billed.number) {
                    lines.insert(key(&batch, number));
                }
            }
        }
        Ok(Self { file: atomic_file::append_private(path)?, lines })
    }

    /// Writes one entry.
    pub(crate) fn write(&mut self, at: Millis, entry: &Entry<'_>) -> io::Result<()> {
        if let Entry::Line { batch, number, .. } = entry
            && !self.lines.insert(key(batch, *number))
        {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&Stamped { at, entry })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

fn key(batch: &str, number: u32) -> Short {
    hash::short(format!("{batch}\n{number}").as_bytes())
}

/// SHA-256 of a picture, as the bill shows it.
pub(crate) fn print_of(bytes: &[u8]) -> String {
    let mut hasher = hash::Sha256::default();
    hasher.update(bytes);
    hash::hex(&hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_billed_once_for_its_batch_even_after_a_restart() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("bill.jsonl");
        let images = [print_of(b"page")];
        let line = |batch| Entry::Line {
            batch,
            file: "file-1",
            number: 1,
            custom_id: "a|b.png",
            images: &images,
            prompt_tokens: 10,
            output_tokens: 2,
            cached_tokens: 0,
            reasoning_tokens: 0,
            withheld: false,
            forced: None,
        };
        for _ in 0..2 {
            let mut bill = Bill::open(&path).expect("bill");
            bill.write(5, &line("batch_1")).expect("write");
            bill.write(6, &line("batch_1")).expect("write");
        }
        Bill::open(&path).and_then(|mut bill| bill.write(7, &line("batch_2"))).expect("write");
        let text = std::fs::read_to_string(&path).expect("bill");
        let batches: Vec<_> = text.lines().map(|line| line.contains("\"batch_1\"")).collect();
        assert_eq!(batches, [true, false]);
        assert!(text.starts_with("{\"at\":5,\"what\":\"line\",\"batch\":\"batch_1\",\"file\":\"file-1\""), "{text}");
    }
}
