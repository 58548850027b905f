//! `bench`: every stage and the whole pipeline on this computer, in turns, each in a process of its own.

mod children;
mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bench::compare::unlike;
use crate::bench::figures::{Report, Row, SCHEMA, Sample};
use crate::bench::ground::Ground;
use crate::bench::machine::Machine;
use crate::bench::stage::{Need, Stage, measure};
use crate::bench::{compare, pages};
use crate::cli::args::Bench;
use crate::cli::attend;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::words;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::{random, thread};
use crate::settings::{Problem, cause_alone};

use children::Server;

/// Measures, or is one of the processes that are measured.
pub(super) fn bench(context: &Context, flags: &Bench) -> Result<Exit, Fail> {
    if let Some(results) = &flags.be_sink {
        return children::be_sink(context, results);
    }
    if let (Some(folder), [stage]) = (&flags.inside, flags.stage.as_slice()) {
        let ground = Ground { folder: folder.clone(), server: flags.server.clone() };
        let sample = measure(*stage, &ground).map_err(|cause| Problem::new("", cause.to_string()))?;
        context.out.data(&json(&sample)?)?;
        return Ok(Exit::Done);
    }
    // Read first: a wrong name is not to be told after an hour.
    let then = flags.against.as_deref().map(|file| earlier(&context.current_dir.join(file))).transpose()?;
    let stop = Stop::listen().map_err(|cause| cannot_write(&cause))?;
    let report = report(context, flags, &stop)?;
    let Some(report) = report else {
        context.out.say("Stopped; the made-up pages are removed.");
        return Ok(Exit::Interrupted);
    };
    let against = then.map(|then| match unlike(&report, &then) {
        Some(why) => Err(why),
        None => Ok(compare::compare(&report, &then)),
    });
    if context.out.json {
        context.out.data(&told::document(&report, against.as_ref())?)?;
        return Ok(Exit::Done);
    }
    context.out.data(&told::table(&report))?;
    match against {
        Some(Ok(compared)) => context.out.data(&told::comparison(&compared))?,
        Some(Err(why)) => context.out.warn(&format!("the earlier result says nothing about this one: {why}")),
        None => {}
    }
    Ok(Exit::Done)
}

/// Makes the corpus and measures every stage in turns; `None` if a signal came.
fn report(context: &Context, flags: &Bench, stop: &Stop) -> Result<Option<Report>, Fail> {
    let stages = if flags.stage.is_empty() { Stage::ALL.to_vec() } else { flags.stage.clone() };
    let place = Place::make(&context.workspace).map_err(|cause| cannot_write(&cause))?;
    let ground = Ground { folder: place.0.clone(), server: None };
    context.out.say(&format!(
        "Making {} of {} bytes in {}; removed afterwards.",
        words::count(flags.images, "page", "pages"),
        flags.bytes,
        place.0.display()
    ));
    let bytes = usize::try_from(flags.bytes).unwrap_or(usize::MAX);
    if !pages::make(&ground, flags.images, bytes, flags.seed, &|| !stop.is_raised())
        .map_err(|cause| cannot_write(&cause))?
    {
        return Ok(None);
    }
    let samples = rounds(context, flags, &stages, &ground, stop)?;
    if stop.is_raised() {
        return Ok(None);
    }
    Ok(Some(Report {
        schema: SCHEMA,
        machine: Machine::here(),
        images: flags.images,
        image_bytes: flags.bytes,
        seed: flags.seed,
        sink: flags.sink.clone(),
        stages: samples.iter().filter_map(|samples| Row::of(samples)).collect(),
    }))
}

/// The samples of each stage; the first round warms caches up and does not count.
fn rounds(
    context: &Context,
    flags: &Bench,
    stages: &[Stage],
    ground: &Ground,
    stop: &Stop,
) -> Result<Vec<Vec<Sample>>, Fail> {
    let needs_sink = stages.iter().any(|stage| stage.needs() == Need::Sink);
    let sink = needs_sink.then(|| Server::sink(&ground.results())).transpose()?;
    let mut samples = vec![Vec::new(); stages.len()];
    for round in 0..=flags.rounds {
        for (stage, samples) in stages.iter().zip(&mut samples) {
            if stop.is_raised() {
                return Ok(Vec::new());
            }
            let given = flags.sink.as_deref().filter(|_| *stage == Stage::Upload);
            let sample = one(*stage, ground, given.or(sink.as_ref().map(Server::base_url)));
            let sample = match sample {
                // A signal reaches the measured process, too.
                Err(_) if stop.is_raised() => return Ok(Vec::new()),
                sample => sample?,
            };
            if round > 0 {
                samples.push(sample);
            }
        }
        let name = if round == 0 { "warm".to_owned() } else { format!("round {round} of {}", flags.rounds) };
        context.out.say(&format!("{name}: done"));
    }
    Ok(samples)
}

/// One stage in a process of its own, in an empty folder.
fn one(stage: Stage, ground: &Ground, sink: Option<&str>) -> Result<Sample, Fail> {
    ground.clear().map_err(|cause| cannot_write(&cause))?;
    remove(&ground.folder.join(PROVIDER)).map_err(|cause| cannot_write(&cause))?;
    match stage.needs() {
        Need::Nothing => children::sample(stage, ground, None),
        Need::Sink => children::sample(stage, ground, sink),
        Need::Provider => {
            let server = Server::provider(&ground.folder.join(PROVIDER))?;
            children::sample(stage, ground, Some(server.base_url()))
        }
    }
}

/// Where the built-in server keeps its files, below the folder that is measured in.
const PROVIDER: &str = "provider";

fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A hidden folder on the disk that is measured; it goes with this value.
struct Place(PathBuf);

impl Place {
    fn make(workspace: &Path) -> io::Result<Self> {
        let place = workspace.join(format!(".batchscribe-bench-{}", random::letters(8)?));
        fs_err::create_dir_all(&place)?;
        // The corpus knows images by their path below a folder without links in its name.
        Ok(Self(dunce::canonicalize(&place).unwrap_or(place)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is seen by whoever lists the folder; its name says what it was.
        drop(remove(&self.0));
    }
}

/// Whether SIGINT or SIGTERM came: what was made is removed before the program ends.
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn listen() -> io::Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&raised);
        let _ends_with_the_process = thread::spawn("signals", ExitGuard::unheard("signals"), move |guard| {
            if attend::wait_for_signal(|| (), || ()).is_ok() {
                heard.store(true, Ordering::Relaxed);
            }
            guard.drained();
        })?;
        Ok(Self(raised))
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn earlier(file: &Path) -> Result<Report, Problem> {
    let wrong = |cause: String| {
        Problem::new("", format!("cannot compare with {}", file.display()))
            .detail(cause)
            .hint("batchscribe bench --json > FILE  writes one")
    };
    let text = fs_err::read_to_string(file).map_err(|cause| wrong(cause_alone(&cause)))?;
    serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string()))
}

fn json(value: &impl serde::Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|cause| Problem::new("", format!("a figure is no number: {cause}")))
}
