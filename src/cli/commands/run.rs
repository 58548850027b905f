//! `run`: everything until nothing is owed and nothing is in flight.

use crate::cli::args::Old;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `once`: one pass; batches may stay open. `old`: what becomes of texts that are there.
pub(super) fn run(context: &Context, once: bool, old: Old) -> Result<Exit, Fail> {
    work(context, Job { verb: "run", mode: Mode::Run { once }, old })
}
