//! The verbs of the ledger: each is one legal move or one question, none takes a closure or a connection.
//!
//! A verb runs inside a transaction that the keeper opens and commits ([`Frame`]); the caller hears of it after the
//! commit. Times are stamped by the store's own clock.

use std::collections::HashSet;

use crate::domain::batch::{Admission, BatchTold, EndedBatch, Intent, OpenBatch, Refusal};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use crate::domain::image::{Found, Reason, RelPath, Stamp};
use crate::domain::money::{Funds, Money, Shortage};
use crate::domain::recipe::Recipe;
use crate::domain::review::Deed;
use crate::domain::shard::{NewShard, Plan, ShardFacts};
use crate::kit::hash::Short;

use super::LedgerError;
use super::copies::{Alike, By, ReadyCopy, Seen, ServedCopy};
use super::lost::{LostShard, Restored, RunOrigin};
use super::records::{
    Became, CorpusRow, Culprit, Cursor, Ending, Enrolled, Hold, ImageVerdict, KnownText, Listed, NewRun, OwedPage,
    RawFile, Recognised, Rejudged, Run, Settled, SpentRough, Standing, TextOwner, Unswept, WholeFile, Witnesses,
};

type Result<T> = std::result::Result<T, LedgerError>;

/// The transaction around verbs; the keeper's affair alone.
pub trait Frame {
    /// Begins a write transaction and makes sure that this process still owns the ledger.
    fn begin(&mut self) -> Result<()>;
    /// Makes everything since `begin` durable.
    fn commit(&mut self) -> Result<()>;
    /// Takes everything since `begin` back.
    fn rollback(&mut self);
    /// Begins one command within the transaction.
    fn savepoint(&mut self) -> Result<()>;
    /// Keeps (`true`) or takes back (`false`) the command begun last.
    fn release(&mut self, keep: bool) -> Result<()>;
    /// Counts as of now, uncommitted moves included.
    fn standing(&self) -> Standing;
    /// Notes that the last keeper left in good order.
    fn close(&mut self) -> Result<()>;
}

/// Everything the rooms may do to the ledger.
pub trait Store: Frame + Send {
    // ---- the run
    /// The run of this account that is to go on, or a new one.
    fn begin_run(&mut self, new: &NewRun) -> Result<Run>;
    /// The row of a recipe, by its hash.
    fn recipe(&mut self, recipe: &Recipe) -> Result<RecipeId>;
    /// A recipe, by its row.
    fn kept_recipe(&mut self, recipe: RecipeId) -> Result<Recipe>;
    /// The row of a corpus, by its absolute root; `given` is kept from the first time.
    fn corpus(&mut self, root: &[u8], given: &[u8]) -> Result<CorpusRow>;

    // ---- images
    /// Records that the listing of `corpus` begins.
    fn walk_begins(&mut self, corpus: CorpusId) -> Result<()>;
    /// Records a page of the walk. Known and unchanged files stay as they are; packed ones stay packed; a file whose
    /// content changed is owed anew; an earlier failure for a reason of the file itself is measured anew.
    fn enrol(&mut self, corpus: CorpusId, page: &[Found]) -> Result<Enrolled>;
    /// Of each file, whether nothing has to be found out about it: it is what it was, and an image of one page that is owed, on
    /// its way, or has a text. [`Store::enrol`] would leave it as it is.
    fn are_known(&mut self, corpus: CorpusId, files: &[(RelPath, Stamp)]) -> Result<Vec<bool>>;
    /// Records that the listing is over.
    fn walk_over(&mut self, corpus: CorpusId) -> Result<()>;
    /// The next owed images of `corpus` after `cursor`, at most `limit`.
    fn take_owed(&mut self, corpus: CorpusId, cursor: Cursor, limit: u32) -> Result<OwedPage>;
    /// owed → failed: the image cannot be asked.
    fn cannot_ask(&mut self, image: ImageId, reason: Reason) -> Result<()>;
    /// rough → owed, for deep cleaning; tells how many. A rough text of which one came to nothing is left to a person.
    fn want_deep(&mut self) -> Result<u64>;
    /// done, rough, failed or skipped → owed by order, as if never asked, in the order given; tells how many. `model` is asked
    /// instead of the recipe's; what earlier answers wished for is forgotten. Images that are owed or packed are left, and so
    /// are those that were never measured.
    fn ask_again(&mut self, images: &[ImageId], model: Option<&str>) -> Result<u64>;
    /// Notes what a person did at an image's text. One that is not on its way is done, once a person wrote it.
    fn person_did(&mut self, image: ImageId, deed: Deed) -> Result<()>;
    /// done → owed: its text, `text` by hash, turned out to be unusable, which counts as a try; failed, where that was the
    /// last one. Tells whether it is owed.
    fn unusable(&mut self, image: ImageId, text: Short, reason: Reason) -> Result<bool>;
    /// done → rough: its text, `text` by hash, is unusable and the only copy of its answer, so that it stays as a rough text; of the
    /// text of a file of several pages, the `part` that is this page's.
    fn only_copy(&mut self, image: ImageId, text: Short, part: Short) -> Result<()>;

