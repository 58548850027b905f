//! `doctor`: what is missing on this computer.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::words;
use crate::ops::doctor::{Look, State, examine};

/// Prints what was seen; ends with 2 if something has to be put right.
pub(super) fn doctor(context: &Context, online: bool) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let looks = examine(&settings, &context.environment, online);
    if context.out.json {
        context.out.data(&document(&looks))?;
    } else {
        for look in &looks {
            context.out.data(&line(look))?;
        }
        context.out.data(conclusion(&looks))?;
    }
    let bad = looks.iter().any(|look| look.state == State::Bad);
    Ok(if bad { Exit::Usage } else { Exit::Done })
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
        "Ready, but for images to read: then batchscribe run --limit 20"
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
