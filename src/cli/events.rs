//! The lines of `--json`: one object a line, fields are only ever added.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::money::{Funds, Money};
use crate::kit::clock::Clock;
use crate::ledger::reader::{Books, CopyCount, ReasonCount};
use crate::ledger::records::Standing;
use crate::pipeline::mission::Notice;
use crate::settings::{Problem, ProviderKind, Settings};

use super::exit::Exit;
use super::progress::Snapshot;
use super::words;
use crate::ops::explain;

/// Makes events of one run.
#[derive(Clone, Debug)]
pub(super) struct Events {
    clock: Clock,
    run: Option<String>,
}

/// What the last line of a long verb is made from.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) standing: &'a Standing,
    pub(super) reasons: &'a [ReasonCount],
    /// Files that are no images.
    pub(super) by_ending: &'a BTreeMap<String, u64>,
    /// Answers judged by this process.
    pub(super) answers: u64,
    pub(super) took: Duration,
    /// Money and flags.
    pub(super) books: &'a Books,
}

impl Events {
    /// Events of `run`, if its name is known.
    pub(super) fn new(clock: Clock, run: Option<String>) -> Self {
        Self { clock, run }
    }

    fn event(&self, kind: &str, fields: Value) -> String {
        let mut event = json!({"schema": 1, "type": kind, "ts": words::utc(self.clock.now()), "run": self.run});
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        event.to_string()
    }

    pub(super) fn start(&self, verb: &str, settings: &Settings) -> String {
        let provider = match settings.provider.name {
            ProviderKind::Local => "local",
            ProviderKind::OpenAi => settings.api_url.host(),
        };
        self.event(
            "start",
            json!({
                "verb": verb,
                "version": env!("CARGO_PKG_VERSION"),
                "workspace": settings.workspace.display().to_string(),
                "provider": provider,
                "model": settings.request.model,
            }),
        )
    }

    pub(super) fn listening(&self, url: &str) -> String {
        self.event("listening", json!({"url": url}))
    }

    pub(super) fn status(&self, snapshot: &Snapshot<'_>) -> String {
        let (tally, eta) = (snapshot.tally, snapshot.eta());
        let (standing, (used, limit)) = (&tally.standing, snapshot.queue());
        self.event(
            "status",
            json!({
                "images": images_and_flagged(standing, tally.books.flagged),
                "shards": {"sealed": standing.sealed, "waiting": standing.shards_waiting},
                "batches": {"open": standing.batches_open, "ended": standing.batches_ended},
                "oldest_batch_s": snapshot.oldest(),
                "queue": {"tokens": used, "limit": limit},
                "cost": cost(&snapshot.funds(), &tally.books),
                "eta_s": eta.map(|eta| eta.seconds),
                "eta_spread_s": eta.and_then(|eta| eta.spread),
                "eta_basis": eta.map(|eta| eta.basis.word()),
                "walked": tally.walked,
                "sent_bytes": tally.sent_bytes,
                "answers": tally.answers,
                "waits": waits(&tally.waits),
                "problem": snapshot.problem,
            }),
        )
    }

    pub(super) fn notice(&self, notice: &Notice) -> String {
        match notice {
            Notice::Batch { id, to, lines, detail } => {
                self.event("batch", json!({"id": id, "to": to, "lines": lines, "detail": detail}))
            }
            Notice::Canary { text } => self.event("canary", json!({"text": text})),
            Notice::Spooled { path, lines, bytes } => {
                self.event("spooled", json!({"path": path, "lines": lines, "bytes": bytes}))
            }
            Notice::Warning { code, text, hint } => {
                self.event("warning", json!({"code": code, "text": text, "hint": hint}))
            }
        }
    }

    /// What was found out before the pipeline began.
    pub(super) fn late(&self, problem: &Problem) -> String {
        let Problem { code, sentence, hints, .. } = problem;
        self.event("warning", json!({"code": code, "text": sentence, "hint": hints.join("; ")}))
    }

    pub(super) fn pilot(&self, findings: Value) -> String {
        self.event("pilot", findings)
    }

    pub(super) fn summary(&self, summary: &Summary<'_>, exit: Exit) -> String {
        self.event(
            "summary",
            json!({
                "images": images_and_flagged(summary.standing, summary.books.flagged),
                "reasons": summary.reasons.iter().map(reason).collect::<Vec<_>>(),
                "other_files": summary.by_ending,
                "answers": summary.answers,
                "duration_s": (summary.took.as_secs_f64() * 1000.0).round() / 1000.0,
                "cost": cost(&summary.books.funds, summary.books),
                "balance_closed": summary.standing.closes(),
                "exit": exit.number(),
                "report": null,
            }),
        )
    }

