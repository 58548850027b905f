//! `download`: look at every open batch, or at one alone; fetch what ended, write texts.

use crate::cli::args::Old;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, nothing_to_do, work};
use crate::cli::{finish, pages, words};
use crate::kit::clock::Stopwatch;
use crate::ledger::LedgerError;
use crate::ledger::moves::BatchState;
use crate::ledger::reader::BatchRow;
use crate::pipeline::mission::Mode;
use crate::settings::Problem;

/// Batches that wait and are named where an unknown one was asked for.
const NAMED: usize = 10;

/// `wait`: until no batch is open, or not the one named. `batch`: this one alone, by its name at the provider.
pub(super) fn download(context: &Context, wait: bool, batch: Option<&str>) -> Result<Exit, Fail> {
    let job = |mode| Job { verb: "download", mode, old: Old::KEPT };
    let told = |error: LedgerError| Fail::from(finish::ledger(&error));
    let Some(name) = batch else { return work(context, job(Mode::Download { wait })) };
    let (watch, settings) = (Stopwatch::start(), context.settings()?);
    let Some(reader) = pages::ledger(&settings.layout()).map_err(told)? else {
        return work(context, job(Mode::Download { wait }));
    };
    let mut waiting = Vec::new();
    for row in pages::batches(&reader) {
        let row = row.map_err(told)?;
        let is_it = row.id.as_ref().is_some_and(|id| id.as_str() == name);
        match (is_it, waits(&row)) {
            (true, true) => return work(context, job(Mode::DownloadOne { batch: row.no, wait })),
            (true, false) => {
                context.out.say(&format!(
                    "Batch {} has ended, and its answers were read ({}): nothing is left to fetch.",
                    words::safe(name),
                    row.state.word()
                ));
                return nothing_to_do(context, &settings, "download", watch);
            }
            (false, true) => waiting.push(row),
            (false, false) => {}
        }
    }
    Err(Fail::usage(unknown(name, &waiting)))
}

/// Whether something of a batch is still to be fetched or read.
fn waits(batch: &BatchRow) -> bool {
    matches!(batch.state, BatchState::Open | BatchState::Ended | BatchState::Fetched)
}

fn unknown(name: &str, waiting: &[BatchRow]) -> Problem {
    let mut problem = Problem::new("", format!("no batch of this ledger is called {}", words::safe(name)));
    for batch in waiting.iter().filter_map(|batch| Some((batch.id.as_ref()?, batch))).take(NAMED) {
        let images = words::count(u64::from(batch.1.lines), "image", "images");
        problem = problem.detail(format!("{}: {} ({images})", batch.1.state.word(), words::safe(batch.0.as_str())));
    }
    if waiting.len() > NAMED {
        problem = problem.detail(format!("and {} more", waiting.len() - NAMED));
    }
    let hint =
        if waiting.is_empty() { "no batch waits to be fetched" } else { "name one of these, or leave --batch out" };
    problem.hint(hint).hint("one that the provider knows and this ledger lacks: batchscribe recover --from-account")
}
