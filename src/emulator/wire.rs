//! The service's own wire types, exact when writing: the members and their order are those of the reference's examples.
//!
//! Nothing here is shared with the client's lenient types, so that one mistake cannot hide on both sides.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::core::Page;
use super::record::{BatchRecord, FileRecord, Status, Tokens};
use super::refusal::{LineError, Refusal};
use crate::kit::clock::Millis;

/// Unix seconds, as the API counts them.
pub(crate) fn seconds(moment: Millis) -> i64 {
    moment.div_euclid(1000)
}

#[derive(Serialize)]
pub(crate) struct FileObject<'a> {
    object: &'static str,
    id: &'a str,
    purpose: &'static str,
    filename: &'a str,
    bytes: u64,
    created_at: i64,
    expires_at: i64,
    status: &'static str,
    status_details: Option<&'static str>,
}

impl<'a> From<&'a FileRecord> for FileObject<'a> {
    fn from(file: &'a FileRecord) -> Self {
        Self {
            object: "file",
            id: &file.id,
            purpose: file.purpose.word(),
            filename: &file.filename,
            bytes: file.bytes,
            created_at: seconds(file.created_at),
            expires_at: seconds(file.expires_at),
            status: "processed",
            status_details: None,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct DeletedFile<'a> {
    object: &'static str,
    id: &'a str,
    deleted: bool,
}

impl<'a> DeletedFile<'a> {
    pub(crate) fn new(id: &'a str) -> Self {
        Self { object: "file", id, deleted: true }
    }
}

#[derive(Serialize)]
pub(crate) struct BatchObject<'a> {
    id: &'a str,
    object: &'static str,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    errors: Option<List<&'a LineError>>,
    input_file_id: &'a str,
    completion_window: &'static str,
    status: &'static str,
    output_file_id: Option<&'a str>,
    error_file_id: Option<&'a str>,
    created_at: i64,
    in_progress_at: Option<i64>,
    expires_at: i64,
    finalizing_at: Option<i64>,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    expired_at: Option<i64>,
    cancelling_at: Option<i64>,
    cancelled_at: Option<i64>,
    request_counts: Counts,
    metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<BatchUsage>,
}

#[derive(Serialize)]
struct List<T> {
    object: &'static str,
    data: Vec<T>,
}

#[derive(Serialize)]
struct Counts {
    total: u32,
    completed: u32,
    failed: u32,
}

#[derive(Serialize)]
struct BatchUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<Tokens> for BatchUsage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.prompt,
            input_tokens_details: InputDetails { cached_tokens: tokens.cached },
            output_tokens: tokens.output,
            output_tokens_details: OutputDetails { reasoning_tokens: tokens.reasoning },
            total_tokens: tokens.prompt + tokens.output,
        }
    }
}

impl<'a> From<&'a BatchRecord> for BatchObject<'a> {
    fn from(batch: &'a BatchRecord) -> Self {
        let asked = &batch.asked;
        let verdict = batch.verdict.as_ref();
        // Counts and errors appear only with the end of validation, whenever the file was read.
        let validated = batch.status != Status::Validating;
        let ended = matches!(batch.status, Status::Completed | Status::Expired | Status::Cancelled);
        let file = |id: &'a str, bytes: u64| (ended && bytes > 0).then_some(id);
        let errors = verdict.map(|verdict| &verdict.errors).filter(|errors| validated && !errors.is_empty());
        let time = |moment: Option<Millis>| moment.map(seconds);
        Self {
            id: &asked.id,
            object: "batch",
            endpoint: &asked.endpoint,
            model: verdict.and_then(|verdict| verdict.model.as_deref()),
            errors: errors.map(|errors| List { object: "list", data: errors.iter().collect() }),
            input_file_id: &asked.input_file_id,
            completion_window: "24h",
            status: batch.status.word(),
            output_file_id: file(&asked.output_file_id, batch.output_bytes),
            error_file_id: file(&asked.error_file_id, batch.error_bytes),
            created_at: seconds(asked.created_at),
            in_progress_at: time(batch.times.in_progress),
            expires_at: seconds(asked.expires_at),
            finalizing_at: time(batch.times.finalizing),
            completed_at: time(batch.times.completed),
            failed_at: time(batch.times.failed),
            expired_at: time(batch.times.expired),
            cancelling_at: time(batch.times.cancelling),
            cancelled_at: time(batch.times.cancelled),
            request_counts: Counts {
                total: if validated { batch.total() } else { 0 },
                completed: batch.completed,
                failed: batch.failed,
            },
            metadata: asked.metadata.as_ref(),
            usage: ended.then(|| batch.tokens.into()),
        }
    }
}

