//! Why a request to the provider failed; the kind says who acts, and how.
//!
//! [`classify`] is the one place that turns an HTTP refusal into a [`Kind`], by the table of [`policy`](super::policy).

use std::time::Duration;

use serde_json::Value;

use super::policy::{ANSWERS, Answer, Body};
use crate::domain::batch::Refusal;
use crate::domain::image::commands;
use crate::kit::redact::redacted;

/// Longest pause that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Longest message kept, in characters.
pub const LONGEST_MESSAGE: usize = 500;
/// Longest code or parameter kept, in characters.
pub const LONGEST_CODE: usize = 100;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection came about: surely nothing happened. Try again later.
    Unreached,
    /// The request may or may not have had its effect: connection lost, time-out, 404, 408, 409, 5xx, an unreadable answer.
    Doubt,
    /// Too many requests, no money involved: wait.
    Busy,
    /// The queue of tokens or batches is full: wait until a batch ends.
    QueueFull,
    /// The provider wants money.
    Money,
    /// The key was rejected (401).
    Key,
    /// The key may not do this (403).
    Forbidden,
    /// The thing does not exist (404), or no longer (410).
    NotFound,
    /// The file is too large (413, or a 400 that says so).
    TooLarge,
    /// A just uploaded file that is not visible yet, or one that is gone.
    NoSuchFile,
    /// Refused with a proper error object: asking again would give the same.
    Refused,
    /// The upload's own body ended early; its end tells why.
    Body,
}

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host}: {message}")]
pub struct Failure {
    /// What to do about it.
    pub kind: Kind,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The provider's code, or empty.
    pub code: String,
    /// The parameter that it names, or empty.
    pub param: String,
    /// One sentence; never holds the key.
    pub message: String,
    /// Host, for people.
    pub host: String,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that no answer of the server explains.
    #[must_use]
    pub fn new(kind: Kind, host: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: String::new(),
            param: String::new(),
            message: message.into(),
            host: host.to_owned(),
            retry_after: None,
        }
    }

    /// Whether a create that failed so has surely created nothing.
    #[must_use]
    pub fn surely_not_created(&self) -> bool {
        match self.kind {
            Kind::Unreached | Kind::Key | Kind::Busy | Kind::Money | Kind::QueueFull | Kind::NoSuchFile => true,
            Kind::Forbidden | Kind::Refused | Kind::TooLarge => true,
            Kind::Doubt | Kind::NotFound | Kind::Body => false,
        }
    }

    /// Whether asking again later may help, for requests that may be repeated.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Unreached | Kind::Doubt | Kind::Busy | Kind::QueueFull)
    }

    /// Code and words, as they are kept.
    #[must_use]
    pub fn as_refusal(&self) -> Refusal {
        Refusal { code: self.code.clone(), message: self.message.clone(), line: None }
    }

    /// Whether the account has to be topped up.
    #[must_use]
    pub fn wants_money(&self) -> bool {
        self.kind == Kind::Money
    }

    /// Whether the whole run has to stop.
    #[must_use]
    pub fn stops_the_run(&self) -> bool {
        matches!(self.kind, Kind::Key | Kind::Forbidden | Kind::Money)
    }
}

/// The header lines of a refusal that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// `Retry-After`: seconds or an HTTP date.
    pub retry_after: Option<&'a str>,
    /// `retry-after-ms`, which OpenAI sends, too.
    pub retry_after_ms: Option<&'a str>,
    /// `Date`: the server's own clock, which a date in `Retry-After` is compared with.
    pub date: Option<&'a str>,
}

/// What an answer that is no success means: the first row of [`ANSWERS`] that fits.
#[must_use]
pub fn classify(host: &str, status: u16, hints: Hints<'_>, body: &[u8]) -> Failure {
    let told = Told::read(body);
    let fits = |row: &&Answer| {
        let body = match row.body {
            Body::Any => true,
            Body::Explained => told.is_object,
            Body::NoPage => !looks_like_html(body),
        };
        row.statuses.contain(status) && body && row.about.is_told(&told.code, &told.class, &told.message)
    };
    let kind = ANSWERS.iter().find(fits).map_or(Kind::Doubt, |row| row.kind);
    Failure {
        kind,
        status: Some(status),
        message: told.sentence(status),
        code: told.code,
        param: told.param,
        host: host.to_owned(),
        retry_after: pause(hints),
    }
}

