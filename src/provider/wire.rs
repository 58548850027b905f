//! The provider's objects as we read them: members may be absent, `null`, empty or new.
//! Source: `batch-api` reference §1–3; statuses and codes are open strings on purpose.
//!
//! Only one thing is demanded: an object that has no id is unreadable, and so is a list with such an entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::{LONGEST_CODE, LONGEST_MESSAGE, clip};
use crate::domain::batch::{Refusal, Usage};
use crate::domain::ids::{BatchId, FileId};

/// A file object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its id.
    pub id: FileId,
    /// Length in bytes, as the server counts.
    pub bytes: Option<u64>,
    /// Server's time of creation, unix seconds; 0 if not told.
    pub created_at: i64,
    /// Its name.
    pub filename: String,
    /// Whether it can be used now (`processed`, or a server that tells no status).
    pub ready: bool,
    /// Whether it will never be (`error`, or on its way out).
    pub failed: bool,
}

/// A batch object, reduced to what is used; `raw` is the whole of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Status, lower case; an open list.
    pub status: String,
    /// Input file.
    pub input_file: Option<FileId>,
    /// Output file.
    pub output_file: Option<FileId>,
    /// Error file.
    pub error_file: Option<FileId>,
    /// Server's time of creation, unix seconds; 0 if not told.
    pub created_at: i64,
    /// End of the window, unix seconds.
    pub expires_at: Option<i64>,
    /// Lines in all, finished, failed: for people only, they may disagree with the files.
    pub counts: Option<(u64, u64, u64)>,
    /// Why it was refused.
    pub refusals: Vec<Refusal>,
    /// What we gave it.
    pub metadata: BTreeMap<String, String>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// Model, if told.
    pub model: Option<String>,
    /// The object as it came.
    pub raw: Value,
}

/// A page of the batch list.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPage {
    /// Batches, newest first as far as anybody has seen.
    pub batches: Vec<Batch>,
    /// Whether more follow. An empty page may claim it; it names no batch to go on from, so such a list proves no absence.
    pub has_more: bool,
}

/// What creates a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBatch {
    /// Input file.
    pub input_file_id: FileId,
    /// Path of the lines, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// `24h`.
    pub completion_window: String,
    /// At most 16 pairs; key ≤ 64, value ≤ 512 characters.
    pub metadata: BTreeMap<String, String>,
    /// How long result files are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_expires_after: Option<ExpiresAfter>,
}

/// A lifetime of files at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiresAfter {
    /// `created_at`.
    pub anchor: String,
    /// Seconds, 3,600 to 2,592,000.
    pub seconds: u64,
}

/// A page of the file list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePage {
    /// Files, in the server's order.
    pub files: Vec<RemoteFile>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Batches in a full page; a list that tells no `has_more` and is shorter has ended.
pub const FULL_PAGE: usize = 100;
/// Reasons kept of one refused batch; a file of 50,000 faulty lines has as many.
const MOST_REFUSALS: usize = 1_000;
/// File states that mean "never". Source: `batch-api` reference §1 and Azure's own states.
const FAILED: [&str; 3] = ["error", "deleting", "deleted"];
/// File states that mean "not now".
const UNREADY: [&str; 6] = ["uploaded", "pending", "running", "error", "deleting", "deleted"];

impl RemoteFile {
    /// Reads a file object; `None` if it has no id.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: FileId(text(value, "id")?),
            bytes: number(value, "bytes"),
            created_at: time(value, "created_at").unwrap_or(0),
            filename: text(value, "filename").unwrap_or_default(),
            ready: !UNREADY.contains(&lower(value, "status").as_str()),
            failed: FAILED.contains(&lower(value, "status").as_str()),
        })
    }
}

impl FilePage {
    /// Reads a page of the file list; `None` if it is no list or an entry has no id.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let entries = entries(value, "file")?;
        let files: Option<Vec<_>> = entries.iter().map(|entry| RemoteFile::from_json(entry)).collect();
        Some(Self { files: files?, has_more: has_more(value) })
    }
}

impl Batch {
    /// Reads a batch object; `None` if it has no id.
    #[must_use]
    pub fn from_json(raw: Value) -> Option<Self> {
        Some(Self {
            id: BatchId(text(&raw, "id")?),
            status: lower(&raw, "status"),
            input_file: text(&raw, "input_file_id").map(FileId),
            output_file: text(&raw, "output_file_id").map(FileId),
            error_file: text(&raw, "error_file_id").map(FileId),
            created_at: time(&raw, "created_at").unwrap_or(0),
            expires_at: time(&raw, "expires_at"),
            counts: counts(&raw),
            refusals: refusals(&raw),
            metadata: metadata(&raw),
            usage: usage(&raw),
            model: text(&raw, "model"),
            raw,
        })
    }
}

