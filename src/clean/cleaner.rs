//! The Cleaner: the actor that ends images. Texts first, then their verdicts in one commit, then the books.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use super::close::{SweepError, Sweeper};
use super::judge::{Judgement, RunRefused, judge};
use super::polish::UnicodeForm;
use super::text_file;
use crate::corpus::Corpus;
use crate::domain::answer::{Answer, Outcome};
use crate::domain::batch::{BatchEnd, EndedBatch};
use crate::domain::ids::{BatchNo, ImageId, ShardId};
use crate::domain::image::{Reason, RelPath};
use crate::domain::verdict::Verdict;
use crate::kit::atomic_file::{Mark, folder_of, sync_folder};
use crate::kit::budget::Lease;
use crate::kit::crash;
use crate::kit::edge::take;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::hash::Short;
use crate::kit::news::{News, Notice};
use crate::kit::pool::{Pool, PoolError};
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{ImageVerdict, TextOwner, Unswept};
use crate::message::{AnswersRead, BatchRead, NoMoreAnswers};

/// Messages that wait for the Cleaner.
const PLACES: usize = 2;
/// Settled batches that wait to be swept.
const SWEEPS: usize = 16;
/// Unswept batches among which a just settled one is looked for; one that is not found is swept at the next start.
const SWEEPABLE: u32 = 1000;

/// Seams of a Cleaner beside its neighbours.
#[derive(Clone)]
pub struct CleanerSeams {
    /// The ledger.
    pub ledger: Ledger,
    /// Where the images lie.
    pub corpus: Arc<dyn Corpus>,
    /// Judges, polishes, writes.
    pub pool: Pool,
    /// Removes leftovers.
    pub sweeper: Sweeper,
    /// Leaves sweeping to the next start when the program drains.
    pub stop: Stop,
    /// News for people.
    pub news: News,
    /// What is done to the Unicode form of texts.
    pub form: UnicodeForm,
    /// Marks our temporary files among the user's.
    pub mark: Mark,
}

/// The actor: three handlers in, one loop that judges, one that sweeps.
pub struct Cleaner {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Answers(AnswersRead),
    Read(EndedBatch, Lease),
    NoMore,
}

struct Work {
    seams: CleanerSeams,
    intake: mpsc::Receiver<Input>,
    faults: Faults,
    /// Batches whose books wait for those of a stray of the same shard.
    deferred: Vec<(EndedBatch, Lease)>,
}

impl Cleaner {
    /// A Cleaner; it has no successor.
    #[must_use]
    pub fn new(seams: CleanerSeams, faults: Faults, guard: ExitGuard) -> Self {
        let (intake, inputs) = mpsc::channel(PLACES);
        let work = Work { seams, intake: inputs, faults: faults.clone(), deferred: Vec::new() };
        Self { intake, work: Some(work), faults, guard }
    }
}

impl Actor for Cleaner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("cleaner", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<AnswersRead> for Cleaner {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: AnswersRead, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::Answers(message))
    }
}

impl Handler<BatchRead> for Cleaner {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: BatchRead, _: &mut Self::Context) -> Self::Result {
        let (batch, slot) = message.into_parts();
        take(&self.intake, Input::Read(batch, slot))
    }
}