/// A page of a listing; an empty one has neither first nor last id.
#[derive(Serialize)]
pub(crate) struct ListObject<'a, T> {
    object: &'static str,
    data: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_id: Option<&'a str>,
    has_more: bool,
}

impl<'a, T> ListObject<'a, T> {
    /// The page on the wire; `id` names a record.
    pub(crate) fn new<R>(page: &Page<&'a R>, id: impl Fn(&'a R) -> &'a str) -> Self
    where
        T: From<&'a R>,
    {
        Self {
            object: "list",
            data: page.records.iter().map(|record| T::from(record)).collect(),
            first_id: page.records.first().map(|record| id(record)),
            last_id: page.records.last().map(|record| id(record)),
            has_more: page.has_more,
        }
    }
}

/// `{"error": {…}}`, over HTTP and inside result lines.
#[derive(Serialize)]
pub(crate) struct ErrorObject<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl<'a> From<&'a Refusal> for ErrorObject<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        let Refusal { message, kind, param, code, .. } = refusal;
        Self { error: ErrorBody { message, kind, param: param.as_deref(), code: code.as_deref() } }
    }
}

/// One line of a result file.
#[derive(Serialize)]
pub(crate) struct ResultLine<'a> {
    pub(crate) id: String,
    pub(crate) custom_id: &'a str,
    pub(crate) response: Option<LineResponse<'a>>,
    pub(crate) error: Option<LineFault<'a>>,
}

#[derive(Serialize)]
pub(crate) struct LineResponse<'a> {
    pub(crate) status_code: u16,
    pub(crate) request_id: String,
    pub(crate) body: &'a RawValue,
}

/// Why a line never ran.
#[derive(Serialize)]
pub(crate) struct LineFault<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) message: &'a str,
}

/// An answer of `/v1/chat/completions`.
#[derive(Serialize)]
pub(crate) struct ChatCompletion<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: ChatUsage,
    service_tier: &'static str,
    system_fingerprint: Option<&'static str>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: ChatMessage<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct ChatMessage<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    annotations: [(); 0],
}

#[derive(Serialize)]
struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl<'a> ChatCompletion<'a> {
    /// An answer named `tag`, given at `created` (unix seconds).
    pub(crate) fn new(tag: &str, created: i64, answer: &'a super::engine::Said) -> Self {
        let tokens = answer.tokens();
        let message = ChatMessage {
            role: "assistant",
            content: answer.content.as_deref(),
            refusal: answer.refusal.as_deref(),
            annotations: [],
        };
        Self {
            id: format!("chatcmpl-{tag}"),
            object: "chat.completion",
            created,
            model: &answer.model,
            choices: [Choice { index: 0, message, logprobs: None, finish_reason: &answer.finish_reason }],
            usage: ChatUsage {
                prompt_tokens: tokens.prompt,
                completion_tokens: tokens.output,
                total_tokens: tokens.prompt + tokens.output,
                prompt_tokens_details: PromptDetails { cached_tokens: tokens.cached, audio_tokens: 0 },
                completion_tokens_details: CompletionDetails {
                    reasoning_tokens: tokens.reasoning,
                    audio_tokens: 0,
                    accepted_prediction_tokens: 0,
                    rejected_prediction_tokens: 0,
                },
            },
            service_tier: "default",
            system_fingerprint: None,
        }
    }
}

#[cfg(test)]
#[path = "tests/wire.rs"]
mod tests;
