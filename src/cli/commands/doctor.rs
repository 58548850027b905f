//! `doctor`: what is missing on this computer.

use std::path::Path;

use serde_json::json;

use super::status;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write, cannot_write_there};
use crate::cli::{folder, pages, words};
use crate::ops::bundle::{self, Part};
use crate::ops::doctor::{Look, State, examine};
use crate::settings::{Problem, Settings};

/// Prints what was seen; ends with 2 if something has to be put right.
///
/// A bundle is written to the first of the two, with the log where the second says so.
pub(super) fn doctor(context: &Context, online: bool, to: Option<(&Path, bool)>) -> Result<Exit, Fail> {
    let mut settings = context.settings()?;
    // A ledger that cannot be read is one of the things that are looked at.
    if let Ok(Some(reader)) = pages::ledger(&settings.layout()) {
        drop(folder::go_on_with_folder(&mut settings, &reader));
    }
    let looks = examine(&settings, &context.environment, online);
    if context.out.json {
        context.out.data(&document(&looks))?;
    } else {
        for look in &looks {
            context.out.data(&line(look))?;
        }
        context.out.data(conclusion(&looks))?;
    }
    if let Some((to, with_log)) = to {
        write_bundle(context, &settings, &looks, to, with_log)?;
    }
    let bad = looks.iter().any(|look| look.state == State::Bad);
    Ok(if bad { Exit::Usage } else { Exit::Done })
}

/// Writes what a bug report needs, and tells what is in it.
fn write_bundle(context: &Context, settings: &Settings, looks: &[Look], to: &Path, with_log: bool) -> Result<(), Fail> {
    let answers = looks.iter().map(|look| line(look) + "\n").collect();
    let counts = status::document_of(settings, context.clock.now())?;
    let mut parts = vec![
        bundle::versions_part(),
        bundle::settings_part(settings),
        Part { name: "doctor.txt", what: "the answers above", text: answers },
        Part { name: "ledger.json", what: "counts of the ledger, as `status --json` tells them", text: counts },
    ];
    if with_log {
        let log = settings.show.log_file.as_deref().ok_or_else(|| {
            Problem::new("E103", "there is no log: show.log_file is empty")
                .hint("leave --with-log out, or name the log: --log-file FILE")
        })?;
        parts.push(bundle::log_part(log).map_err(|cause| cannot_write(&cause))?);
    }
    let folder = |path: &Path| path.display().to_string();
    let home = context.environment.get("HOME").map(|home| (home.to_owned(), "~"));
    let folders = [(folder(&settings.image_dir), "IMAGE_DIR"), (folder(&context.workspace), "WORKSPACE")];
    // First of all: a value may name a folder.
    let private: Vec<(String, &str)> =
        bundle::private_values(settings).into_iter().chain(folders).chain(home).collect();
    let to = context.current_dir.join(to);
    bundle::write(&to, &parts, &private).map_err(|cause| cannot_write_there(&cause))?;
    context.out.say(&format!("Wrote {}:", to.display()));
    for part in &parts {
        context.out.say(&format!("  {:<13} {}", part.name, part.what));
    }
    context.out.say("No key and no page is in it. Look into it before you hand it on.");
    Ok(())
}

fn line(look: &Look) -> String {
    let mark = match look.state {
        State::Good => "✓",
        State::Odd => "!",
        State::Bad => "✗",
    };
    format!("{mark} {:<12} {}", look.name, words::safe(&look.words))
}

fn conclusion(looks: &[Look]) -> &'static str {
    if looks.iter().any(|look| look.state == State::Bad) {
        "Put right what is marked ✗, then: batchscribe doctor"
    } else if looks.iter().any(|look| look.name == "images" && look.state == State::Odd) {
        "Ready, except that there are no images yet. Then: batchscribe run --limit 20"
    } else {
        "Ready: batchscribe run --limit 20"
    }
}

fn document(looks: &[Look]) -> String {
    let entry = |look: &Look| {
        let state = match look.state {
            State::Good => "good",
            State::Odd => "odd",
            State::Bad => "bad",
        };
        json!({"name": look.name, "state": state, "words": look.words})
    };
    json!({"schema": 1, "looks": looks.iter().map(entry).collect::<Vec<_>>()}).to_string()
}
