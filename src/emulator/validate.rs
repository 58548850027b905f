//! Judges an input file line by line: one faulty line refuses the whole file.
//!
//! The checker sees one line at a time and keeps only the `custom_id`s (as hashes) and the model.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::endpoint::Endpoint;
use super::record::Verdict;
use super::refusal::LineError;
use crate::kit::hash::{self, Short};

/// Errors of one file that are told; the rest would say nothing new.
const MOST_ERRORS: usize = 100;

/// Limits of an input file.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest input file in bytes.
    pub file_bytes: u64,
    /// Most lines of an input file.
    pub lines: u32,
    /// Longest line in bytes: the most that a worker holds in memory.
    pub line_bytes: u64,
    /// HTTP status of an upload above `file_bytes`: 413 as a gateway, 400 as the service itself, or 200 to accept it and
    /// fail its batch at validation.
    pub oversize_status: u16,
    /// Models that exist; empty = every name is taken.
    pub models: Vec<String>,
    /// Sum of the estimated prompt tokens of all open batches; none = no limit.
    pub enqueued_tokens: Option<u64>,
    /// Doubled `custom_id`s, several models, streaming and unknown parameters are taken as they come.
    pub takes_anything: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 209_715_200,
            lines: 50_000,
            line_bytes: 64 * 1024 * 1024,
            oversize_status: 413,
            models: Vec::new(),
            enqueued_tokens: None,
            takes_anything: false,
        }
    }
}

/// An input line; every member is optional here so that the missing one can be named.
#[derive(Deserialize)]
pub(crate) struct InputLine<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    stream: Option<serde_json::Value>,
}

/// The members of a line that a worker needs.
pub(crate) struct Question<'a> {
    pub(crate) custom_id: Cow<'a, str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) body: &'a RawValue,
}

/// Reads a line that has passed validation.
pub(crate) fn question(line: &[u8]) -> Option<Question<'_>> {
    let line: InputLine<'_> = serde_json::from_slice(line).ok()?;
    let endpoint = Endpoint::of_path(&string(line.url?)?)?;
    Some(Question { custom_id: string(line.custom_id?)?, endpoint, body: line.body? })
}

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    // Borrowed unless it holds escapes.
    match serde_json::from_str::<&str>(text) {
        Ok(plain) => Some(Cow::Borrowed(plain)),
        Err(_) => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
    }
}

/// Judges the lines of one file in order.
pub(crate) struct Checker<'a> {
    limits: &'a Limits,
    endpoint: &'a str,
    seen: HashSet<Short>,
    lines: u32,
    verdict: Verdict,
}

impl<'a> Checker<'a> {
    /// A checker for a batch at `endpoint`.
    pub(crate) fn new(limits: &'a Limits, endpoint: &'a str) -> Self {
        Self { limits, endpoint, seen: HashSet::new(), lines: 0, verdict: Verdict::default() }
    }

    /// Judges the next line, given without its line end; `None` stands for one that is too long to be read.
    pub(crate) fn line(&mut self, line: Option<&[u8]>, enqueued_tokens: u64) {
        self.lines += 1;
        self.verdict.enqueued_tokens += enqueued_tokens;
        let judged = line.map_or_else(|| Err(LineError::invalid_json()), |line| self.judge(line));
        if let Err(error) = judged
            && self.verdict.errors.len() < MOST_ERRORS
        {
            self.verdict.errors.push(error.at(self.lines));
        }
    }

    fn judge(&mut self, line: &[u8]) -> Result<(), LineError> {
        let line: InputLine<'_> = serde_json::from_slice(line).map_err(|_| LineError::invalid_json())?;
        let custom_id = member("custom_id", line.custom_id)?;
        let method = member("method", line.method)?;
        let url = member("url", line.url)?;
        let body = line.body.filter(|body| body.get() != "null").ok_or_else(|| LineError::missing("body"))?;
        if method != "POST" {
            return Err(LineError::invalid_method(&method));
        }
        if url != self.endpoint {
            return Err(LineError::invalid_url());
        }
        self.judge_body(body)?;
        if !self.limits.takes_anything && !self.seen.insert(hash::short(custom_id.as_bytes())) {
            return Err(LineError::duplicate(&custom_id));
        }
        Ok(())
    }

    fn judge_body(&mut self, body: &RawValue) -> Result<(), LineError> {
        let body: Body<'_> =
            serde_json::from_str(body.get()).map_err(|_| LineError::invalid_type("body", "an object"))?;
        let model = body.model.and_then(string).filter(|model| !model.is_empty());
        let model = model.ok_or_else(LineError::model_required)?;
        let models = &self.limits.models;
        if !models.is_empty() && !models.iter().any(|known| *known == model) {
            return Err(LineError::model_not_found(&model));
        }
        self.judge_question(&body)?;
        if body.stream == Some(serde_json::Value::Bool(true)) && !self.limits.takes_anything {
            return Err(LineError::streaming());
        }
        match &self.verdict.model {
            Some(first) if *first != model && !self.limits.takes_anything => Err(LineError::mismatched_model(&model)),
            Some(_) => Ok(()),
            None => {
                self.verdict.model = Some(model.into_owned());
                Ok(())
            }
        }
    }

    /// Whether the body asks anything, in the words of its endpoint.
    fn judge_question(&self, body: &Body<'_>) -> Result<(), LineError> {
        let starts =
            |value: Option<&RawValue>, signs: &[char]| value.is_some_and(|value| value.get().starts_with(signs));
        match Endpoint::of_path(self.endpoint) {
            // A text alone is a question there, too.
            Some(Endpoint::Responses) if !starts(body.input, &['[', '"']) => Err(LineError::input_required()),
            Some(Endpoint::Responses) => Ok(()),
            _ if !starts(body.messages, &['[']) => Err(LineError::messages_required()),
            _ => Ok(()),
        }
    }

    /// Whether no further line can change the verdict.
    pub(crate) fn is_over(&self) -> bool {
        self.lines > self.limits.lines
    }

    /// The verdict on a file of `bytes` bytes.
    pub(crate) fn finish(mut self, bytes: u64) -> Verdict {
        let model = self.verdict.model.as_deref().unwrap_or("requested");
        let whole = if bytes > self.limits.file_bytes {
            Some(LineError::file_too_large(self.limits.file_bytes, model))
        } else if self.lines == 0 {
            Some(LineError::empty_file())
        } else if self.lines > self.limits.lines {
            Some(LineError::too_many_lines(self.limits.lines))
        } else {
            None
        };
        if let Some(error) = whole {
            self.verdict.errors = vec![error];
        }
        self.verdict.total = if self.verdict.errors.is_empty() { self.lines } else { 0 };
        self.verdict
    }
}

fn member<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, LineError> {
    let value = value.filter(|value| value.get() != "null").ok_or_else(|| LineError::missing(name))?;
    string(value).ok_or_else(|| LineError::invalid_type(name, "a string"))
}

#[cfg(test)]
#[path = "tests/validate.rs"]
mod tests;
