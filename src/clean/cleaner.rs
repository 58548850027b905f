//! The Cleaner: the actor that ends images. Texts first, then their verdicts in one commit, then the books.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use super::books::{Against, Waiting};
use super::breaker::{Case, Finding, Hearing, MostlyUnknown, Rejections};
use super::chunk::{Hands, Judged, Work as Judging, judge_and_write};
use super::copies::Copies;
use super::judge::batch_against_the_run;
use super::late::Late;
use super::pages;
use super::text_file::is_of_one_folder;
use super::told::{self, Followed};
use super::wanted::wanted;
use crate::domain::answer::LinesRead;
use crate::domain::batch::{BatchEnd, EndedBatch};
use crate::domain::ids::{BatchNo, ImageId, ShardId};
use crate::domain::recipe::{Kind, Recipe};
use crate::kit::budget::Lease;
use crate::kit::crash;
use crate::kit::edge::take;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::{BatchChange, Notice};
use crate::kit::stop::StopLevel;
use crate::ledger::LedgerError;
use crate::ledger::records::{Became, ImageVerdict, Unswept};
use crate::message::{AnswersRead, BatchRead, NoMoreAnswers};

pub use super::seams::CleanerSeams;

/// Messages that wait for the Cleaner.
const PLACES: usize = 2;
/// Settled batches that wait to be swept.
const SWEEPS: usize = 16;
/// Unswept batches among which a just settled one is looked for; one that is not found is swept at the next start.
const SWEEPABLE: u32 = 1000;

/// The actor: three handlers in, one loop that judges, one that sweeps.
pub struct Cleaner {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Answers(AnswersRead),
    Read(EndedBatch, LinesRead, Lease),
    NoMore,
}

struct Work {
    seams: CleanerSeams,
    intake: mpsc::Receiver<Input>,
    faults: Faults,
    /// Batches whose books wait for those of a stray of the same shard.
    deferred: Vec<Waiting>,
    /// What the lines of batches that are being read say against the run.
    hearings: HashMap<BatchNo, Hearing>,
    /// Errors of batches that are being read.
    late: Late,
    /// Batches with a text that could not be written.
    unwritten: HashSet<BatchNo>,
    /// What was wrong with the answers of this life.
    rejections: Rejections,
    /// Lines refused for the run's sake since the last batch with an answer.
    refused_in_a_row: u64,
    copies: Copies,
}

impl Cleaner {
    /// A Cleaner; it has no successor.
    #[must_use]
    pub fn new(seams: CleanerSeams, faults: Faults, guard: ExitGuard) -> Self {
        let (intake, inputs) = mpsc::channel(PLACES);
        let work = Work {
            seams,
            intake: inputs,
            faults: faults.clone(),
            deferred: Vec::new(),
            hearings: HashMap::new(),
            late: Late::default(),
            unwritten: HashSet::new(),
            rejections: Rejections::default(),
            refused_in_a_row: 0,
            copies: Copies::new(faults.clone()),
        };
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
        let (batch, lines, slot) = message.into_parts();
        take(&self.intake, Input::Read(batch, lines, slot))
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
        let (settled, mut to_sweep) = mpsc::channel(SWEEPS);
        let (sweeper, stop) = (self.seams.sweeper.clone(), self.seams.stop.clone());
        let sweeping = sweeper.sweep_all(&stop, async || to_sweep.recv().await);
        let (swept, judged) = tokio::join!(sweeping, self.judge_all(settled));
        judged.and(swept.map_err(AnyFault::from))
    }

    async fn judge_all(&mut self, settled: mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        let mut standing = self.seams.ledger.standing();
        let mut listens = true;
        self.copies.serve_all(&self.seams).await?;
        loop {
            tokio::select! {
                biased;
                input = self.intake.recv() => match input {
                    Some(Input::Answers(chunk)) => self.hear_chunk(chunk).await?,
                    Some(Input::Read(batch, ..)) if self.seams.again.is_some() => {
                        self.judge_late(batch.no).await?;
                        pages::join_all(&self.seams, Some(batch.shard)).await?;
                        self.copies.serve_again(&self.seams, batch.shard).await?;
                    }
                    // Its books stay open until every text is written.
                    Some(Input::Read(batch, ..)) if self.unwritten.contains(&batch.no) => {}
                    Some(Input::Read(batch, lines, slot)) => {
                        self.judge_late(batch.no).await?;
                        pages::join_all(&self.seams, Some(batch.shard)).await?;
                        self.copies.serve_all(&self.seams).await?;
                        let answered = self.hearings.entry(batch.no).or_default().counted(batch.lines);
                        let against = self.counts_against(&batch, lines).await?;
                        self.deferred.push(Waiting::new(batch, slot, against, answered));
                        self.close(&settled).await?;
                    }
                    Some(Input::NoMore) => {
                        pages::join_all(&self.seams, None).await?;
                        return self.copies.serve_all(&self.seams).await;
                    }
                    None => return self.copies.serve_all(&self.seams).await,
                },
                // A stray may end without coming by here, and a copy may be found of what has ended long ago.
                changed = standing.changed(), if listens => {
                    listens = changed.is_ok();
                    if !listens && !self.deferred.is_empty() {
                        return Err("the ledger is closed".into());
                    }
                    let now = *standing.borrow_and_update();
                    if now.copies_ended + now.copies_ready > 0 {
                        self.copies.serve_all(&self.seams).await?;
                    }
                    if !self.deferred.is_empty() {
                        self.close(&settled).await?;
                    }
                }
            }
        }
    }