    pub(super) fn exit_error(&self, problem: &Problem, exit: Exit) -> String {
        let problem = &explain::hinted(problem);
        let text = [std::slice::from_ref(&problem.sentence), &problem.details].concat().join("\n");
        self.event(
            "exit_error",
            json!({"code": problem.code, "text": text, "hint": problem.hints.join("\n"), "exit": exit.number()}),
        )
    }
}

/// How many images ended in a state for a reason.
pub(super) fn reason(reason: &ReasonCount) -> Value {
    json!({"state": reason.state.word(), "reason": reason.reason, "images": reason.images})
}

/// Counts of images, as in `status` and `summary`.
pub(super) fn images(standing: &Standing) -> Value {
    json!({
        "found": standing.found,
        "owed": standing.owed,
        "in_flight": standing.packed,
        "done": standing.done,
        "rough": standing.rough,
        "failed": standing.failed,
        "skipped": standing.skipped,
    })
}

/// The same with the images whose last answer has a flag, whatever became of them.
pub(super) fn images_and_flagged(standing: &Standing, flagged: u64) -> Value {
    let mut images = images(standing);
    images["flagged"] = flagged.into();
    images
}

/// Images that are copies of others, as in `status` and `audit`.
pub(super) fn copies(copies: CopyCount) -> Value {
    json!({"waiting": copies.waiting, "served": copies.served})
}

/// What it has cost and may still cost, as in `status` and `summary`; `unknown` images have no known price and are in neither sum.
/// `price_date` is the day of the newest price list behind the sums.
pub(super) fn cost(funds: &Funds, books: &Books) -> Value {
    json!({
        "currency": "USD",
        "spent": funds.spent.usd(),
        "reserved": funds.reserved.usd(),
        "limit": funds.limit.map(Money::usd),
        "unknown": books.unpriced_images,
        "price_date": books.price_date,
    })
}

/// Seconds waited per edge.
#[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn waits(waits: &[(&'static str, u64)]) -> Value {
    let seconds = |(edge, micros): &(&'static str, u64)| ((*edge).to_owned(), json!(*micros as f64 / 1e6));
    Value::Object(waits.iter().map(seconds).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events::new(Clock::manual(1_795_336_202_000), Some("2026-11-22-a".to_owned()))
    }

    #[test]
    fn the_last_lines_of_a_run() {
        let standing = Standing { found: 418, done: 413, failed: 5, ..Standing::default() };
        let by_ending = [("pdf".to_owned(), 2)].into();
        let took = Duration::from_millis(1_500);
        let books = Books { flagged: 5, price_date: Some("2026-11-01".to_owned()), ..Books::default() };
        let summary =
            Summary { standing: &standing, reasons: &[], by_ending: &by_ending, answers: 7, took, books: &books };
        let line: Value = serde_json::from_str(&events().summary(&summary, Exit::SomeFailed)).expect("JSON");
        let expected = json!({
            "schema": 1, "type": "summary", "ts": "2026-11-22T08:30:02Z", "run": "2026-11-22-a",
            "images": {"found": 418, "owed": 0, "in_flight": 0, "done": 413, "rough": 0, "failed": 5, "skipped": 0, "flagged": 5},
            "reasons": [], "other_files": {"pdf": 2}, "answers": 7, "duration_s": 1.5,
            "cost": {"currency": "USD", "spent": 0.0, "reserved": 0.0, "limit": null, "unknown": 0, "price_date": "2026-11-01"},
            "balance_closed": true, "exit": 3, "report": null,
        });
        assert_eq!(line, expected);
        let problem = Problem::new("E401", "another batchscribe works here").hint("wait");
        let line: Value = serde_json::from_str(&events().exit_error(&problem, Exit::Locked)).expect("JSON");
        assert_eq!(line["exit"], 11);
        assert_eq!(line["code"], "E401");
    }

    #[test]
    fn an_event_is_one_line() {
        let notice = Notice::Warning { code: "E310", text: "two\nlines".to_owned(), hint: String::new() };
        assert_eq!(events().notice(&notice).lines().count(), 1);
    }
}
