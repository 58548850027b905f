//! Refusals: what the service says no with, at once over HTTP or later in a batch's `errors`.
//!
//! Texts and codes as in the reference, sections 4.1, 4.2 and 5.4; one function for each, so that a table of tests can
//! name them all.

use std::io;

use serde::{Deserialize, Serialize};

/// An error answer: HTTP status and the members of its `error` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// One sentence.
    pub message: String,
    /// `invalid_request_error`, `server_error`, `insufficient_quota`, …
    pub kind: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The machine's word, where there is one.
    pub code: Option<String>,
}

impl Refusal {
    /// A refusal of the caller's request.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
        Self { status, message: message.into(), kind: kind.to_owned(), param: None, code: None }
    }

    /// With the parameter at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// With the machine's word.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::new(400, message).param(param).code("missing_required_parameter")
    }

    pub(crate) fn unknown_parameter(param: &str) -> Self {
        Self::new(400, format!("Unknown parameter: '{param}'.")).param(param).code("unknown_parameter")
    }

    /// A parameter of chat completions in a request to the Responses API.
    pub(crate) fn moved(param: &str, to: &str) -> Self {
        let message = format!(
            "Unsupported parameter: '{param}'. In the Responses API, this parameter has moved to '{to}'. Try again with \
             the new parameter."
        );
        Self::new(400, message).param(param).code("unsupported_parameter")
    }

    /// No such model.
    pub(crate) fn no_such_model(model: &str) -> Self {
        let message = format!("The model '{model}' does not exist or you do not have access to it.");
        Self::new(404, message).param("model").code("model_not_found")
    }

    pub(crate) fn invalid_type(param: &str, expected: &str, got: &str) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::new(400, message).param(param).code("invalid_type")
    }

    pub(crate) fn invalid_value(param: &str, value: &str, supported: &str) -> Self {
        let message = format!("Invalid value: '{value}'. Supported values are: {supported}.");
        Self::new(400, message).param(param).code("invalid_value")
    }

    pub(crate) fn out_of_range(param: &str, got: i64, lowest: i64, highest: i64) -> Self {
        let (side, code, bound) = if got < lowest {
            ("below minimum value. Expected a value >=", "integer_below_min_value", lowest)
        } else {
            ("above maximum value. Expected a value <=", "integer_above_max_value", highest)
        };
        let message = format!("Invalid '{param}': integer {side} {bound}, but got {got} instead.");
        Self::new(400, message).param(param).code(code)
    }

    pub(crate) fn not_jsonl() -> Self {
        Self::new(400, "Invalid file format for Batch API. Must be .jsonl")
    }

    pub(crate) fn empty_upload() -> Self {
        Self::new(400, "File is empty.").param("file")
    }

    pub(crate) fn too_large(status: u16) -> Self {
        Self::new(status, "File is too large.")
    }

    pub(crate) fn no_such_file(id: &str) -> Self {
        Self::new(404, format!("No such File object: {id}")).param("id")
    }

    /// A batch names a file that is not there, or not visible yet.
    pub(crate) fn cannot_find_file(id: &str) -> Self {
        let message = format!("Cannot find file {id}, or project proj_local does not have access to it.");
        Self::new(400, message).param("file_id")
    }

    pub(crate) fn no_such_batch(id: &str) -> Self {
        Self::new(404, format!("No batch found with id '{id}'."))
    }

    pub(crate) fn cannot_cancel(status: &str) -> Self {
        Self::new(409, format!("Cannot cancel a batch with status '{status}'."))
    }

    pub(crate) fn no_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                       using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self::new(401, message).code("invalid_api_key")
    }

    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        Self::new(404, format!("Invalid URL ({method} {path})")).code("unknown_url")
    }

    pub(crate) fn server_error() -> Self {
        Self::new(500, "The server had an error while processing your request. Sorry about that!")
    }
}

/// A server of one's own says what is wrong with it, which the service would not.
impl Refusal {
    /// The disk refused something that may be tried again.
    pub(crate) fn disk(cause: &io::Error) -> Self {
        Self::new(500, format!("The built-in server cannot use its state folder: {cause}"))
    }