    async fn hear_chunk(&mut self, chunk: AnswersRead) -> Result<(), AnyFault> {
        let hearing = self.hearings.entry(chunk.batch.no).or_default();
        chunk.answers.iter().for_each(|answer| hearing.hear(&answer.outcome));
        let chunk = self.late.hold(chunk);
        if chunk.answers.is_empty() { Ok(()) } else { self.judge_chunk(chunk).await }
    }

    async fn judge_late(&mut self, batch: BatchNo) -> Result<(), AnyFault> {
        for chunk in self.late.release(batch) {
            self.judge_chunk(chunk).await?;
        }
        Ok(())
    }

    async fn judge_chunk(&mut self, chunk: AnswersRead) -> Result<(), AnyFault> {
        let count = chunk.answers.len() as u64;
        let (ledger, again) = (&self.seams.ledger, self.seams.again.is_some());
        let work = wanted(ledger, again, chunk.batch.shard, chunk.answers).await?;
        let followed = Followed::of(&self.seams, &chunk.batch, &chunk.recipe, &work);
        // A deep cleaning that comes to nothing says nothing of how pages are read, nor does a page that was hopeless before.
        let reads = chunk.recipe.kind == Kind::Read;
        let is_first = |(answer, known): &&Judging| reads && answer.attempt == 1 && !known.put_back;
        let first_tries = work.iter().filter(is_first).map(|(answer, _)| answer.image).collect();
        let (pool, hands) = (self.seams.pool.clone(), self.hands(&chunk.recipe));
        crash::point("judge.before");
        let judged = pool.run(move || judge_and_write(&hands, work)).await?;
        let Judged { verdicts, disk } = judged?;
        self.weigh(&verdicts, &first_tries);
        let outcomes: Vec<_> = verdicts.iter().map(|judged| judged.verdict.outcome()).collect();
        let followed = followed.map(|followed| followed.images(&verdicts));
        crash::point("text.folder_synced");
        let became = self.record(chunk.batch.no, verdicts).await?;
        crash::point("verdicts.recorded");
        told::tell(&self.seams.news, followed.unwrap_or_default(), &became);
        self.seams.news.judged(count, &outcomes);
        match disk {
            // Its answer is safe in the raw file, its image still packed: the next start writes the text.
            Some(cause) if is_of_one_folder(&cause) => {
                self.unwritten.insert(chunk.batch.no);
                self.faults.report("cleaner", cause, StopLevel::Drain);
                Ok(())
            }
            Some(cause) => Err(cause.into()),
            None => Ok(()),
        }
    }

    /// Stops before more money is spent, where something is wrong with all answers.
    fn weigh(&mut self, verdicts: &[ImageVerdict], first_tries: &HashSet<ImageId>) {
        let Some(percent) = self.seams.most_rejected else { return };
        let of_first_tries = verdicts.iter().filter(|judged| first_tries.contains(&judged.image));
        of_first_tries.for_each(|judged| self.rejections.count(&judged.verdict));
        if let Some(told) = self.rejections.too_many(percent) {
            self.faults.report("cleaner", told, StopLevel::Drain);
        }
    }

    async fn record(&self, batch: BatchNo, verdicts: Vec<ImageVerdict>) -> Result<Became, LedgerError> {
        let Some(sum) = &self.seams.again else { return self.seams.ledger.verdicts(batch, verdicts).await };
        let (these, became) = self.seams.ledger.rejudged(batch, verdicts).await?;
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.texts += these.texts;
        sum.rough += these.rough;
        sum.wanting += these.wanting;
        Ok(became)
    }

