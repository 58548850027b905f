//! The Extractor: the actor that brings answers in. Raw first: nothing is interpreted before its bytes are safe.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::book::Book;
use super::fetch::{FetchError, Fetcher};
use super::write::ResultWriters;
use crate::domain::answer::LinesRead;
use crate::domain::batch::{BatchEnd, EndedBatch};
use crate::domain::ids::{BatchId, BatchNo};
use crate::domain::layout::Layout;
use crate::domain::recipe::Recipe;
use crate::kit::budget::{Budget, Lease};
use crate::kit::edge::{EdgeMeter, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::News;
use crate::kit::plural::count;
use crate::kit::pool::Pool;
use crate::kit::stop::StopLevel;
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::message::{AnswersRead, BatchEnded, BatchRead, NoMoreAnswers, NoMoreEnds};

/// Batches being read at once.
pub const PLACES: usize = 2;

/// The recipients of the Extractor.
#[derive(Clone)]
pub struct Next {
    /// Takes answers.
    pub answers: Recipient<AnswersRead>,
    /// Takes batches whose answers were all handed over.
    pub read: Recipient<BatchRead>,
    /// Takes the last word.
    pub over: Recipient<NoMoreAnswers>,
}

/// Where the batches come from whose answers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// They have ended: fetched if need be, read, and their books closed.
    Ended,
    /// They have ended, and their answers are on disk: the same, and nobody is asked for the others.
    OnDisk,
    /// They are settled: what is on disk is read once more, to be judged again.
    Settled {
        /// The JSON file of every line is written again, too.
        rebuild: bool,
    },
}

impl Source {
    /// Whether their books are closed already.
    fn is_settled(self) -> bool {
        matches!(self, Self::Settled { .. })
    }
}

/// Settled batches asked for at once.
const STRETCH: u32 = 64;

/// The actor: two handlers in, one loop out.
pub struct Extractor {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Ended(Box<EndedBatch>, Lease),
    NoMore,
}

/// Seams of an Extractor beside its neighbours.
#[derive(Clone)]
pub struct ExtractorSeams {
    /// Fetches result files.
    pub fetcher: Fetcher,
    /// The ledger.
    pub ledger: Ledger,
    /// Names of files.
    pub layout: Layout,
    /// Parses.
    pub pool: Pool,
    /// Writes per-line files.
    pub writers: ResultWriters,
    /// Open batches.
    pub slots: Budget,
    /// News for people.
    pub news: News,
    /// Where the batches come from.
    pub source: Source,
    /// The one batch that is read; all of the source where there is none.
    pub only: Option<BatchNo>,
}

struct Work {
    seams: ExtractorSeams,
    intake: mpsc::Receiver<Input>,
    next: Next,
    meter: EdgeMeter,
    faults: Faults,
}

impl Extractor {
    /// An Extractor that hands answers to `next`.
    #[must_use]
    pub fn new(seams: ExtractorSeams, next: Next, meter: EdgeMeter, faults: Faults, guard: ExitGuard) -> Self {
        let (intake, inputs) = mpsc::channel(1);
        let work = Work { seams, intake: inputs, next, meter, faults: faults.clone() };
        Self { intake, work: Some(work), faults, guard }
    }
}

impl Actor for Extractor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("extractor", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<BatchEnded> for Extractor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: BatchEnded, _: &mut Self::Context) -> Self::Result {
        let (batch, slot) = message.into_parts();
        take(&self.intake, Input::Ended(Box::new(batch), slot))
    }
}

impl Handler<NoMoreEnds> for Extractor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreEnds, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

