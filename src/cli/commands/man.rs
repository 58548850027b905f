//! `man`: a page for the program and one for each verb.

use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write_there};

/// Writes the pages to `dir`.
pub(super) fn man(context: &Context, dir: &Path) -> Result<Exit, Fail> {
    let folder = context.current_dir.join(dir);
    fs_err::create_dir_all(&folder).map_err(|cause| cannot_write_there(&cause))?;
    let told = |cause| cannot_write_there(&std::io::Error::new(cause, format!("pages in {}", folder.display())));
    clap_mangen::generate_to(Cli::command(), &folder).map_err(|cause| told(cause.kind()))?;
    context
        .out
        .say(&format!("Wrote the pages to {}; man reads them if it is a man1 folder of MANPATH.", folder.display()));
    Ok(Exit::Done)
}