impl BatchPage {
    /// Reads a page of the batch list; `None` if it is no list or an entry has no id: then that listing did not happen.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let entries = entries(value, "batch")?;
        let batches: Option<Vec<_>> = entries.into_iter().map(|entry| Batch::from_json(entry.clone())).collect();
        Some(Self { batches: batches?, has_more: has_more(value) })
    }
}

/// The list's entries, without objects that say they are something else.
fn entries<'a>(value: &'a Value, object: &str) -> Option<Vec<&'a Value>> {
    let is_ours = |entry: &&Value| {
        matches!(entry.get("object").and_then(Value::as_str), None | Some("")) || lower(entry, "object") == object
    };
    Some(value.get("data")?.as_array()?.iter().filter(is_ours).collect())
}

/// Whether more follows: as told, else if the page is full.
fn has_more(value: &Value) -> bool {
    let length = value.get("data").and_then(Value::as_array).map_or(0, Vec::len);
    value.get("has_more").and_then(Value::as_bool).unwrap_or(length >= FULL_PAGE)
}

/// A member that is text and not empty.
fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn lower(value: &Value, key: &str) -> String {
    text(value, key).unwrap_or_default().to_lowercase()
}

/// A count: whole, fractional or as text; nothing negative.
fn number(value: &Value, key: &str) -> Option<u64> {
    let member = value.get(key)?;
    member
        .as_u64()
        .or_else(|| member.as_str()?.trim().parse().ok())
        .or_else(|| whole(member.as_f64()?)?.try_into().ok())
}

/// Unix seconds: a number (milliseconds are recognised), its text, or an ISO time; between 1970 and the year 9999.
fn time(value: &Value, key: &str) -> Option<i64> {
    const LATEST: i64 = 253_402_300_799;
    /// As seconds the year 33,658; as milliseconds September 2001.
    const FIRST_MILLIS: i64 = 1_000_000_000_000;
    let member = value.get(key)?;
    let told = match member {
        Value::String(text) => text.trim().parse().ok().or_else(|| iso(text.trim()))?,
        other => other.as_i64().or_else(|| whole(other.as_f64()?))?,
    };
    let seconds = if told >= FIRST_MILLIS { told / 1_000 } else { told };
    (0..=LATEST).contains(&seconds).then_some(seconds)
}

