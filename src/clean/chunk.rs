//! One chunk of answers on the pool: every answer judged, every text written, each folder synced once.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::judge::{Judgement, judge};
use super::placing::{TextKind, Texts};
use super::polish::Step;
use super::rules::Rules;
use super::{deep, lengths, letters};
use crate::corpus::Corpus;
use crate::domain::answer::Answer;
use crate::domain::batch::Usage;
use crate::domain::ids::ImageId;
use crate::domain::image::Reason;
use crate::domain::recipe::{Kind, Recipe};
use crate::domain::verdict::Verdict;
use crate::kit::atomic_file::Mark;
use crate::kit::faults::AnyFault;
use crate::kit::hash::Short;
use crate::kit::json_schema::JsonSchema;
use crate::kit::pool::{Pool, PoolError};
use crate::ledger::records::{ImageVerdict, KnownText, TextOwner};

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
    /// How answers are judged.
    pub(super) rules: Arc<Rules>,
    /// Marks our temporary files among the user's.
    pub(super) mark: Mark,
    /// Where the texts of single pages wait for those of their files.
    pub(super) pages: PathBuf,
    /// What the answers were asked with.
    pub(super) recipe: Arc<Recipe>,
    /// Whether they are judged again, long after their books were closed.
    pub(super) again: bool,
}

/// Folders that are held open at once; an answer of one more waits until these are synced and closed.
const MOST_FOLDERS: usize = 64;

/// An answer, and what the ledger knows of its image.
pub(super) type Work = (Answer, KnownText);

/// On the pool: judges every answer, writes the texts, syncs each folder once. A panic at one answer ends its image by name
/// and no other: the answer stays in the raw file, and judging it again would panic again.
pub(super) fn judge_and_write(hands: &Hands, work: Vec<Work>) -> Result<Judged, AnyFault> {
    let mut judged = Judged { verdicts: Vec::with_capacity(work.len()), disk: None };
    for stretch in stretches(work) {
        judge_stretch(hands, stretch, &mut judged)?;
    }
    Ok(judged)
}

/// Cuts the work so that no part of it has texts in more than [`MOST_FOLDERS`] folders.
fn stretches(work: Vec<Work>) -> Vec<Vec<Work>> {
    let mut stretches = vec![Vec::new()];
    let mut folders: BTreeSet<Vec<u8>> = BTreeSet::new();
    for one in work {
        let folder = &one.0.path.folder;
        if !folders.contains(folder) {
            if folders.len() == MOST_FOLDERS {
                folders.clear();
                stretches.push(Vec::new());
            }
            folders.insert(folder.clone());
        }
        if let Some(last) = stretches.last_mut() {
            last.push(one);
        }
    }
    stretches
}

fn judge_stretch(hands: &Hands, work: Vec<Work>, judged: &mut Judged) -> Result<(), AnyFault> {
    let asked: Vec<(ImageId, Option<Usage>)> = work.iter().map(|(answer, _)| (answer.image, answer.usage)).collect();
    let schema = hands.rules.schema_of(&hands.recipe);
    let texts = Texts::new(hands, work.len());
    let work = hands.pool.map(work, |(answer, known)| {
        let judgement = judge_one(hands, schema.as_ref(), &answer, &known);
        (answer, (known, judgement))
    });
    let begun = by_folder(&hands.pool, work, |answer, (known, judgement)| {
        let text = judgement.text.as_ref().map(|text| {
            let kind = if judgement.verdict == Verdict::DeepClean { TextKind::Rough } else { TextKind::Clean };
            texts.begin(&answer.path, kind, text.as_bytes(), &known)
        });
        (known, judgement, text)
    });
    texts.make_durable()?;
    let done: Vec<Done> = by_folder(&hands.pool, begun, |answer, (known, judgement, text)| {
        let text = text.zip(judgement.text.as_ref());
        let placed = text.map(|(begun, text)| texts.name(&answer.path, begun?, text.as_bytes(), &known));
        (judgement, placed)
    });
    let lengths = length_flags(&hands.rules, &done);
    for ((one, (image, usage)), length) in done.into_iter().zip(asked).zip(lengths) {
        match one {
            Ok((answer, (mut judgement, placed))) => {
                judgement.flags.extend(length);
                judged.add(answer, judgement, placed);
            }
            Err(PoolError::Panicked) => {
                tracing::error!(image = image.0, "judging an answer panicked");
                let verdict = Verdict::Reject(Reason::ProgramError);
                judged.verdicts.push(ImageVerdict { usage, ..ImageVerdict::bare(image, verdict) });
            }
        }
    }
    Ok(texts.sync_folders()?)
}

/// An answer and what is known of it by now; lost where a job panicked at it.
type OfAnswer<T> = Result<(Answer, T), PoolError>;

