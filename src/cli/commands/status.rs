//! `status`: one screen; with an image or a batch, what is known of it. Reads the ledger, also while a run goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::eta::{self, Eta, Known};
use crate::cli::exit::{Exit, Fail};
use crate::cli::{closing, events, expiry, finish, pages, words};
use crate::domain::ids::{BatchId, BatchNo};
use crate::domain::layout::Layout;
use crate::kit::clock::Millis;
use crate::kit::path_bytes::to_path;
use crate::ledger::LedgerError;
use crate::ledger::moves::{BatchState, ImageState};
use crate::ledger::reader::{BatchRow, Books, CopyCount, EstimateRow, QueueRow, Reader, ReasonCount, UsageSum};
use crate::ledger::records::Standing;
use crate::ops::plan::Correction;
use crate::serve::Flagged;
use crate::settings::{Problem, ProviderKind, Settings};

/// Open batches that one screen has room for.
const SHOWN: usize = 8;

pub(super) fn told(error: LedgerError) -> Fail {
    finish::ledger(&error).into()
}

/// The ledger, or a word that there is none yet.
pub(super) fn reader(context: &Context, layout: &Layout) -> Result<Option<Reader>, Fail> {
    let reader = pages::ledger(layout).map_err(told)?;
    if reader.is_none() {
        context.out.say(&words::nothing_begun(&context.workspace));
    }
    Ok(reader)
}

/// One look at the whole workspace.
pub(super) struct Seen {
    /// The screen, or one document with `--json`.
    pub(super) lines: Vec<String>,
    /// Whether work is owed or in flight.
    pub(super) busy: bool,
}

/// The whole workspace.
pub(super) fn all(context: &Context, exit_code: bool) -> Result<Exit, Fail> {
    let seen = look(context, &context.settings()?)?;
    for line in &seen.lines {
        context.out.data(line)?;
    }
    Ok(if exit_code && seen.busy { Exit::InFlight } else { Exit::Done })
}

/// Looks once, and prints nothing but a word where there is no ledger yet.
pub(super) fn look(context: &Context, settings: &Settings) -> Result<Seen, Fail> {
    let Some(reader) = reader(context, &settings.layout())? else {
        // Scripts get a document in any case.
        let lines = if context.out.json {
            vec![document(settings, &Facts::default(), context.clock.now())]
        } else {
            Vec::new()
        };
        return Ok(Seen { lines, busy: false });
    };
    let facts = Facts::read(&reader, settings).map_err(told)?;
    let busy = facts.standing.owed + facts.standing.packed > 0;
    let lines = if context.out.json {
        vec![document(settings, &facts, context.clock.now())]
    } else {
        page(&reader, settings, &facts, context.clock.now()).map_err(told)?
    };
    Ok(Seen { lines, busy })
}

/// The document of `--json`, also where nothing was begun.
pub(super) fn document_of(settings: &Settings, now: Millis) -> Result<String, Fail> {
    let reader = pages::ledger(&settings.layout()).map_err(told)?;
    let facts = reader.map_or_else(|| Ok(Facts::default()), |reader| Facts::read(&reader, settings));
    facts.map(|facts| document(settings, &facts, now)).map_err(told)
}

/// What both forms are made from.
#[derive(Default)]
struct Facts {
    standing: Standing,
    usage: UsageSum,
    reasons: Vec<ReasonCount>,
    estimates: Vec<EstimateRow>,
    books: Books,
    copies: CopyCount,
    /// When each batch was opened whose results are not saved yet.
    uncollected: Vec<Millis>,
}

impl Facts {
    fn read(reader: &Reader, settings: &Settings) -> Result<Self, LedgerError> {
        Self::around(reader, settings, reader.books()?)
    }

    fn around(reader: &Reader, settings: &Settings, mut books: Books) -> Result<Self, LedgerError> {
        books.funds.limit = settings.run.max_cost;
        Ok(Self {
            standing: reader.standing()?,
            usage: reader.usage()?,
            reasons: reader.reasons()?,
            estimates: reader.estimates()?,
            books,
            copies: reader.copy_count()?,
            uncollected: reader.uncollected()?,
        })
    }
}

