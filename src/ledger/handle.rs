//! What the actors hold of the ledger: a sender to the keeper's queue and the newest counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use super::keeper::{Command, Delivery, Pace};
use super::records::{
    CorpusRow, Culprit, Cursor, Enrolled, Hold, Listed, NewRun, OwedPage, Recognised, Run, Standing, Unswept, Witnesses,
};
use super::store::Store;
use crate::domain::batch::{Admission, Intent, OpenBatch, Refusal};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId};
use crate::domain::image::{Found, Reason, RelPath, Stamp};
use crate::domain::money::{Funds, Money, Shortage};
use crate::domain::recipe::Recipe;
use crate::domain::shard::{NewShard, Plan, ShardFacts};
use crate::kit::clock::Stopwatch;
use crate::kit::hash::Short;
use crate::kit::watch;

mod collecting;
mod copies;
mod person;

pub(super) use person::WeakLedger;

type Result<T> = std::result::Result<T, LedgerError>;

/// The ledger as everybody but the keeper sees it: the verbs of [`Store`], each answered after its commit.
///
/// A refused move is [`LedgerError::Stale`] and changes nothing. Any other error ends the keeper: whoever was in the same
/// commit is told the cause, everybody after that [`LedgerError::Closed`].
#[derive(Clone, Debug)]
pub struct Ledger {
    queue: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    waited: Arc<AtomicU64>,
    commits: Commits,
    failure: Failure,
}

/// How many commits the keeper has made.
pub(super) type Commits = Arc<AtomicU64>;

/// Why the keeper ended, once it has ended by a failure.
pub(super) type Failure = Arc<OnceLock<LedgerError>>;

/// A handle on the keeper behind `queue`.
pub(super) fn new(
    queue: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    commits: Commits,
    failure: Failure,
) -> Ledger {
    Ledger { queue, standing, waited: Arc::default(), commits, failure }
}

/// A verb on its way to the keeper, and where its answer will come.
fn command<T: Send + 'static>(
    pace: Pace,
    verb: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
) -> (Command, oneshot::Receiver<Result<T>>) {
    let (sender, answer) = oneshot::channel();
    let job = Box::new(move |store: Result<&mut dyn Store>| {
        let result = store.and_then(verb);
        let verb = result.as_ref().map(drop).map_err(Clone::clone);
        // A caller that no longer waits changes nothing about the move it asked for.
        let tell = Box::new(move |commit: Result<()>| drop(sender.send(commit.and(result))));
        Delivery { verb, tell }
    });
    (Command { pace, job }, answer)
}

impl Ledger {
    /// The counts, published after every commit that changed them. Newest value wins.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// How many commits there were: as long as it is the same, nothing in the ledger has changed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Why the keeper ended, if it ended by a failure: whoever notices only that it is gone does not know.
    #[must_use]
    pub fn failure(&self) -> Option<LedgerError> {
        self.failure.get().cloned()
    }

    /// Microseconds that callers have waited so far, for room in the queue and for their commits.
    #[must_use]
    pub fn waited_micros(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// A verb that may share its commit with others.
    async fn gathered<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask(Pace::Gathered, verb).await
    }

