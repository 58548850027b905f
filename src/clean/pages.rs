//! Files of several pages: each page's text waits in a file of ours, and when all are there, one text holds them in order, each
//! behind a form feed but the first.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::cleaner::CleanerSeams;
use super::text_file::{self, Existing};
use crate::corpus::Corpus;
use crate::domain::ids::{ImageId, ShardId};
use crate::domain::layout;
use crate::kit::atomic_file::{self, Access, Durability, Mark, private_folder};
use crate::kit::crash;
use crate::kit::faults::AnyFault;
use crate::kit::hash::{Short, short};
use crate::ledger::records::{TextOwner, WholeFile};

/// What became of the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It stands: whose it is, and its hash.
    Stands(TextOwner, Short),
    /// The folder of the image is gone.
    Gone,
    /// The text of a page is not at hand any more; it can be made again from the saved answer.
    Lacking(ImageId),
}

/// Keeps the text of one page in `folder`; its hash.
///
/// # Errors
/// The operating system's, with the path.
pub fn keep(folder: &Path, image: ImageId, text: &[u8]) -> io::Result<Short> {
    private_folder(folder)?;
    atomic_file::write(&layout::page_text(folder, image), text, Access::Private, Durability::Synced)?;
    Ok(short(text))
}

/// Makes the text of a file from those of its pages.
///
/// # Errors
/// The operating system's, with the path.
pub fn join(
    corpus: &dyn Corpus,
    folder: &Path,
    file: &WholeFile,
    existing: Existing,
    mark: &Mark,
) -> io::Result<Joined> {
    let mut text = Vec::new();
    for (n, page) in file.pages.iter().enumerate() {
        if n > 0 {
            text.push(layout::PAGE_BREAK);
        }
        match fs_err::read(layout::page_text(folder, *page)) {
            Ok(bytes) => text.extend_from_slice(&bytes),
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Joined::Lacking(*page)),
            Err(cause) => return Err(cause),
        }
    }
    let Some(place) = corpus.text_folder(&file.path)? else { return Ok(Joined::Gone) };
    let (owner, hash) = text_file::place(&place, &corpus.text_name(&file.path), &text, file.text, existing, mark)?;
    place.sync()?;
    Ok(Joined::Stands(owner, hash))
}

/// Before the books of a batch are closed, the texts of files are made whose last page it brought: a crash in between leads back
/// here. When all is over (`None`), those of files whose last page was never asked.
pub(super) async fn join_all(seams: &CleanerSeams, shard: Option<ShardId>) -> Result<(), AnyFault> {
    for file in seams.ledger.whole_files(shard).await? {
        let (corpus, mark) = (Arc::clone(&seams.corpus), seams.mark.clone());
        let (folder, pages) = (seams.sweeper.layout.pages(), file.pages.clone());
        let (path, existing) = (file.path.shown(), seams.rules.existing);
        let joined = seams.pool.run(move || join(&*corpus, &folder, &file, existing, &mark)).await??;
        crash::point("pages.joined");
        match joined {
            Joined::Stands(owner, hash) => seams.ledger.joined(pages, owner, hash).await?,
            Joined::Gone => tracing::warn!(path, "its folder is gone; the texts of its pages stay in the workspace"),
            Joined::Lacking(page) => {
                let text = format!("{path}: the text of one of its pages (image {page}) is gone from the workspace");
                let hint = "batchscribe clean --rebuild  makes it again from the saved answers, free";
                seams.news.warn("E405", text, hint);
            }
        }
    }
    Ok(())
}
