//! `recover`: the ledger is built again, and said is what came back, what waits, and how to go on.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::events;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::work;
use crate::cli::{consent, finish, folder, logs, pages, words};
use crate::domain::ids::Tag;
use crate::kit::atomic_file::private_folder;
use crate::ops::recover::{self, Error, Ground, Remote, Report, Seen, Waiting, Wanted, Why};
use crate::ops::refusal;
use crate::settings::{Problem, Settings, prices, texts};

/// Shards that wait and are named one by one.
const NAMED: usize = 10;

/// Builds the ledger again; `from_account`: asks the provider as well, `run` names a run there.
pub(super) fn recover(context: &Context, from_account: bool, run: Option<String>) -> Result<Exit, Fail> {
    let mut settings = context.settings()?;
    logs::start(&context.global, &settings)?;
    let layout = settings.layout();
    if let Ok(Some(reader)) = pages::ledger(&layout) {
        // A ledger that cannot even tell its folder is damaged, which is what this is about.
        drop(folder::take_folder(&mut settings, &reader));
    }
    let root = folder::image_root(&settings)?;
    let prompt = texts::prompt(&settings)?;
    let recipe = texts::recipe(&settings, &prompt.text)?;
    let key = if from_account { work::key(context, &settings)? } else { None };
    if from_account {
        consent::ask_for_what_is_open(context, &settings)?;
    }
    private_folder(&layout.batch).map_err(|cause| cannot_write(&cause))?;
    let _lock = work::lock(&layout.lock(), "recover")?;
    let _server = if from_account { work::own_server(&mut settings)? } else { None };
    let means = work::means(context, &settings, root.clone(), recipe.clone(), key.as_ref())?;
    let (provider, settle, clock) = (means.provider, settings.provider.settle, context.clock.clone());
    let wanted = Wanted {
        layout,
        clock: clock.clone(),
        root,
        given: settings.image_dir_given.clone(),
        counting: settings.models.counting(&recipe.model, &recipe.parameters.detail),
        charges: prices::charges(&settings),
        recipe,
        corpus: means.corpus,
        run: means.run,
        allowed: means.allowed,
        remote: from_account.then_some(Remote { provider, settle, clock }),
        tag: run.map(Tag),
    };
    let key_source = key.map(|key| key.source).unwrap_or_default();
    let report = recover::recover(&wanted).map_err(|error| refused(error, &settings, &key_source))?;
    tell(context, &settings, &report, from_account)
}

/// `recover -n`: what the disk tells, without building anything.
pub(super) fn would(context: &Context) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let seen = recover::look(&settings.layout()).map_err(|error| refused(error, &settings, ""))?;
    if context.out.json {
        let backup = seen.backup.as_ref().map(|path| path.display().to_string());
        let document = json!({
            "schema": 1, "dry_run": true, "ledger": word(&seen.ground), "backup": backup, "shards": seen.shards, "lines": seen.lines,
        });
        context.out.data(&document.to_string())?;
        return Ok(Exit::Done);
    }
    for line in would_lines(&seen) {
        context.out.data(&line)?;
    }
    Ok(Exit::Done)
}

fn would_lines(seen: &Seen) -> Vec<String> {
    let mut lines = vec![match (&seen.ground, seen.shards, &seen.backup) {
        (Ground::Whole, 0, _) => "The ledger is whole: nothing is to be recovered.".to_owned(),
        (Ground::Whole, ..) => "The ledger lacks paid work.".to_owned(),
        (Ground::Missing, 0, None) => {
            "There is no ledger, and nothing on this disk that one could be built from.".to_owned()
        }
        (Ground::Missing, ..) => "The ledger is gone.".to_owned(),
        (Ground::Damaged(check), ..) => {
            format!("The ledger is damaged: {}. It would be kept under another name.", words::safe(check))
        }
    }];
    lines.extend(seen.backup.as_ref().map(|path| format!(" Would build upon  {}", path.display())));
    if seen.shards > 0 {
        let told = if seen.lines > 0 { format!(" ({} at least)", images(seen.lines)) } else { String::new() };
        lines
            .push(format!(" Would look for    what is left of {}{told}", words::count(seen.shards, "shard", "shards")));
    }
    lines.push("Nothing was written. What the provider alone knows: batchscribe recover --from-account".to_owned());
    lines
}

fn word(ground: &Ground) -> &'static str {
    match ground {
        Ground::Whole => "whole",
        Ground::Missing => "missing",
        Ground::Damaged(_) => "damaged",
    }
}

fn tell(context: &Context, settings: &Settings, report: &Report, from_account: bool) -> Result<Exit, Fail> {
    if context.out.json {
        context.out.data(&document(report))?;
    }
    for line in lines(report) {
        context.out.say(&line);
    }
    if !report.waiting.is_empty() {
        return Err(waits(report, from_account).into());
    }
    context.out.say(&next(report, settings));
    Ok(Exit::Done)
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![found(report)];
    if let Some(path) = &report.kept_as {
        lines.push(format!(" Kept          {}", path.display()));
    }
    if let Some(path) = report.backup.as_ref().filter(|_| report.changed) {
        lines.push(format!(" Built upon    {}", path.display()));
    }
    if report.shards > 0 {
        let [saved, open, doubt] = report.batches;
        let shards = words::count(report.shards, "shard", "shards");
        lines.push(format!(" Brought back  {shards}, {} that wait for their answers", images(report.images)));
        lines.push(format!(" Batches       {saved} with answers on disk, {open} at the provider, {doubt} in doubt"));
    }
    if let (1.., pages) = report.nothing_left {
        let shards = words::count(report.nothing_left.0, "shard", "shards");
        lines.push(format!(" Nothing left  of {shards} ({})", images(pages)));
    }
    for waiting in report.waiting.iter().take(NAMED) {
        lines.push(format!(" Waiting       {}", one_waiting(waiting)));
    }
    if report.waiting.len() > NAMED {
        lines.push(format!("               and {} more", report.waiting.len() - NAMED));
    }
    lines.push(words::balance(&report.standing));
    lines
}

