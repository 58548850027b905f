//! `help` and the page of a bare `batchscribe`.

use clap::CommandFactory as _;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::near;
use crate::cli::out::Out;
use crate::ops::explain;
use crate::settings::Problem;

const WELCOME: &str = "\
batchscribe transcribes folders of page images: every image ends in a text beside it, or in a named reason.

  cd my-scans && batchscribe run --limit 20    read 20 pages on this computer: no key, no account, no network
  batchscribe init                             write batchscribe.toml and prompt.txt, to be edited
  batchscribe run                              everything; the same command again goes on where it ended

  batchscribe status                           how far it is, what failed
  batchscribe doctor                           what is missing on this computer
  batchscribe config show --origin             every setting, and where it comes from
  batchscribe --help                           all verbs
  batchscribe help VERB                        the long page of a verb
  batchscribe help E204                        what an error means";

/// Twelve lines with three first commands.
pub(crate) fn welcome(out: &Out) -> Result<Exit, Fail> {
    out.data(WELCOME)?;
    Ok(Exit::Done)
}

/// The page of a verb or of an error.
pub(super) fn help(context: &Context, topic: &[String]) -> Result<Exit, Fail> {
    let mut command = Cli::command();
    if let [topic] = topic
        && let Some(page) = explain::page(topic)
    {
        context.out.data(&page)?;
        return Ok(Exit::Done);
    }
    if !topic.is_empty() {
        // The pages of verbs name the program and the verbs above them.
        command.build();
    }
    match topic.iter().try_fold(&mut command, |verb, word| verb.find_subcommand_mut(word)) {
        Some(verb) => context.out.data(verb.render_long_help().to_string().trim_end())?,
        None => return Err(Fail::usage(unknown(topic))),
    }
    Ok(Exit::Done)
}

fn unknown(topic: &[String]) -> Problem {
    let shown = crate::domain::image::shown(topic.join(" ").as_bytes());
    let problem = Problem::new("", format!("there is no verb and no error `{shown}`"));
    match topic {
        [word] => match near::verb(word) {
            Some(verb) => problem.hint(format!("did you mean  batchscribe help {verb} ?")),
            None => problem,
        },
        _ => problem,
    }
    .hint("batchscribe --help  lists the verbs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_has_twelve_lines() {
        assert_eq!(WELCOME.lines().count(), 12);
    }
}
