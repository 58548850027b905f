//! One chunk of answers on the pool: every answer judged, every text written, each folder synced once.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::judge::{Judgement, judge};
use super::polish::UnicodeForm;
use super::text_file;
use crate::corpus::Corpus;
use crate::domain::answer::Answer;
use crate::domain::batch::Usage;
use crate::domain::ids::ImageId;
use crate::domain::image::{Reason, RelPath};
use crate::domain::verdict::Verdict;
use crate::kit::atomic_file::{Mark, folder_of, sync_folder};
use crate::kit::faults::AnyFault;
use crate::kit::hash::Short;
use crate::kit::pool::{Pool, PoolError};
use crate::ledger::records::{ImageVerdict, TextOwner};

/// A chunk after its texts are on disk.
pub(super) struct Judged {
    pub(super) verdicts: Vec<ImageVerdict>,
    /// The first text that could not be written; its image has no verdict yet.
    pub(super) disk: Option<io::Error>,
}

/// What a chunk is judged and written with.
#[derive(Clone)]
pub(super) struct Hands {
    /// Where the images lie.
    pub(super) corpus: Arc<dyn Corpus>,
    /// Judges and writes.
    pub(super) pool: Pool,
    /// What is done to the Unicode form of texts.
    pub(super) form: UnicodeForm,
    /// Marks our temporary files among the user's.
    pub(super) mark: Mark,
}

/// On the pool: judges every answer, writes the texts, syncs each folder once. A panic at one answer ends its image by name
/// and no other: the answer stays in the raw file, and judging it again would panic again.
pub(super) fn judge_and_write(
    hands: &Hands,
    json: bool,
    work: Vec<(Answer, Option<Short>)>,
) -> Result<Judged, AnyFault> {
    let asked: Vec<(ImageId, Option<Usage>)> = work.iter().map(|(answer, _)| (answer.image, answer.usage)).collect();
    let done = hands.pool.map(work, |(answer, known)| {
        let judgement = judge(&answer, json, hands.form);
        let target = hands.corpus.text_path(&answer.path);
        let placed = judgement.text.as_ref().map(|text| put(hands, &answer.path, &target, text.as_bytes(), known));
        (answer, judgement, target, placed)
    });
    let mut judged = Judged { verdicts: Vec::with_capacity(done.len()), disk: None };
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for (one, (image, usage)) in done.into_iter().zip(asked) {
        match one {
            Ok((answer, judgement, target, placed)) => judged.add(answer, judgement, &target, placed, &mut folders),
            Err(PoolError::Panicked) => {
                tracing::error!(image = image.0, "judging an answer panicked");
                let verdict = Verdict::Reject(Reason::ProgramError);
                judged.verdicts.push(ImageVerdict { image, verdict, flags: Vec::new(), usage, text: None });
            }
        }
    }
    for folder in folders {
        sync_folder(&folder)?;
    }
    Ok(judged)
}

/// Puts a text into its place; `None` if the image's own folder is gone. A root that is away is a fault of the disk.
fn put(
    hands: &Hands,
    image: &RelPath,
    target: &Path,
    text: &[u8],
    known: Option<Short>,
) -> io::Result<Option<(TextOwner, Short)>> {
    let gone = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    match text_file::place(target, text, known, &hands.mark) {
        Err(cause) if gone(&cause) => {
            hands.corpus.make_text_folder(image)?;
            match text_file::place(target, text, known, &hands.mark) {
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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tokio::sync::mpsc;

    use super::*;
    use crate::corpus::Walked;
    use crate::domain::answer::{Finish, Outcome};
    use crate::domain::image::{Found, Stamp};
    use crate::kit::exit_guard::ExitGuard;

    /// A corpus that one of its images makes panic.
    struct Touchy(PathBuf);

    impl Corpus for Touchy {
        fn walk(&self, _: ExitGuard) -> io::Result<mpsc::Receiver<Walked>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn open(&self, _: &RelPath) -> io::Result<(File, Stamp)> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn measure(&self, _: &RelPath) -> io::Result<Found> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn absolute(&self, path: &RelPath) -> PathBuf {
            self.0.join(path.shown())
        }

        fn text_path(&self, path: &RelPath) -> PathBuf {
            assert_ne!(path.name, b"touchy.png", "expected by this test");
            self.0.join(format!("{}.txt", path.shown()))
        }

        fn make_text_folder(&self, _: &RelPath) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_at_one_answer_ends_one_image_by_name() {
        let folder = tempfile::tempdir().expect("temp dir");
        let answer = |image: i64, name: &str| {
            let path = RelPath { folder: Vec::new(), name: name.as_bytes().to_vec() };
            let outcome = Outcome::Answered { content: Some("text".into()), refusal: None, finish: Finish::Stop };
            (Answer { image: ImageId(image), path, attempt: 1, outcome, usage: None }, None)
        };
        let hands = Hands {
            corpus: Arc::new(Touchy(folder.path().to_path_buf())),
            pool: Pool::new("test", 2).expect("threads"),
            form: UnicodeForm::Nfc,
            mark: Mark::new(folder.path()).expect("a mark"),
        };
        let work = vec![answer(1, "a.png"), answer(2, "touchy.png"), answer(3, "c.png")];
        let judged = judge_and_write(&hands, false, work).expect("no fault");
        let verdicts: Vec<_> = judged.verdicts.into_iter().map(|one| (one.image.0, one.verdict)).collect();
        let failed = Verdict::Reject(Reason::ProgramError);
        assert_eq!(verdicts, [(1, Verdict::Accept), (2, failed), (3, Verdict::Accept)]);
        assert!(folder.path().join("c.png.txt").is_file());
    }
}
