//! One result line: bytes in, a reading out. Lenient about what may be absent, strict about what it concludes.
//! Source of the cases: `batch-api` reference §2.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::plain;
use crate::domain::answer::{Finish, Outcome};
use crate::domain::batch::Usage;
use crate::kit::json::is_too_deep;
use crate::kit::mend::mended;
use crate::provider::failure::{LONGEST_CODE, LONGEST_MESSAGE, clip};
use crate::provider::result_line::{json_of, status};

/// A line as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which request it answers.
    pub custom_id: String,
    /// What came back.
    pub outcome: Outcome,
    /// Tokens, if told.
    pub usage: Option<Usage>,
}

/// Reads a line; `None` if it is no JSON object with a `custom_id`, names two, or is nested too deep.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Line> {
    let bytes = json_of(bytes)?;
    plain::read(bytes).or_else(|| of_document(bytes))
}

/// Reads any line, as a document.
pub(super) fn of_document(bytes: &[u8]) -> Option<Line> {
    let told: Told = serde_json::from_slice(bytes).or_else(|_| serde_json::from_str(&mended(bytes))).ok()?;
    let Told { custom_id, mut response, error } = told;
    let body = response.get_mut("body").map(|body| opened(body.take()));
    let usage = body.as_ref().and_then(|body| usage(body.get("usage")?));
    Some(Line { custom_id: custom_id?, outcome: outcome(&error, response.get("status_code"), body), usage })
}

/// The members of a line that say something.
#[derive(Default)]
struct Told {
    custom_id: Option<String>,
    response: Value,
    error: Value,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Told, A::Error> {
        let mut told = Told::default();
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "custom_id" => {
                    let id = Some(members.next_value()?);
                    // Whose answer it is would be a guess, and a text beside the wrong image.
                    if told.custom_id.is_some() && told.custom_id != id {
                        return Err(A::Error::custom("two ids"));
                    }
                    told.custom_id = id;
                }
                "response" => told.response = members.next_value()?,
                "error" => told.error = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(told)
    }
}

/// Some servers send the body as a string of JSON.
fn opened(body: Value) -> Value {
    match body {
        Value::String(text) if is_too_deep(text.as_bytes()) => Value::Null,
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn outcome(error: &Value, told: Option<&Value>, body: Option<Value>) -> Outcome {
    if error.is_object() {
        return Outcome::NeverRan { code: clip(&text(error, "code"), LONGEST_CODE) };
    }
    let status = status(told);
    let Some(body) = body.filter(says_something) else {
        return Outcome::NeverRan { code: format!("status_{}", status.unwrap_or(0)) };
    };
    match status {
        Some(200) => answered(&body),
        None | Some(0) => Outcome::NeverRan { code: "status_0".to_owned() },
        Some(status) => {
            let error = body.get("error").unwrap_or(&Value::Null);
            let words =
                [text(error, "message"), plain(error), text(&body, "message"), text(&body, "detail"), plain(&body)];
            let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
            refused(u16::try_from(status).unwrap_or(u16::MAX), error, &words)
        }
    }
}

/// An error with what may be kept of its words: servers repeat keys in them, and may write as much as they like.
fn refused(status: u16, error: &Value, words: &str) -> Outcome {
    Outcome::Error {
        status,
        code: clip(&code(error), LONGEST_CODE),
        param: clip(&text(error, "param"), LONGEST_CODE),
        message: clip(words, LONGEST_MESSAGE),
    }
}

/// Some servers put bare words where the body should be.
fn says_something(body: &Value) -> bool {
    match body {
        Value::Object(members) => !members.is_empty(),
        Value::String(words) => !words.trim().is_empty() && !is_page(words),
        _ => false,
    }
}

/// A page of HTML, which some proxy has made.
fn is_page(words: &str) -> bool {
    let begin: String = words.trim_start().chars().take(14).collect::<String>().to_ascii_lowercase();
    begin.starts_with("<html") || begin == "<!doctype html"
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An endpoint's ordinary answer: a chat completion, or an object of the Responses API, which gateways answer with too.
fn answered(body: &Value) -> Outcome {
    if let Some(words) = body.as_str() {
        // Paid for, whatever it is: judged like an answer that does not tell why it ended.
        return Outcome::Answered {
            content: Some(words.to_owned()),
            refusal: None,
            finish: Finish::Other(String::new()),
        };
    }
    // What was chosen was answered, whatever stands beside it.
    if let Some(error) = body.get("error").filter(|error| error.is_object() && body.get("choices").is_none()) {
        return failed(error);
    }
    match body.get("output").and_then(Value::as_array) {
        Some(items) => response(body, items),
        // One that failed need not have any output.
        None if body.get("object").and_then(Value::as_str) == Some("response") => response(body, &[]),
        None => completion(body),
    }
}

fn completion(body: &Value) -> Outcome {
    let choice = body.get("choices").and_then(|choices| choices.get(0)).unwrap_or(&Value::Null);
    let message = choice.get("message").unwrap_or(&Value::Null);
    let finish = Finish::told(choice.get("finish_reason").and_then(Value::as_str));
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty());
    Outcome::Answered { content: content(message), refusal: refusal.map(str::to_owned), finish }
}

/// An error under 200: the request failed all the same.
fn failed(error: &Value) -> Outcome {
    let status = match code(error).as_str() {
        "server_error" => 500,
        "rate_limit_exceeded" => 429,
        _ => 400,
    };
    refused(status, error, &text(error, "message"))
}

/// Here 200 says nothing yet: the status of the object does, and the text is in any of its message items.
fn response(body: &Value, items: &[Value]) -> Outcome {
    if let Some(status @ ("failed" | "cancelled")) = body.get("status").and_then(Value::as_str) {
        // Without a reason it is nobody's fault.
        let message = format!("the response is {status}");
        return Outcome::Error { status: 500, code: "server_error".to_owned(), param: String::new(), message };
    }
    let stopped_by = body.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Value::as_str);
    let finish = match (stopped_by, body.get("status").and_then(Value::as_str)) {
        (Some("max_output_tokens"), _) => Finish::Length,
        (Some("content_filter"), _) => Finish::ContentFilter,
        (None, Some("completed")) => Finish::Stop,
        (other, status) => Finish::Other(other.or(status).unwrap_or_default().to_owned()),
    };
    let parts = || items.iter().filter_map(|item| item.get("content")?.as_array()).flatten();
    let told = |kind: &str, member: &str| {
        let of_kind = parts().filter(|part| part.get("type").and_then(Value::as_str) == Some(kind));
        let texts: String = of_kind.filter_map(|part| part.get(member)?.as_str()).collect();
        (!texts.is_empty()).then_some(texts)
    };
    Outcome::Answered { content: told("output_text", "text"), refusal: told("refusal", "refusal"), finish }
}

/// A string, or the text parts of a list, joined.
fn content(message: &Value) -> Option<String> {
    match message.get("content")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            Some(parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<String>())
        }
        _ => None,
    }
}

