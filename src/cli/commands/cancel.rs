//! `cancel`: stops batches at the provider; what ran stays billed and is still fetched.

use serde_json::{Value, json};

use crate::cli::args::Cancel;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{consent, finish, local, words, work};
use crate::domain::image::shown;
use crate::emulator::Server;
use crate::ledger::reader::Reader;
use crate::ops::cancel::{self, Fate, NoTargets, Running, Targets, Which};
use crate::ops::desk::Desk;
use crate::pipeline;
use crate::settings::{Address, Problem, ProviderKind, Settings};

use super::status;

/// Open batches that a mistake lists.
const SHOWN: usize = 20;

/// Asks the provider to stop one batch, or all of this workspace.
pub(super) fn cancel(context: &Context, flags: &Cancel) -> Result<Exit, Fail> {
    let mut settings = context.settings()?;
    let Some(reader) = status::reader(context, &settings.layout())? else { return document(context, flags, &[]) };
    let which = flags.batch.clone().map_or(Which::All, Which::One);
    let targets = cancel::targets(&reader, &which).map_err(|why| no_targets(why, flags))?;
    if targets.running.is_empty() {
        context.out.say(&nothing_to_stop(&targets, flags));
        return document(context, flags, &[]);
    }
    if flags.dry_run {
        return would(context, flags, &targets);
    }
    let (base_url, identity) = pipeline::account(&settings, settings.api_url.base());
    if let Some(other) = reader.other_account(&base_url, &identity).map_err(|error| finish::ledger(&error))? {
        return Err(finish::other_account(&other).into());
    }
    confirm(context, flags, &targets)?;
    let key = work::key(context, &settings)?;
    let _server = built_in(context, &mut settings)?;
    let mut fates = Vec::new();
    cancel::cancel(&settings, key.as_ref(), &context.clock, &targets.running, |batch, fate| {
        context.out.say(&format!("{}: {}", named(batch), words_of(fate)));
        fates.push((batch.clone(), fate.clone()));
    })?;
    if fates.iter().all(|(_, fate)| matches!(fate, Fate::Unknown)) {
        return Err(finish::none_known(settings.api_url.host(), fates.len()).into());
    }
    note(context, &settings, reader, &fates);
    conclude(context, &settings, &fates, targets.nameless);
    document(context, flags, &fates)?;
    Ok(if fates.iter().all(|(_, fate)| matches!(fate, Fate::Asked | Fate::HasEnded)) {
        Exit::Done
    } else {
        Exit::Unexpected
    })
}

/// Where a run is at work, it sees by itself what became of them; the ledger is its own.
fn note(context: &Context, settings: &Settings, reader: Reader, fates: &[(Running, Fate)]) {
    let layout = settings.layout();
    if !reader.is_at_rest().unwrap_or(false) {
        return;
    }
    // The writer leaves last, and takes the ledger's working files with it.
    drop(reader);
    let asked: Vec<_> =
        fates.iter().filter(|(_, fate)| matches!(fate, Fate::Asked)).map(|(batch, _)| batch.no).collect();
    let Ok(_lock) = work::lock(&layout.lock(), "cancel") else { return };
    let noted = Desk::open(&layout, context.clock.clone(), settings).and_then(|mut desk| {
        cancel::note(&mut desk, &asked)?;
        desk.close()
    });
    if let Err(error) = noted {
        // They are being cancelled all the same.
        context.out.warn(&error.to_string());
    }
}

type Fates = Vec<(Running, Fate)>;

/// The built-in provider runs inside a run, or inside this call.
fn built_in(context: &Context, settings: &mut Settings) -> Result<Option<Server>, Fail> {
    if settings.provider.name != ProviderKind::Local {
        return Ok(None);
    }
    // It reads on until it is asked to stop.
    consent::ask_for_what_is_open(context, settings)?;
    let server = local::start(local::Wanted::for_run(settings))?;
    settings.api_url = Address::below(&server.base_url());
    Ok(Some(server))
}

/// All of them are stopped only by somebody who can name what they are.
fn confirm(context: &Context, flags: &Cancel, targets: &Targets) -> Result<(), Fail> {
    let Some(newest) = targets.running.last().filter(|_| flags.all && !context.global.yes) else { return Ok(()) };
    let question = format!("{} will be cancelled. What ran stays billed.", sum(&targets.running));
    if !context.out.can_ask {
        return Err(Problem::new("E109", "a question was asked, but this is no interactive terminal")
            .detail(question)
            .hint("add --yes if they may be cancelled; nothing was")
            .into());
    }
    let typed = context.out.typed(&format!("{question} Type the name of the run, {}:", newest.run))?;
    if typed == newest.run {
        return Ok(());
    }
    context.out.say("Nothing was cancelled.");
    Err(Fail::Told(Vec::new(), Exit::Done))
}

