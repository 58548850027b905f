//! `status --list`: images of a kind.

use serde_json::json;

use super::status::{reader, state, told};
use crate::cli::args::Listed;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{pages, words};
use crate::domain::layout::Layout;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::ImageRow;
use crate::ops::known;

/// Images of a kind, one a line, with what became of them; `null`: their files alone, each ended by a NUL byte.
pub(super) fn list(context: &Context, listed: Listed, null: bool) -> Result<Exit, Fail> {
    if null {
        pages::no_json(context)?;
    }
    let settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = reader(context, &layout)? else { return Ok(Exit::Done) };
    let mut last = Vec::new();
    for image in pages::images(&reader) {
        let image = image.map_err(told)?;
        if !is_listed(&image, listed, &layout) {
            continue;
        }
        if null {
            // The pages of a file follow one another.
            let path = image.path.joined();
            if path != last {
                context.out.path(&path)?;
                last = path;
            }
            continue;
        }
        let path = image.path.shown();
        let reason = image.reason.clone().unwrap_or_default();
        if context.out.json {
            let line = json!({"schema": 1, "type": "image", "path": path, "state": state(image.state), "reason": reason,
                "flags": image.flags});
            context.out.data(&line.to_string())?;
        } else {
            let why = match listed {
                Listed::Failed => reason,
                Listed::Flagged | Listed::Rough => image.flags.join(","),
                Listed::Edited => state(image.state).to_owned(),
            };
            context.out.data(&format!("{}\t{path}", words::safe(&why)))?;
        }
    }
    Ok(Exit::Done)
}

fn is_listed(image: &ImageRow, listed: Listed, layout: &Layout) -> bool {
    match listed {
        Listed::Failed => image.state == ImageState::Failed,
        Listed::Flagged => image.flagged,
        Listed::Rough => image.state == ImageState::Rough,
        Listed::Edited => known::is_a_persons(image, layout),
    }
}
