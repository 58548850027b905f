//! The ledger of a process that may die at any commit: before it, and nothing of the transaction is there; after it, and
//! nobody has heard of it.

use batchscribe::domain::batch::{Admission, BatchTold, EndedBatch, Intent, OpenBatch, Refusal};
use batchscribe::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use batchscribe::domain::image::{Found, Reason, RelPath, Stamp};
use batchscribe::domain::money::{Funds, Money, Shortage};
use batchscribe::domain::recipe::Recipe;
use batchscribe::domain::review::Deed;
use batchscribe::domain::shard::{NewShard, Plan, ShardFacts};
use batchscribe::kit::hash::Short;
use batchscribe::ledger::LedgerError;
use batchscribe::ledger::copies::{Alike, By, ReadyCopy, Seen, ServedCopy};
use batchscribe::ledger::lost::{LostShard, Restored, RunOrigin};
use batchscribe::ledger::records::{
    Became, CorpusRow, Culprit, Cursor, Ending, Enrolled, Hold, ImageVerdict, KnownText, Listed, NewRun, OwedPage,
    RawFile, Recognised, Rejudged, Run, Settled, SpentRough, Standing, TextOwner, Unswept, WholeFile, Witnesses,
};
use batchscribe::ledger::sqlite::SqliteStore;
use batchscribe::ledger::store::{Frame, Store};

use crate::fate::Fate;

type Result<T> = std::result::Result<T, LedgerError>;

pub(crate) struct Mortal {
    pub(crate) store: SqliteStore,
    pub(crate) fate: Fate,
}

impl Frame for Mortal {
    fn begin(&mut self) -> Result<()> {
        self.store.begin()
    }

    fn commit(&mut self) -> Result<()> {
        if !self.fate.lets("commit") {
            return Err(LedgerError::Closed);
        }
        self.store.commit()?;
        if self.fate.lets("committed") { Ok(()) } else { Err(LedgerError::Closed) }
    }

    fn rollback(&mut self) {
        self.store.rollback();
    }

    fn savepoint(&mut self) -> Result<()> {
        self.store.savepoint()
    }

    fn release(&mut self, keep: bool) -> Result<()> {
        self.store.release(keep)
    }

    fn standing(&self) -> Standing {
        self.store.standing()
    }

    fn close(&mut self) -> Result<()> {
        self.store.close()
    }
}

/// Every verb as the ledger has it.
macro_rules! as_they_are {
    ($(fn $verb:ident(&mut self $(, $name:ident: $kind:ty)*) -> $told:ty;)*) => {
        impl Store for Mortal {
            $(fn $verb(&mut self $(, $name: $kind)*) -> $told {
                self.store.$verb($($name),*)
            })*
        }
    };
}

