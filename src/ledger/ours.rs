//! The recipes of this life: those of its ladder, each with its row. Everybody who has to tell them from what earlier settings
//! left in the ledger asks here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::LedgerError;
use super::keeper::Ledger;
use crate::domain::ids::RecipeId;
use crate::domain::image::{OwedImage, Reason};
use crate::domain::ladder::{Ladder, Wish};
use crate::domain::recipe::{Kind, Recipe};

/// What one request is asked with: all of it but the image.
type Key = (Kind, u32, Option<Reason>, Option<String>);

/// The ladder of this life and its rows in the ledger.
#[derive(Clone, Debug)]
pub struct OurRecipes {
    ledger: Ledger,
    ladder: Arc<Ladder>,
    rows: Arc<Mutex<HashMap<Key, Arc<Recipe>>>>,
    known: Arc<Mutex<HashMap<RecipeId, Arc<Recipe>>>>,
}

impl OurRecipes {
    /// The recipes of `ladder`; a row is made when one is used.
    #[must_use]
    pub fn new(ledger: Ledger, ladder: Ladder) -> Self {
        Self { ledger, ladder: Arc::new(ladder), rows: Arc::default(), known: Arc::default() }
    }

    /// The ladder.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// The recipe that `image` is to be asked with, with its row.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn of(&self, image: &OwedImage) -> Result<(RecipeId, Arc<Recipe>), LedgerError> {
        let kind = if image.rough.is_some() { Kind::Deep } else { Kind::Read };
        // Before the first answer nothing can have been wrong with it.
        let after = image.after.filter(|_| image.attempt > 1);
        let key = (kind, image.attempt, after, image.model.clone());
        if let Some(recipe) = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok((recipe.id.unwrap_or(RecipeId(0)), Arc::clone(recipe)));
        }
        let wish = Wish { kind, attempt: image.attempt, after, model: image.model.as_deref() };
        let recipe = self.ladder.recipe(&wish);
        let id = self.ledger.recipe(recipe.clone()).await?;
        let recipe = Arc::new(Recipe { id: Some(id), ..recipe });
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&recipe));
        Ok((id, recipe))
    }

    /// A recipe of the ledger, whoever made it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn kept(&self, id: RecipeId) -> Result<Arc<Recipe>, LedgerError> {
        if let Some(recipe) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(recipe));
        }
        let recipe = Arc::new(self.ledger.kept_recipe(id).await?);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&recipe));
        Ok(recipe)
    }

    /// Whether a recipe is of today's settings, or was ordered and asked for in this life.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn contains(&self, id: RecipeId) -> Result<bool, LedgerError> {
        let ordered = |recipe: &Arc<Recipe>| recipe.id == Some(id);
        if self.rows.lock().unwrap_or_else(PoisonError::into_inner).values().any(ordered) {
            return Ok(true);
        }
        Ok(self.ladder.makes(&*self.kept(id).await?))
    }
}
