//! One chunk of answers on the pool: every answer judged, every text written, each folder synced once.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cleaner::CleanerSeams;
use super::judge::{Judgement, judge};
use super::text_file;
use crate::domain::answer::Answer;
use crate::domain::image::{Reason, RelPath};
use crate::domain::verdict::Verdict;
use crate::kit::atomic_file::{folder_of, sync_folder};
use crate::kit::faults::AnyFault;
use crate::kit::hash::Short;
use crate::kit::pool::PoolError;
use crate::ledger::records::{ImageVerdict, TextOwner};

/// A chunk after its texts are on disk.
pub(super) struct Judged {
    pub(super) verdicts: Vec<ImageVerdict>,
    /// The first text that could not be written; its image has no verdict yet.
    pub(super) disk: Option<io::Error>,
}

/// On the pool: judges every answer, writes the texts, syncs each folder once.
pub(super) fn judge_and_write(
    seams: &CleanerSeams,
    json: bool,
    work: Vec<(Answer, Option<Short>)>,
) -> Result<Judged, AnyFault> {
    let corpus = Arc::clone(&seams.corpus);
    let form = seams.form;
    let done = seams.pool.map(work, |(answer, known)| {
        let judgement = judge(&answer, json, form);
        let target = corpus.text_path(&answer.path);
        let placed = judgement.text.as_ref().map(|text| put(seams, &answer.path, &target, text.as_bytes(), known));
        (answer, judgement, target, placed)
    });
    let mut judged = Judged { verdicts: Vec::with_capacity(done.len()), disk: None };
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for one in done {
        let (answer, judgement, target, placed) = one.map_err(|lost: PoolError| lost.to_string())?;
        judged.add(answer, judgement, &target, placed, &mut folders);
    }
    for folder in folders {
        sync_folder(&folder)?;
    }
    Ok(judged)
}

/// Puts a text into its place; `None` if the image's own folder is gone. A root that is away is a fault of the disk.
fn put(
    seams: &CleanerSeams,
    image: &RelPath,
    target: &Path,
    text: &[u8],
    known: Option<Short>,
) -> io::Result<Option<(TextOwner, Short)>> {
    let gone = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    match text_file::place(target, text, known, &seams.mark) {
        Err(cause) if gone(&cause) => {
            seams.corpus.make_text_folder(image)?;
            match text_file::place(target, text, known, &seams.mark) {
                Err(cause) if gone(&cause) => Ok(None),
                placed => placed.map(Some),
            }
        }
        placed => placed.map(Some),
    }
}

impl Judged {
    fn add(
        &mut self,
        answer: Answer,
        judgement: Judgement,
        target: &Path,
        placed: Option<io::Result<Option<(TextOwner, Short)>>>,
        folders: &mut BTreeSet<PathBuf>,
    ) {
        let Judgement { mut verdict, mut flags, .. } = judgement;
        if matches!(verdict, Verdict::AskAgain { counted: false, .. }) {
            // No answer yet: a stray of the same shard may bring one. What still lacks it is owed again when the books close.
            return;
        }
        let text = match placed {
            None => None,
            Some(Ok(Some(placed))) => {
                folders.insert(folder_of(target).to_path_buf());
                if placed.0 == TextOwner::Kept {
                    flags.push("edited");
                }
                Some(placed)
            }
            // The folder is gone, and the image with it; the answer stays in the raw file.
            Some(Ok(None)) => {
                verdict = Verdict::Reject(Reason::Missing);
                None
            }
            Some(Err(cause)) => {
                self.disk.get_or_insert(cause);
                return;
            }
        };
        self.verdicts.push(ImageVerdict { image: answer.image, verdict, flags, usage: answer.usage, text });
    }
}