as_they_are! {
    fn begin_run(&mut self, new: &NewRun) -> Result<Run>;
    fn recipe(&mut self, recipe: &Recipe) -> Result<RecipeId>;
    fn corpus(&mut self, root: &[u8], given: &[u8]) -> Result<CorpusRow>;
    fn walk_begins(&mut self, corpus: CorpusId) -> Result<()>;
    fn enrol(&mut self, corpus: CorpusId, page: &[Found]) -> Result<Enrolled>;
    fn are_known(&mut self, corpus: CorpusId, files: &[(RelPath, Stamp)]) -> Result<Vec<bool>>;
    fn walk_over(&mut self, corpus: CorpusId) -> Result<()>;
    fn take_owed(&mut self, corpus: CorpusId, cursor: Cursor, limit: u32) -> Result<OwedPage>;
    fn still_owed(&mut self, images: &[ImageId]) -> Result<Vec<ImageId>>;
    fn cannot_ask(&mut self, image: ImageId, reason: Reason) -> Result<()>;
    fn ask_again(&mut self, images: &[ImageId], model: Option<&str>) -> Result<u64>;
    fn person_did(&mut self, image: ImageId, deed: Deed) -> Result<()>;
    fn unusable(&mut self, image: ImageId, text: Short, reason: Reason) -> Result<bool>;
    fn only_copy(&mut self, image: ImageId, text: Short, part: Short) -> Result<()>;
    fn alike(&mut self, corpus: CorpusId, images: &[ImageId], by: By) -> Result<Alike>;
    fn seen(&mut self, seen: &[Seen]) -> Result<()>;
    fn pair_copies(&mut self, corpus: CorpusId, images: &[ImageId], recipes: &[RecipeId]) -> Result<Vec<ImageId>>;
    fn sort_copies(&mut self) -> Result<u64>;
    fn ready_copies(&mut self, after: ImageId, limit: u32) -> Result<Vec<ReadyCopy>>;
    fn copies_of(&mut self, shard: ShardId) -> Result<Vec<ReadyCopy>>;
    fn served(&mut self, copies: &[ServedCopy]) -> Result<()>;
    fn ask_alone(&mut self, copies: &[ImageId]) -> Result<()>;
    fn seal(&mut self, shard: &NewShard) -> Result<ShardFacts>;
    fn plan(&mut self, shard: ShardId) -> Result<Plan>;
    fn shards_to_open(&mut self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardFacts>>;
    fn shard(&mut self, shard: ShardId) -> Result<ShardFacts>;
    fn uploaded(&mut self, shard: ShardId, input: &FileId, input_created: i64, hash: [u8; 16]) -> Result<()>;
    fn spooled(&mut self, shard: ShardId, hash: [u8; 16]) -> Result<()>;
    fn content_seen(&mut self, images: &[(ImageId, Short)]) -> Result<()>;
    fn dissolve(&mut self, shard: ShardId, culprit: Option<&Culprit>) -> Result<()>;
    fn too_large(&mut self, shard: ShardId) -> Result<()>;
    fn dissolve_unsent(&mut self, run: RunId, limit: u32) -> Result<u64>;
    fn smallest_too_large(&mut self, run: RunId) -> Result<Option<u64>>;
    fn intend(&mut self, shard: ShardId) -> Result<Admission>;
    fn funds(&mut self) -> Result<Funds>;
    fn ask_directly(&mut self, worst: Money) -> Result<std::result::Result<(), Shortage>>;
    fn give_back(&mut self, unused: Money) -> Result<()>;
    fn told_percent(&mut self, run: RunId, recipe: RecipeId) -> Result<u64>;
    fn token_limit(&mut self, run: RunId, recipe: RecipeId) -> Result<Option<u64>>;
    fn intent(&mut self, shard: ShardId) -> Result<Intent>;
    fn opened(&mut self, batch: BatchNo, id: &BatchId, expires_at: Option<i64>, adopted: bool) -> Result<OpenBatch>;
    fn not_created(&mut self, batch: BatchNo, refusal: &Refusal, hold: Hold) -> Result<()>;
    fn last_refusal(&mut self, shard: ShardId) -> Result<Option<Refusal>>;
    fn doubted(&mut self, batch: BatchNo) -> Result<()>;
    fn fenced(&mut self, batch: BatchNo) -> Result<()>;
    fn voided(&mut self, batch: BatchNo) -> Result<()>;
    fn witnesses(&mut self, batch: BatchNo) -> Result<Witnesses>;
    fn stray(&mut self, shard: ShardId, input: &FileId, id: &BatchId) -> Result<OpenBatch>;
    fn named_batches(&mut self, shard: ShardId) -> Result<Vec<BatchId>>;
    fn recognise(&mut self, listed: &[Listed]) -> Result<Vec<Recognised>>;
    fn batch_told(&mut self, batch: BatchNo) -> Result<BatchTold>;
    fn any_shard(&mut self) -> Result<bool>;
    fn open_batches(&mut self) -> Result<Vec<OpenBatch>>;
    fn ended(&mut self, batch: BatchNo, ending: &Ending) -> Result<EndedBatch>;
    fn turned_away(&mut self, batch: BatchNo, hold: Hold) -> Result<()>;
    fn ended_batches(&mut self) -> Result<Vec<EndedBatch>>;
    fn fetched(&mut self, batch: BatchNo, output: Option<RawFile>, errors: Option<RawFile>) -> Result<()>;
    fn results_gone(&mut self, batch: BatchNo) -> Result<()>;
    fn settled_batches(&mut self, after: BatchNo, limit: u32) -> Result<Vec<EndedBatch>>;
    fn rejudged(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<(Rejudged, Became)>;
    fn spent_roughs(&mut self, shard: ShardId) -> Result<Vec<SpentRough>>;
    fn want_deep(&mut self) -> Result<u64>;
    fn kept_recipe(&mut self, recipe: RecipeId) -> Result<Recipe>;
    fn whole_files(&mut self, shard: Option<ShardId>) -> Result<Vec<WholeFile>>;
    fn joined(&mut self, pages: &[ImageId], owner: TextOwner, text: Short) -> Result<()>;
    fn prepared_files(&mut self) -> Result<Vec<String>>;
    fn known_texts(&mut self, images: &[ImageId]) -> Result<Vec<KnownText>>;
    fn verdicts(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<Became>;
    fn settle(&mut self, batch: BatchNo) -> Result<Settled>;
    fn settle_uncounted(&mut self, batch: BatchNo) -> Result<Settled>;
    fn settle_asked(&mut self, batch: BatchNo) -> Result<Settled>;
    fn is_proven(&mut self, recipe: RecipeId) -> Result<bool>;
    fn is_on_its_way(&mut self, recipe: RecipeId) -> Result<bool>;
    fn unswept(&mut self, limit: u32) -> Result<Vec<Unswept>>;
    fn swept(&mut self, batch: BatchNo) -> Result<()>;
    fn restore_run(&mut self, tag: &Tag, new: &NewRun, origin: RunOrigin) -> Result<RunId>;
    fn restore_shard(&mut self, lost: &LostShard) -> Result<Restored>;
    fn own_texts(&mut self, root: &[u8], texts: &[(RelPath, Short)]) -> Result<u64>;
    fn dissolve_robbed(&mut self) -> Result<u64>;
    fn note_event(&mut self, what: &str, batch: Option<BatchNo>, detail: &str) -> Result<()>;
}