/// Whether `body` is JSON with an `error` object: what a create needs to be called surely refused.
#[must_use]
pub fn has_error_object(body: &[u8]) -> bool {
    Told::read(body).is_object
}

/// What a refusal's body tells.
struct Told {
    is_object: bool,
    code: String,
    class: String,
    param: String,
    message: String,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let error = value.get("error").unwrap_or(&Value::Null);
        // Servers beside OpenAI: `{"error": "text"}`, `{"message": …}`, `{"detail": …}`, plain text.
        let message = words(error.get("message"))
            .or_else(|| words(Some(error)))
            .or_else(|| words(value.get("message")))
            .or_else(|| words(value.get("detail")))
            .or_else(|| plain_text(body, &value));
        Self {
            is_object: error.is_object(),
            code: clip(&words(error.get("code")).unwrap_or_default(), LONGEST_CODE),
            class: words(error.get("type")).unwrap_or_default(),
            param: clip(&words(error.get("param")).unwrap_or_default(), LONGEST_CODE),
            message: message.unwrap_or_default(),
        }
    }

    fn sentence(&self, status: u16) -> String {
        if self.message.is_empty() {
            return format!("answered {status} without a readable reason");
        }
        uncapitalised(&clip(self.message.trim_end_matches('.'), LONGEST_MESSAGE))
    }
}

fn words(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn plain_text(body: &[u8], parsed: &Value) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (parsed.is_null() && !text.is_empty() && !looks_like_html(body)).then(|| text.to_owned())
}

fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The server's words for people: one line, at most so many characters, without anything like a key.
#[must_use]
pub fn clip(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if commands(c) { ' ' } else { c }).take(most).collect();
    redacted(&line)
}