impl Handler<NoMoreAnswers> for Cleaner {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreAnswers, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        let (settled, to_sweep) = mpsc::channel(SWEEPS);
        let sweeping = sweep_all(self.seams.clone(), to_sweep);
        let (swept, judged) = tokio::join!(sweeping, self.judge_all(settled));
        judged.and(swept.map_err(AnyFault::from))
    }

    async fn judge_all(&mut self, settled: mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        let mut standing = self.seams.ledger.standing();
        loop {
            tokio::select! {
                input = self.intake.recv() => match input {
                    Some(Input::Answers(chunk)) => self.judge_chunk(chunk).await?,
                    Some(Input::Read(batch, slot)) => {
                        self.deferred.push((batch, slot));
                        self.close(&settled).await?;
                    }
                    Some(Input::NoMore) | None => return Ok(()),
                },
                // A stray may end without coming by here.
                changed = standing.changed(), if !self.deferred.is_empty() => {
                    changed.map_err(|_| "the ledger is closed")?;
                    self.close(&settled).await?;
                }
            }
        }
    }

    async fn judge_chunk(&mut self, chunk: AnswersRead) -> Result<(), AnyFault> {
        let count = chunk.answers.len() as u64;
        let work = self.wanted(chunk.batch.shard, chunk.answers).await?;
        let (pool, seams, json) = (self.seams.pool.clone(), self.seams.clone(), chunk.json);
        crash::point("judge.before");
        let judged = pool.run(move || judge_and_write(&seams, json, work)).await?;
        let Judged { verdicts, stop, disk } = judged?;
        crash::point("text.folder_synced");
        self.seams.ledger.verdicts(chunk.batch.no, verdicts).await?;
        crash::point("verdicts.recorded");
        self.seams.news.judged(count);
        if let Some(refused) = stop {
            self.faults.report("cleaner", refused, StopLevel::Drain);
        }
        match disk {
            // Its answer is safe in the raw file, its image still packed: the next start writes the text.
            Some(cause) => Err(cause.into()),
            None => Ok(()),
        }
    }

    /// The answers that end an image of this shard, each with the hash of the text that we wrote there last. A second answer
    /// to one image stays raw: of several, the first that has a text counts, otherwise the first.
    async fn wanted(&self, shard: ShardId, answers: Vec<Answer>) -> Result<Vec<(Answer, Option<Short>)>, AnyFault> {
        let images = answers.iter().map(|answer| answer.image).collect();
        let known = self.seams.ledger.known_texts(images).await?;
        let mut wanted: Vec<(Answer, Option<Short>)> = Vec::with_capacity(answers.len());
        let mut places: HashMap<ImageId, usize> = HashMap::with_capacity(answers.len());
        let has_text = |answer: &Answer| matches!(answer.outcome, Outcome::Answered { .. });
        for (answer, text) in answers.into_iter().zip(known) {
            if text.packed_in != Some(shard) {
                continue;
            }
            match places.get(&answer.image) {
                None => {
                    places.insert(answer.image, wanted.len());
                    wanted.push((answer, text.hash));
                }
                Some(place) if has_text(&answer) && !has_text(&wanted[*place].0) => wanted[*place].0 = answer,
                Some(_) => tracing::warn!(path = %answer.path.shown(), "a second answer to one image stays raw"),
            }
        }
        Ok(wanted)
    }

    /// Closes the books of all batches that were read, as far as they may be closed.
    async fn close(&mut self, settled: &mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        loop {
            let waiting = std::mem::take(&mut self.deferred);
            let many = waiting.len();
            for (batch, slot) in waiting {
                if !self.close_one(&batch, settled).await? {
                    self.deferred.push((batch, slot));
                }
            }
            // What was closed just now may be the stray that another one waits for.
            if self.deferred.is_empty() || self.deferred.len() == many {
                return Ok(());
            }
        }
    }

    /// Whether the books are closed; `false` if they wait for a stray of the same shard.
    async fn close_one(&self, batch: &EndedBatch, settled: &mpsc::Sender<Unswept>) -> Result<bool, AnyFault> {
        if batch.end == BatchEnd::Vanished && (batch.output.is_some() || batch.errors.is_some()) {
            // After the verdicts of whatever was still there, so that these stand.
            self.seams.ledger.results_gone(batch.no).await?;
        }
        if let Some(refused) = refused_as_a_whole(batch) {
            // Before its images are owed again, so that they are not planned again in the same breath.
            self.faults.report("cleaner", refused, StopLevel::Drain);
        }
        crash::point("settle.before");
        let gaps = match self.seams.ledger.settle(batch.no).await {
            Ok(gaps) => gaps,
            Err(LedgerError::Stale(why)) => {
                tracing::debug!(batch = %batch.id, why, "the books wait for a stray of the same shard");
                return Ok(false);
            }
            Err(other) => return Err(other.into()),
        };
        crash::point("settle.recorded");
        let again = if gaps.owed > 0 { format!("{} asked again", gaps.owed) } else { String::new() };
        let id = batch.id.to_string();
        self.seams.news.tell(Notice::Batch { id, to: "settled", lines: batch.lines, detail: again });
        self.hand_to_sweep(batch.no, settled).await?;
        Ok(true)
    }

    async fn hand_to_sweep(&self, no: BatchNo, settled: &mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        let waiting = self.seams.ledger.unswept(SWEEPABLE).await?;
        if let Some(batch) = waiting.into_iter().find(|batch| batch.no == no) {
            // The sweeping loop ends early only when the program drains; the ledger keeps the list.
            drop(settled.send(batch).await);
        }
        Ok(())
    }
}

/// A refusal that names a reason and no line is about the model or a setting: every further batch would meet it, too.
fn refused_as_a_whole(batch: &EndedBatch) -> Option<RunRefused> {
    let refusal = batch.refusal.as_ref().filter(|_| batch.end == BatchEnd::Refused)?;
    let names_a_reason = !(refusal.code.is_empty() && refusal.message.is_empty());
    (refusal.line.is_none() && names_a_reason).then(|| RunRefused {
        code: refusal.code.clone(),
        message: refusal.message.clone(),
        status: 400,
    })
}

/// Sweeps what earlier lives left, then whatever is settled now.
async fn sweep_all(seams: CleanerSeams, mut settled: mpsc::Receiver<Unswept>) -> Result<(), SweepError> {
    for batch in seams.ledger.unswept(u32::MAX).await? {
        if seams.stop.is_stopping() {
            return Ok(());
        }
        seams.sweeper.sweep(&batch).await?;
    }
    while let Some(batch) = settled.recv().await {
        if !seams.stop.is_stopping() {
            seams.sweeper.sweep(&batch).await?;
        }
    }
    Ok(())
}

/// A chunk after its texts are on disk.
struct Judged {
    verdicts: Vec<ImageVerdict>,
    stop: Option<RunRefused>,
    /// The first text that could not be written; its image has no verdict yet.
    disk: Option<io::Error>,
}

/// On the pool: judges every answer, writes the texts, syncs each folder once.
fn judge_and_write(seams: &CleanerSeams, json: bool, work: Vec<(Answer, Option<Short>)>) -> Result<Judged, AnyFault> {
    let corpus = Arc::clone(&seams.corpus);
    let form = seams.form;
    let done = seams.pool.map(work, |(answer, known)| {
        let judgement = judge(&answer, json, form);
        let target = corpus.text_path(&answer.path);
        let placed = judgement.text.as_ref().map(|text| put(seams, &answer.path, &target, text.as_bytes(), known));
        (answer, judgement, target, placed)
    });
    let mut judged = Judged { verdicts: Vec::with_capacity(done.len()), stop: None, disk: None };
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
        let Judgement { mut verdict, mut flags, stop, .. } = judgement;
        self.stop = self.stop.take().or(stop);
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
