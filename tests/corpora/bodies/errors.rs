//! Hostile refusals: what they mean, how long they make us wait, and what of their words is kept.

use std::time::Duration;

use batchscribe::provider::failure::{Failure, Hints, Kind, classify};

use super::report::Report;

const KEY: &str = "sk-proj-Ab3dE5gH7jK9mN1pQ3rS5tU7";

struct Row {
    name: &'static str,
    status: u16,
    body: Vec<u8>,
    kind: Kind,
}

fn row(name: &'static str, status: u16, body: impl Into<Vec<u8>>, kind: Kind) -> Row {
    Row { name, status, body: body.into(), kind }
}

fn documented() -> Vec<Row> {
    macro_rules! example {
        ($name:literal, $status:literal, $kind:ident) => {
            row($name, $status, include_str!(concat!("../../data/api/http-errors/", $name, ".json")), Kind::$kind)
        };
    }
    vec![
        example!("400_cannot_find_file", 400, NoSuchFile),
        example!("400_file_too_large", 400, TooLarge),
        example!("400_invalid_endpoint", 400, Refused),
        example!("400_missing_parameter", 400, Refused),
        example!("400_not_jsonl", 400, Refused),
        example!("401_invalid_api_key", 401, Key),
        example!("404_no_batch", 404, NotFound),
        example!("404_no_file", 404, NotFound),
        example!("409_cannot_cancel", 409, Doubt),
        example!("429_insufficient_quota", 429, Money),
        example!("500_server_error", 500, Doubt),
    ]
}

