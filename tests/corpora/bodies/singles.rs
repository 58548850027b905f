//! Hostile answers about the one batch that is waited for, through the whole pipeline: at first hostile and then honest, or
//! ended with odd members. Three images are in it.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, FirstCreate, OneScript, Part};
use super::desk::Desk;
use super::line_cases::answer;
use super::report::Report;

/// Looks that are hostile before the batch is told as it is.
const HOSTILE: usize = 3;

/// Images done, images failed, batches created.
type Ended = (u64, u64, usize);
/// Three images of one batch, all read.
const FINE: Ended = (3, 0, 1);

struct Case {
    name: &'static str,
    one: OneScript,
    ended: Ended,
}

impl Case {
    /// The same from a server that lets one wait for each answer: whatever the machine's clock shows meanwhile, nothing follows.
    fn late(self, wait: Duration) -> Self {
        let told = self.one;
        let one = Box::new(move |nth, batch: &Value| {
            std::thread::sleep(wait);
            told(nth, batch)
        });
        Self { one, ..self }
    }
}

fn at_first(name: &'static str, status: &'static str, body: impl Into<String>) -> Case {
    let body = body.into();
    let one = Box::new(
        move |nth, batch: &Value| {
            if nth < HOSTILE { (status, body.clone()) } else { ("200 OK", batch.to_string()) }
        },
    );
    Case { name, one, ended: FINE }
}

/// The batch with some members replaced, as long as `times` looks.
fn replaced(name: &'static str, times: usize, members: Value, ended: Ended) -> Case {
    let one = Box::new(move |nth, batch: &Value| {
        let mut batch = batch.clone();
        for (key, value) in members.as_object().expect("members").iter().filter(|_| nth < times) {
            batch[key] = value.clone();
        }
        ("200 OK", batch.to_string())
    });
    Case { name, one, ended }
}

fn unreadable() -> Vec<Case> {
    let other = json!({"id": "batch_x", "input_file_id": "file-x", "status": "completed", "output_file_id": "file-x"});
    let failed =
        json!({"id": "batch_x", "input_file_id": "file-x", "status": "failed", "errors": {"data": [{"line": 1}]}});
    vec![
        at_first("500", "500 Oops", ""),
        at_first("404", "404 Not Found", ""),
        at_first("404, and late", "404 Not Found", "").late(Duration::from_millis(300)),
        at_first("404 in HTML", "404 Not Found", "<html>"),
        at_first("429", "429 Slow", ""),
        at_first("HTML", "200 OK", "<html>"),
        at_first("nothing", "200 OK", ""),
        at_first("null", "200 OK", "null"),
        at_first("an object of nothing", "200 OK", "{}"),
        at_first("an error under 200", "200 OK", r#"{"error":{"message":"no"}}"#),
        at_first("a list", "200 OK", r#"{"object":"list","data":[]}"#),
        at_first("half of it", "200 OK", r#"{"id":"batch_0","status":"comp"#),
        at_first(
            "5 MB",
            "200 OK",
            json!({"id": "batch_0", "status": "failed", "x": "x".repeat(5_000_000)}).to_string(),
        ),
        at_first("another batch, completed", "200 OK", other.to_string()),
        at_first("another batch, failed", "200 OK", failed.to_string()),
    ]
}

fn running() -> Vec<Case> {
    let for_a_while = |name, status: Value| replaced(name, HOSTILE, json!({"status": status}), FINE);
    vec![
        for_a_while("status null", json!(null)),
        for_a_while("status 7", json!(7)),
        for_a_while("status unknown", json!("PROGRESS")),
        for_a_while("status cut", json!("complete")),
        for_a_while("status of another world", json!("completed\u{1b}[2J")),
    ]
}

fn ended() -> Vec<Case> {
    let odd = |name, members| replaced(name, usize::MAX, members, FINE);
    let twice = |name, members| replaced(name, 1, members, (3, 0, 2));
    let line = |line: Value| {
        let errors = json!({"data": [{"code": "invalid_json_line", "message": "no", "line": line}]});
        json!({"status": "failed", "output_file_id": null, "error_file_id": null, "errors": errors})
    };
    vec![
        odd("status in upper case", json!({"status": "COMPLETED"})),
        odd("an id of its own, with our input file", json!({"id": "batch_of_a_proxy"})),
        odd("another input file", json!({"input_file_id": "file-x"})),
        odd("times beyond all", json!({"created_at": u64::MAX, "expires_at": i64::MIN})),
        odd("counts beyond all", json!({"request_counts": {"total": u64::MAX, "completed": -1, "failed": "x"}})),
        odd("usage beyond all", json!({"usage": {"input_tokens": u64::MAX, "output_tokens": 1_u64 << 63}})),
        odd(
            "metadata of 17 pairs",
            json!({"metadata": (0..17).map(|n| (n.to_string(), n)).collect::<std::collections::BTreeMap<_, _>>()}),
        ),
        odd("a model with orders", json!({"model": "\u{1b}]0;owned\u{7}"})),
        odd("the same file twice", json!({"error_file_id": "file-out0"})),
        odd("files the other way round", json!({"output_file_id": "file-err0", "error_file_id": "file-out0"})),
        odd("expired", json!({"status": "expired"})),
        odd("cancelled", json!({"status": "cancelled"})),
        odd("failed, and read all the same", json!({"status": "failed"})),
        twice("no files", json!({"output_file_id": null, "error_file_id": null})),
        twice("its input as output", json!({"output_file_id": "file-in0", "error_file_id": ""})),
        replaced("line 1 refused", 1, line(json!(1)), (2, 1, 2)),
        replaced("line 1 refused, as text", 1, line(json!("1")), (2, 1, 2)),
        replaced("a line beyond the end refused", 1, line(json!(4_000_000)), (3, 0, 2)),
    ]
}

fn cases() -> Vec<Case> {
    [unreadable(), running(), ended()].into_iter().flatten().collect()
}

/// How many there are.
pub(crate) fn size() -> usize {
    cases().len()
}

fn came(one: OneScript) -> Result<Ended, String> {
    let desk = Desk::new((0..3).map(|n| format!("page{n}.png")));
    let lines = |ids: &[String]| ids.iter().flat_map(|id| (answer(id, "read") + "\n").into_bytes()).collect();
    let script = Box::new(move |ids: &[String]| [vec![Part::Bytes(lines(ids))], Vec::new()]);
    let nothing = || ("200 OK", json!({"data": [], "has_more": false}).to_string());
    let (account, base) = Account::new(script, Box::new(move |_, _, _| nothing()), one, FirstCreate::Answered);
    let outcome = desk.run_fast(&base, 3)?;
    let creates = account.asked().iter().filter(|what| what.starts_with("create")).count();
    match outcome.fault {
        None if !desk.outside().is_empty() => Err(format!("outside: {:?}", desk.outside())),
        None => Ok((outcome.standing.done, outcome.standing.failed, creates)),
        Some(fault) => Err(format!("{fault:?}")),
    }
}

#[test]
fn hostile_answers_about_one_batch() {
    let mut report = Report::new("B1 one batch");
    std::thread::scope(|scope| {
        let tried = cases().into_iter().map(|case| (case.name, case.ended, scope.spawn(|| came(case.one))));
        for (name, ended, thread) in tried.collect::<Vec<_>>() {
            report.case(name, &thread.join().expect("it comes back"), &Ok(ended));
        }
    });
    report.close(36);
}