    // ---- copies (`copies`)
    /// Of these owed images, those that another file of the corpus is like, and what has to be sampled (those of one length) or
    /// read whole (those of one sample) to know more.
    fn alike(&mut self, corpus: CorpusId, images: &[ImageId], by: By) -> Result<Alike>;
    /// Keeps what was seen in files, where they are still what they were.
    fn seen(&mut self, seen: &[Seen]) -> Result<()>;
    /// Makes copies of these owed images, each of an original with the same bytes that was asked with one of `recipes` or is to
    /// be asked; tells which are copies now.
    fn pair_copies(&mut self, corpus: CorpusId, images: &[ImageId], recipes: &[RecipeId]) -> Result<Vec<ImageId>>;
    /// Decides what becomes of copies whose original has ended, or of which one file is another one now; tells how many are to be
    /// asked by themselves.
    fn sort_copies(&mut self) -> Result<u64>;
    /// Copies whose text can be written, by row, at most `limit` after `after`.
    fn ready_copies(&mut self, after: ImageId, limit: u32) -> Result<Vec<ReadyCopy>>;
    /// Copies that ended with an original whose answer came with this shard.
    fn copies_of(&mut self, shard: ShardId) -> Result<Vec<ReadyCopy>>;
    /// The texts of copies stand: owed → done or rough, as their originals are.
    fn served(&mut self, copies: &[ServedCopy]) -> Result<()>;
    /// Copies of which nothing can be made are asked by themselves.
    fn ask_alone(&mut self, copies: &[ImageId]) -> Result<()>;