/// What became of an answer: judged, and its text put into its place, if it has one.
type Done = OfAnswer<(Judgement, Option<io::Result<Option<(TextOwner, Short)>>>)>;

/// Does a job that writes for every answer, on one thread a folder: two would wait for each other at its lock, and spin.
fn by_folder<I: Send, T: Send>(
    pool: &Pool,
    items: Vec<OfAnswer<I>>,
    job: impl Fn(&Answer, I) -> T + Send + Sync,
) -> Vec<OfAnswer<T>> {
    let folder = |one: &OfAnswer<I>| one.as_ref().map(|(answer, _)| answer.path.folder.clone()).unwrap_or_default();
    let job = |one: OfAnswer<I>| {
        let (answer, item) = one?;
        let done = job(&answer, item);
        Ok((answer, done))
    };
    pool.map_by(items, folder, job).into_iter().map(Result::flatten).collect()
}

/// The flag of each answer's length, among the texts that come with it.
fn length_flags(rules: &Rules, done: &[Done]) -> Vec<Option<&'static str>> {
    let letters = |one: &Done| {
        let (answer, (judgement, _)) = one.as_ref().ok()?;
        let text = judgement.text.as_ref().filter(|_| judgement.verdict == Verdict::Accept)?;
        Some((answer.path.folder.clone(), letters::count(text)))
    };
    let texts: Vec<Option<(Vec<u8>, usize)>> = done.iter().map(letters).collect();
    let known: Vec<(&[u8], usize)> = texts.iter().flatten().map(|(folder, letters)| (&folder[..], *letters)).collect();
    let mut flags = lengths::flags(&known, &rules.length).into_iter();
    texts.iter().map(|text| text.as_ref().and_then(|_| flags.next().flatten())).collect()
}

/// Judges one answer, and once more with the ink of its image where the verdict hangs on it. Ink never decides alone: what cannot be
/// measured speaks neither for nor against an answer.
fn judge_one(hands: &Hands, schema: Option<&JsonSchema>, answer: &Answer, known: &KnownText) -> Judgement {
    let rules = &hands.rules;
    if hands.recipe.kind == Kind::Deep {
        return deep::judge(answer, known, hands);
    }
    let mut question = rules.question(&hands.recipe, schema, answer, known);
    let first = judge(answer, &question);
    if !first.needs_ink {
        return first;
    }
    // Of pages that came back with text, only those whose files are small for their size can be blank.
    let sparse = first.verdict == Verdict::Accept || first.verdict == Verdict::DeepClean;
    let Ok(Some(ink)) = hands.corpus.ink(&answer.path, sparse) else { return Judgement { needs_ink: false, ..first } };
    question.ink = Some(ink);
    Judgement { ink: Some(ink), ..judge(answer, &question) }
}

/// What cleaning did, for the ledger; nothing where it took no words, because that is told by flags.
fn cleaning(steps: &[Step]) -> Option<String> {
    let told = steps.iter().any(|step| step.took.contains(char::is_alphanumeric) || step.rule == deep::RULE);
    // Steps are words and nothing else, so that they can always be written.
    told.then(|| serde_json::to_string(steps).unwrap_or_default())
}