fn odd() -> Vec<Row> {
    let html = "<html><head><title>502 Bad Gateway</title></head></html>";
    let told = |message: &str| serde_json::json!({"error": {"message": message}}).to_string();
    vec![
        row("error a string", 400, r#"{"error":"no"}"#, Kind::Doubt),
        row("error null", 400, r#"{"error":null}"#, Kind::Doubt),
        row("error a list", 400, r#"{"error":[]}"#, Kind::Doubt),
        row("error a number", 422, r#"{"error":7}"#, Kind::Doubt),
        row("error true", 403, r#"{"error":true}"#, Kind::Doubt),
        row("error an empty object", 400, r#"{"error":{}}"#, Kind::Refused),
        row("error of odd members", 400, r#"{"error":{"message":[],"code":7,"param":{},"type":null}}"#, Kind::Refused),
        row("error in a list", 400, r#"[{"error":{"message":"no"}}]"#, Kind::Doubt),
        row("an empty body", 400, "", Kind::Doubt),
        row("an empty 401", 401, "", Kind::Key),
        row("an empty 404", 404, "", Kind::NotFound),
        row("an empty 413", 413, "", Kind::TooLarge),
        row("an empty 429", 429, "", Kind::Busy),
        row("an empty 500", 500, "", Kind::Doubt),
        row("HTML under 400", 400, html, Kind::Doubt),
        row("HTML under 401", 401, html, Kind::Key),
        row("HTML under 403", 403, html, Kind::Doubt),
        row("HTML under 404", 404, html, Kind::Doubt),
        row("HTML under 413", 413, html, Kind::TooLarge),
        row("HTML under 429", 429, html, Kind::Busy),
        row("HTML under 502", 502, html, Kind::Doubt),
        row("half a body", 400, &r#"{"error":{"message":"no"#.as_bytes()[..20], Kind::Doubt),
        row("a body of NUL", 400, vec![0; 1000], Kind::Doubt),
        row("a body that is no text", 400, vec![0xff; 1000], Kind::Doubt),
        row("depth 10,000", 400, format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), Kind::Doubt),
        row("two errors in one", 400, r#"{"error":{}}{"error":{}}"#, Kind::Doubt),
        row("a message of 5 MB", 400, told(&"x".repeat(5_000_000)), Kind::Refused),
        row("a message of escape sequences", 400, told("\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nno"), Kind::Refused),
        row("a message that turns the line", 400, told("a\u{202e}b\u{2066}c\u{200f}"), Kind::Refused),
        row("a message with a key", 401, told(&format!("Incorrect API key provided: {KEY}.")), Kind::Key),
        row("a code with a key", 400, format!(r#"{{"error":{{"code":"{KEY}","param":"{KEY}"}}}}"#), Kind::Refused),
        row("bare words with a key", 500, format!("who are you, {KEY}?"), Kind::Doubt),
        row("words of the queue in HTML", 503, "<p>Enqueued token limit reached</p>", Kind::Doubt),
        row("429 with a money code", 429, r#"{"error":{"code":"billing_hard_limit_reached"}}"#, Kind::Money),
        row("429 with a money type", 429, r#"{"error":{"type":"insufficient_quota","code":null}}"#, Kind::Money),
        row("429 with another code", 429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, Kind::Busy),
        row(
            "429 of a full queue",
            429,
            told("Enqueued token limit reached for x. Limit: 9 enqueued tokens."),
            Kind::QueueFull,
        ),
        row("402 in words", 402, "pay", Kind::Doubt),
        row("402 explained", 402, told("Insufficient balance"), Kind::Money),
        row("403 explained", 403, told("no"), Kind::Forbidden),
        row("408", 408, told("slow"), Kind::Doubt),
        row("418", 418, told("a teapot"), Kind::Doubt),
        row("425", 425, told("early"), Kind::Doubt),
        row("a status of another world", 999, told("no"), Kind::Doubt),
        row("301", 301, "", Kind::Doubt),
        row("100", 100, "", Kind::Doubt),
    ]
}

/// `Retry-After`, `retry-after-ms` and what is waited.
fn pauses() -> Vec<(&'static str, Option<u64>)> {
    vec![
        ("20", Some(20)),
        (" 20 ", Some(20)),
        ("0", Some(0)),
        ("-1", None),
        ("1e9", None),
        ("1000000000", Some(3600)),
        ("99999999999999999999999", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
        ("Sun, 06 Nov 9994 08:50:07 GMT", Some(3600)),
        ("Sun, 32 Nov 1994 08:50:07 GMT", None),
        ("1994-11-06T08:50:07Z", None),
        ("\u{1b}[2J", None),
    ]
}

/// Short, on one line, and without a key.
fn is_harmless(failure: &Failure) -> bool {
    let words = [&failure.message, &failure.code, &failure.param];
    words.iter().all(|text| {
        let controls =
            |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200f}');
        text.chars().count() <= 540 && !text.contains(controls) && !text.contains(&KEY[8..])
    })
}

/// How many there are.
pub(crate) fn size() -> usize {
    documented().len() + odd().len() + pauses().len()
}

#[test]
fn hostile_errors() {
    let mut report = Report::new("B1 errors");
    for Row { name, status, body, kind } in documented().into_iter().chain(odd()) {
        let failure = classify("host", status, Hints::default(), &body);
        report.case(name, &failure.kind, &kind);
        report.holds(&format!("{name}: kept {:?}", failure.to_string()), is_harmless(&failure));
        // Only an answer that surely speaks of a refusal may lead to a second create.
        let is_sure = failure.surely_not_created();
        report.holds(&format!("{name}: created or not"), is_sure != matches!(kind, Kind::Doubt | Kind::NotFound));
    }
    for (told, seconds) in pauses() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let hints = Hints { retry_after: Some(told), retry_after_ms: None, date };
        let waits = classify("host", 429, hints, b"").retry_after.map(|pause| pause.as_secs());
        report.case(&format!("Retry-After: {told}"), &waits, &seconds);
    }
    let precise =
        |told| classify("host", 503, Hints { retry_after_ms: Some(told), ..Hints::default() }, b"").retry_after;
    report.case("retry-after-ms", &precise("250"), &Some(Duration::from_millis(250)));
    report.case("retry-after-ms without bound", &precise("18446744073709551615"), &Some(Duration::from_secs(3600)));
    report.case("retry-after-ms negative", &precise("-5"), &None);
    report.close(75);
}
