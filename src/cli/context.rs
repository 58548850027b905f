//! What every verb starts from: flags, variables, folders.

use std::path::PathBuf;

use crate::kit::clock::Clock;
use crate::settings::{Environment, Flag, Resolved, Settings, Sources, resolve};

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
        Ok(settings)
    }
}
