//! `review`: image and text side by side in the browser, until a signal.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use super::status;
use crate::cli::args::Review;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::{attend, finish, logs};
use crate::domain::ids::ImageId;
use crate::ledger::reader::Reader;
use crate::ops::review::{self, EachByItself};
use crate::settings::{InForce, Problem};
use crate::web::{self, Pages};

/// Serves the pages to whoever opens the link first.
pub(super) fn review(context: &Context, flags: &Review) -> Result<Exit, Fail> {
    if !flags.listen.ip().is_loopback() {
        let sentence = format!("--listen {} can be reached from other computers", flags.listen);
        return Err(Fail::usage(Problem::new("", sentence).hint(
            "the link goes over the network unencrypted; tunnel it instead: ssh -L 7041:127.0.0.1:7041 THIS_COMPUTER, \
             and --listen 127.0.0.1:7041",
        )));
    }
    let settings = context.settings()?;
    logs::start(&context.global, &settings)?;
    // A ledger of an older version is brought up to date here, once; one that is not there is said.
    let Some(reader) = status::reader(context, &settings.layout())? else { return Ok(Exit::Done) };
    let only = if flags.pilot { Some(pilot(&reader)?) } else { None };
    drop(reader);
    if !flags.read_only {
        review::sweep(&settings.layout(), &context.clock);
    }
    let notebook = Box::new(EachByItself::new(settings.clone(), context.clock.clone()));
    let pages = Pages::new(InForce::new(settings), context.clock.clone(), notebook);
    let pages = pages.with_sample(flags.sample).with_only(only).read_only(flags.read_only);
    let (server, visit) = web::start(flags.listen, pages).map_err(|cause| cannot_write(&cause))?;
    context.out.data(&visit.url)?;
    context.out.say("The link works once, on this computer. Ctrl-C ends.");
    if !flags.no_open && std::io::stdout().is_terminal() {
        open(&visit.url);
    }
    attend::wait_for_signal(|| (), || ()).map_err(|cause| cannot_write(&cause))?;
    drop(server);
    Ok(Exit::Done)
}

/// The images of the last pilot.
fn pilot(reader: &Reader) -> Result<Vec<ImageId>, Fail> {
    let images = reader.pilot_images().map_err(|error| finish::ledger(&error))?;
    images.ok_or_else(|| {
        Fail::usage(Problem::new("", "there was no pilot in this workspace").hint(
            "batchscribe run --pilot 12  asks for twelve pages, chosen at random; without --pilot all pages are shown",
        ))
    })
}

/// Asks the desktop to open a link. Where there is none, the link was printed.
fn open(url: &str) {
    let (program, before): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        // The empty word is the title of the window.
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let mut command = Command::new(program);
    command.args(before).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(cause) = command.spawn() {
        tracing::debug!(%cause, program, "no browser was opened");
    }
}
