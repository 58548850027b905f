//! Two runs, or two recipes, side by side: what changed in the texts of the pages that both answered, and, where a person has
//! typed the truth, which one is nearer to it. Read from the saved answers, so nothing is asked and nothing is written.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::image::shown;
use crate::domain::layout::{self, Layout};
use crate::domain::metrics::{self, Errors};
use crate::kit::path_bytes::to_path;
use crate::ledger::LedgerError;
use crate::ledger::reader::{After, Answered, Pair, Reader, Side};

/// Pages asked for at once.
const PAGE: u32 = 256;
/// Half of the interval that holds 95 of a hundred means, in standard errors.
const NINETY_FIVE: f64 = 1.96;

/// What became of the pages of one folder, or of all.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Pages that both answered with a text.
    pub pages: u64,
    /// Of them, pages whose words are the same.
    pub same: u64,
    /// Words of the older texts that are others now, against all of them.
    pub churn: Errors,
    /// Signs of the older and of the newer texts.
    pub signs: [u64; 2],
    /// Flags that pages have now and had not, or had and have no more.
    pub flags: BTreeMap<String, [u64; 2]>,
    /// Pages with a truth.
    pub truths: u64,
    /// Errors over signs, older and newer.
    pub cer: [Errors; 2],
    /// Errors over words, older and newer.
    pub wer: [Errors; 2],
    /// Sum and sum of squares of each page's rate of wrong signs, newer less older.
    gains: [f64; 2],
}

impl Tally {
    /// Mean gain of a page in its rate of wrong signs (below zero: the newer one is nearer), and half of its 95 % interval.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn gain(&self) -> Option<(f64, f64)> {
        let n = self.truths as f64;
        if self.truths < 2 {
            return None;
        }
        let mean = self.gains[0] / n;
        let variance = (self.gains[1] - n * mean * mean).max(0.0) / (n - 1.0);
        Some((mean, NINETY_FIVE * (variance / n).sqrt()))
    }

    fn count(&mut self, pair: &Pair, texts: &[String; 2], truth: Option<&str>) {
        let [older, newer] = texts;
        let churn = metrics::words(newer, older);
        self.pages += 1;
        self.same += u64::from(churn.edits == 0);
        self.churn.add(churn);
        for (sum, text) in self.signs.iter_mut().zip(texts) {
            *sum += text.chars().count() as u64;
        }
        for flag in pair.newer.flags.iter().filter(|flag| !pair.older.flags.contains(flag)) {
            self.flags.entry(flag.clone()).or_default()[0] += 1;
        }
        for flag in pair.older.flags.iter().filter(|flag| !pair.newer.flags.contains(flag)) {
            self.flags.entry(flag.clone()).or_default()[1] += 1;
        }
        if let Some(truth) = truth.filter(|truth| !truth.trim().is_empty()) {
            self.measure(texts, truth);
        }
    }

    fn measure(&mut self, texts: &[String; 2], truth: &str) {
        self.truths += 1;
        let mut rates = [0.0; 2];
        for (side, text) in texts.iter().enumerate() {
            let signs = metrics::characters(text, truth);
            rates[side] = signs.rate().unwrap_or_default();
            self.cer[side].add(signs);
            self.wer[side].add(metrics::words(text, truth));
        }
        let gain = rates[1] - rates[0];
        self.gains[0] += gain;
        self.gains[1] += gain * gain;
    }
}

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// All pages.
    pub all: Tally,
    /// By folder.
    pub folders: BTreeMap<String, Tally>,
    /// Pages of which an answer is no longer saved.
    pub unsaved: u64,
}