fn would(context: &Context, flags: &Cancel, targets: &Targets) -> Result<Exit, Fail> {
    if !context.out.json {
        for batch in &targets.running {
            context.out.data(&format!("Would cancel {}", named(batch)))?;
        }
    }
    let none_asked: Fates = targets.running.iter().map(|batch| (batch.clone(), Fate::Asked)).collect();
    document(context, flags, &none_asked)
}

/// What is to be known now, and what to do next.
fn conclude(context: &Context, settings: &Settings, fates: &[(Running, Fate)], nameless: u64) {
    let say = |text: &str| context.out.say(text);
    let asked: Vec<Running> =
        fates.iter().filter(|(_, fate)| matches!(fate, Fate::Asked)).map(|(batch, _)| batch.clone()).collect();
    if !asked.is_empty() {
        say(&format!("{} asked to stop at {}; that may take ten minutes.", sum(&asked), settings.api_url.host()));
        say("What ran until then stays billed and is fetched: batchscribe download");
        say("The rest is owed again, uncounted. A run at work here, and the next one, asks it again at once: to leave");
        say("it unasked, stop that run (Ctrl-C) and start none.");
    }
    if nameless > 0 {
        let batches = words::count(nameless, "batch is", "batches are");
        say(&format!(
            "{batches} being created and cannot be cancelled before that is over; then the same command again."
        ));
    }
}

fn nothing_to_stop(targets: &Targets, flags: &Cancel) -> String {
    match (&targets.ended, &flags.batch) {
        (Some(end), Some(name)) => {
            format!("Batch {} has ended ({}); nothing is left to cancel.", words::safe(name), end.word())
        }
        (None, Some(name)) => format!("Batch {} is not open; nothing is left to cancel.", words::safe(name)),
        _ if targets.nameless > 0 => {
            let batches = words::count(targets.nameless, "batch is", "batches are");
            format!("{batches} being created; none can be cancelled before that is over.")
        }
        _ => "No batch is open; nothing is left to cancel.".to_owned(),
    }
}

fn no_targets(why: NoTargets, flags: &Cancel) -> Fail {
    let open = match why {
        NoTargets::Ledger(error) => return finish::ledger(&error).into(),
        NoTargets::Unknown(open) => open,
    };
    let name = shown(flags.batch.as_deref().unwrap_or_default().as_bytes());
    let mut problem = Problem::new("", format!("no batch of this ledger is called {name}"));
    for batch in open.iter().take(SHOWN) {
        problem = problem.detail(format!("open: {}", named(batch)));
    }
    if open.len() > SHOWN {
        problem = problem.detail(format!("and {} more", open.len() - SHOWN));
    }
    let hint = if open.is_empty() { "no batch is open" } else { "name one of these, or all with --all" };
    Fail::usage(problem.hint(hint))
}

fn named(batch: &Running) -> String {
    let lines = words::count(u64::from(batch.lines), "image", "images");
    let stray = if batch.stray { ", a second batch of the same images" } else { "" };
    format!("{} ({lines}{stray})", words::safe(batch.id.as_str()))
}

fn words_of(fate: &Fate) -> String {
    match fate {
        Fate::Asked => "is being cancelled".to_owned(),
        Fate::HasEnded => "has ended; nothing is left to cancel".to_owned(),
        Fate::Unknown => "is not known there with this key; nothing was cancelled".to_owned(),
        Fate::Failed(failure) => format!("was not cancelled: {}", words::safe(failure)),
    }
}

fn sum(batches: &[Running]) -> String {
    let images = batches.iter().filter(|batch| !batch.stray).map(|batch| u64::from(batch.lines)).sum();
    let batches = words::count(batches.len() as u64, "batch", "batches");
    format!("{batches} ({})", words::count(images, "image", "images"))
}

fn document(context: &Context, flags: &Cancel, fates: &[(Running, Fate)]) -> Result<Exit, Fail> {
    if context.out.json {
        let entry = |(batch, fate): &(Running, Fate)| -> Value {
            let fate = if flags.dry_run { "would_be_asked" } else { fate.word() };
            json!({"id": batch.id.as_str(), "lines": batch.lines, "stray": batch.stray, "fate": fate})
        };
        let batches: Vec<Value> = fates.iter().map(entry).collect();
        context.out.data(&json!({"schema": 1, "dry_run": flags.dry_run, "batches": batches}).to_string())?;
    }
    Ok(Exit::Done)
}