    fn hands(&self, recipe: &Arc<Recipe>) -> Hands {
        let CleanerSeams { corpus, pool, rules, mark, sweeper, .. } = self.seams.clone();
        let pages = sweeper.layout.pages();
        Hands { corpus, pool, rules, mark, pages, recipe: Arc::clone(recipe), again: self.seams.again.is_some() }
    }

    /// What is counted against the images that no line of a batch has answered. Where most lines name none of them, the run stops
    /// before they are asked again.
    async fn counts_against(&mut self, batch: &EndedBatch, lines: LinesRead) -> Result<Against, AnyFault> {
        let refused = self.is_run_refused(batch).await?;
        // Of a batch that was brought back, whatever is not in the folder today is unknown.
        let lines = if batch.restored { LinesRead { unknown: 0, ..lines } } else { lines };
        match MostlyUnknown::of(&batch.id, lines) {
            Some(told) if self.seams.asks => self.faults.report("cleaner", told, StopLevel::Drain),
            Some(told) => self.seams.news.warn("E318", told.to_string(), "they are kept raw; nothing is asked here"),
            None => {}
        }
        Ok(Against::of(refused, lines))
    }

    /// Whether a batch that was read, or refused, says that its settings or its account are refused. Then nothing is counted
    /// against its images; and if every further batch would meet the same, the run stops, before its images are owed again,
    /// so that they are not planned again in the same breath.
    async fn is_run_refused(&mut self, batch: &EndedBatch) -> Result<bool, AnyFault> {
        let hearing = self.hearings.remove(&batch.no).unwrap_or_default();
        let our_recipe = self.seams.recipes.contains(batch.recipe).await?;
        let refused = batch.refusal.as_ref().filter(|_| batch.end == BatchEnd::Refused).and_then(batch_against_the_run);
        let finding = match refused {
            Some(refused) if our_recipe => Finding::Stop(refused),
            Some(refused) => Finding::Past(refused),
            None => {
                let proven = hearing.is_about_settings() && self.seams.ledger.is_proven(batch.recipe).await?;
                let our_life = batch.opened_at >= self.seams.began;
                hearing.decide(Case { our_recipe, our_life, proven }, &mut self.refused_in_a_row)
            }
        };
        match finding {
            _ if crash::without("breaker") => Ok(false),
            Finding::Clear => Ok(false),
            Finding::Past(refused) => {
                let text = format!("the lines of {} were refused: {refused}", batch.id);
                self.seams.news.warn(refused.told_as(), text, "asked again as things are now; nothing is counted");
                Ok(true)
            }
            Finding::Stop(refused) => {
                self.faults.report("cleaner", refused, StopLevel::Drain);
                Ok(true)
            }
        }
    }

    /// Closes the books of all batches that were read, as far as they may be closed.
    async fn close(&mut self, settled: &mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        loop {
            let waiting = std::mem::take(&mut self.deferred);
            let many = waiting.len();
            for batch in waiting {
                if !self.close_one(&batch, settled).await? {
                    self.deferred.push(batch);
                }
            }
            // What was closed just now may be the stray that another one waits for.
            if self.deferred.is_empty() || self.deferred.len() == many {
                return Ok(());
            }
        }
    }

    /// Whether the books are closed; `false` if they wait for a stray of the same shard.
    async fn close_one(&self, waiting: &Waiting, settled: &mpsc::Sender<Unswept>) -> Result<bool, AnyFault> {
        let batch = &waiting.batch;
        let Some(gaps) = waiting.settle(&self.seams.ledger).await? else { return Ok(false) };
        crash::point("settle.recorded");
        let again = if gaps.owed > 0 { format!("{} asked again", gaps.owed) } else { String::new() };
        let told = self.seams.ledger.batch_told(batch.no).await?;
        let (id, from, answered) = (batch.id.to_string(), Some(batch.end.word()), Some(waiting.answered));
        let change = BatchChange { id, from, to: "settled", lines: batch.lines, told, answered, detail: again };
        self.seams.news.tell(Notice::Batch(Box::new(change)));
        self.hand_to_sweep(batch.shard, settled).await?;
        Ok(true)
    }

    /// A stray is swept with the batch of its shard, whichever is settled last.
    async fn hand_to_sweep(&self, shard: ShardId, settled: &mpsc::Sender<Unswept>) -> Result<(), AnyFault> {
        let waiting = self.seams.ledger.unswept(SWEEPABLE).await?;
        for batch in waiting.into_iter().filter(|batch| batch.shard == shard) {
            // The sweeping loop ends early only when the program drains; the ledger keeps the list.
            drop(settled.send(batch).await);
        }
        Ok(())
    }
}
