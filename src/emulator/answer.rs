//! Answers one line: engine or forced outcome in, result line and what it costs out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde_json::value::RawValue;

use super::bad::{Way, spoil};
use super::bill::print_of;
use super::disguise;
use super::endpoint::Endpoint;
use super::engine::{Answered, ChatRequest, Engine, Said};
use super::faults::Faults;
use super::record::Tokens;
use super::refusal::Refusal;
use super::response::ResponseObject;
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
    /// Whether the scenario keeps a billed answer from its reader.
    pub(crate) withheld: bool,
    /// What the scenario made of the answer.
    pub(crate) forced: Option<Forced>,
}

/// What a scenario makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Forced {
    /// By a rule of lines.
    Line(Outcome),
    /// By a rule of images.
    Image(Way),
}

/// What came of a request: an answer of the endpoint, or a line that never reached it.
enum Ended {
    Answered(Answered),
    StatusZero,
    NeverRan(Option<&'static str>, &'static str),
}

/// Asks the engine, whose panic is a server error and not ours.
pub(crate) fn ask(engine: &dyn Engine, request: &ChatRequest<'_>) -> Answered {
    catch_unwind(AssertUnwindSafe(|| engine.answer(request))).unwrap_or_else(|_| {
        tracing::error!("the engine panicked");
        Err(Refusal::server_error().code("server_error"))
    })
}

/// Answers a request that was made directly, with the outcome that the scenario has for every line.
pub(crate) fn directly(engine: &dyn Engine, forced: Option<Outcome>, request: &ChatRequest<'_>) -> Answered {
    match outcome(engine, forced, request) {
        Ended::Answered(answered) => answered,
        Ended::StatusZero | Ended::NeverRan(..) => Err(Refusal::server_error().code("server_error")),
    }
}

/// Answers `question`; `(tag, created)`: what names it uniquely, and when in unix seconds.
pub(crate) fn answer(
    engine: &dyn Engine,
    faults: &Faults,
    question: &Question<'_>,
    (tag, created): (&str, i64),
) -> Written {
    let forced = faults.of_line(&question.custom_id);
    let request = ChatRequest::read(question.endpoint, question.body);
    let prints = || match &request {
        Ok(request) => request.images.iter().map(|image| print_of(&image.bytes)).collect(),
        Err(_) => Vec::new(),
    };
    let way = match &request {
        Ok(request) if forced.is_none() => faults.of_image(&question.custom_id, request.is_deep()),
        _ => None,
    };
    let mut ended = match (&request, way) {
        (Ok(request), Some(way)) => Ended::Answered(spoil(way, request, ask(engine, request))),
        (Ok(request), None) => outcome(engine, forced, request),
        (Err(refusal), _) => Ended::Answered(Err(refusal.clone())),
    };
    if let Ended::Answered(Ok(said)) = &mut ended {
        said.cached_tokens = said.cached_tokens.max(said.prompt_tokens * faults.habits().cached_percent.min(100) / 100);
    }
    let ended = &ended;
    let billed = match ended {
        Ended::Answered(Ok(said)) => Some((said.tokens(), prints())),
        Ended::Answered(Err(_)) | Ended::StatusZero | Ended::NeverRan(..) => None,
    };
    let asked = request.as_ref().ok();
    let line = |custom_id: &str, ended: &Ended| {
        disguise::line(result_line(custom_id, (tag, created), asked, ended), faults.habits())
    };
    let mut bytes = line(&question.custom_id, ended);
    match forced {
        Some(Outcome::Missing) => bytes.clear(),
        Some(Outcome::Twice) => bytes.extend_from_within(..),
        Some(Outcome::ErrorFirst) => {
            let error = Ended::Answered(Err(Refusal::server_error().code("server_error")));
            bytes.splice(..0, line(&question.custom_id, &error));
        }
        Some(Outcome::UnknownId) => bytes.extend(line("somebody-else-1", ended)),
        Some(Outcome::BrokenLine) => {
            bytes.truncate(bytes.len() / 2);
            bytes.push(b'\n');
        }
        _ => {}
    }
    let withheld = billed.is_some() && matches!(forced, Some(Outcome::Missing | Outcome::BrokenLine));
    let forced = forced.map(Forced::Line).or(way.map(Forced::Image));
    Written { bytes, failed: billed.is_none(), billed, withheld, forced }
}