/// The screen.
fn page(reader: &Reader, settings: &Settings, facts: &Facts, now: Millis) -> Result<Vec<String>, LedgerError> {
    let Facts { standing, reasons, estimates, books, copies, .. } = facts;
    let name = settings.workspace.file_name().unwrap_or(settings.workspace.as_os_str()).to_string_lossy();
    let mut lines = vec![format!("{}      {}", words::safe(&name), words::balance(standing))];
    lines.extend(screen(&open_batches(reader)?, &reader.being_cancelled()?, reasons, now));
    let late = expiry::warning(settings, &facts.uncollected, now);
    lines.extend(late.map(|problem| format!(" Warning   {}", expiry::line(&problem))));
    lines.extend(words::copies(*copies).map(|copies| format!(" Copies    {copies}")));
    lines.extend(words::money(&books.funds, books.is_unpriced()).map(|money| format!(" Money     {money}")));
    for queue in reader.queues()? {
        lines.extend(queue_line(&queue, limit_of(settings, &queue), standing));
    }
    lines.extend(left(settings, facts, now).map(|eta| format!(" Left      {}", eta::told(&eta))));
    lines.extend(far_off(estimates).into_iter().chain(next(settings, standing)));
    Ok(lines)
}

/// When the open batches will have ended. What a process on this computer reads is told by that process alone.
fn left(settings: &Settings, facts: &Facts, now: Millis) -> Option<Eta> {
    let Facts { standing, books, .. } = facts;
    if settings.provider.name == ProviderKind::Local || standing.packed == 0 {
        return None;
    }
    eta::eta(&Known {
        standing,
        batch_times: &books.batch_times,
        youngest: books.youngest,
        is_limited: settings.batch.max_enqueued_tokens.or(books.queue_limit).is_some(),
        window: settings.provider.window_length(),
        answers: 0,
        elapsed: Duration::ZERO,
        is_local: false,
        now,
    })
}

/// The command that goes on from here.
fn next(settings: &Settings, standing: &Standing) -> Option<String> {
    let command = |words| words::command(settings, words);
    if standing.found == 0 && !standing.walking {
        return Some(format!(" no images were found: put some into the folder, then {}", command("run --limit 20")));
    }
    match (standing.batches_open + standing.batches_ended, standing.owed + standing.packed) {
        (0, 0) => None,
        (0, _) => Some(format!(" go on: {}", command("run"))),
        _ => Some(format!(" fetch what is ready: {} · go on with everything: {}", command("download"), command("run"))),
    }
}

/// The whole workspace as one JSON document, for a server that is asked again and again: the flags were counted before.
pub(super) fn whole_but_flags(
    settings: &Settings,
    reader: &Reader,
    flagged: Flagged,
    now: Millis,
) -> Result<String, LedgerError> {
    let facts = Facts::around(reader, settings, reader.books_but_flags(flagged.images)?)?;
    let mut document = of(settings, &facts, now);
    document["flags_counted_at"] = words::utc(flagged.at).into();
    Ok(document.to_string())
}

/// The limit of the settings, else the one that the provider named.
fn limit_of(settings: &Settings, queue: &QueueRow) -> Option<u64> {
    settings.batch.max_enqueued_tokens.or(queue.limit)
}

/// What the queue lets through, while something waits for it.
fn queue_line(queue: &QueueRow, limit: Option<u64>, standing: &Standing) -> Option<String> {
    let limit = limit.filter(|_| standing.owed + standing.shards_waiting > 0)?;
    let (pages, days) = queue.forecast(limit, standing.owed + standing.packed);
    let (model, used) = (words::safe(&queue.model), queue.used);
    Some(format!(
        " Queue     {used} of {limit} tokens for {model}; at this limit {} in flight, about {} for the rest",
        words::count(pages, "page is", "pages are"),
        words::count(days, "day", "days"),
    ))
}

/// The models whose tokens were not counted as we had estimated.
fn far_off(estimates: &[EstimateRow]) -> Vec<String> {
    let corrections = estimates.iter().filter_map(|row| Some((&row.model, Correction::of(&row.model, estimates)?)));
    let far = corrections.filter(|(_, correction)| correction.is_far_off());
    far.map(|(model, correction)| format!(" Estimate  {}: {}", words::safe(model), words::counted(correction)))
        .collect()
}

fn document(settings: &Settings, facts: &Facts, now: Millis) -> String {
    of(settings, facts, now).to_string()
}