    // ---- shards
    /// The shard, its lines and its images, in one move.
    fn seal(&mut self, shard: &NewShard) -> Result<ShardFacts>;
    /// Which of these images are owed.
    fn still_owed(&mut self, images: &[ImageId]) -> Result<Vec<ImageId>>;
    /// As [`Store::seal`], without the lines of images that are not owed any more: the walk ends a page that a file has no longer,
    /// or that nobody wants any more, whatever plan it lies in. `None` if nothing is left.
    fn seal_owed(&mut self, shard: &NewShard) -> Result<Option<ShardFacts>> {
        let images: Vec<ImageId> = shard.lines.iter().map(|line| line.image).collect();
        let owed = self.still_owed(&images)?;
        if owed.len() == images.len() {
            return self.seal(shard).map(Some);
        }
        let owed: HashSet<ImageId> = owed.into_iter().collect();
        shard.only(|image| owed.contains(&image)).map(|left| self.seal(&left)).transpose()
    }
    /// The plan of a shard, lines in order.
    fn plan(&mut self, shard: ShardId) -> Result<Plan>;
    /// Shards that are sealed, uploaded or opening, oldest first, at most `limit` after `after`.
    fn shards_to_open(&mut self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardFacts>>;
    /// One shard's facts.
    fn shard(&mut self, shard: ShardId) -> Result<ShardFacts>;
    /// sealed → uploaded. `hash` must equal that of an earlier body of the same plan, otherwise [`LedgerError::Stale`].
    fn uploaded(&mut self, shard: ShardId, input: &FileId, input_created: i64, hash: [u8; 16]) -> Result<()>;
    /// Keeps the hash of a spooled body; the shard stays sealed.
    fn spooled(&mut self, shard: ShardId, hash: [u8; 16]) -> Result<()>;
    /// Files of prepared pictures that the plan of a shard names which is not settled.
    fn prepared_files(&mut self) -> Result<Vec<String>>;
    /// Keeps BLAKE3 of images, taken while they streamed.
    fn content_seen(&mut self, images: &[(ImageId, Short)]) -> Result<()>;
    /// sealed or uploaded → dissolved: its images are owed again, uncounted; the culprit is measured anew or failed, and fails for
    /// good when it has changed three times.
    fn dissolve(&mut self, shard: ShardId, culprit: Option<&Culprit>) -> Result<()>;
    /// sealed → dissolved, for plans of other accounts than that of `run` of which nothing was ever sent or written out: they are
    /// nobody's money. At most `limit`; tells how many.
    fn dissolve_unsent(&mut self, run: RunId, limit: u32) -> Result<u64>;
    /// sealed → dissolved, because the provider takes no file as large; which is remembered.
    fn too_large(&mut self, shard: ShardId) -> Result<()>;
    /// Bytes of the smallest shard that was too large for the account of `run`, within the last week.
    fn smallest_too_large(&mut self, run: RunId) -> Result<Option<u64>>;

    // ---- paying
    /// uploaded → opening: the intent, written before the request, if the queue of its model has room and the limit allows what it
    /// may cost.
    fn intend(&mut self, shard: ShardId) -> Result<Admission>;
    /// How the ledger stands with money.
    fn funds(&mut self) -> Result<Funds>;
    /// Reserves what a question that is asked directly costs at most; refused where the limit does not allow it.
    fn ask_directly(&mut self, worst: Money) -> Result<std::result::Result<(), Shortage>>;
    /// Gives back what a question that was asked directly has not cost.
    fn give_back(&mut self, unused: Money) -> Result<()>;
    /// Most estimated tokens that may be enqueued for the model of `recipe` in the account of `run`, as far as known.
    fn token_limit(&mut self, run: RunId, recipe: RecipeId) -> Result<Option<u64>>;
    /// Prompt tokens that the provider told lately for a hundred estimated ones of the model of `recipe`; 100 where it is no more.
    fn told_percent(&mut self, run: RunId, recipe: RecipeId) -> Result<u64>;
    /// The intent of a shard that is opening.
    fn intent(&mut self, shard: ShardId) -> Result<Intent>;
    /// opening → open, shard spent.
    fn opened(&mut self, batch: BatchNo, id: &BatchId, expires_at: Option<i64>, adopted: bool) -> Result<OpenBatch>;
    /// opening → refused, shard uploaded: surely nothing was created.
    fn not_created(&mut self, batch: BatchNo, refusal: &Refusal, hold: Hold) -> Result<()>;
    /// Why the last create of an uploaded shard was refused, if it was.
    fn last_refusal(&mut self, shard: ShardId) -> Result<Option<Refusal>>;
    /// Notes that it is unknown whether the batch exists.
    fn doubted(&mut self, batch: BatchNo) -> Result<()>;
    /// Notes that the input file is deleted, so that no late request can succeed.
    fn fenced(&mut self, batch: BatchNo) -> Result<()>;
    /// opening → void, shard sealed: fenced and still absent.
    fn voided(&mut self, batch: BatchNo) -> Result<()>;
    /// What was at the provider for the key that sent the create of a batch in doubt.
    fn witnesses(&mut self, batch: BatchNo) -> Result<Witnesses>;
    /// A second batch of a shard, found at the provider: recorded as a stray and read like any other.
    fn stray(&mut self, shard: ShardId, input: &FileId, id: &BatchId) -> Result<OpenBatch>;
    /// The batches of a shard that the provider has named, of all its tries and strays.
    fn named_batches(&mut self, shard: ShardId) -> Result<Vec<BatchId>>;

    /// What each batch of the provider's list is to this ledger. One of ours that is not in it is recorded: as the batch of
    /// its shard if that has none, otherwise as a stray.
    fn recognise(&mut self, listed: &[Listed]) -> Result<Vec<Recognised>>;

    // ---- collecting
    /// What is known of a batch by now.
    fn batch_told(&mut self, batch: BatchNo) -> Result<BatchTold>;
    /// Whether anything was ever planned.
    fn any_shard(&mut self) -> Result<bool>;
    /// Batches that have not ended, oldest first.
    fn open_batches(&mut self) -> Result<Vec<OpenBatch>>;
    /// open → ended.
    fn ended(&mut self, batch: BatchNo, ending: &Ending) -> Result<EndedBatch>;
    /// ended → refused, shard uploaded: turned away, the same file is opened again later. [`LedgerError::Stale`] if a stray
    /// of the shard has answered or may: then it is settled like any other.
    fn turned_away(&mut self, batch: BatchNo, hold: Hold) -> Result<()>;
    /// Batches that ended and are not settled, those that expire first first.
    fn ended_batches(&mut self) -> Result<Vec<EndedBatch>>;
    /// ended → fetched: both raw files are on disk.
    fn fetched(&mut self, batch: BatchNo, output: Option<RawFile>, errors: Option<RawFile>) -> Result<()>;
    /// A result file is gone for good at the provider: its name moves to an event.
    fn results_gone(&mut self, batch: BatchNo) -> Result<()>;
    /// Settled batches after this one, oldest first: their answers can be judged again.
    fn settled_batches(&mut self, after: BatchNo, limit: u32) -> Result<Vec<EndedBatch>>;
    /// What judging again made of answers of a settled batch.
    fn rejudged(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<(Rejudged, Became)>;
    /// Rough texts of a shard whose deep cleaning was accepted: they may lie beside the texts still.
    fn spent_roughs(&mut self, shard: ShardId) -> Result<Vec<SpentRough>>;
    /// Files of several pages of which this shard asked one and of which all are done: their texts can be made. Without a shard,
    /// those whose texts no answer brings up any more, because the page that was waited for is gone.
    fn whole_files(&mut self, shard: Option<ShardId>) -> Result<Vec<WholeFile>>;
    /// The text of a file of several pages stands, by hash.
    fn joined(&mut self, pages: &[ImageId], owner: TextOwner, text: Short) -> Result<()>;
    /// Hashes of the texts that we wrote beside these images.
    fn known_texts(&mut self, images: &[ImageId]) -> Result<Vec<KnownText>>;
    /// A chunk of verdicts of one batch. An image that this batch's shard no longer holds packed is left as it is.
    fn verdicts(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<Became>;
    /// ended or fetched → settled, shard gone; what no line answered is owed again or failed.
    fn settle(&mut self, batch: BatchNo) -> Result<Settled>;
    /// The same for a batch whose lines were refused for the run's sake: nothing is counted against its images.
    fn settle_uncounted(&mut self, batch: BatchNo) -> Result<Settled>;
    /// The same for a batch with lines that name no image: what none answered may have been answered there, and counts as asked.
    fn settle_asked(&mut self, batch: BatchNo) -> Result<Settled>;
    /// Whether a recipe ever brought an accepted answer.
    fn is_proven(&mut self, recipe: RecipeId) -> Result<bool>;
    /// Whether a batch of a recipe is on its way: opening, open, or ended and not settled.
    fn is_on_its_way(&mut self, recipe: RecipeId) -> Result<bool>;
    /// Settled batches whose leftovers may still lie around, at most `limit`.
    fn unswept(&mut self, limit: u32) -> Result<Vec<Unswept>>;
    /// Notes that nothing of a settled batch is left.
    fn swept(&mut self, batch: BatchNo) -> Result<()>;
    // ---- bringing back what was lost
    /// The run of this tag; made again, in the account of `new`, if it is not there.
    fn restore_run(&mut self, tag: &Tag, new: &NewRun, origin: RunOrigin) -> Result<RunId>;
    /// Brings back a shard with its lines, and those of its batches that are missing: open, fetched where their answers are
    /// on disk, in doubt where they have no name. An image belongs to the newest shard that asked for it.
    fn restore_shard(&mut self, lost: &LostShard) -> Result<Restored>;
    /// Texts that an earlier program wrote count as ours, by hash, so that better ones may replace them. Only where an answer is
    /// awaited, or where that very text was kept for a person's; tells how many.
    fn own_texts(&mut self, root: &[u8], texts: &[(RelPath, Short)]) -> Result<u64>;
    /// Dissolves plans that newer shards have taken images from, before anything is paid for them; tells how many.
    fn dissolve_robbed(&mut self) -> Result<u64>;

    /// Appends an oddity to the events: a word and details.
    fn note_event(&mut self, what: &str, batch: Option<BatchNo>, detail: &str) -> Result<()>;
}