/// The result line of a line that never ran.
pub(crate) fn never_ran(custom_id: &str, tag: &str, code: Option<&str>, message: &str) -> Vec<u8> {
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
    let Some(forced) = forced else { return Ended::Answered(ask(engine, request)) };
    Ended::Answered(match forced {
        Outcome::Refusal => {
            let refusal = Some("I'm sorry, but I can't help with that request.".to_owned());
            Ok(Said { refusal, ..said("stop", None, 14) })
        }
        Outcome::LengthCut => Ok(said("length", Some("{\"text\":\"Feb. 10, 1909. Dear Sir and Broth"), limit)),
        Outcome::LengthEmpty => Ok(Said { reasoning_tokens: limit, ..said("length", Some(""), limit) }),
        Outcome::Empty => Ok(said("stop", Some(""), 1)),
        Outcome::ContentFilter => Ok(said("content_filter", None, 3)),
        Outcome::FilteredText => Ok(said("content_filter", Some("{\"text\":\"Dear Sir\"}"), 9)),
        Outcome::Fenced => ask(engine, request)
            .map(|said| Said { content: said.content.as_ref().map(|text| format!("```json\n{text}\n```")), ..said }),
        Outcome::StatusZero => return Ended::StatusZero,
        Outcome::RequestTimeout => {
            return Ended::NeverRan(Some("request_timeout"), "The underlying call to the model timed out.");
        }
        Outcome::OddError => return Ended::NeverRan(None, ODD_ERROR),
        other => match refused(other) {
            Some(refusal) => Err(refusal),
            None => ask(engine, request),
        },
    })
}

/// A message as some servers make it of what their own provider said.
const ODD_ERROR: &str = "BadGateway: upstream said {\"error\": {\"type\": \"server_error\", \"trace\": [\"at \\\"serve\\\"\", \
    \"at worker 3\", null], \"retry\": {\"after\": 1.5}}}";

/// The refusal that a line is forced to end as, if it is one.
fn refused(outcome: Outcome) -> Option<Refusal> {
    let told = |status, message: &str, code: &str| Some(Refusal::new(status, message).code(code));
    match outcome {
        Outcome::ServerError => {
            told(500, "An error occurred while processing your request. You can retry your request.", "server_error")
        }
        Outcome::RateLimited => {
            let message = "Rate limit reached on tokens per min (TPM). Please try again in 3.89s.";
            told(429, message, "rate_limit_exceeded")
        }
        Outcome::InsufficientQuota => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            let kind = "insufficient_quota".to_owned();
            Some(Refusal { kind, ..Refusal::new(429, message).code("insufficient_quota") })
        }
        Outcome::UnsupportedValue => {
            let message = "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) \
                           value is supported.";
            told(400, message, "unsupported_value").map(|r| r.param("temperature"))
        }
        Outcome::InvalidImage => {
            told(400, "You uploaded an unsupported image.", "invalid_image_format").map(|r| r.param("messages"))
        }
        Outcome::TooLong => {
            let message =
                "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.";
            told(400, message, "context_length_exceeded").map(|r| r.param("messages"))
        }
        Outcome::DownloadTimeout => {
            told(400, "Timeout while downloading https://example.org/page.jpg.", "invalid_value")
                .map(|r| r.param("url"))
        }
        Outcome::UnsupportedParameter => {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                           'max_completion_tokens' instead.";
            told(400, message, "unsupported_parameter").map(|r| r.param("max_tokens"))
        }
        Outcome::ModelNotFound => {
            told(404, "The model does not exist or you do not have access to it.", "model_not_found")
        }
        Outcome::Unauthorized => told(401, "Incorrect API key provided.", "invalid_api_key"),
        _ => None,
    }
}

/// The answer of the endpoint that was asked.
pub(crate) fn spoken(request: &ChatRequest<'_>, (tag, created): (&str, i64), said: &Said) -> Box<RawValue> {
    match request.endpoint {
        Endpoint::Chat => raw(&ChatCompletion::new(tag, created, said)),
        Endpoint::Responses => raw(&ResponseObject::new(tag, created, request, said)),
    }
}

fn result_line(
    custom_id: &str,
    (tag, created): (&str, i64),
    asked: Option<&ChatRequest<'_>>,
    ended: &Ended,
) -> Vec<u8> {
    let print = hash::hex_digits(tag.as_bytes(), 32);
    let (status_code, request_id, body) = match ended {
        Ended::NeverRan(code, message) => return never_ran(custom_id, tag, *code, message),
        Ended::StatusZero => (0, String::new(), raw(&serde_json::Map::new())),
        Ended::Answered(Ok(said)) => {
            let spoken = asked.map(|request| spoken(request, (&print[..29], created), said));
            (200, print.clone(), spoken.unwrap_or_else(|| raw(&serde_json::Map::new())))
        }
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