impl Judged {
    fn add(&mut self, answer: Answer, judgement: Judgement, placed: Option<io::Result<Option<(TextOwner, Short)>>>) {
        let Judgement { mut verdict, mut flags, said, steps, ink, .. } = judgement;
        if matches!(verdict, Verdict::AskAgain { counted: false, .. }) {
            // No answer yet: a stray of the same shard may bring one. What still lacks it is owed again when the books close.
            return;
        }
        let text = match placed {
            None => None,
            Some(Ok(Some(placed))) => {
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
        let bare = ImageVerdict::bare(answer.image, verdict);
        let cleaning = cleaning(&steps);
        self.verdicts.push(ImageVerdict { flags, usage: answer.usage, text, cleaning, said, ink, ..bare });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::File;

    use tokio::sync::mpsc;

    use super::*;
    use crate::clean::content::TextFrom;
    use crate::clean::judge::Limits;
    use crate::clean::polish::PolishOptions;
    use crate::clean::rules::LengthLimits;
    use crate::clean::text_file::Existing;
    use crate::corpus::{Known, Walked};
    use crate::domain::answer::{Finish, Outcome};
    use crate::domain::image::{Found, RelPath, Stamp};
    use crate::domain::ladder::{Abilities, Ladder};
    use crate::domain::recipe::{AnswerFormat, IdStyle, Parameters};
    use crate::kit::exit_guard::ExitGuard;
    use crate::kit::folder::Folder;

    /// A corpus that one of its images makes panic.
    struct Touchy(PathBuf);

    impl Corpus for Touchy {
        fn walk(&self, _: Option<Known>, _: ExitGuard) -> io::Result<mpsc::Receiver<Walked>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn open(&self, _: &RelPath) -> io::Result<(File, Stamp)> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn measure(&self, _: &RelPath) -> io::Result<Found> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn ink(&self, _: &RelPath, _: bool) -> io::Result<Option<f64>> {
            Ok(None)
        }
        fn text_name(&self, path: &RelPath) -> Vec<u8> {
            assert_ne!(path.name, b"touchy.png", "expected by this test");
            [&path.name, &b".txt"[..]].concat()
        }

        fn text_folder(&self, path: &RelPath) -> io::Result<Option<Folder>> {
            Folder::open(&self.0.join(String::from_utf8_lossy(&path.folder).as_ref())).map(Some)
        }
    }

    pub(in crate::clean) fn ladder() -> Ladder {
        let lookup = |_: &str| Abilities {
            efforts: Vec::new(),
            temperature: true,
            details: &["low", "high"],
            max_output_tokens: 16_000,
            image: None,
        };
        Ladder::new(recipe(Kind::Read), recipe(Kind::Deep), None, lookup)
    }

    fn rules() -> Rules {
        Rules {
            polish: PolishOptions::default(),
            limits: Limits::default(),
            length: LengthLimits::default(),
            from: TextFrom::Content,
            deep_changed_words: 0.0,
            existing: Existing::default(),
            ladder: ladder(),
            attempts: 3,
        }
    }

    fn unknown() -> KnownText {
        KnownText {
            image: ImageId(1),
            hash: None,
            packed_in: None,
            state: None,
            shard: None,
            after: None,
            put_back: false,
            said: None,
            ink: None,
            prepared: false,
            one_of_many: false,
        }
    }

    pub(in crate::clean) fn recipe(kind: Kind) -> Recipe {
        Recipe {
            id: None,
            kind,
            id_style: IdStyle::Path,
            step: 1,
            model: "m".into(),
            endpoint: "/v1/chat/completions".into(),
            prompt: "Read.".into(),
            parameters: Parameters {
                preparation: None,
                system: None,
                detail: "high".into(),
                max_output_tokens: Some(4000),
                reasoning_effort: None,
                temperature: None,
                answer_format: AnswerFormat::Text,
            },
        }
    }

    #[test]
    fn a_panic_at_one_answer_ends_one_image_by_name() {
        let folder = tempfile::tempdir().expect("temp dir");
        let answer = |image: i64, name: &str| {
            let path = RelPath { folder: Vec::new(), name: name.as_bytes().to_vec(), page: 1 };
            let outcome = Outcome::Answered { content: Some("text".into()), refusal: None, finish: Finish::Stop };
            (Answer { image: ImageId(image), path, attempt: 1, outcome, usage: None }, unknown())
        };
        let hands = Hands {
            corpus: Arc::new(Touchy(folder.path().to_path_buf())),
            pool: Pool::new("test", 2).expect("threads"),
            rules: Arc::new(rules()),
            mark: Mark::new(folder.path()).expect("a mark"),
            pages: folder.path().join("pages"),
            recipe: Arc::new(recipe(Kind::Read)),
            again: false,
        };
        let work = vec![answer(1, "a.png"), answer(2, "touchy.png"), answer(3, "c.png")];
        let judged = judge_and_write(&hands, work).expect("no fault");
        let verdicts: Vec<_> = judged.verdicts.into_iter().map(|one| (one.image.0, one.verdict)).collect();
        let failed = Verdict::Reject(Reason::ProgramError);
        assert_eq!(verdicts, [(1, Verdict::Accept), (2, failed), (3, Verdict::Accept)]);
        assert!(folder.path().join("c.png.txt").is_file());
    }

    #[test]
    fn no_more_folders_are_open_at_once_than_a_process_may_have() {
        let folders = 2 * MOST_FOLDERS + 3;
        let outcome = Outcome::Answered { content: None, refusal: None, finish: Finish::Stop };
        let answer = |n: usize| {
            let path = RelPath { folder: (n % folders).to_string().into_bytes(), name: b"a.png".to_vec(), page: 1 };
            (Answer { image: ImageId(n as i64), path, attempt: 1, outcome: outcome.clone(), usage: None }, unknown())
        };
        let stretches = stretches((0..folders + 1).map(answer).collect());
        assert_eq!(stretches.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_FOLDERS, MOST_FOLDERS, 4]);
        let images: Vec<i64> = stretches.iter().flatten().map(|(answer, _)| answer.image.0).collect();
        assert!(images.iter().is_sorted(), "in their order");
    }
}
