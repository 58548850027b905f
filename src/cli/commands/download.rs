//! `download`: look at every open batch, fetch what ended, write texts.

use crate::cli::args::Old;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `wait`: until no batch is open.
pub(super) fn download(context: &Context, wait: bool) -> Result<Exit, Fail> {
    work(context, Job { verb: "download", mode: Mode::Download { wait }, old: Old::KEPT })
}