/// Token sums, in the words of chat completions or of the Responses API.
fn usage(told: &Value) -> Option<Usage> {
    let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
    let either = |one: &str, other: &str| count(told, one).or_else(|| count(told, other));
    let detail =
        |lists: [&str; 2], key: &str| lists.into_iter().find_map(|list| count(told.get(list)?, key)).unwrap_or(0);
    Some(Usage {
        prompt: either("prompt_tokens", "input_tokens")?,
        cached: detail(["prompt_tokens_details", "input_tokens_details"], "cached_tokens"),
        output: either("completion_tokens", "output_tokens")?,
        reasoning: detail(["completion_tokens_details", "output_tokens_details"], "reasoning_tokens"),
    })
}

/// Some servers say `insufficient_quota` only as the type.
fn code(error: &Value) -> String {
    Some(text(error, "code")).filter(|code| !code.is_empty()).unwrap_or_else(|| text(error, "type"))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chat(content: &str, finish: &str, refusal: &str) -> String {
        format!(
            r#"{{"custom_id":"a","response":{{"status_code":200,"body":{{"choices":[{{"finish_reason":{finish},
            "message":{{"content":{content},"refusal":{refusal}}}}}],
            "usage":{{"prompt_tokens":1630,"completion_tokens":212,
            "completion_tokens_details":{{"reasoning_tokens":64}}}}}}}},"error":null}}"#
        )
    }

    fn outcome(line: &str) -> Outcome {
        read(line.as_bytes()).expect("an object with an id").outcome
    }

    #[test]
    fn answers_are_told_apart() {
        let answered = |content: Option<&str>, refusal: Option<&str>, finish: Finish| Outcome::Answered {
            content: content.map(str::to_owned),
            refusal: refusal.map(str::to_owned),
            finish,
        };
        let cases = [
            (
                chat(r#""He said \"hello\"\nto me""#, r#""stop""#, "null"),
                answered(Some("He said \"hello\"\nto me"), None, Finish::Stop),
            ),
            (chat("null", r#""stop""#, r#""I cannot""#), answered(None, Some("I cannot"), Finish::Stop)),
            (chat(r#""""#, r#""length""#, "null"), answered(Some(""), None, Finish::Length)),
            (
                chat(r#"[{"type":"text","text":"a"},{"text":"b"}]"#, "null", "null"),
                answered(Some("ab"), None, Finish::Other(String::new())),
            ),
            (chat("7", r#""content_filter""#, r#""""#), answered(None, None, Finish::ContentFilter)),
        ];
        for (line, expected) in cases {
            assert_eq!(outcome(&line), expected, "{line}");
        }
    }

    #[test]
    fn what_never_ran_is_no_answer() {
        let lines = [
            (r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired","message":""}}"#, "batch_expired"),
            (r#"{"custom_id":"a","response":{"status_code":0,"request_id":"","body":{}},"error":null}"#, "status_0"),
            (r#"{"custom_id":"a","response":null,"error":null}"#, "status_0"),
            (r#"{"custom_id":"a"}"#, "status_0"),
            (r#"{"custom_id":"a","response":"odd"}"#, "status_0"),
        ];
        for (line, code) in lines {
            assert_eq!(outcome(line), Outcome::NeverRan { code: code.to_owned() }, "{line}");
        }
    }

    #[test]
    fn an_error_of_the_endpoint_keeps_its_words() {
        let line = r#"{"custom_id":"a","response":{"status_code":400,"body":{"error":{"message":"too long",
            "param":"messages","code":"context_length_exceeded"}}},"error":null}"#;
        let expected = Outcome::Error {
            status: 400,
            code: "context_length_exceeded".into(),
            param: "messages".into(),
            message: "too long".into(),
        };
        assert_eq!(outcome(line), expected);
    }

    #[test]
    fn an_object_of_the_responses_api_is_read_by_its_own_status() {
        let line = |body: &str| format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}}}}"#);
        let failed = |code: &str| {
            let error = format!(r#"{{"output":[],"status":"failed","error":{{"code":"{code}","message":"m"}}}}"#);
            match outcome(&line(&error)) {
                Outcome::Error { status, .. } => status,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(["server_error", "rate_limit_exceeded", "invalid_image"].map(failed), [500, 429, 400]);
        for body in [
            r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"m"}}"#,
            r#"{"object":"response","status":"failed","error":null,"output":null}"#,
            r#"{"output":[],"status":"cancelled"}"#,
        ] {
            assert!(matches!(outcome(&line(body)), Outcome::Error { status: 500, .. }), "{body}");
        }
        let parts = r#"{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},
            {"type":"message","content":[{"type":"output_text","text":""}]},
            {"type":"message","content":[{"type":"output_text","text":"Dear "},{"type":"output_text","text":"Sir"}]}],
            "status":"completed"}"#;
        let whole = Outcome::Answered { content: Some("Dear Sir".into()), refusal: None, finish: Finish::Stop };
        assert_eq!(outcome(&line(parts)), whole);
        let cut = r#"{"output":[{"content":[{"type":"output_text","text":"half a"}]}],"status":"incomplete",
            "incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":7,"output_tokens":5}}"#;
        let read = read(line(cut).as_bytes()).expect("an object with an id");
        assert_eq!(
            read.outcome,
            Outcome::Answered { content: Some("half a".into()), refusal: None, finish: Finish::Length }
        );
        assert_eq!(read.usage, Some(Usage { prompt: 7, cached: 0, output: 5, reasoning: 0 }));
    }

    #[test]
    fn a_body_of_bare_words_is_read() {
        let line = |status: u16, body: &str| {
            outcome(&format!(r#"{{"custom_id":"a","response":{{"status_code":{status},"body":{body}}}}}"#))
        };
        let error = |status, message: &str| Outcome::Error {
            status,
            code: String::new(),
            param: String::new(),
            message: message.to_owned(),
        };
        assert_eq!(line(400, r#""no picture""#), error(400, "no picture"));
        assert_eq!(line(422, r#"{"detail":"too long"}"#), error(422, "too long"));
        assert_eq!(line(500, r#"{"error":"out of memory"}"#), error(500, "out of memory"));
        let answer =
            Outcome::Answered { content: Some("Dear Sir".into()), refusal: None, finish: Finish::Other(String::new()) };
        assert_eq!(line(200, r#""Dear Sir""#), answer);
        assert_eq!(line(400, r#"" ""#), Outcome::NeverRan { code: "status_400".into() });
    }

    #[test]
    fn usage_and_a_body_in_a_string() {
        let usage = read(chat(r#""x""#, r#""stop""#, "null").as_bytes()).and_then(|line| line.usage);
        assert_eq!(usage, Some(Usage { prompt: 1630, cached: 0, output: 212, reasoning: 64 }));
        let body = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
        let line = serde_json::json!({"custom_id": "a", "response": {"status_code": 200, "body": body}}).to_string();
        assert!(matches!(outcome(&line), Outcome::Answered { content: Some(text), .. } if text == "x"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = read(&bytes);
        }
    }
}
