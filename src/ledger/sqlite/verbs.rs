//! The verbs, each one line to where its work is done. Here every fault gets the ledger's path.

use super::settling::Counting;
use super::{
    SqliteStore, admission, asking, collecting, copies, enrol, events, images, listed, money, pages, paying, rejudging,
    restore, runs, settling, shards, verdicts,
};
use crate::domain::batch::{Admission, EndedBatch, Intent, OpenBatch, Refusal};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RecipeId, RunId, ShardId, Tag};
use crate::domain::image::{Found, Reason, RelPath};
use crate::domain::money::{Funds, Money, Shortage};
use crate::domain::recipe::Recipe;
use crate::domain::review::Deed;
use crate::domain::shard::{NewShard, Plan, ShardFacts};
use crate::kit::hash::Short;
use crate::ledger::LedgerError;
use crate::ledger::copies::{Alike, By, ReadyCopy, Seen, ServedCopy};
use crate::ledger::lost::{LostShard, Restored};
use crate::ledger::records::{
    CorpusRow, Culprit, Cursor, Ending, Enrolled, Hold, ImageVerdict, KnownText, Listed, NewRun, OwedPage, RawFile,
    Recognised, Rejudged, Run, Settled, SpentRough, TextOwner, Unswept, WholeFile,
};
use crate::ledger::store::Store;

type Result<T> = std::result::Result<T, LedgerError>;

impl Store for SqliteStore {
    fn begin_run(&mut self, new: &NewRun) -> Result<Run> {
        let outcome = runs::begin(self, new);
        self.named(outcome)
    }

    fn recipe(&mut self, recipe: &Recipe) -> Result<RecipeId> {
        let outcome = runs::recipe(self, recipe);
        self.named(outcome)
    }

    fn corpus(&mut self, root: &[u8], given: &[u8]) -> Result<CorpusRow> {
        let outcome = runs::corpus(self, root, given);
        self.named(outcome)
    }

    fn walk_begins(&mut self, corpus: CorpusId) -> Result<()> {
        let outcome = runs::walk(self, corpus, false);
        self.named(outcome)
    }

    fn enrol(&mut self, corpus: CorpusId, page: &[Found]) -> Result<Enrolled> {
        let outcome = enrol::page(self, corpus, page);
        self.named(outcome)
    }

    fn walk_over(&mut self, corpus: CorpusId) -> Result<()> {
        let outcome = runs::walk(self, corpus, true);
        self.named(outcome)
    }

    fn take_owed(&mut self, corpus: CorpusId, cursor: Cursor, limit: u32) -> Result<OwedPage> {
        let outcome = images::take_owed(self, corpus, cursor, limit);
        self.named(outcome)
    }

    fn cannot_ask(&mut self, image: ImageId, reason: Reason) -> Result<()> {
        let outcome = images::cannot_ask(self, image, reason);
        self.named(outcome)
    }

    fn ask_again(&mut self, images: &[ImageId], model: Option<&str>) -> Result<u64> {
        let outcome = asking::ask_again(self, images, model);
        self.named(outcome)
    }

    fn person_did(&mut self, image: ImageId, deed: Deed) -> Result<()> {
        let outcome = asking::person_did(self, image, deed);
        self.named(outcome)
    }

    fn unusable(&mut self, image: ImageId, text: Short, reason: Reason) -> Result<bool> {
        let outcome = asking::unusable(self, image, text, reason);
        self.named(outcome)
    }

    fn only_copy(&mut self, image: ImageId, text: Short, part: Short) -> Result<()> {
        let outcome = asking::only_copy(self, image, text, part);
        self.named(outcome)
    }

    fn alike(&mut self, corpus: CorpusId, images: &[ImageId], by: By) -> Result<Alike> {
        let outcome = copies::alike(self, corpus, images, by);
        self.named(outcome)
    }

    fn seen(&mut self, seen: &[Seen]) -> Result<()> {
        let outcome = copies::seen(self, seen);
        self.named(outcome)
    }

    fn pair_copies(&mut self, corpus: CorpusId, images: &[ImageId], recipes: &[RecipeId]) -> Result<Vec<ImageId>> {
        let outcome = copies::pair(self, corpus, images, recipes);
        self.named(outcome)
    }

    fn sort_copies(&mut self) -> Result<u64> {
        let outcome = copies::sort(self);
        self.named(outcome)
    }

    fn ready_copies(&mut self, after: ImageId, limit: u32) -> Result<Vec<ReadyCopy>> {
        let outcome = copies::ready(self, after, limit);
        self.named(outcome)
    }

    fn copies_of(&mut self, shard: ShardId) -> Result<Vec<ReadyCopy>> {
        let outcome = copies::of_shard(self, shard);
        self.named(outcome)
    }

    fn served(&mut self, copies: &[ServedCopy]) -> Result<()> {
        let outcome = copies::served(self, copies);
        self.named(outcome)
    }

