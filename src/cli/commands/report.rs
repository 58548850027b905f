//! `report`: a page, a table and a document of what was asked, what came of it and what it cost.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::status;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write_there};
use crate::cli::finish;
use crate::ops::report::{Error, Report};

/// Writes the three files to `out`, or to the workspace. Reads the ledger, also while a run goes on.
pub(super) fn report(context: &Context, out: Option<&Path>) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else {
        if context.out.json {
            context.out.data(&document(&[]))?;
        }
        return Ok(Exit::Done);
    };
    let folder = out.map_or_else(|| settings.workspace.clone(), |out| context.current_dir.join(out));
    let name = settings.workspace.file_name().unwrap_or(settings.workspace.as_os_str()).to_string_lossy();
    let report = Report {
        reader: &reader,
        layout: &layout,
        models: &settings.models,
        name: crate::cli::words::safe(&name),
        max_pixels: settings.encode.max_pixels,
        now: context.clock.now(),
    };
    let written = report.write(&folder).map_err(|error| match error {
        Error::Ledger(error) => Fail::from(finish::ledger(&error)),
        Error::Disk(cause) => cannot_write_there(&cause).into(),
    })?;
    if context.out.json {
        context.out.data(&document(&written))?;
        return Ok(Exit::Done);
    }
    for path in written {
        context.out.data(&path.display().to_string())?;
    }
    Ok(Exit::Done)
}

/// Where each of the three files lies; null where none was written, because nothing was begun.
fn document(written: &[PathBuf]) -> String {
    let ends = |ending: &str| written.iter().find(|path| path.extension().is_some_and(|its| its == ending));
    let [html, csv, json] = ["html", "csv", "json"].map(|ending| ends(ending).map(|path| path.display().to_string()));
    json!({"schema": 1, "html": html, "csv": csv, "json": json}).to_string()
}