type Reading = LocalBoxFuture<'static, Result<(), ReadError>>;

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        let mut backlog = self.backlog(BatchNo(0)).await?;
        let mut readings: FuturesUnordered<Reading> = FuturesUnordered::new();
        let mut upstream_over = false;
        while !(upstream_over && backlog.is_empty() && readings.is_empty()) {
            while readings.len() < PLACES {
                let Some(batch) = backlog.pop() else { break };
                let slot = self.seams.slots.overdraw(1);
                if backlog.is_empty() && self.seams.source.is_settled() {
                    backlog = self.backlog(batch.no).await?;
                }
                readings.push(self.read(batch, slot));
            }
            let room = readings.len() < PLACES && !upstream_over;
            tokio::select! {
                biased;
                Some(ended) = readings.next(), if !readings.is_empty() => self.judge_end(ended)?,
                input = self.intake.recv(), if room => match input {
                    Some(Input::Ended(batch, slot)) => readings.push(self.read(*batch, slot)),
                    Some(Input::NoMore) => upstream_over = true,
                    None => return Ok(()),
                },
            }
        }
        hand_over(&self.next.over, NoMoreAnswers, &self.meter).await?;
        Ok(())
    }

    /// The batches that nobody hands over: the last one is taken first.
    async fn backlog(&self, after: BatchNo) -> Result<Vec<EndedBatch>, LedgerError> {
        let ledger = &self.seams.ledger;
        let mut backlog = match self.seams.source {
            Source::Ended => ledger.ended_batches().await?,
            Source::OnDisk => ledger.ended_batches().await?.into_iter().filter(|batch| batch.fetched).collect(),
            Source::Settled { .. } => ledger.settled_batches(after, STRETCH).await?,
        };
        backlog.retain(|batch| self.seams.only.is_none_or(|only| only == batch.no));
        backlog.reverse();
        Ok(backlog)
    }

    fn read(&self, batch: EndedBatch, slot: Lease) -> Reading {
        let reader = BatchReader { seams: self.seams.clone(), next: self.next.clone(), meter: self.meter.clone() };
        Box::pin(reader.run(batch, slot))
    }

    /// A batch that could not be read stays `ended` or `fetched` in the ledger; the next start takes it up.
    fn judge_end(&self, ended: Result<(), ReadError>) -> Result<(), AnyFault> {
        match ended {
            Ok(()) | Err(ReadError::Fetch(FetchError::Stopped)) => Ok(()),
            Err(ReadError::Ledger(cause)) => Err(cause.into()),
            Err(ReadError::NextGone) => Err("the next stage is gone".into()),
            Err(ReadError::Fetch(FetchError::Provider(failure))) => {
                self.faults.report("extractor", failure, StopLevel::Drain);
                Ok(())
            }
            Err(ReadError::Fetch(FetchError::Disk(cause)) | ReadError::Disk(cause)) => {
                self.faults.report("extractor", cause, StopLevel::Drain);
                Ok(())
            }
            Err(other) => {
                self.faults.report("extractor", other, StopLevel::Drain);
                Ok(())
            }
        }
    }
}

/// Why a batch could not be read now.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its files could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file of the workspace cannot be read or written.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// A job was lost.
    #[error(transparent)]
    Pool(#[from] crate::kit::pool::PoolError),
    /// The provider has no answers of it for this key, and shows nothing of the batch either: perhaps it is another project's key.
    #[error("{host} does not know the batch {batch} with this key")]
    NotSeen {
        /// The provider.
        host: String,
        /// The batch.
        batch: BatchId,
    },
    /// The Cleaner has ended.
    #[error("the next stage is gone")]
    NextGone,
}

/// One batch from its result files to the Cleaner.
struct BatchReader {
    seams: ExtractorSeams,
    next: Next,
    meter: EdgeMeter,
}

impl BatchReader {
    async fn run(self, mut batch: EndedBatch, slot: Lease) -> Result<(), ReadError> {
        let mut raw = self.raw_paths(&batch);
        if self.seams.source == Source::Ended && !batch.fetched && raw.iter().any(Option::is_some) {
            self.fetch(&mut batch, &mut raw).await?;
        }
        let plan = self.seams.ledger.plan(batch.shard).await?;
        let writes = self.seams.source != Source::Settled { rebuild: false };
        let writers = writes.then_some(&self.seams.writers);
        let book = Arc::new(Book::new(&plan, &self.seams.layout, &batch, writers)?);
        let recipe = Arc::new(plan.recipe);
        let mut lines = LinesRead::default();
        for raw in raw.into_iter().flatten() {
            self.hand_answers(&batch, &recipe, raw, &book, &mut lines).await?;
        }
        self.seams.pool.run(move || book.close()).await??;
        let read = BatchRead::new(batch, lines, slot);
        hand_over(&self.next.read, read, &self.meter).await.map_err(|_| ReadError::NextGone)
    }

