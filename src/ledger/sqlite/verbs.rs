//! The verbs, each one line to where its work is done. Here every fault gets the ledger's path.

use super::fault::Outcome;
use super::settling::Counting;
use super::{
    SqliteStore, admission, asking, collecting, copies, enrol, events, images, listed, money, pages, paying, rejudging,
    restore, runs, settling, shards, verdicts,
};
use crate::domain::batch::{Admission, BatchTold, EndedBatch, Intent, OpenBatch, Refusal};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use crate::domain::image::{Found, Reason, RelPath, Stamp};
use crate::domain::money::{Funds, Money, Shortage};
use crate::domain::recipe::Recipe;
use crate::domain::review::Deed;
use crate::domain::shard::{NewShard, Plan, ShardFacts};
use crate::kit::hash::Short;
use crate::ledger::LedgerError;
use crate::ledger::copies::{Alike, By, ReadyCopy, Seen, ServedCopy};
use crate::ledger::lost::{LostShard, Restored, RunOrigin};
use crate::ledger::records::{
    Became, CorpusRow, Culprit, Cursor, Ending, Enrolled, Hold, ImageVerdict, KnownText, Listed, NewRun, OwedPage,
    RawFile, Recognised, Rejudged, Run, Settled, SpentRough, TextOwner, Unswept, WholeFile, Witnesses,
};
use crate::ledger::store::Store;

type Result<T> = std::result::Result<T, LedgerError>;

impl SqliteStore {
    /// What a verb came to; its fault names the ledger's path.
    fn named<T>(&mut self, verb: impl FnOnce(&mut Self) -> Outcome<T>) -> Result<T> {
        verb(self).map_err(|fault| self.told(fault))
    }
}

impl Store for SqliteStore {
    fn begin_run(&mut self, new: &NewRun) -> Result<Run> {
        self.named(|store| runs::begin(store, new))
    }

    fn recipe(&mut self, recipe: &Recipe) -> Result<RecipeId> {
        self.named(|store| runs::recipe(store, recipe))
    }

    fn corpus(&mut self, root: &[u8], given: &[u8]) -> Result<CorpusRow> {
        self.named(|store| runs::corpus(store, root, given))
    }

    fn walk_begins(&mut self, corpus: CorpusId) -> Result<()> {
        self.named(|store| runs::walk(store, corpus, false))
    }

    fn enrol(&mut self, corpus: CorpusId, page: &[Found]) -> Result<Enrolled> {
        self.named(|store| enrol::page(store, corpus, page))
    }

    fn are_known(&mut self, corpus: CorpusId, files: &[(RelPath, Stamp)]) -> Result<Vec<bool>> {
        self.named(|store| enrol::are_known(store, corpus, files))
    }

    fn walk_over(&mut self, corpus: CorpusId) -> Result<()> {
        self.named(|store| runs::walk(store, corpus, true))
    }

    fn take_owed(&mut self, corpus: CorpusId, cursor: Cursor, limit: u32) -> Result<OwedPage> {
        self.named(|store| images::take_owed(store, corpus, cursor, limit))
    }

    fn still_owed(&mut self, images: &[ImageId]) -> Result<Vec<ImageId>> {
        self.named(|store| images::still_owed(store, images))
    }

    fn cannot_ask(&mut self, image: ImageId, reason: Reason) -> Result<()> {
        self.named(|store| images::cannot_ask(store, image, reason))
    }

    fn ask_again(&mut self, images: &[ImageId], model: Option<&str>) -> Result<u64> {
        self.named(|store| asking::ask_again(store, images, model))
    }

    fn person_did(&mut self, image: ImageId, deed: Deed) -> Result<()> {
        self.named(|store| asking::person_did(store, image, deed))
    }

    fn unusable(&mut self, image: ImageId, text: Short, reason: Reason) -> Result<bool> {
        self.named(|store| asking::unusable(store, image, text, reason))
    }

    fn only_copy(&mut self, image: ImageId, text: Short, part: Short) -> Result<()> {
        self.named(|store| asking::only_copy(store, image, text, part))
    }

    fn alike(&mut self, corpus: CorpusId, images: &[ImageId], by: By) -> Result<Alike> {
        self.named(|store| copies::alike(store, corpus, images, by))
    }

    fn seen(&mut self, seen: &[Seen]) -> Result<()> {
        self.named(|store| copies::seen(store, seen))
    }

    fn pair_copies(&mut self, corpus: CorpusId, images: &[ImageId], recipes: &[RecipeId]) -> Result<Vec<ImageId>> {
        self.named(|store| copies::pair(store, corpus, images, recipes))
    }

    fn sort_copies(&mut self) -> Result<u64> {
        self.named(copies::sort)
    }

    fn ready_copies(&mut self, after: ImageId, limit: u32) -> Result<Vec<ReadyCopy>> {
        self.named(|store| copies::ready(store, after, limit))
    }