    /// The disk refused something that memory is ahead of by now.
    pub(crate) fn broken(cause: &io::Error) -> Self {
        let until = "nothing more is done until it is started again";
        Self::new(500, format!("The built-in server cannot use its state folder: {cause}; {until}"))
    }
}

/// One entry of a batch's `errors.data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// Line of the input file, from 1; none if the file as a whole is meant.
    pub(crate) line: Option<u32>,
}

impl LineError {
    fn new(code: &str, message: impl Into<String>, param: Option<&str>) -> Self {
        Self { code: code.to_owned(), message: message.into(), param: param.map(str::to_owned), line: None }
    }

    /// The same, said of line `line` (from 1).
    pub(crate) fn at(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn invalid_json() -> Self {
        Self::new("invalid_json_line", "This line is not parseable as valid JSON.", None)
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::new("missing_required_parameter", format!("Missing required parameter: '{param}'."), Some(param))
    }

    pub(crate) fn invalid_type(param: &str, expected: &str) -> Self {
        Self::new("invalid_type", format!("Invalid type for '{param}': expected {expected}."), Some(param))
    }

    pub(crate) fn invalid_method(method: &str) -> Self {
        let message = format!("Invalid value: '{method}'. Supported values are: 'POST'.");
        Self::new("invalid_value", message, Some("method"))
    }

    pub(crate) fn invalid_url() -> Self {
        let message = "The URL provided for this request does not match the batch endpoint.";
        Self::new("invalid_url", message, Some("url"))
    }

    pub(crate) fn model_not_found(model: &str) -> Self {
        let message = format!("The provided model '{model}' is not supported by the Batch API.");
        Self::new("model_not_found", message, Some("body.model"))
    }

    pub(crate) fn model_required() -> Self {
        Self::new("invalid_request", "Model parameter is required.", Some("body.model"))
    }

    pub(crate) fn messages_required() -> Self {
        Self::new("invalid_request", "Messages parameter is required.", Some("body.messages"))
    }

    pub(crate) fn input_required() -> Self {
        Self::new("invalid_request", "Input parameter is required.", Some("body.input"))
    }

    pub(crate) fn streaming() -> Self {
        let message = "Chat Completions: Streaming is not supported in the Batch API.";
        Self::new("streaming_unsupported", message, Some("body.stream"))
    }

    pub(crate) fn duplicate(custom_id: &str) -> Self {
        let message = format!(
            "The custom_id '{custom_id}' for this request is a duplicate of another request. The custom_id parameter \
             must be unique for each request in a batch."
        );
        Self::new("duplicate_custom_id", message, Some("custom_id"))
    }

    pub(crate) fn mismatched_model(model: &str) -> Self {
        let message = format!(
            "The model '{model}' for this request does not match the rest of the batch. Each batch must contain \
             requests for a single model."
        );
        Self::new("mismatched_model", message, Some("body.model"))
    }

    pub(crate) fn empty_file() -> Self {
        let message = "The input file is empty. Please ensure that the batch contains at least one request.";
        Self::new("empty_file", message, None)
    }

    /// The service's own code for this is not known (reference, open question 1); this one is Azure's.
    pub(crate) fn too_many_lines(most: u32) -> Self {
        let message = format!("The number of requests in the input file exceeds the maximum of {most}.");
        Self::new("too_many_tasks", message, None)
    }

    pub(crate) fn file_too_large(most: u64, model: &str) -> Self {
        let message = format!("The batch input file is larger than the {most} maximum for the {model} model.");
        Self::new("file_too_large", message, None)
    }

    pub(crate) fn cannot_find_file(id: &str) -> Self {
        let message = format!("Cannot find file {id}, or organization org-local does not have access to it.");
        Self::new("invalid_request", message, Some("file_id"))
    }

    pub(crate) fn token_limit(model: &str, limit: u64) -> Self {
        let message = format!(
            "Enqueued token limit reached for {model} in organization org-local. Limit: {} enqueued tokens. Please \
             try again once some in_progress batches have been completed.",
            grouped(limit)
        );
        Self::new("token_limit_exceeded", message, None)
    }
}

/// `2000000` as `2,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_as_the_service_writes_them() {
        assert_eq!([grouped(0), grouped(999), grouped(2_000_000)], ["0", "999", "2,000,000"]);
    }
}
