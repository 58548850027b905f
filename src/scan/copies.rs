//! Finding copies among the images that the feed is about to hand on. What is asked of the ledger narrows step by step, so that
//! nearly no file is read twice: one length, one sample, one content, one recipe.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::corpus::{Corpus, look};
use crate::domain::ids::{CorpusId, ImageId, RecipeId};
use crate::domain::image::OwedImage;
use crate::kit::faults::AnyFault;
use crate::kit::pool::Pool;
use crate::ledger::copies::{By, Seen, SeenHash, Unread};
use crate::ledger::keeper::Ledger;
use crate::ledger::ours::OurRecipes;

/// Looks for copies.
#[derive(Clone)]
pub struct Finder {
    corpus: Arc<dyn Corpus>,
    ledger: Ledger,
    pool: Pool,
    recipes: OurRecipes,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Finder")
    }
}

/// How much of a file is read.
#[derive(Clone, Copy)]
enum Depth {
    Sample,
    Whole,
}

impl Finder {
    /// Looks into the files of `corpus` by threads of `pool`; an original was or is asked with one of `recipes`.
    #[must_use]
    pub fn new(corpus: &Arc<dyn Corpus>, ledger: &Ledger, pool: &Pool, recipes: &OurRecipes) -> Self {
        let (corpus, ledger) = (Arc::clone(corpus), ledger.clone());
        Self { corpus, ledger, pool: pool.clone(), recipes: recipes.clone() }
    }

    /// Takes out of a stretch of the feed what is a copy of another image of this corpus: the ledger knows it as one now.
    ///
    /// # Errors
    /// The ledger's. A file that cannot be read is no copy: whoever sends it tells why.
    pub async fn sift(&self, corpus: CorpusId, stretch: Vec<OwedImage>) -> Result<Vec<OwedImage>, AnyFault> {
        let reads = stretch.iter().filter(|image| image.rough.is_none()).map(|image| image.id).collect();
        let alike = self.ledger.alike(corpus, reads, By::Length).await?;
        if alike.images.is_empty() {
            return Ok(stretch);
        }
        self.look(alike.unread, Depth::Sample).await?;
        let alike = self.ledger.alike(corpus, alike.images, By::Sample).await?;
        if alike.images.is_empty() {
            return Ok(stretch);
        }
        self.look(alike.unread, Depth::Whole).await?;
        let recipes = self.of_today(alike.recipes).await?;
        let copies = self.ledger.pair_copies(corpus, alike.images, recipes).await?;
        Ok(without(stretch, &copies))
    }

    /// Of these recipes, those that an image could be asked with today.
    async fn of_today(&self, recipes: Vec<RecipeId>) -> Result<Vec<RecipeId>, AnyFault> {
        let mut ours = Vec::with_capacity(recipes.len());
        for recipe in recipes {
            if self.recipes.contains(recipe).await? {
                ours.push(recipe);
            }
        }
        Ok(ours)
    }

    async fn look(&self, files: Vec<Unread>, depth: Depth) -> Result<(), AnyFault> {
        if files.is_empty() {
            return Ok(());
        }
        let (pool, corpus) = (self.pool.clone(), Arc::clone(&self.corpus));
        let looked = move || pool.map(files, |file| look_at(&*corpus, &file, depth));
        let seen = self.pool.run(looked).await?.into_iter().filter_map(|one| one.ok().flatten()).collect();
        Ok(self.ledger.seen(seen).await?)
    }
}

fn look_at(corpus: &dyn Corpus, file: &Unread, depth: Depth) -> Option<Seen> {
    let hash = match depth {
        Depth::Sample => look::sample(corpus, &file.path, file.stamp).map(|sample| sample.map(SeenHash::Sample)),
        Depth::Whole => look::content(corpus, &file.path, file.stamp).map(|hash| hash.map(SeenHash::Content)),
    };
    match hash {
        Ok(hash) => hash.map(|hash| Seen { image: file.image, stamp: file.stamp, hash }),
        Err(cause) => {
            if cause.kind() != ErrorKind::NotFound {
                tracing::debug!(path = %file.path.shown(), %cause, "not compared with others");
            }
            None
        }
    }
}

fn without(mut stretch: Vec<OwedImage>, copies: &[ImageId]) -> Vec<OwedImage> {
    stretch.retain(|image| !copies.contains(&image.id));
    stretch
}
