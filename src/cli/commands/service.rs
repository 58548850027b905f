//! `service print`: what starts `serve` by itself, to be looked through and put in its place. Nothing is installed.

use crate::cli::args::{Manager, Service};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::serve::units::{self, Facts};

/// Does what it says.
pub(super) fn service(context: &Context, what: &Service) -> Result<Exit, Fail> {
    match what {
        Service::Print { manager, .. } => print(context, *manager),
    }
}

/// Prints the file or the command for this workspace.
pub(super) fn print(context: &Context, manager: Manager) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let absolute = |path: std::path::PathBuf| std::path::absolute(&path).unwrap_or(path);
    let facts = Facts {
        program: absolute(std::env::current_exe()?),
        workspace: absolute(settings.workspace.clone()),
        images: absolute(settings.image_dir.clone()),
        user: context.environment.get("USER").unwrap_or_default().to_owned(),
        key_file: settings.api_key_file.clone().filter(|path| path.is_file()).map(absolute),
    };
    let unit = match manager {
        Manager::Systemd => units::systemd(&facts),
        Manager::Launchd => units::launchd(&facts),
        Manager::Taskscheduler => units::taskscheduler(&facts),
        Manager::Slurm => units::slurm(&facts),
        Manager::Compose => units::compose(&facts),
    };
    context.out.data(unit.trim_end())?;
    Ok(Exit::Done)
}
