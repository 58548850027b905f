//! What is written against the examples of the reference: the same values, the same members in the same order.

use serde_json::Value;

use super::super::answer::{answer, never_ran};
use super::super::engine::{Answered, ChatRequest, Engine, Said};
use super::super::faults::Faults;
use super::super::record::{BatchRecord, FileRecord, Opened, Purpose, Status, Tokens, Verdict};
use super::super::refusal::Refusal;
use super::super::scenario::{LineRule, Outcome, Scenario, When};
use super::super::validate::question;
use super::*;

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../tests/data/api/", $path))
    };
}

/// The members of the outermost object, in the order of the text.
fn members(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let read: serde_json::Map<String, Value> = serde_json::from_str(text).expect("an object");
    let mut places: Vec<(usize, String)> =
        read.keys().map(|name| (text.find(&format!("\"{name}\":")).expect("a member"), name.clone())).collect();
    places.sort();
    names.extend(places.into_iter().map(|(_, name)| name));
    names
}

/// A record that should look like `example`.
fn record(example: &Value, status: Status) -> BatchRecord {
    let text = |name: &str| example[name].as_str().unwrap_or("file-unused").to_owned();
    let time = |name: &str| example[name].as_i64().map(|seconds| seconds * 1000 + 999);
    let count = |name: &str| u32::try_from(example["request_counts"][name].as_u64().expect("count")).expect("count");
    let mut record = BatchRecord::new(Opened {
        id: text("id"),
        input_file_id: text("input_file_id"),
        output_file_id: text("output_file_id"),
        error_file_id: text("error_file_id"),
        endpoint: text("endpoint"),
        metadata: serde_json::from_value(example["metadata"].clone()).expect("metadata"),
        results_live: 0,
        created_at: time("created_at").expect("created"),
        expires_at: time("expires_at").expect("expires"),
    });
    record.status = status;
    record.times.in_progress = time("in_progress_at");
    record.times.finalizing = time("finalizing_at");
    record.times.completed = time("completed_at");
    record.times.failed = time("failed_at");
    record.times.expired = time("expired_at");
    record.times.cancelling = time("cancelling_at");
    record.times.cancelled = time("cancelled_at");
    (record.completed, record.failed) = (count("completed"), count("failed"));
    record.output_bytes = u64::from(example["output_file_id"].is_string());
    record.error_bytes = u64::from(example["error_file_id"].is_string());
    let usage = &example["usage"];
    record.tokens = Tokens {
        prompt: usage["input_tokens"].as_u64().unwrap_or(0),
        cached: 0,
        output: usage["output_tokens"].as_u64().unwrap_or(0),
        reasoning: usage["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0),
    };
    let errors = serde_json::from_value(example["errors"]["data"].clone()).unwrap_or_default();
    record.verdict = Some(Verdict { total: count("total"), model: Some(text("model")), enqueued_tokens: 0, errors });
    record
}

#[test]
fn batches_look_like_the_examples() {
    for (text, status) in [
        (example!("batches/validating.json"), Status::Validating),
        (example!("batches/in_progress.json"), Status::InProgress),
        (example!("batches/finalizing.json"), Status::Finalizing),
        (example!("batches/completed_clean.json"), Status::Completed),
        (example!("batches/completed_mixed.json"), Status::Completed),
        (example!("batches/completed_all_failed.json"), Status::Completed),
        (example!("batches/expired.json"), Status::Expired),
        (example!("batches/cancelling.json"), Status::Cancelling),
        (example!("batches/cancelled.json"), Status::Cancelled),
        (example!("batches/failed_validation.json"), Status::Failed),
        (example!("batches/failed_token_limit.json"), Status::Failed),
        (example!("batches/failed_file_too_large.json"), Status::Failed),
    ] {
        let example: Value = serde_json::from_str(text).expect("example");
        let record = record(&example, status);
        let written = serde_json::to_string(&BatchObject::from(&record)).expect("json");
        assert_eq!(serde_json::from_str::<Value>(&written).expect("json"), example);
        assert_eq!(members(&written), members(text));
    }
}

#[test]
fn files_and_listings_look_like_the_examples() {
    for text in [example!("files/batch_output.json"), example!("files/created.json")] {
        let example: Value = serde_json::from_str(text).expect("example");
        let purpose = if example["purpose"] == "batch" { Purpose::Batch } else { Purpose::BatchOutput };
        let time = |name: &str| example[name].as_i64().expect("time") * 1000;
        let file = FileRecord {
            id: example["id"].as_str().expect("id").to_owned(),
            bytes: example["bytes"].as_u64().expect("bytes"),
            filename: example["filename"].as_str().expect("name").to_owned(),
            purpose,
            created_at: time("created_at"),
            expires_at: time("expires_at"),
        };
        assert_eq!(serde_json::to_value(FileObject::from(&file)).expect("json"), example);
        let page = Page { records: vec![&file], has_more: false };
        let list = serde_json::to_value(ListObject::<FileObject<'_>>::new(&page, |file: &FileRecord| &file.id));
        assert_eq!(list.expect("json")["first_id"], example["id"]);
    }
    let deleted: Value = serde_json::from_str(example!("files/deleted.json")).expect("example");
    let id = deleted["id"].as_str().expect("id");
    assert_eq!(serde_json::to_value(DeletedFile::new(id)).expect("json"), deleted);
    let empty = Page::<&BatchRecord> { records: Vec::new(), has_more: false };
    let list = ListObject::<BatchObject<'_>>::new(&empty, |batch: &BatchRecord| &batch.asked.id);
    let example: Value = serde_json::from_str(example!("batches/list_empty.json")).expect("example");
    assert_eq!(serde_json::to_value(list).expect("json"), example);
}

#[test]
fn refusals_look_like_the_examples() {
    let supported = "'/v1/chat/completions', '/v1/completions', '/v1/embeddings', and '/v1/responses'";
    for (text, refusal) in [
        (example!("http-errors/400_file_too_large.json"), Refusal::too_large(400)),
        (
            example!("http-errors/400_invalid_endpoint.json"),
            Refusal::invalid_value("endpoint", "/v1/invalid/endpoint", supported),
        ),
        (example!("http-errors/400_missing_parameter.json"), Refusal::missing("input_file_id")),
        (example!("http-errors/400_not_jsonl.json"), Refusal::not_jsonl()),
        (example!("http-errors/404_no_batch.json"), Refusal::no_such_batch("batch-nonexistent-xyz")),
        (example!("http-errors/404_no_file.json"), Refusal::no_such_file("file-nonexistent-xyz")),
        (example!("http-errors/409_cannot_cancel.json"), Refusal::cannot_cancel("completed")),
        (example!("http-errors/500_server_error.json"), Refusal::server_error()),
        (
            &example!("http-errors/400_cannot_find_file.json").replace("proj_XXXXXXXXXXXXXXXXXXXXXXXX", "proj_local"),
            Refusal::cannot_find_file("file-7tEGC12rDDyQxYWmUx4r1e"),
        ),
    ] {
        let example: Value = serde_json::from_str(text).expect("example");
        assert_eq!(serde_json::to_value(ErrorObject::from(&refusal)).expect("json"), example);
    }
}

/// Answers always the same.
struct Fixed;

impl Engine for Fixed {
    fn model(&self) -> &str {
        "gpt-5.4-mini-2026-03-17"
    }

    fn answer(&self, _: &ChatRequest<'_>) -> Answered {
        let text = "{\"text\":\"Feb. 10, 1909. Dear Sir and Brother: ...\",\"legible\":true}".to_owned();
        Ok(Said { completion_tokens: 212, reasoning_tokens: 64, ..Said::text(self.model(), text, 1630) })
    }
}

/// The same with ids, times and token counts made equal, which differ by nature.
fn alike(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).expect("a line");
    value["id"] = Value::Null;
    value["custom_id"] = Value::Null;
    let response = &mut value["response"];
    if response["status_code"] != 0 && response.is_object() {
        response["request_id"] = Value::Null;
    }
    if let Some(body) = response["body"].as_object_mut() {
        for name in ["id", "created", "model", "usage"] {
            if body.contains_key(name) {
                body[name] = Value::Null;
            }
        }
        if let Some(choice) = body.get_mut("choices").and_then(|choices| choices[0].as_object_mut()) {
            choice.entry("logprobs").or_insert(Value::Null);
        }
        if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
            error["message"] = Value::Null;
        }
    }
    value
}

