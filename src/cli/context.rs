//! What every verb starts from: flags, variables, folders.

use std::path::{Path, PathBuf};

use crate::kit::clock::Clock;
use crate::settings::{Environment, Flag, Problem, Resolved, Settings, Sources, resolve};

use super::args::Global;
use super::events::{Events, Start};
use super::exit::{Fail, cannot_write};
use super::out::Out;
use super::stream::{Stream, Writer};

/// What every verb starts from.
pub(super) struct Context {
    pub(super) global: Global,
    pub(super) environment: Environment,
    pub(super) current_dir: PathBuf,
    pub(super) workspace: PathBuf,
    pub(super) out: Out,
    pub(super) clock: Clock,
    /// What the lines of `--json` are made by; it knows the run as soon as one has begun.
    pub(super) events: Events,
    verb_flags: Vec<Flag>,
}

impl Context {
    pub(super) fn new(
        global: Global,
        environment: Environment,
        verb_flags: Vec<Flag>,
        out: Out,
        events: Events,
    ) -> Result<Self, Fail> {
        let current_dir = std::env::current_dir().map_err(|cause| cannot_write(&cause))?;
        let workspace = global.workspace.as_deref().map_or_else(|| current_dir.clone(), |dir| current_dir.join(dir));
        if let Some(file) = file_on_the_way(&workspace) {
            let problem = Problem::new("", format!("the workspace is no folder: {} is a file", file.display()));
            return Err(Fail::usage(
                problem.hint("--workspace names the folder that holds settings, ledger and results"),
            ));
        }
        // A workspace that is not there yet keeps the name it was given.
        let workspace = dunce::canonicalize(&workspace).unwrap_or(workspace);
        Ok(Self { global, environment, current_dir, workspace, out, clock: Clock::wall(), events, verb_flags })
    }

    /// What settings are made from.
    pub(super) fn sources(&self) -> Sources {
        let mut flags = self.global.flags();
        flags.extend(self.verb_flags.iter().cloned());
        Sources {
            workspace: self.workspace.clone(),
            current_dir: self.current_dir.clone(),
            config: self.global.config.clone(),
            no_config: self.global.no_config,
            flags,
            environment: self.environment.clone(),
        }
    }

    /// Where the lines of `--json` are told, and what writes them; nothing where nobody wants any.
    pub(super) fn stream(&self, start: Start) -> std::io::Result<Option<(Stream, Writer)>> {
        self.out.json.then(|| Stream::open(&self.out, &self.events, start)).transpose()
    }

    /// The settings in force; what is odd about them is said.
    pub(super) fn settings(&self) -> Result<Settings, Fail> {
        let Resolved { settings, warnings } = resolve(&self.sources())?;
        for warning in warnings {
            self.out.warn(&warning);
        }
        working_folders(&settings)?;
        Ok(settings)
    }
}

/// The first part of a path that is there and no folder: nothing can lie below it.
fn file_on_the_way(path: &Path) -> Option<&Path> {
    path.ancestors()
        .find_map(|part| Some((part, part.metadata().ok()?)))
        .filter(|(_, facts)| !facts.is_dir())
        .map(|(part, _)| part)
}

/// A working folder that is a file would be told by whoever first wants to write there, and as something else (E102).
fn working_folders(settings: &Settings) -> Result<(), Fail> {
    let folders = [
        ("batch_dir", &settings.batch_dir),
        ("completed_dir", &settings.completed_dir),
        ("output_dir", &settings.output_dir),
        ("extraction_base_dir", &settings.extraction_base_dir),
    ];
    for (key, folder) in folders {
        let Some(file) = file_on_the_way(folder) else { continue };
        let is = if file == folder { "is a file".to_owned() } else { format!("lies below a file, {}", file.display()) };
        let problem = Problem::new("E102", format!("`{key}` has to be a folder: {} {is}", folder.display()))
            .hint("name another folder, or move the file away; nothing was begun");
        return Err(match settings.origin(key) {
            Some(origin) if settings.is_set(key) => problem.hint(origin.told()),
            _ => problem,
        }
        .into());
    }
    Ok(())
}