    /// Where the raw files lie, of those that the batch has.
    fn raw_paths(&self, batch: &EndedBatch) -> [Option<PathBuf>; 2] {
        let layout = &self.seams.layout;
        let output = batch.output.as_ref().map(|_| layout.raw_output(batch.id.as_str()));
        let errors = batch.errors.as_ref().filter(|errors| batch.output.as_ref() != Some(*errors));
        [output, errors.map(|_| layout.raw_errors(batch.id.as_str()))]
    }

    /// Fetches both files. One that is gone for good leaves `paths`, and one that never comes whole is read as far as it
    /// came; the batch is handed on as vanished then, so that the
    /// Cleaner ends by name what the other file does not answer.
    async fn fetch(&self, batch: &mut EndedBatch, paths: &mut [Option<PathBuf>; 2]) -> Result<(), ReadError> {
        let mut raw = [None, None];
        for (n, id) in [&batch.output, &batch.errors].into_iter().enumerate() {
            let (Some(id), Some(path)) = (id, &paths[n]) else { continue };
            match self.seams.fetcher.fetch(id, path).await {
                Ok(file) => raw[n] = Some(file),
                Err(FetchError::NotThere(failure)) => {
                    if !self.seams.fetcher.is_gone(batch).await? {
                        let host = self.seams.fetcher.provider.host().to_owned();
                        return Err(ReadError::NotSeen { host, batch: batch.id.clone() });
                    }
                    let text = format!("results of {} are gone: {failure}", batch.id);
                    self.seams.news.warn("E314", text, "they may have been paid for; nothing is asked again by itself");
                    paths[n] = None;
                    batch.end = BatchEnd::Vanished;
                }
                Err(FetchError::NeverWhole { got, aside }) => {
                    let text =
                        format!("result file of {} is incomplete: {got} bytes, kept as {}", batch.id, aside.display());
                    self.seams.news.warn(
                        "E315",
                        text,
                        "its whole lines are read; what they lack is not asked again by itself",
                    );
                    paths[n] = Some(aside);
                    batch.end = BatchEnd::Vanished;
                }
                Err(other) => return Err(other.into()),
            }
        }
        if batch.end == BatchEnd::Vanished {
            return Ok(());
        }
        let [output, errors] = raw;
        self.seams.ledger.fetched(batch.no, output, errors).await?;
        crate::kit::crash::point("fetch.recorded");
        Ok(())
    }

    async fn hand_answers(
        &self,
        batch: &EndedBatch,
        recipe: &Arc<Recipe>,
        raw: PathBuf,
        book: &Arc<Book>,
        lines: &mut LinesRead,
    ) -> Result<(), ReadError> {
        let name = raw.display().to_string();
        let file = match self.seams.pool.run(move || File::open(&raw)).await? {
            // Its texts stand; they cannot be made again.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && self.seams.source.is_settled() => {
                let text = format!("the saved answers of {} are gone: {name}", batch.id);
                self.seams.news.warn("E314", text, "its texts stay as they are; they cannot be judged again");
                return Ok(());
            }
            // Gone at the provider before it came down.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && !batch.fetched => return Ok(()),
            opened => opened?,
        };
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        loop {
            let book = Arc::clone(book);
            let (back, chunk) = self
                .seams
                .pool
                .run(move || {
                    let chunk = book.read_chunk(&mut reader);
                    (reader, chunk)
                })
                .await?;
            reader = back;
            let chunk = chunk?;
            lines.ours += chunk.answers.len() as u64;
            lines.unknown += u64::from(chunk.unknown);
            if chunk.unknown > 0 && !self.seams.source.is_settled() {
                let unknown = count(chunk.unknown.into(), "result line names", "result lines name");
                let text = format!("{unknown} no image of ours ({})", batch.id);
                self.seams.news.warn("E510", text.clone(), "kept raw, ignored");
                self.seams.ledger.note_event("unknown_id".to_owned(), Some(batch.no), text).await?;
            }
            if !chunk.answers.is_empty() {
                let recipe = Arc::clone(recipe);
                let message = AnswersRead { batch: batch.clone(), recipe, answers: chunk.answers };
                hand_over(&self.next.answers, message, &self.meter).await.map_err(|_| ReadError::NextGone)?;
            }
            if chunk.last {
                return Ok(());
            }
        }
    }
}
