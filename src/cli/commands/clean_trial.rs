//! `clean -n` without a folder: the saved answers are judged again and their texts written as `clean` would, in copies, and told is
//! what would change.

use serde_json::json;

use crate::cli::attend::{Attendant, Charge};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::progress::Terms;
use crate::cli::screen::Screen;
use crate::cli::{finish, folder, words, work};
use crate::kit::clock::Stopwatch;
use crate::kit::stop::stop_switch;
use crate::ledger::records::Rejudged;
use crate::ops::trial::{Changes, Error, Trial};
use crate::pipeline;
use crate::pipeline::mission::{Mission, Mode};
use crate::settings::texts::{self, BUILT_IN_PROMPT};

use super::status;

/// Tries it out.
pub(super) fn try_out(context: &Context) -> Result<Exit, Fail> {
    let mut settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else { return Ok(Exit::Done) };
    folder::take_folder(&mut settings, &reader).map_err(|error| finish::ledger(&error))?;
    let root = folder::image_root(&settings)?;
    let prompt = texts::prompt(&settings).map_or_else(|_| BUILT_IN_PROMPT.to_owned(), |prompt| prompt.text);
    let recipe = texts::recipe(&settings, &prompt)?;
    // Whoever works here meanwhile would change what is compared.
    let _lock = work::lock(&layout.lock(), "clean")?;
    let trial = Trial::begin(&reader, &layout, &context.clock).map_err(failed)?;
    let (stop, _) = stop_switch();
    let (attendant, tally) = Attendant::begin(Charge {
        stop: stop.clone(),
        clock: context.clock.clone(),
        max_duration: None,
        // With --json there is one document, and no line of progress beside it.
        screen: Screen::new(&context.out, &context.clock, settings.show.stats, None, Terms::of(&settings)),
    })?;
    let mode = Mode::Clean { rebuild: false, deep: false };
    let still = work::mission(context, &settings, root, recipe, None)?;
    let outcome = pipeline::run(Mission { mode, layout: trial.copies().clone(), stop, tally, ..still });
    let (ended, ..) = attendant.end();
    if let Some(fault) = &outcome.fault {
        let told = finish::Telling { settings: &settings, key_source: "", watch: Stopwatch::start() };
        return Err(finish::fault_told(fault, &told));
    }
    if ended.signals > 0 {
        context.out.say("Stopped before the end: what would change is not known. Nothing was changed.");
        return Ok(Exit::Interrupted);
    }
    let changes = trial.changes(&reader).map_err(failed)?;
    tell(context, changes, outcome.rejudged)
}

fn failed(error: Error) -> Fail {
    match error {
        Error::Ledger(error) => finish::ledger(&error).into(),
        Error::Disk(cause) => cannot_write(&cause).into(),
    }
}

fn tell(context: &Context, changes: Changes, rejudged: Rejudged) -> Result<Exit, Fail> {
    if context.out.json {
        let Changes { changed, new, removed, same } = changes;
        let Rejudged { texts, rough, wanting } = rejudged;
        let document = json!({
            "schema": 1, "dry_run": true, "changed": changed, "new": new, "removed": removed, "same": same,
            "texts": texts, "rough": rough, "wanting": wanting,
        });
        context.out.data(&document.to_string())?;
        return Ok(Exit::Done);
    }
    for line in lines(changes, rejudged) {
        context.out.data(&line)?;
    }
    Ok(Exit::Done)
}

fn lines(changes: Changes, rejudged: Rejudged) -> Vec<String> {
    let Changes { changed, new, removed, same } = changes;
    let texts = |many| words::count(many, "text", "texts");
    let mut lines = vec![if changed + new + removed == 0 {
        format!("Would change nothing: {} as today's rules make them.", words::count(same, "text is", "texts are"))
    } else {
        format!(
            "Would change {}, write {new} where none is, and remove {removed}; {same} would stay as they are.",
            texts(changed)
        )
    }];
    if rejudged.rough > 0 {
        lines.push(format!(" {} would be rough (.txt.api).", texts(u64::from(rejudged.rough))));
    }
    if rejudged.wanting > 0 {
        let answers = words::count(u64::from(rejudged.wanting), "answer", "answers");
        lines.push(format!(" {answers} would be rejected by today's rules; their texts stay as they are."));
    }
    lines.push("Nothing was changed.".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_in_words() {
        let changes = Changes { changed: 1, new: 2, removed: 3, same: 4 };
        let expected = [
            "Would change 1 text, write 2 where none is, and remove 3; 4 would stay as they are.",
            " 3 texts would be rough (.txt.api).",
            " 1 answer would be rejected by today's rules; their texts stay as they are.",
            "Nothing was changed.",
        ];
        assert_eq!(lines(changes, Rejudged { texts: 9, rough: 3, wanting: 1 }), expected);
        let nothing = Changes { same: 4, ..Changes::default() };
        let expected = ["Would change nothing: 4 texts are as today's rules make them.", "Nothing was changed."];
        assert_eq!(lines(nothing, Rejudged::default()), expected);
    }
}
