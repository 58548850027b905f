//! `export`: what is known, in a form for other programs.

use std::io::{BufWriter, Write as _};

use serde_json::Value;

use crate::cli::args::{Export, ExportFormat};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{self, Access, Draft, Durability};
use crate::ledger::reader::Reader;
use crate::ops::known;

use super::{known as shown, status};

/// Writes to a file, complete or not at all, or to the standard output.
pub(super) fn export(context: &Context, flags: &Export) -> Result<Exit, Fail> {
    let ExportFormat::Provenance = flags.format;
    let layout = context.settings()?.layout();
    let Some(reader) = status::reader(context, &layout)? else { return Ok(Exit::Done) };
    let Some(out) = &flags.out else {
        provenance(&reader, &layout, &mut |line| context.out.data(&line.to_string()))?;
        return Ok(Exit::Done);
    };
    let target = context.current_dir.join(out);
    let folder = atomic_file::folder_of(&target);
    let mut draft = Draft::create(folder, Access::Umask).map_err(|cause| cannot_write(&cause))?;
    let mut lines = 0_u64;
    {
        let mut file = BufWriter::new(draft.file().map_err(|cause| cannot_write(&cause))?);
        provenance(&reader, &layout, &mut |line| {
            lines += 1;
            writeln!(file, "{line}").map_err(|cause| cannot_write(&cause).into())
        })?;
        file.flush().map_err(|cause| cannot_write(&cause))?;
    }
    draft.publish(&target, Durability::Synced).map_err(|cause| cannot_write(&cause))?;
    context.out.say(&format!("Wrote {lines} lines to {}", target.display()));
    Ok(Exit::Done)
}

/// Either mistake on the way.
enum Stopped {
    Known(known::Error),
    Told(Fail),
}

impl From<known::Error> for Stopped {
    fn from(error: known::Error) -> Self {
        Self::Known(error)
    }
}

fn provenance(reader: &Reader, layout: &Layout, write: &mut dyn FnMut(&Value) -> Result<(), Fail>) -> Result<(), Fail> {
    let told = known::export(reader, layout, &mut |line| write(line).map_err(Stopped::Told));
    told.map_err(|stopped| match stopped {
        Stopped::Known(error) => shown::failed(error),
        Stopped::Told(fail) => fail,
    })
}