/// Compares the texts that `older` and `newer` made of the same pages; `truth` is a tree of texts by the images' paths and `.txt`.
///
/// # Errors
/// The ledger's, or the operating system's with the path.
pub fn compare(
    reader: &Reader,
    layout: &Layout,
    [older, newer]: [Side; 2],
    truth: Option<&Path>,
) -> Result<Comparison, CompareError> {
    let mut comparison = Comparison::default();
    let mut after = After::default();
    loop {
        let page = reader.pairs(older, newer, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(comparison) };
        after = last.at;
        for pair in &page {
            let texts = [text(layout, pair, &pair.older)?, text(layout, pair, &pair.newer)?];
            let [Some(one), Some(other)] = texts else {
                comparison.unsaved += 1;
                continue;
            };
            let texts = [one, other];
            let truth = truth.map(|root| true_text(root, pair)).transpose()?.flatten();
            comparison.all.count(pair, &texts, truth.as_deref());
            let folder = shown(&pair.path.folder);
            comparison.folders.entry(folder).or_default().count(pair, &texts, truth.as_deref());
        }
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// The content of a saved answer, in canonical composition: forms of one sign are no difference.
fn text(layout: &Layout, pair: &Pair, answered: &Answered) -> io::Result<Option<String>> {
    let id = layout::custom_id(answered.id_style, &pair.given, &pair.path, full_hash);
    let path = layout.results(answered.batch.as_str()).join(layout::result_name(&id, full_hash));
    let bytes = match fs_err::read(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let line: Value = serde_json::from_slice(&bytes)?;
    Ok(content(&line).map(|content| content.nfc().collect()))
}

/// The text of a result line: of a chat completion, or all parts of a response.
fn content(line: &Value) -> Option<String> {
    let body = line.pointer("/response/body")?;
    if let Some(text) = body.pointer("/choices/0/message/content") {
        return text.as_str().map(str::to_owned);
    }
    let parts = body.get("output")?.as_array()?.iter().filter_map(|item| item.get("content")?.as_array()).flatten();
    Some(parts.filter_map(|part| part.get("text")?.as_str()).collect())
}

fn true_text(root: &Path, pair: &Pair) -> io::Result<Option<String>> {
    let path = root.join(to_path(&[&pair.path.joined()[..], b".txt"].concat()));
    match fs_err::read_to_string(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(|text| Some(text.nfc().collect())),
    }
}

fn full_hash(bytes: &[u8]) -> String {
    crate::kit::hash::hex_digits(bytes, 64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pair(old: &[&str], new: &[&str]) -> Pair {
        let answered = |flags: &[&str]| Answered {
            batch: crate::domain::ids::BatchId("b".into()),
            id_style: crate::domain::recipe::IdStyle::Path,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        Pair {
            at: After::default(),
            path: crate::domain::image::RelPath { folder: b"a".to_vec(), name: b"p.png".to_vec(), page: 1 },
            given: Vec::new(),
            older: answered(old),
            newer: answered(new),
        }
    }

    #[test]
    fn pages_are_counted_by_words_flags_and_truth() {
        let mut tally = Tally::default();
        let texts = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
        tally.count(&pair(&["chatter"], &["fenced"]), &texts("the old house", "the new house"), Some("the new house"));
        tally.count(&pair(&[], &[]), &texts("same  words", "same words"), Some("same words"));
        assert_eq!((tally.pages, tally.same, tally.churn.rate()), (2, 1, Some(0.2)));
        assert_eq!((tally.flags["fenced"], tally.flags["chatter"]), ([1, 0], [0, 1]));
        assert_eq!((tally.truths, tally.wer[0].edits, tally.wer[1].edits), (2, 1, 0));
        let (gain, spread) = tally.gain().expect("two truths");
        assert!(gain < 0.0 && spread > 0.0, "{gain} {spread}");
        assert_eq!(Tally::default().gain(), None);
    }

    #[test]
    fn the_text_of_a_line_of_either_api() {
        let chat = json!({"response": {"body": {"choices": [{"message": {"content": "one"}}]}}});
        let response = json!({"response": {"body": {"output": [
            {"type": "reasoning"}, {"content": [{"text": "o"}, {"text": "ne"}]}]}}});
        for line in [chat, response] {
            assert_eq!(content(&line).as_deref(), Some("one"));
        }
        assert_eq!(content(&json!({"error": {}})), None);
    }
}