    fn ask_alone(&mut self, copies: &[ImageId]) -> Result<()> {
        let outcome = copies::ask_alone(self, copies);
        self.named(outcome)
    }

    fn seal(&mut self, shard: &NewShard) -> Result<ShardFacts> {
        let outcome = shards::seal(self, shard);
        self.named(outcome)
    }

    fn plan(&mut self, shard: ShardId) -> Result<Plan> {
        let outcome = shards::plan(self, shard);
        self.named(outcome)
    }

    fn shards_to_open(&mut self, after: Option<ShardId>, limit: u32) -> Result<Vec<ShardFacts>> {
        let outcome = shards::to_open(self, after, limit);
        self.named(outcome)
    }

    fn shard(&mut self, shard: ShardId) -> Result<ShardFacts> {
        let outcome = shards::one(self, shard);
        self.named(outcome)
    }

    fn uploaded(&mut self, shard: ShardId, input: &FileId, input_created: i64, hash: [u8; 16]) -> Result<()> {
        let outcome = shards::uploaded(self, shard, input, input_created, hash);
        self.named(outcome)
    }

    fn spooled(&mut self, shard: ShardId, hash: [u8; 16]) -> Result<()> {
        let outcome = shards::spooled(self, shard, hash);
        self.named(outcome)
    }

    fn content_seen(&mut self, images: &[(ImageId, Short)]) -> Result<()> {
        let outcome = images::content_seen(self, images);
        self.named(outcome)
    }

    fn dissolve(&mut self, shard: ShardId, culprit: Option<&Culprit>) -> Result<()> {
        let outcome = shards::dissolve(self, shard, culprit);
        self.named(outcome)
    }

    fn intend(&mut self, shard: ShardId) -> Result<Admission> {
        let outcome = paying::intend(self, shard);
        self.named(outcome)
    }

    fn funds(&mut self) -> Result<Funds> {
        let outcome = money::funds(self);
        self.named(outcome)
    }

    fn ask_directly(&mut self, worst: Money) -> Result<std::result::Result<(), Shortage>> {
        let outcome = money::ask_directly(self, worst);
        self.named(outcome)
    }

    fn give_back(&mut self, unused: Money) -> Result<()> {
        let outcome = money::give_back(self, unused);
        self.named(outcome)
    }

    fn token_limit(&mut self, run: RunId, recipe: RecipeId) -> Result<Option<u64>> {
        let outcome = admission::limit_of(self, run, recipe);
        self.named(outcome)
    }

    fn told_percent(&mut self, run: RunId, recipe: RecipeId) -> Result<u64> {
        let outcome = admission::told_percent(self, run, recipe);
        self.named(outcome)
    }

    fn too_large(&mut self, shard: ShardId) -> Result<()> {
        let outcome = shards::too_large(self, shard);
        self.named(outcome)
    }

    fn smallest_too_large(&mut self, run: RunId) -> Result<Option<u64>> {
        let outcome = shards::smallest_too_large(self, run);
        self.named(outcome)
    }

    fn intent(&mut self, shard: ShardId) -> Result<Intent> {
        let outcome = paying::intent(self, shard);
        self.named(outcome)
    }

    fn opened(&mut self, batch: BatchNo, id: &BatchId, expires_at: Option<i64>, adopted: bool) -> Result<OpenBatch> {
        let outcome = paying::opened(self, batch, id, expires_at, adopted);
        self.named(outcome)
    }

    fn not_created(&mut self, batch: BatchNo, refusal: &Refusal, hold: Hold) -> Result<()> {
        let outcome = paying::not_created(self, batch, refusal, hold);
        self.named(outcome)
    }

    fn last_refusal(&mut self, shard: ShardId) -> Result<Option<Refusal>> {
        let outcome = paying::last_refusal(self, shard);
        self.named(outcome)
    }

    fn doubted(&mut self, batch: BatchNo) -> Result<()> {
        let outcome = paying::doubted(self, batch);
        self.named(outcome)
    }

    fn fenced(&mut self, batch: BatchNo) -> Result<()> {
        let outcome = paying::fenced(self, batch);
        self.named(outcome)
    }

    fn voided(&mut self, batch: BatchNo) -> Result<()> {
        let outcome = paying::voided(self, batch);
        self.named(outcome)
    }

    fn stray(&mut self, shard: ShardId, input: &FileId, id: &BatchId) -> Result<OpenBatch> {
        let outcome = paying::stray(self, shard, input, id);
        self.named(outcome)
    }

    fn named_batches(&mut self, shard: ShardId) -> Result<Vec<BatchId>> {
        let outcome = listed::named_batches(self, shard);
        self.named(outcome)
    }

    fn recognise(&mut self, batches: &[Listed]) -> Result<Vec<Recognised>> {
        let outcome = listed::recognise(self, batches);
        self.named(outcome)
    }

    fn any_shard(&mut self) -> Result<bool> {
        let outcome = listed::any_shard(self);
        self.named(outcome)
    }

