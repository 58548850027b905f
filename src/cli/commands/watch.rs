//! `status --watch`: the one screen again and again, until nothing is owed or in flight, or Ctrl-C.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::status;
use crate::cli::attend;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};

/// Time between two looks on a terminal; elsewhere it is `show.stats`.
const EVERY: Duration = Duration::from_secs(2);

/// Shows the screen whenever it is time; on a terminal in the place of the last one.
pub(super) fn watch(context: &Context, exit_code: bool) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let redraws = context.out.redraws() && std::io::stdout().is_terminal();
    let every = if redraws { EVERY } else { settings.show.stats };
    let terminal = console::Term::stdout();
    let mut drawn = 0;
    loop {
        let seen = status::look(context, &settings)?;
        if redraws {
            // A terminal that does not answer shows one screen below the other.
            drop(terminal.clear_last_lines(drawn));
            let width = usize::from(terminal.size().1).max(20) - 1;
            let cut = |line: &String| console::truncate_str(line, width, "…").into_owned();
            drawn = seen.lines.len();
            for line in seen.lines.iter().map(cut) {
                context.out.data(&line)?;
            }
        } else {
            for line in &seen.lines {
                context.out.data(line)?;
            }
        }
        if !seen.busy || attend::pause(every)? {
            return Ok(if exit_code && seen.busy { Exit::InFlight } else { Exit::Done });
        }
    }
}
