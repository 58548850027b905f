//! The lines of `--json`: one object a line, fields are only ever added.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::batch::{Answered, Usage};
use crate::domain::money::{Funds, Money};
use crate::domain::recipe::Recipe;
use crate::kit::clock::Clock;
use crate::kit::hash;
use crate::kit::news::BatchChange;
use crate::ledger::reader::{Books, CopyCount, ReasonCount};
use crate::ledger::records::Standing;
use crate::pipeline::mission::{Happens, ImageNews, Notice};
use crate::settings::{Problem, ProviderKind, Settings};

use super::exit::Exit;
use super::progress::Snapshot;
use super::words;
use crate::ops::explain;

/// JSON Schema of all lines: what is told here fits into it.
pub(super) const SCHEMA: &str = include_str!("events.json");

/// Makes events; clones know of the same run.
#[derive(Clone, Debug)]
pub(super) struct Events {
    clock: Clock,
    run: Arc<Mutex<Option<String>>>,
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
    /// Events of a run that has not begun yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, run: Arc::default() }
    }

    /// The line of what happens; that a run has begun is remembered, and the first line is told by whoever knows the rest of it.
    pub(super) fn hear(&self, what: Happens<'_>) -> Option<String> {
        match what {
            Happens::Run { name, .. } => {
                self.of_run(name);
                None
            }
            Happens::Notice(notice) => Some(self.notice(notice)),
            Happens::Image(image) => Some(self.image(image)),
        }
    }

    /// The run has begun, and its name is known from now on.
    pub(super) fn of_run(&self, name: &str) {
        let mut run = self.run();
        if run.as_deref() != Some(name) {
            *run = Some(name.to_owned());
        }
    }

    fn run(&self) -> MutexGuard<'_, Option<String>> {
        // Nobody panics while writing a name.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of this type.
    pub(super) fn event(&self, kind: &str, fields: Value) -> String {
        let run = self.run().clone();
        let mut event = json!({"schema": 1, "type": kind, "ts": words::utc(self.clock.now()), "run": run});
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        event.to_string()
    }

    /// The first line; `resumed` tells whether an earlier process began the run.
    pub(super) fn start(&self, start: &Start, resumed: bool) -> String {
        let mut fields = start.fields.clone();
        fields["resumed"] = resumed.into();
        self.event("start", fields)
    }

    /// Lines that found no place, because nobody read.
    pub(super) fn missed(&self, lines: u64) -> String {
        self.event("missed", json!({"lines": lines}))
    }

    /// An image whose answer was judged.
    pub(super) fn image(&self, image: &ImageNews) -> String {
        let code = match image.state {
            // No reason: its text waits to be cleaned.
            "rough" => explain::cause("rough"),
            _ => explain::cause(image.reason),
        };
        self.event(
            "image",
            json!({
                "path": image.path,
                "page": image.page,
                "state": image.state,
                "verdict": image.verdict,
                "flags": image.flags,
                "code": code.map(|cause| cause.code),
                "attempt": image.attempt,
                "next": image.next,
                "batch": image.batch,
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
                "shards": shards(standing, Some(tally.open_plans)),
                "batches": batches(standing),
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
            Notice::Batch(change) => self.event("batch", batch(change)),
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

/// The first line of a long verb, but for what is known once the run has begun.
#[derive(Clone, Debug)]
pub(super) struct Start {
    fields: Value,
    /// The warning that is told right after it.
    warning: Option<Problem>,
}

impl Start {
    /// That of `verb`; `recipe` is what is asked with, where anything is asked.
    pub(super) fn of(verb: &str, settings: &Settings, recipe: Option<&Recipe>) -> Self {
        let provider = match settings.provider.name {
            ProviderKind::Local => "local",
            ProviderKind::OpenAi => settings.api_url.host(),
        };
        let fields = json!({
            "verb": verb,
            "version": env!("CARGO_PKG_VERSION"),
            "workspace": settings.workspace.display().to_string(),
            "provider": provider,
            "model": settings.request.model,
            "recipe": recipe.map(|recipe| hash::hex(&hash::short(&recipe.canonical()))),
        });
        Self { fields, warning: None }
    }

    /// The same with a warning behind it.
    pub(super) fn followed_by(self, warning: Option<Problem>) -> Self {
        Self { warning, ..self }
    }

    /// The warning behind it.
    pub(super) fn warning(&self) -> Option<&Problem> {
        self.warning.as_ref()
    }
}

/// A batch that changed: what is known only at its end, or once its answers were read, is null before.
fn batch(change: &BatchChange) -> Value {
    let BatchChange { id, from, to, lines, told, answered, detail } = change;
    let count = |of: fn(&Answered) -> u32| answered.as_ref().map(of);
    json!({
        "id": id, "shard": told.shard.as_str(), "kind": told.kind.word(), "from": from, "to": to, "lines": lines,
        "ok": count(|answered| answered.ok), "failed": count(|answered| answered.failed),
        "missing": count(|answered| answered.missing),
        "duration_s": told.took_ms.map(seconds),
        "tokens": told.usage.map(tokens),
        "cost_usd": told.cost.map(Money::usd),
        "detail": detail,
    })
}

/// Milliseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds for people and graphs")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}

/// Tokens, as in `batch` and in `status`.
pub(super) fn tokens(usage: Usage) -> Value {
    json!({"in": usage.prompt, "out": usage.output, "reasoning": usage.reasoning})
}

/// Plans on their way to the provider. `open` are those that hold lines and are not sealed: only the process that makes them knows.
/// `waiting` are those that are sealed, uploaded or opening.
pub(super) fn shards(standing: &Standing, open: Option<u64>) -> Value {
    json!({
        "open": open,
        "sealed": standing.sealed,
        "uploaded": standing.uploaded,
        "opening": standing.opening,
        "waiting": standing.shards_waiting,
    })
}

/// Batches that are not settled. `ended` are all that have ended, those whose results are fetched among them.
pub(super) fn batches(standing: &Standing) -> Value {
    json!({
        "opening": standing.opening,
        "open": standing.batches_open,
        "ended": standing.batches_ended,
        "fetched": standing.batches_fetched,
    })
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
    use crate::cli::progress::terms_of_a_test;
    use crate::domain::batch::BatchTold;
    use crate::domain::ids::Tag;
    use crate::domain::recipe::Kind;
    use crate::kit::json_schema::JsonSchema;
    use crate::ledger::moves::ImageState;
    use crate::pipeline::mission::Tally;

    fn events() -> Events {
        let events = Events::new(Clock::manual(1_795_336_202_000));
        events.of_run("2026-11-22-a");
        events
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

    fn settled() -> Notice {
        let usage = Some(Usage { prompt: 100, output: 20, reasoning: 5, ..Usage::default() });
        let told = BatchTold {
            shard: Tag("cdkfhj".to_owned()),
            kind: Kind::Read,
            took_ms: Some(7_200_500),
            usage,
            cost: Money::parse("0.25"),
        };
        Notice::Batch(Box::new(BatchChange {
            id: "batch_1".to_owned(),
            from: Some("completed"),
            to: "settled",
            lines: 4,
            told,
            answered: Some(Answered { ok: 2, failed: 1, missing: 1 }),
            detail: "1 asked again".to_owned(),
        }))
    }

    fn image() -> ImageNews {
        ImageNews {
            path: "box-03/IMG_0412.jpg".to_owned(),
            page: 1,
            state: "owed",
            verdict: "ask_again",
            reason: "truncated",
            flags: vec!["truncated"],
            attempt: 1,
            next: Some("max_output_tokens 8000".to_owned()),
            batch: "batch_68a1".to_owned(),
        }
    }

    #[test]
    fn batches_and_images_are_told_whole() {
        let line: Value = serde_json::from_str(&events().notice(&settled())).expect("JSON");
        let expected = json!({
            "schema": 1, "type": "batch", "ts": "2026-11-22T08:30:02Z", "run": "2026-11-22-a", "id": "batch_1",
            "shard": "cdkfhj", "kind": "read", "from": "completed", "to": "settled", "lines": 4, "ok": 2, "failed": 1,
            "missing": 1, "duration_s": 7200.5, "tokens": {"in": 100, "out": 20, "reasoning": 5}, "cost_usd": 0.25,
            "detail": "1 asked again",
        });
        assert_eq!(line, expected);
        let line: Value = serde_json::from_str(&events().image(&image())).expect("JSON");
        // The example of the contracts.
        let expected = json!({
            "schema": 1, "type": "image", "ts": "2026-11-22T08:30:02Z", "run": "2026-11-22-a", "path": "box-03/IMG_0412.jpg",
            "page": 1, "state": "owed", "verdict": "ask_again", "flags": ["truncated"], "code": "E503", "attempt": 1,
            "next": "max_output_tokens 8000", "batch": "batch_68a1",
        });
        assert_eq!(line, expected);
        let code =
            |image: ImageNews| serde_json::from_str::<Value>(&events().image(&image)).expect("JSON")["code"].clone();
        assert_eq!(code(ImageNews { state: "done", verdict: "accept", reason: "", ..image() }), Value::Null);
        assert_eq!(code(ImageNews { state: "rough", verdict: "deep_clean", reason: "", ..image() }), "E507");
    }

    #[test]
    fn every_kind_of_line_fits_its_schema() {
        let schema = JsonSchema::new(&serde_json::from_str(SCHEMA).expect("JSON")).expect("a schema");
        let (events, tally, terms) = (events(), Tally::default(), terms_of_a_test());
        let snapshot = Snapshot { tally: &tally, terms: &terms, elapsed: Duration::ZERO, now: 1, problem: None };
        let (none, books) = (BTreeMap::new(), Books::default());
        let standing = Standing::default();
        let (took, reasons) =
            (Duration::ZERO, [ReasonCount { state: ImageState::Failed, reason: "loop".to_owned(), images: 1 }]);
        let summary =
            Summary { standing: &standing, reasons: &reasons, by_ending: &none, answers: 0, took, books: &books };
        let text = || "text".to_owned();
        let fields = json!({"verb": "run", "version": "1", "workspace": "/w", "provider": "local", "model": "m", "recipe": null});
        let start = Start { fields, warning: None };
        let lines = [
            events.start(&start, false),
            events.status(&snapshot),
            events.notice(&settled()),
            events.notice(&Notice::Warning { code: "E310", text: text(), hint: text() }),
            events.notice(&Notice::Canary { text: text() }),
            events.notice(&Notice::Spooled { path: text(), lines: 1, bytes: 2 }),
            events.image(&image()),
            events.missed(1),
            events.listening("http://127.0.0.1:1"),
            events.summary(&summary, Exit::Done),
            events.exit_error(&Problem::new("E401", "no"), Exit::Locked),
        ];
        for line in &lines {
            let line: Value = serde_json::from_str(line).expect("JSON");
            schema.check(&line).unwrap_or_else(|misfit| panic!("{misfit}: {line}"));
            // Nothing of a line is optional, so that a schema that asks for too little is noticed.
            let kind = line["type"].as_str().expect("a type");
            let keys = line
                .as_object()
                .expect("an object")
                .keys()
                .filter(|key| !["schema", "ts", "run", "type"].contains(&key.as_str()));
            for key in keys {
                let mut less = line.clone();
                less.as_object_mut().expect("an object").remove(key);
                assert!(schema.check(&less).is_err(), "{kind} without {key}");
            }
        }
        assert!(schema.check(&json!({"schema": 1, "type": "odd", "ts": "2026-11-22T08:30:02Z", "run": null})).is_err());
    }

    #[test]
    fn an_event_is_one_line() {
        let notice = Notice::Warning { code: "E310", text: "two\nlines".to_owned(), hint: String::new() };
        assert_eq!(events().notice(&notice).lines().count(), 1);
    }
}
