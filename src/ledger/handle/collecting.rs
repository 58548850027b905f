//! The verbs about batches that have ended, their answers and the texts that come of them.

use super::{Ledger, Result};
use crate::domain::batch::{BatchTold, EndedBatch, OpenBatch};
use crate::domain::ids::{BatchNo, ImageId, RecipeId, ShardId};
use crate::domain::recipe::Recipe;
use crate::kit::hash::Short;
use crate::ledger::records::{
    Became, Ending, Hold, ImageVerdict, KnownText, RawFile, Rejudged, Settled, SpentRough, TextOwner, WholeFile,
};

impl Ledger {
    /// What is known of a batch by now.
    pub async fn batch_told(&self, batch: BatchNo) -> Result<BatchTold> {
        self.gathered(move |store| store.batch_told(batch)).await
    }

    /// Whether anything was ever planned.
    pub async fn any_shard(&self) -> Result<bool> {
        self.gathered(move |store| store.any_shard()).await
    }

    /// Batches that have not ended, oldest first.
    pub async fn open_batches(&self) -> Result<Vec<OpenBatch>> {
        self.gathered(move |store| store.open_batches()).await
    }

    /// open → ended.
    pub async fn ended(&self, batch: BatchNo, ending: Ending) -> Result<EndedBatch> {
        self.at_once(move |store| store.ended(batch, &ending)).await
    }

    /// ended → refused, shard uploaded: turned away, the same file is opened again later.
    pub async fn turned_away(&self, batch: BatchNo, hold: Hold) -> Result<()> {
        self.at_once(move |store| store.turned_away(batch, hold)).await
    }

    /// Batches that ended and are not settled, those that expire first first.
    pub async fn ended_batches(&self) -> Result<Vec<EndedBatch>> {
        self.gathered(move |store| store.ended_batches()).await
    }

    /// ended → fetched: both raw files are on disk.
    pub async fn fetched(&self, batch: BatchNo, output: Option<RawFile>, errors: Option<RawFile>) -> Result<()> {
        self.at_once(move |store| store.fetched(batch, output, errors)).await
    }

    /// A result file is gone for good at the provider: its name moves to an event.
    pub async fn results_gone(&self, batch: BatchNo) -> Result<()> {
        self.gathered(move |store| store.results_gone(batch)).await
    }

    /// Settled batches after this one, oldest first: their answers can be judged again.
    pub async fn settled_batches(&self, after: BatchNo, limit: u32) -> Result<Vec<EndedBatch>> {
        self.gathered(move |store| store.settled_batches(after, limit)).await
    }

    /// What judging again made of answers of a settled batch.
    pub async fn rejudged(&self, batch: BatchNo, verdicts: Vec<ImageVerdict>) -> Result<(Rejudged, Became)> {
        self.gathered(move |store| store.rejudged(batch, &verdicts)).await
    }

    /// Rough texts of a shard whose deep cleaning was accepted: they may lie beside the texts still.
    pub async fn spent_roughs(&self, shard: ShardId) -> Result<Vec<SpentRough>> {
        self.gathered(move |store| store.spent_roughs(shard)).await
    }

    /// rough → owed, for deep cleaning; tells how many.
    pub async fn want_deep(&self) -> Result<u64> {
        self.gathered(|store| store.want_deep()).await
    }

    /// A recipe, by its row.
    pub async fn kept_recipe(&self, recipe: RecipeId) -> Result<Recipe> {
        self.gathered(move |store| store.kept_recipe(recipe)).await
    }

    /// Files of several pages of which this shard asked one and of which all are done: their texts can be made. Without a shard,
    /// those whose texts no answer brings up any more, because the page that was waited for is gone.
    pub async fn whole_files(&self, shard: Option<ShardId>) -> Result<Vec<WholeFile>> {
        self.gathered(move |store| store.whole_files(shard)).await
    }

    /// The text of a file of several pages stands, by hash.
    pub async fn joined(&self, pages: Vec<ImageId>, owner: TextOwner, text: Short) -> Result<()> {
        self.gathered(move |store| store.joined(&pages, owner, text)).await
    }

    /// Files of prepared pictures that the plan of a shard names which is not settled.
    pub async fn prepared_files(&self) -> Result<Vec<String>> {
        self.gathered(|store| store.prepared_files()).await
    }

    /// Hashes of the texts that we wrote beside these images.
    pub async fn known_texts(&self, images: Vec<ImageId>) -> Result<Vec<KnownText>> {
        self.gathered(move |store| store.known_texts(&images)).await
    }

    /// A chunk of verdicts of one batch. An image that this batch's shard no longer holds packed is left as it is.
    pub async fn verdicts(&self, batch: BatchNo, verdicts: Vec<ImageVerdict>) -> Result<Became> {
        self.gathered(move |store| store.verdicts(batch, &verdicts)).await
    }

    /// ended or fetched → settled, shard gone; what no line answered is owed again or failed.
    pub async fn settle(&self, batch: BatchNo) -> Result<Settled> {
        self.at_once(move |store| store.settle(batch)).await
    }

    /// The same for a batch whose lines were refused for the run's sake: nothing is counted against its images.
    pub async fn settle_uncounted(&self, batch: BatchNo) -> Result<Settled> {
        self.at_once(move |store| store.settle_uncounted(batch)).await
    }

    /// The same for a batch with lines that name no image: what none answered may have been answered there, and counts as asked.
    pub async fn settle_asked(&self, batch: BatchNo) -> Result<Settled> {
        self.at_once(move |store| store.settle_asked(batch)).await
    }
}