fn iso(text: &str) -> Option<i64> {
    text.parse().ok().map(|time: jiff::Timestamp| time.as_second())
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    // Up to 2^53 each whole number has its own f64.
    (number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

fn counts(batch: &Value) -> Option<(u64, u64, u64)> {
    let told = batch.get("request_counts")?;
    let [total, completed, failed] = ["total", "completed", "failed"].map(|key| number(told, key));
    total.or(completed).or(failed)?;
    Some((total.unwrap_or(0), completed.unwrap_or(0), failed.unwrap_or(0)))
}

/// `errors` is null, a list object, or a bare list; its entries may be text.
fn refusals(batch: &Value) -> Vec<Refusal> {
    let errors = batch.get("errors").unwrap_or(&Value::Null);
    let list = errors.get("data").unwrap_or(errors).as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter(|entry| !entry.is_null()).take(MOST_REFUSALS).map(refusal).collect()
}

fn refusal(entry: &Value) -> Refusal {
    let message = text(entry, "message").or_else(|| entry.as_str().map(str::to_owned));
    Refusal {
        code: clip(&text(entry, "code").unwrap_or_default(), LONGEST_CODE),
        message: clip(&message.unwrap_or_default(), LONGEST_MESSAGE),
        line: number(entry, "line").and_then(|line| line.try_into().ok()).filter(|line| *line > 0),
    }
}

fn metadata(batch: &Value) -> BTreeMap<String, String> {
    let members = batch.get("metadata").and_then(Value::as_object);
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.into_iter().flatten().map(|(key, value)| (key.clone(), as_text(value))).collect()
}

/// Token sums of a batch or of an answer, in the words of the Responses API (batches) or of chat completions.
#[must_use]
pub fn usage(answer: &Value) -> Option<Usage> {
    let told = answer.get("usage").filter(|usage| usage.is_object())?;
    let either = |value: &Value, one: &str, other: &str| number(value, one).or_else(|| number(value, other));
    let part = |one: &str, other: &str, key: &str| {
        [one, other].into_iter().find_map(|details| number(told.get(details)?, key)).unwrap_or(0)
    };
    let (prompt, output) =
        (either(told, "input_tokens", "prompt_tokens"), either(told, "output_tokens", "completion_tokens"));
    prompt.or(output)?;
    Some(Usage {
        prompt: prompt.unwrap_or(0),
        cached: part("input_tokens_details", "prompt_tokens_details", "cached_tokens"),
        output: output.unwrap_or(0),
        reasoning: part("output_tokens_details", "completion_tokens_details", "reasoning_tokens"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example(text: &str) -> Value {
        serde_json::from_str(text).expect("example")
    }

    fn batch(value: Value) -> Batch {
        Batch::from_json(value).expect("batch")
    }

    #[test]
    fn documented_batches_are_read() {
        let clean = batch(example(include_str!("../../tests/data/api/batches/completed_clean_empty_string.json")));
        assert_eq!((clean.status.as_str(), clean.error_file), ("completed", None));
        assert_eq!(clean.output_file, Some(FileId("file-Kc2vN7rJpXw5eTqB3mHdLz".into())));
        assert_eq!(clean.counts, Some((2, 2, 0)));
        assert_eq!(clean.usage, Some(Usage { prompt: 420, cached: 0, output: 64, reasoning: 0 }));
        assert_eq!(clean.metadata["shard"], "000042");

        let failed = batch(example(include_str!("../../tests/data/api/batches/failed_validation.json")));
        assert_eq!(failed.refusals[1].line, Some(2));
        assert_eq!(failed.refusals[4].code, "invalid_url");
        let queue = batch(example(include_str!("../../tests/data/api/batches/failed_token_limit.json")));
        assert_eq!((queue.refusals[0].code.as_str(), queue.refusals[0].line), ("token_limit_exceeded", None));

        let azure = batch(example(include_str!("../../tests/data/api/azure/created.json")));
        assert_eq!((azure.status.as_str(), azure.created_at, azure.counts), ("validating", 1_721_409_237, None));
        assert_eq!(azure.expires_at, Some(1_721_495_637));
        assert!(azure.metadata.is_empty());
    }

    #[test]
    fn documented_lists_are_read() {
        let page = BatchPage::from_json(&example(include_str!("../../tests/data/api/batches/list_page.json")));
        assert_eq!(page.map(|page| (page.batches.len(), page.batches[0].created_at)), Some((2, 1_794_268_800)));
        let empty = BatchPage::from_json(&example(include_str!("../../tests/data/api/batches/list_empty.json")));
        assert_eq!(empty, Some(BatchPage { batches: vec![], has_more: false }));
        let files =
            FilePage::from_json(&example(include_str!("../../tests/data/api/files/list_page.json"))).expect("page");
        assert_eq!(files.files[0].bytes, Some(170));
        assert!(files.files[0].ready && !files.has_more);
    }

    #[test]
    fn odd_batches_are_read_leniently() {
        let odd = batch(json!({
            "id": "b", "status": 7, "output_file_id": 5, "created_at": 1_794_268_800_000_i64, "expires_at": "soon",
            "request_counts": {"total": null, "completed": "3", "failed": -1}, "errors": [],
            "metadata": {"run": 7, "shard": null}, "usage": {"input_tokens": -5}, "model": "",
        }));
        assert_eq!(
            (odd.status.as_str(), odd.output_file, odd.created_at, odd.expires_at),
            ("", None, 1_794_268_800, None)
        );
        assert_eq!((odd.counts, odd.usage, odd.model), (Some((0, 3, 0)), None, None));
        assert_eq!(odd.metadata["run"], "7");
        for errors in [json!(null), json!({}), json!([]), json!({"data": null}), json!("x"), json!([null])] {
            assert_eq!(batch(json!({"id": "b", "errors": errors})).refusals, []);
        }
        let bare = batch(
            json!({"id": "b", "errors": ["no", {"line": 0, "code": null}], "metadata": [1], "status": "VALIDATING"}),
        );
        assert_eq!((bare.refusals[0].message.as_str(), bare.refusals[1].line), ("no", None));
        assert_eq!((bare.status.as_str(), bare.metadata.len()), ("validating", 0));
    }

    #[test]
    fn what_has_no_id_is_unreadable() {
        for value in [json!({}), json!([]), json!(null), json!({"id": ""}), json!({"id": 7})] {
            assert_eq!(Batch::from_json(value.clone()), None);
            assert_eq!(RemoteFile::from_json(&value), None);
            assert_eq!(BatchPage::from_json(&json!({"data": [value]})), None);
        }
        assert_eq!(BatchPage::from_json(&json!({"data": {}})), None);
        let mixed = json!({"data": [{"id": "f", "object": "file"}, {"id": "b", "object": "batch"}], "has_more": true});
        assert_eq!(BatchPage::from_json(&mixed).map(|page| (page.batches.len(), page.has_more)), Some((1, true)));
        let more = |page: Value| BatchPage::from_json(&page).map(|page| page.has_more);
        assert_eq!(more(json!({"data": [], "has_more": true})), Some(true));
        assert_eq!(more(json!({"data": [], "has_more": "yes"})), Some(false));
    }

    #[test]
    fn a_file_waits_only_for_known_reasons() {
        for (status, ready) in
            [(json!("processed"), true), (json!(null), true), (json!("Pending"), false), (json!(""), true)]
        {
            let file = RemoteFile::from_json(&json!({"id": "f", "status": status})).expect("file");
            assert_eq!(file.ready, ready, "{status}");
        }
    }
}
