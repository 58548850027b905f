//! Answers one line: engine or forced outcome in, result line and what it costs out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::value::RawValue;

use super::bill::print_of;
use super::engine::{Answered, ChatRequest, Engine, Said};
use super::record::Tokens;
use super::refusal::Refusal;
use super::scenario::Outcome;
use super::validate::Question;
use super::wire::{ChatCompletion, ErrorObject, LineFault, LineResponse, ResultLine};
use crate::kit::hash;

/// A line's end.
pub(crate) struct Written {
    /// The result line with its line end; empty if the scenario has lost it.
    pub(crate) bytes: Vec<u8>,
    /// Whether it belongs into the error file.
    pub(crate) failed: bool,
    /// What is billed, with the SHA-256 of each picture; none if the line costs nothing.
    pub(crate) billed: Option<(Tokens, Vec<String>)>,
}

/// What came of a request: an answer of the endpoint, or a line that never reached it.
enum Ended {
    Answered(Answered),
    StatusZero,
    NeverRan(&'static str, &'static str),
}

/// Asks the engine, whose panic is a server error and not ours.
pub(crate) fn ask(engine: &dyn Engine, request: &ChatRequest<'_>) -> Answered {
    catch_unwind(AssertUnwindSafe(|| engine.answer(request))).unwrap_or_else(|_| {
        tracing::error!("the engine panicked");
        Err(Refusal::server_error().code("server_error"))
    })
}

/// Answers `question`; `tag` names it uniquely, `created` is in unix seconds.
pub(crate) fn answer(
    engine: &dyn Engine,
    forced: Option<Outcome>,
    question: &Question<'_>,
    tag: &str,
    created: i64,
) -> Written {
    let request = ChatRequest::read(question.body);
    let prints = || match &request {
        Ok(request) => request.images.iter().map(|image| print_of(&image.bytes)).collect(),
        Err(_) => Vec::new(),
    };
    let ended = match &request {
        Ok(request) => outcome(engine, forced, request),
        Err(refusal) => Ended::Answered(Err(refusal.clone())),
    };
    let billed = match &ended {
        Ended::Answered(Ok(said)) => Some((said.tokens(), prints())),
        Ended::Answered(Err(_)) | Ended::StatusZero | Ended::NeverRan(..) => None,
    };
    let mut bytes = result_line(&question.custom_id, tag, created, &ended);
    match forced {
        Some(Outcome::Missing) => bytes.clear(),
        Some(Outcome::Twice) => bytes.extend_from_within(..),
        Some(Outcome::BrokenLine) => {
            bytes.truncate(bytes.len() / 2);
            bytes.push(b'\n');
        }
        _ => {}
    }
    Written { bytes, failed: billed.is_none(), billed }
}

/// The result line of a line that never ran.
pub(crate) fn never_ran(custom_id: &str, tag: &str, code: &str, message: &str) -> Vec<u8> {
    let error = Some(LineFault { code, message });
    line_bytes(&ResultLine { id: line_id(tag), custom_id, response: None, error })
}

fn outcome(engine: &dyn Engine, forced: Option<Outcome>, request: &ChatRequest<'_>) -> Ended {
    let limit = request.max_tokens.unwrap_or(2048);
    let said = |finish_reason: &str, content: Option<&str>, tokens: u64| {
        let content = content.map(str::to_owned);
        let mut said = Said::text(engine.model(), String::new(), request.prompt_tokens());
        finish_reason.clone_into(&mut said.finish_reason);
        said.content = content;
        said.completion_tokens = tokens;
        said
    };
    let refused = |status, message: &str, code: &str| Err(Refusal::new(status, message).code(code));
    Ended::Answered(match forced {
        None | Some(Outcome::Missing | Outcome::Twice | Outcome::BrokenLine) => ask(engine, request),
        Some(Outcome::Refusal) => {
            let refusal = Some("I'm sorry, but I can't help with that request.".to_owned());
            Ok(Said { refusal, ..said("stop", None, 14) })
        }
        Some(Outcome::LengthCut) => Ok(said("length", Some("{\"text\":\"Feb. 10, 1909. Dear Sir and Broth"), limit)),
        Some(Outcome::LengthEmpty) => Ok(Said { reasoning_tokens: limit, ..said("length", Some(""), limit) }),
        Some(Outcome::Empty) => Ok(said("stop", Some(""), 1)),
        Some(Outcome::ContentFilter) => Ok(said("content_filter", None, 3)),
        Some(Outcome::ServerError) => {
            refused(500, "An error occurred while processing your request. You can retry your request.", "server_error")
        }
        Some(Outcome::RateLimited) => refused(
            429,
            "Rate limit reached on tokens per min (TPM). Please try again in 3.89s.",
            "rate_limit_exceeded",
        ),
        Some(Outcome::InsufficientQuota) => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            let kind = "insufficient_quota".to_owned();
            Err(Refusal { kind, ..Refusal::new(429, message).code("insufficient_quota") })
        }
        Some(Outcome::UnsupportedValue) => {
            let message = "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) \
                           value is supported.";
            refused(400, message, "unsupported_value").map_err(|r| r.param("temperature"))
        }
        Some(Outcome::InvalidImage) => {
            refused(400, "You uploaded an unsupported image.", "invalid_image_format").map_err(|r| r.param("messages"))
        }
        Some(Outcome::StatusZero) => return Ended::StatusZero,
        Some(Outcome::RequestTimeout) => {
            return Ended::NeverRan("request_timeout", "The underlying call to the model timed out.");
        }
    })
}

fn result_line(custom_id: &str, tag: &str, created: i64, ended: &Ended) -> Vec<u8> {
    let print = hash::hex_digits(tag.as_bytes(), 32);
    let (status_code, request_id, body) = match ended {
        Ended::NeverRan(code, message) => return never_ran(custom_id, tag, code, message),
        Ended::StatusZero => (0, String::new(), raw(&serde_json::Map::new())),
        Ended::Answered(Ok(said)) => (200, print.clone(), raw(&ChatCompletion::new(&print[..29], created, said))),
        Ended::Answered(Err(refusal)) => (refusal.status, print.clone(), raw(&ErrorObject::from(refusal))),
    };
    let response = Some(LineResponse { status_code, request_id, body: &body });
    line_bytes(&ResultLine { id: line_id(tag), custom_id, response, error: None })
}

fn line_id(tag: &str) -> String {
    format!("batch_req_{}", hash::hex_digits(tag.as_bytes(), 32))
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    // Cannot fail: the types are ours, their keys are strings.
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn line_bytes(line: &ResultLine<'_>) -> Vec<u8> {
    // Cannot fail: memory takes every byte, and the keys are strings.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
