//! `plan`: what a run would ask and cost. Opens no connection and writes nothing, also beside a run.

mod told;

use serde_json::json;

use crate::cli::args::Planned;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{finish, pages, words, work};
use crate::ops::plan::{self, Ask, PlanError, Told};
use crate::settings::{Problem, texts};

/// Prints the sums, or a list.
pub(super) fn plan(context: &Context, list: Option<Planned>) -> Result<Exit, Fail> {
    let mut settings = context.settings()?;
    let told = |error| finish::ledger(&error);
    let reader = pages::ledger(&settings.layout()).map_err(told)?;
    if let Some(reader) = &reader {
        work::go_on_with_folder(&mut settings, reader).map_err(told)?;
    }
    let root = work::image_root(&settings)?;
    let prompt = texts::prompt(&settings)?;
    let recipe = texts::recipe(&settings, &prompt.text)?;
    let today = words::day(context.clock.now());
    let ask = Ask { settings: &settings, root: &root, recipe: &recipe, today: &today };
    let sums = plan::plan(&ask, reader.as_ref(), |path, told| {
        let Some(note) = list.and_then(|list| note(list, told)) else { return Ok(()) };
        let path = path.shown();
        if context.out.json {
            return context.out.data(&json!({ "path": path, "note": note }).to_string());
        }
        context.out.data(format!("{path}  {note}").trim_end())
    });
    let sums = sums.map_err(|error| match error {
        PlanError::Ledger(error) => finish::ledger(&error).into(),
        PlanError::Listener(fail) => fail,
        PlanError::Folder(cause) => {
            Problem::new("E104", format!("cannot read the image folder {}: {cause}", root.display()))
                .hint("image_dir has to be a folder that you may read")
                .into()
        }
    })?;
    if list.is_some() {
        return Ok(Exit::Done);
    }
    if sums.found == 0 {
        return Err(finish::no_images(&settings, &sums.passed_over.by_ending).into());
    }
    if context.out.json {
        context.out.data(&told::document(&sums, &settings))?;
        return Ok(Exit::Done);
    }
    let prompt = if prompt.built_in { "built-in prompt" } else { "your prompt" };
    for line in told::lines(&sums, &settings, prompt, &today) {
        context.out.data(&line)?;
    }
    context.out.data(&told::next(&sums, &settings))?;
    Ok(Exit::Done)
}

/// What a list says of an image; `None` if it is none of that list.
fn note(list: Planned, told: &Told) -> Option<String> {
    match (list, told) {
        (Planned::Owed, Told::Owed) => Some(String::new()),
        (Planned::Skipped, Told::Skipped(reason)) => Some(reason.clone()),
        (Planned::Stale, Told::Stale(changed)) => Some(changed.join(", ")),
        (Planned::Collisions, Told::Collides) => Some("differs from another name by case or Unicode form alone".into()),
        _ => None,
    }
}