fn of(settings: &Settings, facts: &Facts, now: Millis) -> Value {
    let Facts { standing, usage, reasons, estimates, books, copies, uncollected } = facts;
    let warning =
        |problem: Problem| json!({"code": problem.code, "text": problem.sentence, "hint": problem.hints.join("; ")});
    let warnings: Vec<Value> = expiry::warning(settings, uncollected, now).into_iter().map(warning).collect();
    let estimate = |row: &EstimateRow| {
        let correction = Correction::of(&row.model, estimates);
        json!({"model": row.model, "batches": row.batches, "estimated": row.estimated, "told": row.told,
            "thousandths": correction.map(|correction| correction.thousandths)})
    };
    json!({
        "schema": 1,
        "workspace": settings.workspace.display().to_string(),
        "images": events::images_and_flagged(standing, books.flagged),
        "copies": events::copies(*copies),
        "walking": standing.walking,
        "shards": events::shards(standing, None),
        "batches": events::batches(standing),
        "tokens": events::tokens(usage.usage),
        "estimates": estimates.iter().map(estimate).collect::<Vec<_>>(),
        "queue": {"tokens": books.queue_used, "limit": settings.batch.max_enqueued_tokens.or(books.queue_limit)},
        "oldest_opened_at": books.oldest.map(words::utc),
        "cost": events::cost(&books.funds, books),
        "reasons": reasons.iter().map(events::reason).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

/// Batches that wait for something; there are never more than `max_open_batches` of them.
fn open_batches(reader: &Reader) -> Result<Vec<BatchRow>, LedgerError> {
    let waits = |batch: &BatchRow| {
        matches!(batch.state, BatchState::Opening | BatchState::Open | BatchState::Ended | BatchState::Fetched)
    };
    pages::batches(reader).filter(|batch| batch.as_ref().map_or(true, waits)).collect()
}

fn screen(open: &[BatchRow], stopping: &[BatchNo], reasons: &[ReasonCount], now: Millis) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(oldest) = open.iter().filter_map(|batch| batch.opened_at).min() {
        let images: u64 = open.iter().map(|batch| u64::from(batch.lines)).sum();
        let batches = words::count(open.len() as u64, "batch", "batches");
        let age = words::seconds(u64::try_from(now - oldest).unwrap_or(0) / 1000);
        lines.push(format!(" {batches} not settled, {images} images; the oldest is {age} old"));
    }
    lines.extend(open.iter().take(SHOWN).map(|batch| format!("  {}", batch_line(batch, stopping, now))));
    if open.len() > SHOWN {
        lines.push(format!("  … and {} more", open.len() - SHOWN));
    }
    let states = [ImageState::Rough, ImageState::Failed, ImageState::Skipped];
    lines.extend(states.into_iter().filter_map(|state| closing::ended(reasons, state)));
    if reasons.iter().any(|reason| reason.state == ImageState::Failed) {
        lines.push(" which ones: batchscribe status --list failed".to_owned());
    }
    lines
}

fn batch_line(batch: &BatchRow, stopping: &[BatchNo], now: Millis) -> String {
    let id = batch.id.as_ref().map_or("(no id yet)", BatchId::as_str);
    let age =
        batch.opened_at.map(|at| format!(", {} old", words::seconds(u64::try_from(now - at).unwrap_or(0) / 1000)));
    let doubt = if batch.doubted { ", unknown whether it exists (E313)" } else { "" };
    let images = words::count(u64::from(batch.lines), "image", "images");
    let state = match batch.state {
        BatchState::Open if stopping.contains(&batch.no) => "open, being cancelled,",
        state => state.word(),
    };
    format!("{} {state} {images}{}{doubt}", words::safe(id), age.unwrap_or_default())
}

/// One batch or image.
pub(super) fn one(context: &Context, what: &str) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = reader(context, &layout)? else {
        if context.out.json {
            // The keys that every script looks at, of an image that was never seen.
            let unknown = json!({"schema": 1, "path": what, "state": null, "reason": null, "requests": []});
            context.out.data(&unknown.to_string())?;
        }
        return Ok(Exit::Done);
    };
    for batch in pages::batches(&reader) {
        let batch = batch.map_err(told)?;
        if batch.id.as_ref().is_some_and(|id| id.as_str() == what) {
            return show_batch(context, &batch, &reader.being_cancelled().map_err(told)?);
        }
    }
    // As typed first; an image may be named from the workspace or from any image folder of the ledger, too.
    let roots = reader.corpora().map_err(told)?.into_iter().map(|corpus| to_path(&corpus.root));
    let bases = [context.current_dir.clone(), settings.image_dir.clone(), context.workspace.clone()];
    for base in bases.into_iter().chain(roots) {
        let path = resolved(&base.join(what));
        if let Some(image) = reader.image(path.as_os_str().as_encoded_bytes()).map_err(told)? {
            return super::known::show(context, &reader, &layout, &image);
        }
    }
    let shown = words::safe(what);
    // A name mistyped, not an image that vanished: the command line is wrong.
    let problem = Problem::new("E408", format!("the ledger knows neither an image nor a batch `{shown}`"));
    Err(Fail::usage(problem.hint("an image is named by its path, a batch by its id at the provider")))
}

/// Links on the way resolved, also of a file that is no longer there.
fn resolved(path: &Path) -> PathBuf {
    let behind = |path: &Path| Some(dunce::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    dunce::canonicalize(path).ok().or_else(|| behind(path)).unwrap_or_else(|| path.to_owned())
}

fn show_batch(context: &Context, batch: &BatchRow, stopping: &[BatchNo]) -> Result<Exit, Fail> {
    let now = context.clock.now();
    if context.out.json {
        let document = json!({
            "schema": 1, "id": batch.id.as_ref().map(BatchId::as_str), "shard": batch.shard.as_str(), "run": batch.run,
            "attempt": batch.attempt, "state": batch.state.word(), "being_cancelled": stopping.contains(&batch.no), "end": batch.end.map(|end| end.word()),
            "lines": batch.lines, "bytes": batch.bytes, "opened_at": batch.opened_at.map(words::utc),
            "ended_at": batch.ended_at.map(words::utc),
            "tokens": batch.usage.map(events::tokens),
        });
        context.out.data(&document.to_string())?;
        return Ok(Exit::Done);
    }
    context.out.data(&batch_line(batch, stopping, now))?;
    context.out.data(&format!(" run {}, shard {}, try {}", batch.run, batch.shard, batch.attempt))?;
    let time = |name: &str, at: Option<i64>| at.map(|at| format!(" {name} {}", words::utc(at)));
    for line in [time("opened", batch.opened_at), time("ended", batch.ended_at)].into_iter().flatten() {
        context.out.data(&line)?;
    }
    if let Some(end) = batch.end {
        context.out.data(&format!(" it ended as {}", end.word()))?;
    }
    if let Some(usage) = batch.usage {
        context
            .out
            .data(&format!(" tokens: {} in, {} out ({} reasoning)", usage.prompt, usage.output, usage.reasoning))?;
    }
    Ok(Exit::Done)
}

/// The word of the contracts; the ledger calls an image that waits for its answer `packed`.
pub(super) fn state(state: ImageState) -> &'static str {
    if state == ImageState::Packed { "in_flight" } else { state.word() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Tag;

    fn batch(id: &str, opened_at: i64) -> BatchRow {
        BatchRow {
            no: BatchNo(1),
            id: Some(BatchId(id.to_owned())),
            shard: Tag("s".to_owned()),
            run: "2026-11-22-a".to_owned(),
            attempt: 1,
            state: BatchState::Open,
            end: None,
            stray: false,
            doubted: false,
            lines: 40,
            bytes: 1,
            intent_at: 0,
            opened_at: Some(opened_at),
            ended_at: None,
            usage: None,
            output: None,
            errors: None,
        }
    }

    #[test]
    fn one_screen() {
        let reasons = [ReasonCount { state: ImageState::Failed, reason: "damaged".to_owned(), images: 2 }];
        let lines = screen(&[batch("batch_1", 0), batch("batch_2", 60_000)], &[], &reasons, 7_440_000);
        let expected = [
            " 2 batches not settled, 80 images; the oldest is 2 h 4 min old",
            "  batch_1 open 40 images, 2 h 4 min old",
            "  batch_2 open 40 images, 2 h 3 min old",
            " Failed    2: damaged",
            " which ones: batchscribe status --list failed",
        ];
        assert_eq!(lines, expected);
        let many: Vec<_> = (0..100).map(|_| batch("batch", 0)).collect();
        assert!(screen(&many, &[], &reasons, 0).len() <= 12);
    }
}
