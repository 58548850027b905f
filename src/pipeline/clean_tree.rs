//! `clean DIR`: the texts of a tree, where no ledger is asked for its answers. No actor is needed; it stands here because this room
//! alone knows both the settings and the rules of cleaning.

use std::io;
use std::path::{Path, PathBuf};

use super::raise::polish_options;
use crate::clean::tree::{self, Order};
use crate::domain::image::RelPath;
use crate::kit::atomic_file::private_folder;
use crate::kit::path_bytes::{from_name, to_path};
use crate::ledger::LedgerError;
use crate::ledger::reader::Reader;
use crate::settings::Settings;

pub use crate::clean::tree::{Became, Report};

/// Why a cleaning ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Cleans the texts below `dir`; with `dry_run` nothing is changed. `each` hears of every text that was not clean. Texts beside
/// images that `reader` knows are left.
///
/// # Errors
/// [`Error`]; what was changed by then is complete, and the next call goes on.
pub fn clean_tree(
    settings: &Settings,
    reader: Option<&Reader>,
    dir: &Path,
    prompt: &str,
    dry_run: bool,
    each: &mut dyn FnMut(&RelPath, &Became),
) -> Result<Report, Error> {
    let layout = settings.layout();
    let dir = fs_err::canonicalize(dir)?;
    // A working folder that is not there yet is not walked either.
    let real = |path: &PathBuf| fs_err::canonicalize(path).ok();
    let skip: Vec<PathBuf> =
        [&layout.batch, &layout.completed, &layout.output, &layout.extraction].into_iter().filter_map(real).collect();
    let before = layout.before();
    if !dry_run {
        private_folder(&before)?;
    }
    let roots = roots(reader, layout.texts.as_ref().and_then(real))?;
    let mut knows = |image: &RelPath| -> Result<bool, Error> {
        let Some(reader) = reader else { return Ok(false) };
        let path = dir.join(to_path(&image.joined()));
        for (root, place) in &roots {
            let Some(image) = path.strip_prefix(place).ok().and_then(below) else { continue };
            if reader.knows_image(root, &image)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let polish = polish_options(settings);
    let order = Order {
        dir: &dir,
        skip: &skip,
        before: (!dry_run).then_some(before.as_path()),
        endings: &settings.valid_image_types,
        polish: &polish,
        prompt,
    };
    tree::clean(&order, &mut knows, each)
}

/// The corpora of the ledger, and where their texts lie.
fn roots(reader: Option<&Reader>, texts: Option<PathBuf>) -> Result<Vec<(Vec<u8>, PathBuf)>, Error> {
    let corpora = reader.map(Reader::corpora).transpose()?.unwrap_or_default();
    let place = |root: &[u8]| texts.clone().unwrap_or_else(|| to_path(root));
    Ok(corpora.into_iter().map(|corpus| (corpus.root.clone(), place(&corpus.root))).collect())
}

fn below(path: &Path) -> Option<RelPath> {
    let mut parts: Vec<Vec<u8>> = path.iter().map(from_name).collect();
    let name = parts.pop()?;
    Some(RelPath { folder: parts.join(&b'/'), name, page: 1 })
}
