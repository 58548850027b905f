//! Which folder of images is meant.

use std::path::PathBuf;

use crate::kit::path_bytes::{from_name, to_path};
use crate::ledger::LedgerError;
use crate::ledger::reader::{CorpusRoot, Reader};
use crate::settings::{Problem, Settings};

/// Where nobody names a folder, and the one of the settings was never walked, a workspace goes on with the one that was sent. Not
/// where that was named as the settings name theirs: then the workspace was copied or moved, and its images with it.
pub(super) fn go_on_with_folder(settings: &mut Settings, reader: &Reader) -> Result<(), LedgerError> {
    let default = dunce::canonicalize(&settings.image_dir).unwrap_or_else(|_| settings.image_dir.clone());
    let default = from_name(default.as_os_str());
    let is_known = |corpus: &CorpusRoot| corpus.root == default || corpus.given == settings.image_dir_given.as_bytes();
    if reader.corpora()?.iter().any(is_known) { Ok(()) } else { take_folder(settings, reader) }
}

/// Answers belong to the folder that was sent, so nobody has to name it again.
pub(super) fn take_folder(settings: &mut Settings, reader: &Reader) -> Result<(), LedgerError> {
    if settings.is_set("image_dir") {
        return Ok(());
    }
    if let Some(corpus) = reader.corpus()? {
        settings.image_dir = to_path(&corpus.root);
        settings.image_dir_given = String::from_utf8_lossy(&corpus.given).into_owned();
    }
    Ok(())
}

/// The folder of the images, links resolved (E104).
pub(super) fn image_root(settings: &Settings) -> Result<PathBuf, Problem> {
    let path = &settings.image_dir;
    let readable = dunce::canonicalize(path).and_then(|root| std::fs::read_dir(&root).map(|_| root));
    readable.map_err(|cause| {
        let problem = Problem::new("E104", format!("cannot read the image folder {}: {cause}", path.display()))
            .hint("image_dir has to be a folder that you may read");
        match settings.origin("image_dir") {
            Some(origin) if settings.is_set("image_dir") => problem.hint(origin.told()),
            _ => problem,
        }
    })
}
