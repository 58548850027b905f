//! `upload`: scan, plan, send; or, with a folder, write the files and send nothing.

use std::path::Path;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::work::{Job, work};
use crate::pipeline::mission::Mode;

/// `spool`: the folder for files that somebody else sends. `keep_old`: texts of another recipe stay as they are.
pub(super) fn upload(context: &Context, spool: Option<&Path>, keep_old: bool) -> Result<Exit, Fail> {
    let mode = spool.map_or(Mode::Upload, |folder| Mode::SpoolOnly(context.current_dir.join(folder)));
    work(context, Job { verb: "upload", mode, keep_old })
}
