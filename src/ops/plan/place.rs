//! Whether the first text that a run would write has a place: told before anything is paid for.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};

use super::{Ask, PlanError, corpus, is_wanted, page_of};
use crate::corpus::Corpus as _;
use crate::domain::image::Fate;
use crate::kit::atomic_file::{Access, Draft, TEMPORARY_SUFFIX};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::path_bytes::{from_name, to_path};
use crate::ledger::reader::Reader;

/// A folder that takes no text, and why.
#[derive(Debug)]
pub struct NoPlace {
    /// The folder.
    pub folder: PathBuf,
    /// The system's words.
    pub cause: io::Error,
}

impl NoPlace {
    /// The system's words without the name of the file that was tried, which nobody knows.
    #[must_use]
    pub fn why(&self) -> String {
        let words = self.cause.to_string();
        words.split_once(&format!("{TEMPORARY_SUFFIX}: ")).map_or(words.clone(), |(_, why)| why.to_owned())
    }
}

/// Tries to write where the first text would come to lie: in `text.out_dir`, or else beside the first image that would be
/// asked. Nothing is left there. Of the walk only its first page is looked through, so that a folder of a million images that are
/// done costs no second walk.
///
/// # Errors
/// The folder's and the ledger's.
pub fn no_place(ask: &Ask<'_>, reader: Option<&Reader>) -> Result<Option<NoPlace>, PlanError<Infallible>> {
    if let Some(folder) = &ask.settings.text.out_dir {
        return Ok(try_out(folder));
    }
    let root = from_name(ask.root.as_os_str());
    let mut lane =
        corpus(ask).and_then(|corpus| corpus.walk(None, ExitGuard::unheard("walk"))).map_err(PlanError::Folder)?;
    while let Some((page, _)) = page_of(lane.blocking_recv())? {
        for found in &page {
            let known = reader.map(|reader| reader.known(&root, &found.path)).transpose()?.flatten();
            if matches!(found.fate, Fate::Owed(_)) && is_wanted(found, known.as_ref()) {
                return Ok(try_out(&ask.root.join(to_path(&found.path.folder))));
            }
        }
        if !page.is_empty() {
            break;
        }
    }
    Ok(None)
}

/// A folder that is not there yet is made below the nearest one that is.
fn try_out(folder: &Path) -> Option<NoPlace> {
    let near = folder.ancestors().find(|near| near.symlink_metadata().is_ok()).unwrap_or(folder);
    // The draft vanishes again with its drop.
    Draft::create(near, Access::Private).err().map(|cause| NoPlace { folder: folder.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_out_and_left_as_it_was() {
        let folder = tempfile::tempdir().expect("temp dir");
        let file = folder.path().join("file");
        fs_err::write(&file, "").expect("a file");
        assert!(try_out(folder.path()).is_none() && try_out(&folder.path().join("later/still")).is_none());
        for wrong in [file.clone(), file.join("below")] {
            assert_eq!(try_out(&wrong).map(|no| no.folder), Some(wrong));
        }
        assert_eq!(fs_err::read_dir(folder.path()).expect("a list").count(), 1, "nothing is left there");
    }
}
