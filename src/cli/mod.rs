//! Words in, words out.
//!
//! *Job*: verbs, flags, screen, exit codes. *In*: the command line. *Out*: stdout carries data, stderr everything else.
//! *Owns*: the terminal. *Bound*: one block of at most 12 lines. *If it crashes here*: the ledger has everything.

pub mod args;
mod attend;
mod closing;
mod commands;
mod consent;
mod context;
mod eta;
mod events;
pub mod exit;
mod expiry;
mod finish;
pub mod flags;
mod folder;
mod in_the_way;
mod local;
mod logs;
mod near;
mod notices;
mod out;
mod pages;
mod pilot;
mod progress;
mod screen;
mod signals;
mod stale;
mod stream;
mod words;
mod work;

use clap::Parser as _;

use self::args::{Cli, Verb};
use self::context::Context;
use self::events::Events;
use self::exit::{Exit, Fail};
use self::out::Out;
use crate::kit::clock::Clock;
use crate::settings::Environment;

/// The program: parses the command line, does what it says, tells how it ended.
#[must_use]
pub fn main() -> Exit {
    keep_memory_private();
    let words = args::gathered(std::env::args_os());
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(answer) => return parsed(&near::suggested(answer, &words), args::color_of(&words)),
    };
    let environment = Environment::of_process();
    let out = Out::new(&cli.global, &environment);
    let events = Events::new(Clock::wall());
    // Only the verbs that work for long speak in lines of JSON; the others print one document.
    let lines = cli.global.json && cli.verb.as_ref().is_some_and(Verb::is_long);
    match dispatch(cli, environment, &out, &events) {
        Ok(exit) => exit,
        Err(fail) => failed(&out, fail, lines.then_some(&events)),
    }
}

/// No core dump, and no look into memory or environment by another process of the same user: the key is in both.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Refused only by a kernel that forbids the call; the key is then as safe as in any other program.
        let _set = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Help, version, or a mistake in the command line.
fn parsed(answer: &clap::Error, color: args::Color) -> Exit {
    out::answer(answer, color);
    if answer.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn dispatch(cli: Cli, environment: Environment, out: &Out, events: &Events) -> Result<Exit, Fail> {
    let Some(verb) = cli.verb else { return commands::help::welcome(out) };
    let context = Context::new(cli.global, environment, verb.flags(), out.clone(), events.clone())?;
    commands::call(&context, verb)
}

fn failed(out: &Out, fail: Fail, lines: Option<&Events>) -> Exit {
    let Fail::Told(problems, exit) = fail else { return Exit::Done };
    for problem in &problems {
        out.error(problem);
    }
    if let (Some(events), Some(problem)) = (lines, problems.first()) {
        // The exit code tells the same to a reader that has gone away.
        drop(out.data(&events.exit_error(problem, exit)));
    }
    exit
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn memory_is_private() {
        super::keep_memory_private();
        let told = rustix::process::dumpable_behavior().expect("a kernel that tells");
        assert_eq!(told, rustix::process::DumpableBehavior::NotDumpable);
    }
}
