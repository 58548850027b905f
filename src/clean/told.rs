//! What whoever follows the run image by image is told: one line for each answer that was judged. Nobody is waited for, and where
//! nobody follows, nothing is made.

use std::collections::HashMap;
use std::sync::Arc;

use super::chunk::Work;
use super::seams::CleanerSeams;
use crate::domain::batch::EndedBatch;
use crate::domain::ids::ImageId;
use crate::domain::image::{Reason, RelPath};
use crate::domain::ladder::{Ladder, Wish};
use crate::domain::recipe::Recipe;
use crate::domain::verdict::Verdict;
use crate::kit::news::{ImageNews, News};
use crate::ledger::moves::ImageState;
use crate::ledger::ours::OurRecipes;
use crate::ledger::records::{Became, ImageVerdict};

/// A chunk whose images somebody follows.
pub(super) struct Followed {
    batch: String,
    recipe: Arc<Recipe>,
    recipes: OurRecipes,
    /// Where each image lies, and the try that was answered.
    places: HashMap<ImageId, (RelPath, u32)>,
}

impl Followed {
    /// What is known of the chunk before it is judged; `None` where nobody follows.
    pub(super) fn of(seams: &CleanerSeams, batch: &EndedBatch, recipe: &Arc<Recipe>, work: &[Work]) -> Option<Self> {
        let place = |(answer, _): &Work| (answer.image, (answer.path.clone(), answer.attempt));
        seams.news.is_followed().then(|| Self {
            batch: batch.id.to_string(),
            recipe: Arc::clone(recipe),
            recipes: seams.recipes.clone(),
            places: work.iter().map(place).collect(),
        })
    }

    /// One for each verdict, in their order; where the image stands is told later.
    pub(super) fn images(&self, verdicts: &[ImageVerdict]) -> Vec<ImageNews> {
        let ladder = self.recipes.ladder();
        // What a recipe of other settings, or of a model that a person ordered, is followed by is not known here.
        let ladder = ladder.makes(&self.recipe).then_some(ladder);
        verdicts.iter().map(|judged| self.image(judged, ladder)).collect()
    }

    fn image(&self, judged: &ImageVerdict, ladder: Option<&Ladder>) -> ImageNews {
        let nowhere = (RelPath { folder: Vec::new(), name: Vec::new(), page: 1 }, 1);
        let (path, attempt) = self.places.get(&judged.image).unwrap_or(&nowhere);
        let (verdict, reason) = judged.verdict.outcome();
        ImageNews {
            path: path.with_page(1).shown(),
            page: path.page,
            state: "",
            verdict,
            reason,
            flags: judged.flags.clone(),
            attempt: *attempt,
            next: ladder.and_then(|ladder| next(ladder, &self.recipe, &judged.verdict, *attempt)),
            batch: self.batch.clone(),
        }
    }
}

/// What the request after this answer asks otherwise, should there be one.
fn next(ladder: &Ladder, recipe: &Recipe, verdict: &Verdict, attempt: u32) -> Option<String> {
    let Verdict::AskAgain { reason, counted: true } = verdict else { return None };
    let after: Option<Reason> = Some(*reason);
    let wish = Wish { kind: recipe.kind, attempt: attempt + 1, after, model: None };
    Some(recipe.change_to(&ladder.recipe(&wish)))
}

/// Tells of images whose verdicts are recorded. One that was left as it was is no news.
pub(super) fn tell(news: &News, images: Vec<ImageNews>, became: &Became) {
    for (mut image, became) in images.into_iter().zip(became) {
        let Some(state) = became else { continue };
        image.state = if *state == ImageState::Packed { "in_flight" } else { state.word() };
        image.next = image.next.filter(|_| *state == ImageState::Owed);
        news.image(&image);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clean::chunk::tests::{ladder, recipe};
    use crate::domain::recipe::Kind;
    use crate::kit::news::{Happens, Listener};

    #[test]
    fn what_comes_next_is_told_in_the_words_of_the_settings() {
        let ladder = ladder();
        let told = |reason, counted| {
            next(&ladder, &recipe(Kind::Read), &Verdict::AskAgain { reason, counted }, 1).unwrap_or_default()
        };
        assert_eq!(told(Reason::Truncated, true), "max_output_tokens 8000");
        assert_eq!(told(Reason::Refused, true), "another prompt");
        assert_eq!(told(Reason::Truncated, false), "");
        assert_eq!(next(&ladder, &recipe(Kind::Read), &Verdict::Accept, 1), None);
    }

    #[test]
    fn an_image_that_was_left_as_it_was_is_no_news() {
        let heard: Arc<Mutex<Vec<ImageNews>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let hear = move |what: Happens<'_>| {
            let Happens::Image(image) = what else { panic!("{what:?}") };
            hears.lock().expect("whole").push(image.clone());
        };
        let news = News::heard_by(Some(Listener::new(hear)));
        let image = |next: &str| ImageNews {
            path: "a.png".to_owned(),
            page: 1,
            state: "",
            verdict: "ask_again",
            reason: "truncated",
            flags: vec!["truncated"],
            attempt: 1,
            next: Some(next.to_owned()),
            batch: "batch_1".to_owned(),
        };
        let became = vec![Some(ImageState::Owed), None, Some(ImageState::Failed), Some(ImageState::Packed)];
        tell(&news, ["a", "b", "c", "d"].map(image).to_vec(), &became);
        let heard = heard.lock().expect("whole");
        let told: Vec<_> = heard.iter().map(|image| (image.state, image.next.as_deref())).collect();
        assert_eq!(told, [("owed", Some("a")), ("failed", None), ("in_flight", None)]);
    }
}
