//! The verbs about copies: who finds them, and who ends them.

use super::{Ledger, Result};
use crate::domain::ids::{CorpusId, ImageId, RecipeId, ShardId};
use crate::ledger::copies::{Alike, By, ReadyCopy, Seen, ServedCopy};

impl Ledger {
    /// Of these owed images, those that another file of the corpus is like, and what has to be sampled (those of one length) or
    /// read whole (those of one sample) to know more.
    pub async fn alike(&self, corpus: CorpusId, images: Vec<ImageId>, by: By) -> Result<Alike> {
        self.gathered(move |store| store.alike(corpus, &images, by)).await
    }

    /// Keeps what was seen in files, where they are still what they were.
    pub async fn seen(&self, seen: Vec<Seen>) -> Result<()> {
        self.gathered(move |store| store.seen(&seen)).await
    }

    /// Makes copies of these owed images, each of an original with the same bytes that was asked with one of `recipes` or is to
    /// be asked; tells which are copies now.
    pub async fn pair_copies(
        &self,
        corpus: CorpusId,
        images: Vec<ImageId>,
        recipes: Vec<RecipeId>,
    ) -> Result<Vec<ImageId>> {
        self.gathered(move |store| store.pair_copies(corpus, &images, &recipes)).await
    }

    /// Decides what becomes of copies whose original has ended, or of which one file is another one now; tells how many are to be
    /// asked by themselves.
    pub async fn sort_copies(&self) -> Result<u64> {
        self.gathered(|store| store.sort_copies()).await
    }

    /// Copies whose text can be written, by row, at most `limit` after `after`.
    pub async fn ready_copies(&self, after: ImageId, limit: u32) -> Result<Vec<ReadyCopy>> {
        self.gathered(move |store| store.ready_copies(after, limit)).await
    }

    /// Copies that ended with an original whose answer came with this shard.
    pub async fn copies_of(&self, shard: ShardId) -> Result<Vec<ReadyCopy>> {
        self.gathered(move |store| store.copies_of(shard)).await
    }

    /// The texts of copies stand: owed → done or rough, as their originals are.
    pub async fn served(&self, copies: Vec<ServedCopy>) -> Result<()> {
        self.gathered(move |store| store.served(&copies)).await
    }

    /// Copies of which nothing can be made are asked by themselves.
    pub async fn ask_alone(&self, copies: Vec<ImageId>) -> Result<()> {
        self.gathered(move |store| store.ask_alone(&copies)).await
    }
}
