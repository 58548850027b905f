//! `run`: everything until nothing is owed and nothing is in flight; or a pilot, which asks a few pages first.

use crate::cli::args::Old;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `once`: one pass; batches may stay open. `pilot`: a few pages alone. `old`: what becomes of texts that are there.
pub(super) fn run(context: &Context, once: bool, pilot: bool, old: Old) -> Result<Exit, Fail> {
    let mode = if pilot { Mode::Pilot(context.settings()?.run.pilot_images) } else { Mode::Run { once } };
    work(context, Job { verb: "run", mode, old })
}