/// First letter small, unless the first word is a name in capitals.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// The pause that the server asks for. A date is read against the server's own `Date`, so that no clock of ours matters.
fn pause(hints: Hints<'_>) -> Option<Duration> {
    let told = hints.retry_after_ms.and_then(|text| text.trim().parse().ok()).map(Duration::from_millis);
    let told = told.or_else(|| {
        let text = hints.retry_after?.trim();
        text.parse().ok().map(Duration::from_secs).or_else(|| {
            let seconds = http_date(text)? - http_date(hints.date?)?;
            Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
        })
    });
    told.map(|pause| pause.min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|time| time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(status: u16, body: &str) -> Kind {
        classify("host", status, Hints::default(), body.as_bytes()).kind
    }

    #[test]
    fn every_documented_refusal_has_its_kind() {
        macro_rules! example {
            ($name:literal) => {
                ($name, include_str!(concat!("../../tests/data/api/http-errors/", $name, ".json")))
            };
        }
        let table = [
            (example!("400_cannot_find_file"), Kind::NoSuchFile),
            (example!("400_file_too_large"), Kind::TooLarge),
            (example!("400_invalid_endpoint"), Kind::Refused),
            (example!("400_missing_parameter"), Kind::Refused),
            (example!("400_not_jsonl"), Kind::Refused),
            (example!("401_invalid_api_key"), Kind::Key),
            (example!("404_no_batch"), Kind::NotFound),
            (example!("404_no_file"), Kind::NotFound),
            (example!("409_cannot_cancel"), Kind::Doubt),
            (example!("429_insufficient_quota"), Kind::Money),
            (example!("500_server_error"), Kind::Doubt),
        ];
        for ((name, body), expected) in table {
            let status: u16 = name[..3].parse().expect("status in the name");
            assert_eq!(kind(status, body), expected, "{name}");
        }
    }

    #[test]
    fn odd_refusals_have_their_kind() {
        let queue = r#"{"error":{"message":"Enqueued token limit reached for x. Limit: 90,000 enqueued tokens."}}"#;
        let html = "<html><body>Bad Gateway</body></html>";
        let table = [
            (400, queue, Kind::QueueFull),
            (429, queue, Kind::QueueFull),
            (429, "", Kind::Busy),
            (429, html, Kind::Busy),
            (400, "", Kind::Doubt),
            (400, "no", Kind::Doubt),
            (400, r#"{"error":"text"}"#, Kind::Doubt),
            (400, r#"{"error":null}"#, Kind::Doubt),
            (400, r#"{"error":[]}"#, Kind::Doubt),
            (422, r#"{"detail":"no"}"#, Kind::Doubt),
            (422, r#"{"error":{}}"#, Kind::Refused),
            (400, r#"{"error":{"code":"billing_hard_limit_reached"}}"#, Kind::Money),
            (402, r#"{"error":{"message":"Insufficient balance"}}"#, Kind::Money),
            (403, r#"{"error":{"message":"no"}}"#, Kind::Forbidden),
            (403, html, Kind::Doubt),
            (404, html, Kind::Doubt),
            (404, "", Kind::NotFound),
            (410, "", Kind::NotFound),
            (410, html, Kind::Doubt),
            (401, html, Kind::Key),
            (413, html, Kind::TooLarge),
            (408, "{}", Kind::Doubt),
            (405, r#"{"error":{}}"#, Kind::Doubt),
            (302, "", Kind::Doubt),
            (502, html, Kind::Doubt),
            (503, queue, Kind::Doubt),
        ];
        for (status, body, expected) in table {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn pauses_are_read_and_capped() {
        let wait = |text, date| pause(Hints { retry_after: Some(text), retry_after_ms: None, date });
        let seconds = |n| Some(Duration::from_secs(n));
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait("20", None), seconds(20));
        assert_eq!(wait("1000000000", None), seconds(3600));
        assert_eq!(wait("-1", None), None);
        for odd in ["soon", "", "1e9", "1.5", "0x10", "99999999999999999999999"] {
            assert_eq!(wait(odd, date), None, "{odd}");
        }
        assert_eq!(wait("18446744073709551615", None), seconds(3600));
        assert_eq!(wait("Sun, 01 Jan 2090 00:00:00 GMT", date), seconds(3600));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", date), seconds(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", date), seconds(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        let precise = Hints { retry_after_ms: Some("250"), retry_after: Some("1"), date: None };
        assert_eq!(pause(precise), Some(Duration::from_millis(250)));
        for (ms, expected) in [("-1", 1), ("soon", 1), ("99999999999", 3600)] {
            let hints = Hints { retry_after_ms: Some(ms), retry_after: Some("1"), date: None };
            assert_eq!(pause(hints), seconds(expected), "{ms}");
        }
    }

    #[test]
    fn messages_are_one_line_without_keys() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-proj-abc123_XYZ. See\nrisk-free"}}"#;
        let failure = classify("host", 401, Hints::default(), body.as_bytes());
        assert_eq!(failure.to_string(), "host: incorrect API key provided: sk-… See risk-free");
        let silent = classify("host", 502, Hints::default(), b"<html>");
        assert_eq!(silent.message, "answered 502 without a readable reason");
        let long = "é".repeat(2_000);
        assert_eq!(classify("host", 500, Hints::default(), long.as_bytes()).message.chars().count(), LONGEST_MESSAGE);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200), words in "\\PC{0,40}(sk-[a-z]{3})?\\PC{0,40}") {
            let _whatever = classify("host", status, Hints::default(), &body);
            let body = serde_json::json!({"error": {"message": words}}).to_string();
            let failure = classify("host", status, Hints::default(), body.as_bytes());
            prop_assert!(failure.message.chars().count() <= LONGEST_MESSAGE + 40);
            let is_gone = matches!(status, 404 | 410);
            prop_assert!(failure.kind == Kind::Doubt || failure.surely_not_created() || is_gone);
        }
    }
}
