//! `completions`: a script for the shell, on stdout.

use clap::CommandFactory as _;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};

/// Prints the script of `shell`.
pub(super) fn completions(context: &Context, shell: clap_complete::Shell) -> Result<Exit, Fail> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "batchscribe", &mut script);
    context.out.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
