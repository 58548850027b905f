//! `upload`: scan, plan, send; or, with a folder, write the files and send nothing.

use std::path::Path;

use crate::cli::args::Old;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `spool`: the folder for files that somebody else sends. `old`: what becomes of texts that are there.
pub(super) fn upload(context: &Context, spool: Option<&Path>, old: Old) -> Result<Exit, Fail> {
    let mode = spool.map_or(Mode::Upload, |folder| Mode::SpoolOnly(context.current_dir.join(folder)));
    work(context, Job { verb: "upload", mode, old })
}