#[test]
fn result_lines_look_like_the_examples() {
    let asked = example!("input-lines/chat_vision_base64.jsonl");
    for (text, forced) in [
        (example!("output-lines/chat_success.jsonl"), None),
        (example!("output-lines/chat_refusal.jsonl"), Some(Outcome::Refusal)),
        (example!("output-lines/chat_length_cut.jsonl"), Some(Outcome::LengthCut)),
        (example!("output-lines/chat_length_empty.jsonl"), Some(Outcome::LengthEmpty)),
        (example!("output-lines/chat_content_filter.jsonl"), Some(Outcome::ContentFilter)),
        (example!("error-lines/http_500_server_error.jsonl"), Some(Outcome::ServerError)),
        (example!("error-lines/http_429_insufficient_quota.jsonl"), Some(Outcome::InsufficientQuota)),
        (example!("error-lines/status_zero.jsonl"), Some(Outcome::StatusZero)),
        (example!("error-lines/request_timeout.jsonl"), Some(Outcome::RequestTimeout)),
    ] {
        let question = question(asked.as_bytes()).expect("a line");
        let rule = |outcome| LineRule { custom_id_contains: String::new(), when: When::default(), outcome };
        let faults = Faults::new(Scenario { line: forced.map(rule).into_iter().collect(), ..Scenario::default() });
        let written = answer(&Fixed, &faults, &question, ("batch_1/0", 1_794_271_800));
        let line = std::str::from_utf8(&written.bytes).expect("UTF-8");
        assert_eq!(alike(line), alike(text), "{forced:?}");
        assert_eq!(members(line), ["id", "custom_id", "response", "error"]);
        assert_eq!(written.failed, text.contains("\"status_code\": 200").then_some(()).is_none());
    }
    for (text, code) in [
        (example!("error-lines/batch_expired.jsonl"), "batch_expired"),
        (example!("error-lines/batch_cancelled.jsonl"), "batch_cancelled"),
    ] {
        let example: Value = serde_json::from_str(text).expect("example");
        let line = never_ran("x", "t", Some(code), example["error"]["message"].as_str().expect("message"));
        assert_eq!(alike(std::str::from_utf8(&line).expect("UTF-8")), alike(text));
    }
}

#[test]
fn the_usage_of_an_answer_has_the_members_of_the_example() {
    let asked = example!("input-lines/chat_json_schema.jsonl");
    let question = question(asked.as_bytes()).expect("a line");
    let faults = Faults::new(Scenario::default());
    let written = answer(&Fixed, &faults, &question, ("batch_1/0", 1_794_271_800));
    let usage =
        |line: &[u8]| serde_json::from_slice::<Value>(line).expect("a line")["response"]["body"]["usage"].clone();
    assert_eq!(usage(&written.bytes), usage(example!("output-lines/chat_success.jsonl").as_bytes()));
}
