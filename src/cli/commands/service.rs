//! `service print`: what starts `serve` by itself, to be looked through and put in its place. Nothing is installed.

use std::path::{Component, Path, PathBuf};

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

/// From the root, and without `..`, which systemd refuses and a container resolves in a tree of its own. Links stay as they are
/// named: whoever works through one wants to point it elsewhere some day. Only `..` behind a link needs to know where that leads.
fn absolute(path: PathBuf) -> PathBuf {
    let path = std::path::absolute(&path).unwrap_or(path);
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    dunce::canonicalize(&path).unwrap_or_else(|_| without_climbing(&path))
}

/// The same by its words alone, for a place that is not there yet.
fn without_climbing(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_printed_without_climbing() {
        let folder = tempfile::tempdir().expect("temp dir");
        let folder = dunce::canonicalize(folder.path()).expect("a folder");
        fs_err::create_dir_all(folder.join("pages")).expect("a folder");
        fs_err::create_dir_all(folder.join("work")).expect("a folder");
        assert_eq!(absolute(folder.join("work/../pages")), folder.join("pages"));
        assert_eq!(absolute(folder.join("work/../not yet/../later")), folder.join("later"));
        assert_eq!(absolute(folder.join("work")), folder.join("work"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_unless_it_is_climbed_from() {
        let folder = tempfile::tempdir().expect("temp dir");
        let folder = dunce::canonicalize(folder.path()).expect("a folder");
        fs_err::create_dir_all(folder.join("far/away")).expect("a folder");
        std::os::unix::fs::symlink(folder.join("far/away"), folder.join("link")).expect("a link");
        assert_eq!(absolute(folder.join("link")), folder.join("link"));
        assert_eq!(absolute(folder.join("link/..")), folder.join("far"));
    }
}