    fn open_batches(&mut self) -> Result<Vec<OpenBatch>> {
        let outcome = collecting::open_batches(self);
        self.named(outcome)
    }

    fn ended(&mut self, batch: BatchNo, ending: &Ending) -> Result<EndedBatch> {
        let outcome = collecting::ended(self, batch, ending);
        self.named(outcome)
    }

    fn turned_away(&mut self, batch: BatchNo, hold: Hold) -> Result<()> {
        let outcome = collecting::turned_away(self, batch, hold);
        self.named(outcome)
    }

    fn ended_batches(&mut self) -> Result<Vec<EndedBatch>> {
        let outcome = collecting::ended_batches(self);
        self.named(outcome)
    }

    fn fetched(&mut self, batch: BatchNo, output: Option<RawFile>, errors: Option<RawFile>) -> Result<()> {
        let outcome = collecting::fetched(self, batch, output, errors);
        self.named(outcome)
    }

    fn results_gone(&mut self, batch: BatchNo) -> Result<()> {
        let outcome = collecting::results_gone(self, batch);
        self.named(outcome)
    }

    fn settled_batches(&mut self, after: BatchNo, limit: u32) -> Result<Vec<EndedBatch>> {
        let outcome = rejudging::settled_batches(self, after, limit);
        self.named(outcome)
    }

    fn rejudged(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<Rejudged> {
        let outcome = rejudging::record(self, batch, verdicts);
        self.named(outcome)
    }

    fn spent_roughs(&mut self, shard: ShardId) -> Result<Vec<SpentRough>> {
        let outcome = images::spent_roughs(self, shard);
        self.named(outcome)
    }

    fn want_deep(&mut self) -> Result<u64> {
        let outcome = images::want_deep(self);
        self.named(outcome)
    }

    fn kept_recipe(&mut self, recipe: RecipeId) -> Result<Recipe> {
        let outcome = runs::kept_recipe(self, recipe.0);
        self.named(outcome)
    }

    fn whole_files(&mut self, shard: Option<ShardId>) -> Result<Vec<WholeFile>> {
        let outcome = pages::whole_files(self, shard);
        self.named(outcome)
    }

    fn joined(&mut self, images: &[ImageId], owner: TextOwner, text: Short) -> Result<()> {
        let outcome = pages::joined(self, images, owner, text);
        self.named(outcome)
    }

    fn prepared_files(&mut self) -> Result<Vec<String>> {
        let outcome = pages::prepared_files(self);
        self.named(outcome)
    }

    fn known_texts(&mut self, images: &[ImageId]) -> Result<Vec<KnownText>> {
        let outcome = images::known_texts(self, images);
        self.named(outcome)
    }

    fn verdicts(&mut self, batch: BatchNo, verdicts: &[ImageVerdict]) -> Result<()> {
        let outcome = verdicts::record(self, batch, verdicts);
        self.named(outcome)
    }

    fn settle(&mut self, batch: BatchNo) -> Result<Settled> {
        let outcome = settling::settle(self, batch, Counting::Returns);
        self.named(outcome)
    }

    fn settle_uncounted(&mut self, batch: BatchNo) -> Result<Settled> {
        let outcome = settling::settle(self, batch, Counting::Nothing);
        self.named(outcome)
    }

    fn is_proven(&mut self, recipe: RecipeId) -> Result<bool> {
        let outcome = runs::is_proven(self, recipe);
        self.named(outcome)
    }

    fn is_on_its_way(&mut self, recipe: RecipeId) -> Result<bool> {
        let outcome = runs::is_on_its_way(self, recipe);
        self.named(outcome)
    }

    fn unswept(&mut self, limit: u32) -> Result<Vec<Unswept>> {
        let outcome = collecting::unswept(self, limit);
        self.named(outcome)
    }

    fn swept(&mut self, batch: BatchNo) -> Result<()> {
        let outcome = collecting::swept(self, batch);
        self.named(outcome)
    }

    fn restore_run(&mut self, tag: &Tag, new: &NewRun) -> Result<RunId> {
        let outcome = restore::run(self, tag, new);
        self.named(outcome)
    }

    fn restore_shard(&mut self, lost: &LostShard) -> Result<Restored> {
        let outcome = restore::shard(self, lost);
        self.named(outcome)
    }

    fn own_texts(&mut self, root: &[u8], texts: &[(RelPath, Short)]) -> Result<u64> {
        let outcome = images::own_texts(self, root, texts);
        self.named(outcome)
    }

    fn dissolve_robbed(&mut self) -> Result<u64> {
        let outcome = restore::dissolve_robbed(self);
        self.named(outcome)
    }

    fn note_event(&mut self, what: &str, batch: Option<BatchNo>, detail: &str) -> Result<()> {
        let outcome = events::append(self, what, events::About { batch, ..events::About::default() }, detail);
        self.named(outcome)
    }
}
