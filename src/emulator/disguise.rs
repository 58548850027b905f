//! Objects and lines as a scenario shows them: the truth in, what the caller sees out. Nothing here changes the truth.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::habits::{Counts, Habits, Times};
use super::record::{BatchRecord, FileRecord, Status};
use super::scenario::BatchRule;
use super::wire::{BatchObject, FileObject};

/// A batch after `looks` earlier looks.
pub(crate) fn batch(record: &BatchRecord, fault: Option<&BatchRule>, habits: &Habits, looks: u32) -> Value {
    let seen = as_seen(record, habits, looks);
    let mut object = serde_json::to_value(BatchObject::from(seen.as_ref())).unwrap_or_default();
    if habits.early_results || (habits.names_both_files && seen.status.is_terminal()) {
        object["output_file_id"] = record.asked.output_file_id.as_str().into();
        object["error_file_id"] = record.asked.error_file_id.as_str().into();
    }
    match habits.counts {
        Counts::True => {}
        Counts::Null => object["request_counts"] = Value::Null,
        Counts::Lagging => object["request_counts"]["completed"] = (seen.completed / 2).into(),
    }
    if seen.status == Status::Validating
        && let Some(word) = &habits.first_status
    {
        object["status"] = word.as_str().into();
    }
    times(&mut object, habits.times);
    show(&mut object, &habits.batch);
    let shown = fault.map(|fault| fault.show.as_slice()).unwrap_or_default();
    let word = seen.status.word();
    for one in shown.iter().filter(|one| one.status.as_deref().is_none_or(|status| status == word)) {
        if one.looks.is_none_or(|most| looks < most) {
            show(&mut object, &one.members);
        }
    }
    if habits.upper_case {
        object["status"] = object["status"].as_str().map(str::to_uppercase).into();
    }
    object
}

/// The batch as far as it has been looked at, where each look shows one status.
fn as_seen<'a>(record: &'a BatchRecord, habits: &Habits, looks: u32) -> Cow<'a, BatchRecord> {
    let road = [Status::Validating, Status::InProgress, Status::Finalizing];
    let reached = match record.status {
        Status::Validating => 0,
        Status::InProgress | Status::Cancelling => 1,
        Status::Finalizing | Status::Expiring => 2,
        Status::Completed | Status::Expired | Status::Cancelled | Status::Failed => road.len(),
    };
    match road.get(looks as usize) {
        Some(status) if habits.one_status_a_look && (looks as usize) < reached => {
            Cow::Owned(BatchRecord { status: *status, ..record.clone() })
        }
        _ => Cow::Borrowed(record),
    }
}

/// A file.
pub(crate) fn file(record: &FileRecord, habits: &Habits) -> Value {
    let mut object = serde_json::to_value(FileObject::from(record)).unwrap_or_default();
    times(&mut object, habits.times);
    show(&mut object, &habits.file);
    object
}

/// Shows `members` instead of the true ones; the words `<null>` and `<absent>` stand for what TOML cannot say.
fn show(object: &mut Value, members: &Map<String, Value>) {
    let Some(object) = object.as_object_mut() else { return };
    for (name, shown) in members {
        match shown.as_str() {
            Some("<absent>") => drop(object.remove(name)),
            Some("<null>") => drop(object.insert(name.clone(), Value::Null)),
            _ => drop(object.insert(name.clone(), shown.clone())),
        }
    }
}

fn times(object: &mut Value, times: Times) {
    let members = object.as_object_mut().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| name.ends_with("_at")) {
        let written = value.as_i64().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        match (times, written) {
            (Times::Iso, Some(moment)) => *value = moment.to_string().into(),
            (Times::Never, Some(_)) if name != "created_at" => *value = Value::Null,
            _ => {}
        }
    }
}

/// A result line, its newline included.
pub(crate) fn line(bytes: Vec<u8>, habits: &Habits) -> Vec<u8> {
    if !(habits.body_as_text || habits.sparse_lines || habits.extra_members) {
        return bytes;
    }
    let Ok(mut line) = serde_json::from_slice::<Value>(&bytes) else { return bytes };
    if habits.body_as_text
        && let Some(body) = line.pointer_mut("/response/body")
    {
        let words = body.pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
        *body = words.unwrap_or_else(|| body.to_string()).into();
    }
    if let Some(members) = line.as_object_mut() {
        if habits.sparse_lines {
            members.retain(|_, value| !value.is_null());
        }
        if habits.extra_members {
            members.insert("object".to_owned(), "batch.request.output".into());
            members.insert("timing".to_owned(), json!({"queued_ms": 12, "steps": [1, null]}));
        }
    }
    let mut bytes = line.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}