fn images(number: u64) -> String {
    words::count(number, "image", "images")
}

fn found(report: &Report) -> String {
    match &report.ground {
        Ground::Whole if !report.changed => "The ledger is whole: nothing is to be recovered.".to_owned(),
        Ground::Whole => "The ledger lacked paid work.".to_owned(),
        Ground::Missing if !report.changed && report.waiting.is_empty() => {
            "There is no ledger, and nothing that one could be built from.".to_owned()
        }
        Ground::Missing => "The ledger was gone.".to_owned(),
        Ground::Damaged(check) => format!("The ledger was damaged: {}", words::safe(check)),
    }
}

fn one_waiting(waiting: &Waiting) -> String {
    let why = match waiting.why {
        Why::OnlyAtProvider => "only the provider can tell what it asked for",
        Why::Running => "its input file is gone, and it has not ended yet",
        Why::Unknown => "the provider does not know it with this key",
        Why::NoImages => "none of its images lies in the image folder",
    };
    let lines = if waiting.lines > 0 { format!(" ({})", images(u64::from(waiting.lines))) } else { String::new() };
    format!("{}{lines}: {why}", words::safe(&waiting.name))
}

/// What could not be brought back stops every other verb, because it would be paid for again.
fn waits(report: &Report, from_account: bool) -> Problem {
    let many = words::count(report.waiting.len() as u64, "shard", "shards");
    let sentence = format!("{many} that may have been paid for could not be brought back yet");
    let problem = Problem::new("E403", sentence);
    let is = |why| report.waiting.iter().any(|waiting| waiting.why == why);
    let problem = match () {
        () if !from_account => {
            problem.hint("batchscribe recover --from-account  asks the provider; it needs network and key")
        }
        () if is(Why::Running) => problem.hint("the same command again once they have ended"),
        () if is(Why::Unknown) => problem.hint("take the key of the account and project that opened them"),
        () => problem,
    };
    let problem = if is(Why::NoImages) {
        problem.hint("name the image folder as it was named for run: batchscribe recover IMAGE_DIR")
    } else {
        problem
    };
    problem.hint("until then nothing is asked, because it would be paid for twice")
}

fn next(report: &Report, settings: &Settings) -> String {
    let folder = if settings.is_set("image_dir") { format!(" {}", settings.image_dir_given) } else { String::new() };
    match report.ground {
        Ground::Missing if !report.changed => {
            "Were batches opened from here?  batchscribe recover --from-account  asks the provider. Otherwise: batchscribe run"
                .to_owned()
        }
        _ if !report.changed => "Go on with: batchscribe run; batchscribe audit  tells whether the balance closes".to_owned(),
        _ => format!("Go on with: batchscribe run{folder}"),
    }
}

/// How a refusal is told.
pub(super) fn refused(error: Error, settings: &Settings, key_source: &str) -> Fail {
    match error {
        Error::Ledger(error) => finish::ledger(&error).into(),
        Error::Disk(cause) => cannot_write(&cause).into(),
        Error::Corpus(cause) => {
            let dir = settings.image_dir.display();
            Problem::new("E104", format!("cannot read the image folder {dir}: {cause}"))
                .hint("check image_dir, and whether the drive is still there")
                .into()
        }
        Error::Provider(failure) => refusal::told(&failure, key_source).into(),
        Error::NoRun(runs) => {
            let one = |(run, batches): (&Tag, &u64)| {
                format!("run {}: {}", words::safe(run.as_str()), words::count(*batches, "batch", "batches"))
            };
            let problem = Problem::new("E403", "nothing here tells which batches of the account are of this workspace");
            runs.iter()
                .map(one)
                .fold(problem, Problem::detail)
                .hint("name one: batchscribe recover --from-account --run ID")
                .into()
        }
    }
}

fn document(report: &Report) -> String {
    let [saved, open, doubt] = report.batches;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let waiting = |waiting: &Waiting| {
        let why = match waiting.why {
            Why::OnlyAtProvider => "only_at_provider",
            Why::Running => "running",
            Why::Unknown => "unknown",
            Why::NoImages => "no_images",
        };
        json!({"name": waiting.name, "lines": waiting.lines, "why": why})
    };
    json!({
        "schema": 1,
        "ledger": word(&report.ground),
        "changed": report.changed,
        "kept_as": path(&report.kept_as),
        "backup": path(&report.backup),
        "shards": report.shards,
        "batches": {"saved": saved, "open": open, "doubt": doubt},
        "images_brought_back": report.images,
        "nothing_left": {"shards": report.nothing_left.0, "images": report.nothing_left.1},
        "waiting": report.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "images": events::images(&report.standing),
    })
    .to_string()
}