    /// A verb about money.
    async fn at_once<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask(Pace::AtOnce, verb).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        pace: Pace,
        verb: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let since = Stopwatch::start();
        let (command, answer) = command(pace, verb);
        self.queue.send(command).await.map_err(|_| LedgerError::Closed)?;
        let told = answer.await.unwrap_or(Err(LedgerError::Closed));
        self.waited.fetch_add(since.micros(), Ordering::Relaxed);
        told
    }

    // ---- the run
    /// The run of this account that is to go on, or a new one.
    pub async fn begin_run(&self, new: NewRun) -> Result<Run> {
        self.gathered(move |store| store.begin_run(&new)).await
    }

    /// The row of a recipe, by its hash.
    pub async fn recipe(&self, recipe: Recipe) -> Result<RecipeId> {
        self.gathered(move |store| store.recipe(&recipe)).await
    }

    /// The row of a corpus, by its absolute root; `given` is kept from the first time.
    pub async fn corpus(&self, root: Vec<u8>, given: Vec<u8>) -> Result<CorpusRow> {
        self.gathered(move |store| store.corpus(&root, &given)).await
    }

    // ---- images
    /// Records that the listing of `corpus` begins.
    pub async fn walk_begins(&self, corpus: CorpusId) -> Result<()> {
        self.gathered(move |store| store.walk_begins(corpus)).await
    }

    /// Records a page of the walk. Known and unchanged files stay as they are; packed ones stay packed; a file whose
    /// content changed is owed anew; an earlier failure for a reason of the file itself is measured anew.
    pub async fn enrol(&self, corpus: CorpusId, page: Vec<Found>) -> Result<Enrolled> {
        self.gathered(move |store| store.enrol(corpus, &page)).await
    }

    /// Of each file, whether nothing has to be found out about it: it is what it was, and an image of one page that is owed, on
    /// its way, or has a text. For a thread that may wait; `None` if the ledger is closed.
    #[must_use]
    pub fn are_known(&self, corpus: CorpusId, files: Vec<(RelPath, Stamp)>) -> Option<Vec<bool>> {
        let (command, answer) = command(Pace::Gathered, move |store| store.are_known(corpus, &files));
        self.queue.blocking_send(command).ok()?;
        answer.blocking_recv().ok()?.ok()
    }

    /// Records that the listing is over.
    pub async fn walk_over(&self, corpus: CorpusId) -> Result<()> {
        self.gathered(move |store| store.walk_over(corpus)).await
    }

    /// The next owed images of `corpus` after `cursor`, at most `limit`.
    pub async fn take_owed(&self, corpus: CorpusId, cursor: Cursor, limit: u32) -> Result<OwedPage> {
        self.gathered(move |store| store.take_owed(corpus, cursor, limit)).await
    }

    /// owed → failed: the image cannot be asked.
    pub async fn cannot_ask(&self, image: ImageId, reason: Reason) -> Result<()> {
        self.gathered(move |store| store.cannot_ask(image, reason)).await
    }

    /// done, rough, failed or skipped → owed by order, as if never asked, in the order given; tells how many. `model` is asked
    /// instead of the recipe's. Images that are owed or packed are left, and so are those that were never measured.
    pub async fn ask_again(&self, images: Vec<ImageId>, model: Option<String>) -> Result<u64> {
        self.gathered(move |store| store.ask_again(&images, model.as_deref())).await
    }

    // ---- shards
    /// The shard, its lines and its images, in one move, without those that are not owed any more; `None` if nothing is left.
    pub async fn seal(&self, shard: NewShard) -> Result<Option<ShardFacts>> {
        self.gathered(move |store| store.seal_owed(&shard)).await
    }

    /// The plan of a shard, lines in order.
    pub async fn plan(&self, shard: ShardId) -> Result<Plan> {
        self.gathered(move |store| store.plan(shard)).await
    }

    /// Shards that are sealed, uploaded or opening, oldest first, at most `limit` after `after`.
    pub async fn shards_to_open(&self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardFacts>> {
        self.gathered(move |store| store.shards_to_open(after, limit)).await
    }

    /// One shard's facts.
    pub async fn shard(&self, shard: ShardId) -> Result<ShardFacts> {
        self.gathered(move |store| store.shard(shard)).await
    }

    /// sealed → uploaded. `hash` must equal that of an earlier body of the same plan, otherwise [`LedgerError::Stale`].
    pub async fn uploaded(&self, shard: ShardId, input: FileId, input_created: i64, hash: [u8; 16]) -> Result<()> {
        self.at_once(move |store| store.uploaded(shard, &input, input_created, hash)).await
    }

    /// Keeps the hash of a spooled body; the shard stays sealed.
    pub async fn spooled(&self, shard: ShardId, hash: [u8; 16]) -> Result<()> {
        self.at_once(move |store| store.spooled(shard, hash)).await
    }

    /// Keeps BLAKE3 of images, taken while they streamed.
    pub async fn content_seen(&self, images: Vec<(ImageId, Short)>) -> Result<()> {
        self.gathered(move |store| store.content_seen(&images)).await
    }

    /// sealed or uploaded → dissolved: its images are owed again, uncounted; the culprit is measured anew or failed, and fails for
    /// good when it has changed three times.
    pub async fn dissolve(&self, shard: ShardId, culprit: Option<Culprit>) -> Result<()> {
        self.gathered(move |store| store.dissolve(shard, culprit.as_ref())).await
    }

    /// sealed → dissolved, for plans of other accounts than that of `run` of which nothing was ever sent or written out. At most
    /// `limit`; tells how many.
    pub async fn dissolve_unsent(&self, run: RunId, limit: u32) -> Result<u64> {
        self.gathered(move |store| store.dissolve_unsent(run, limit)).await
    }

    // ---- paying
    /// sealed → dissolved, because the provider takes no file as large; which is remembered.
    pub async fn too_large(&self, shard: ShardId) -> Result<()> {
        self.gathered(move |store| store.too_large(shard)).await
    }

    /// Bytes of the smallest shard that was too large for the account of `run`, within the last week.
    pub async fn smallest_too_large(&self, run: RunId) -> Result<Option<u64>> {
        self.gathered(move |store| store.smallest_too_large(run)).await
    }

    /// uploaded → opening: the intent, written before the request, if the queue of its model has room and the limit allows it.
    pub async fn intend(&self, shard: ShardId) -> Result<Admission> {
        self.at_once(move |store| store.intend(shard)).await
    }

    /// How the ledger stands with money.
    pub async fn funds(&self) -> Result<Funds> {
        self.gathered(|store| store.funds()).await
    }

    /// Reserves what a question that is asked directly costs at most; refused where the limit does not allow it.
    pub async fn ask_directly(&self, worst: Money) -> Result<std::result::Result<(), Shortage>> {
        self.at_once(move |store| store.ask_directly(worst)).await
    }

    /// Gives back what a question that was asked directly has not cost.
    pub async fn give_back(&self, unused: Money) -> Result<()> {
        self.at_once(move |store| store.give_back(unused)).await
    }

    /// Most estimated tokens that may be enqueued for the model of `recipe` in the account of `run`, as far as known.
    pub async fn token_limit(&self, run: RunId, recipe: RecipeId) -> Result<Option<u64>> {
        self.gathered(move |store| store.token_limit(run, recipe)).await
    }

    /// Prompt tokens that the provider told lately for a hundred estimated ones of the model of `recipe`; 100 where it is no more.
    pub async fn told_percent(&self, run: RunId, recipe: RecipeId) -> Result<u64> {
        self.gathered(move |store| store.told_percent(run, recipe)).await
    }

    /// The intent of a shard that is opening.
    pub async fn intent(&self, shard: ShardId) -> Result<Intent> {
        self.gathered(move |store| store.intent(shard)).await
    }

    /// opening → open, shard spent.
    pub async fn opened(
        &self,
        batch: BatchNo,
        id: BatchId,
        expires_at: Option<i64>,
        adopted: bool,
    ) -> Result<OpenBatch> {
        self.at_once(move |store| store.opened(batch, &id, expires_at, adopted)).await
    }

    /// opening → refused, shard uploaded: surely nothing was created.
    pub async fn not_created(&self, batch: BatchNo, refusal: Refusal, hold: Hold) -> Result<()> {
        self.at_once(move |store| store.not_created(batch, &refusal, hold)).await
    }

    /// Why the last create of an uploaded shard was refused, if it was.
    pub async fn last_refusal(&self, shard: ShardId) -> Result<Option<Refusal>> {
        self.gathered(move |store| store.last_refusal(shard)).await
    }

    /// Notes that it is unknown whether the batch exists.
    pub async fn doubted(&self, batch: BatchNo) -> Result<()> {
        self.at_once(move |store| store.doubted(batch)).await
    }

    /// Notes that the input file is deleted, so that no late request can succeed.
    pub async fn fenced(&self, batch: BatchNo) -> Result<()> {
        self.at_once(move |store| store.fenced(batch)).await
    }

    /// opening → void, shard sealed: fenced and still absent.
    pub async fn voided(&self, batch: BatchNo) -> Result<()> {
        self.at_once(move |store| store.voided(batch)).await
    }

    /// What was at the provider for the key that sent the create of a batch in doubt.
    pub async fn witnesses(&self, batch: BatchNo) -> Result<Witnesses> {
        self.gathered(move |store| store.witnesses(batch)).await
    }

    /// A second batch of a shard, found at the provider: recorded as a stray and read like any other.
    pub async fn stray(&self, shard: ShardId, input: FileId, id: BatchId) -> Result<OpenBatch> {
        self.at_once(move |store| store.stray(shard, &input, &id)).await
    }

    /// The batches of a shard that the provider has named, of all its tries and strays.
    pub async fn named_batches(&self, shard: ShardId) -> Result<Vec<BatchId>> {
        self.gathered(move |store| store.named_batches(shard)).await
    }

    /// What each batch of the provider's list is to this ledger. One of ours that is not in it is recorded: as the batch of
    /// its shard if that has none, otherwise as a stray.
    pub async fn recognise(&self, listed: Vec<Listed>) -> Result<Vec<Recognised>> {
        self.at_once(move |store| store.recognise(&listed)).await
    }

    /// Whether a recipe ever brought an accepted answer.
    pub async fn is_proven(&self, recipe: RecipeId) -> Result<bool> {
        self.gathered(move |store| store.is_proven(recipe)).await
    }

    /// Whether a batch of a recipe is on its way: opening, open, or ended and not settled.
    pub async fn is_on_its_way(&self, recipe: RecipeId) -> Result<bool> {
        self.gathered(move |store| store.is_on_its_way(recipe)).await
    }

    /// Settled batches whose leftovers may still lie around, at most `limit`.
    pub async fn unswept(&self, limit: u32) -> Result<Vec<Unswept>> {
        self.gathered(move |store| store.unswept(limit)).await
    }

    /// Notes that nothing of a settled batch is left.
    pub async fn swept(&self, batch: BatchNo) -> Result<()> {
        self.gathered(move |store| store.swept(batch)).await
    }

    /// Appends an oddity to the events: a word and details.
    pub async fn note_event(&self, what: String, batch: Option<BatchNo>, detail: String) -> Result<()> {
        self.gathered(move |store| store.note_event(&what, batch, &detail)).await
    }
}