    fn copies_of(&mut self, shard: ShardId) -> Result<Vec<ReadyCopy>> {
        self.named(|store| copies::of_shard(store, shard))
    }

    fn served(&mut self, copies: &[ServedCopy]) -> Result<()> {
        self.named(|store| copies::served(store, copies))
    }

    fn ask_alone(&mut self, copies: &[ImageId]) -> Result<()> {
        self.named(|store| copies::ask_alone(store, copies))
    }

    fn seal(&mut self, shard: &NewShard) -> Result<ShardFacts> {
        self.named(|store| shards::seal(store, shard))
    }

    fn plan(&mut self, shard: ShardId) -> Result<Plan> {
        self.named(|store| shards::plan(store, shard))
    }

    fn shards_to_open(&mut self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardFacts>> {
        self.named(|store| shards::to_open(store, after, limit))
    }

    fn shard(&mut self, shard: ShardId) -> Result<ShardFacts> {
        self.named(|store| shards::one(store, shard))
    }

    fn uploaded(&mut self, shard: ShardId, input: &FileId, input_created: i64, hash: [u8; 16]) -> Result<()> {
        self.named(|store| shards::uploaded(store, shard, input, input_created, hash))
    }

    fn spooled(&mut self, shard: ShardId, hash: [u8; 16]) -> Result<()> {
        self.named(|store| shards::spooled(store, shard, hash))
    }

    fn content_seen(&mut self, images: &[(ImageId, Short)]) -> Result<()> {
        self.named(|store| images::content_seen(store, images))
    }

    fn dissolve(&mut self, shard: ShardId, culprit: Option<&Culprit>) -> Result<()> {
        self.named(|store| shards::dissolve(store, shard, culprit))
    }

    fn intend(&mut self, shard: ShardId) -> Result<Admission> {
        self.named(|store| paying::intend(store, shard))
    }

    fn funds(&mut self) -> Result<Funds> {
        self.named(|store| money::funds(store))
    }

    fn ask_directly(&mut self, worst: Money) -> Result<std::result::Result<(), Shortage>> {
        self.named(|store| money::ask_directly(store, worst))
    }

    fn give_back(&mut self, unused: Money) -> Result<()> {
        self.named(|store| money::give_back(store, unused))
    }

    fn token_limit(&mut self, run: RunId, recipe: RecipeId) -> Result<Option<u64>> {
        self.named(|store| admission::limit_of(store, run, recipe))
    }

    fn told_percent(&mut self, run: RunId, recipe: RecipeId) -> Result<u64> {
        self.named(|store| admission::told_percent(store, run, recipe))
    }

    fn too_large(&mut self, shard: ShardId) -> Result<()> {
        self.named(|store| shards::too_large(store, shard))
    }

    fn dissolve_unsent(&mut self, run: RunId, limit: u32) -> Result<u64> {
        self.named(|store| shards::dissolve_unsent(store, run, limit))
    }

    fn smallest_too_large(&mut self, run: RunId) -> Result<Option<u64>> {
        self.named(|store| shards::smallest_too_large(store, run))
    }

    fn intent(&mut self, shard: ShardId) -> Result<Intent> {
        self.named(|store| paying::intent(store, shard))
    }

    fn opened(&mut self, batch: BatchNo, id: &BatchId, expires_at: Option<i64>, adopted: bool) -> Result<OpenBatch> {
        self.named(|store| paying::opened(store, batch, id, expires_at, adopted))
    }

    fn not_created(&mut self, batch: BatchNo, refusal: &Refusal, hold: Hold) -> Result<()> {
        self.named(|store| paying::not_created(store, batch, refusal, hold))
    }

    fn last_refusal(&mut self, shard: ShardId) -> Result<Option<Refusal>> {
        self.named(|store| paying::last_refusal(store, shard))
    }

    fn doubted(&mut self, batch: BatchNo) -> Result<()> {
        self.named(|store| paying::doubted(store, batch))
    }

    fn fenced(&mut self, batch: BatchNo) -> Result<()> {
        self.named(|store| paying::fenced(store, batch))
    }

    fn voided(&mut self, batch: BatchNo) -> Result<()> {
        self.named(|store| paying::voided(store, batch))
    }

    fn witnesses(&mut self, batch: BatchNo) -> Result<Witnesses> {
        self.named(|store| listed::witnesses(store, batch))
    }

    fn stray(&mut self, shard: ShardId, input: &FileId, id: &BatchId) -> Result<OpenBatch> {
        self.named(|store| paying::stray(store, shard, input, id))
    }

    fn named_batches(&mut self, shard: ShardId) -> Result<Vec<BatchId>> {
        self.named(|store| listed::named_batches(store, shard))
    }

    fn recognise(&mut self, batches: &[Listed]) -> Result<Vec<Recognised>> {
        self.named(|store| listed::recognise(store, batches))
    }

    fn batch_told(&mut self, batch: BatchNo) -> Result<BatchTold> {
        self.named(|store| collecting::told(store, batch))
    }

    fn any_shard(&mut self) -> Result<bool> {
        self.named(|store| listed::any_shard(store))
    }

    fn open_batches(&mut self) -> Result<Vec<OpenBatch>> {
        self.named(|store| collecting::open_batches(store))
    }

    fn ended(&mut self, batch: BatchNo, ending: &Ending) -> Result<EndedBatch> {
        self.named(|store| collecting::ended(store, batch, ending))
    }

    fn turned_away(&mut self, batch: BatchNo, hold: Hold) -> Result<()> {
        self.named(|store| collecting::turned_away(store, batch, hold))
    }

    fn ended_batches(&mut self) -> Result<Vec<EndedBatch>> {
        self.named(|store| collecting::ended_batches(store))
    }

    fn fetched(&mut self, batch: BatchNo, output: Option<RawFile>, errors: Option<RawFile>) -> Result<()> {
        self.named(|store| collecting::fetched(store, batch, output, errors))
    }

    fn results_gone(&mut self, batch: BatchNo) -> Result<()> {
        self.named(|store| collecting::results_gone(store, batch))
    }

    fn settled_batches(&mut self, after: BatchNo, limit: u32) -> Result<Vec<EndedBatch>> {
        self.named(|store| rejudging::settled_batches(store, after, limit))
    }

    fn rejudged(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<(Rejudged, Became)> {
        self.named(|store| rejudging::record(store, batch, verdicts))
    }

    fn spent_roughs(&mut self, shard: ShardId) -> Result<Vec<SpentRough>> {
        self.named(|store| images::spent_roughs(store, shard))
    }

    fn want_deep(&mut self) -> Result<u64> {
        self.named(images::want_deep)
    }

    fn kept_recipe(&mut self, recipe: RecipeId) -> Result<Recipe> {
        self.named(|store| runs::kept_recipe(store, recipe.0))
    }

    fn whole_files(&mut self, shard: Option<ShardId>) -> Result<Vec<WholeFile>> {
        self.named(|store| pages::whole_files(store, shard))
    }

    fn joined(&mut self, images: &[ImageId], owner: TextOwner, text: Short) -> Result<()> {
        self.named(|store| pages::joined(store, images, owner, text))
    }

    fn prepared_files(&mut self) -> Result<Vec<String>> {
        self.named(|store| pages::prepared_files(store))
    }

    fn known_texts(&mut self, images: &[ImageId]) -> Result<Vec<KnownText>> {
        self.named(|store| images::known_texts(store, images))
    }

    fn verdicts(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<Became> {
        self.named(|store| verdicts::record(store, batch, verdicts))
    }

    fn settle(&mut self, batch: BatchNo) -> Result<Settled> {
        self.named(|store| settling::settle(store, batch, Counting::Returns))
    }

    fn settle_uncounted(&mut self, batch: BatchNo) -> Result<Settled> {
        self.named(|store| settling::settle(store, batch, Counting::Nothing))
    }

    fn settle_asked(&mut self, batch: BatchNo) -> Result<Settled> {
        self.named(|store| settling::settle(store, batch, Counting::Tries))
    }

    fn is_proven(&mut self, recipe: RecipeId) -> Result<bool> {
        self.named(|store| runs::is_proven(store, recipe))
    }

    fn is_on_its_way(&mut self, recipe: RecipeId) -> Result<bool> {
        self.named(|store| runs::is_on_its_way(store, recipe))
    }

    fn unswept(&mut self, limit: u32) -> Result<Vec<Unswept>> {
        self.named(|store| collecting::unswept(store, limit))
    }

    fn swept(&mut self, batch: BatchNo) -> Result<()> {
        self.named(|store| collecting::swept(store, batch))
    }

    fn restore_run(&mut self, tag: &Tag, new: &NewRun, origin: RunOrigin) -> Result<RunId> {
        self.named(|store| restore::run(store, tag, new, origin))
    }

    fn restore_shard(&mut self, lost: &LostShard) -> Result<Restored> {
        self.named(|store| restore::shard(store, lost))
    }

    fn own_texts(&mut self, root: &[u8], texts: &[(RelPath, Short)]) -> Result<u64> {
        self.named(|store| images::own_texts(store, root, texts))
    }

    fn dissolve_robbed(&mut self) -> Result<u64> {
        self.named(restore::dissolve_robbed)
    }

    fn note_event(&mut self, what: &str, batch: Option<BatchNo>, detail: &str) -> Result<()> {
        self.named(|store| events::append(store, what, events::About { batch, ..events::About::default() }, detail))
    }
}
