//! `run`: everything until nothing is owed and nothing is in flight.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `once`: one pass; batches may stay open. `keep_old`: texts of another recipe stay as they are.
pub(super) fn run(context: &Context, once: bool, keep_old: bool) -> Result<Exit, Fail> {
    work(context, Job { verb: "run", mode: Mode::Run { once }, keep_old })
}
