//! What other settings would change: each level of `detail`, the cheapest models of the table, and smaller pictures.

use super::packing::{Load, Packing};
use super::sums::is_real;
use super::{Ask, Correction, line_bytes, text_bytes};
use crate::domain::image::Pixels;
use crate::domain::money::Money;
use crate::domain::recipe::{Preparation, Recipe};
use crate::domain::tokens::Counting;
use crate::settings::models::Model;

/// Other models that are told.
const MODELS: usize = 3;
/// Longest side in pixels that `high` of most models makes of a picture by itself. Source: OpenAI, "Images and vision", autumn
/// 2026.
pub const SIDE: u32 = 2048;

/// A setting that could be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `request.detail`
    Detail(&'static str),
    /// `request.model`
    Model(String),
    /// `encode.longest_side` = [`SIDE`].
    Side,
    /// `encode.fit` = true.
    Fit,
}

/// What one change would make of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The change.
    pub change: Change,
    /// Prompt tokens, estimated and corrected.
    pub tokens_in: u64,
    /// Cost as expected, with answers as long as they are expected of today's settings; `None`: no price is known.
    pub cost: Option<Money>,
    /// Bytes of all lines and the batches that they make, where the change touches them. Of a picture that shrinks, as many bytes
    /// are expected to stay as pixels.
    pub sent: Option<[u64; 2]>,
}

/// Sums of every change under way.
pub(super) struct Others {
    /// Each way of counting once, however many models share it.
    counts: Vec<(Counting, u64)>,
    changes: Vec<(Change, Counting)>,
    smaller: Vec<Shrunk>,
}

struct Shrunk {
    change: Change,
    how: Preparation,
    counting: Counting,
    packing: Packing,
    bytes: u64,
    tokens: u64,
    /// Pictures that shrink.
    images: u64,
}

impl Shrunk {
    fn add(&mut self, recipe: &Recipe, bytes: u64, pixels: Pixels, text: u64) {
        let small = self.how.size_of(pixels);
        let bytes = if small == pixels { bytes } else { share(bytes, small.count(), pixels.count()) };
        let line = [1, line_bytes(recipe, bytes), self.counting.line(small, text)];
        self.packing.add(line);
        self.bytes += line[1];
        self.tokens += line[2];
        self.images += u64::from(small != pixels);
    }
}

impl Others {
    pub(super) fn new(ask: &Ask<'_>, bounds: Load) -> Self {
        let mut changes = Vec::new();
        if is_real(ask.settings) {
            changes.extend(details(ask));
            changes.extend(models(ask));
        }
        let mut counts: Vec<(Counting, u64)> = Vec::new();
        for (_, counting) in &changes {
            if counts.iter().all(|(known, _)| known != counting) {
                counts.push((*counting, 0));
            }
        }
        let counting = ask.settings.models.counting(&ask.recipe.model, &ask.recipe.parameters.detail);
        let shrunk = |change: Change, how: Preparation| {
            let packing = Packing::new(bounds);
            Shrunk { change, how, counting, packing, bytes: 0, tokens: 0, images: 0 }
        };
        let mut smaller = vec![shrunk(Change::Side, Preparation { longest_side: SIDE, ..Preparation::default() })];
        let sight = ask.settings.models.sight(&ask.recipe.model, &ask.recipe.parameters.detail);
        let fit = sight.filter(|_| is_real(ask.settings));
        if fit.is_some() {
            smaller.push(shrunk(Change::Fit, Preparation { fit, ..Preparation::default() }));
        }
        Self { counts, changes, smaller }
    }

    /// One more image to be asked, of `bytes` bytes.
    pub(super) fn add(&mut self, recipe: &Recipe, bytes: u64, pixels: Pixels) {
        let text = text_bytes(recipe);
        for (counting, tokens) in &mut self.counts {
            *tokens += counting.line(pixels, text);
        }
        for smaller in &mut self.smaller {
            smaller.add(recipe, bytes, pixels, text);
        }
    }

    /// The changes that are worth a line; `output` are the expected output tokens.
    pub(super) fn close(
        self,
        ask: &Ask<'_>,
        output: u64,
        correction: impl Fn(&str) -> Option<Correction>,
    ) -> Vec<Other> {
        let own = &ask.recipe.model;
        let other = |change: Change, model: &str, tokens: u64, sent| {
            let tokens_in = correction(model).map_or(tokens, |correction| correction.apply(tokens));
            let cost = ask.settings.models.price(model).map(|price| price.of(tokens_in, output));
            Other { change, tokens_in, cost, sent }
        };
        let mut models = Vec::new();
        let mut others = Vec::new();
        for (change, counting) in self.changes {
            let tokens = self.counts.iter().find(|(known, _)| *known == counting).map_or(0, |(_, tokens)| *tokens);
            match change.clone() {
                Change::Model(model) => models.push(other(change, &model, tokens, None)),
                Change::Detail(_) | Change::Side | Change::Fit => others.push(other(change, own, tokens, None)),
            }
        }
        for smaller in self.smaller.into_iter().filter(|smaller| smaller.images > 0) {
            let sent = Some([smaller.bytes, smaller.packing.batches()]);
            others.push(other(smaller.change, own, smaller.tokens, sent));
        }
        models.sort_by_key(|model| model.cost);
        others.extend(models.into_iter().take(MODELS));
        others
    }
}

/// Levels of `detail` that the model takes and that are not asked for.
fn details(ask: &Ask<'_>) -> Vec<(Change, Counting)> {
    let (models, model, today) = (&ask.settings.models, &ask.recipe.model, ask.recipe.parameters.detail.as_str());
    let levels = models.abilities(model).details.iter().filter(|word| **word != today);
    let counted = |word: &&'static str| (Change::Detail(word), models.counting(model, word));
    let now = models.counting(model, today);
    levels.map(counted).filter(|(_, counting)| *counting != now).collect()
}

/// Models that the provider is known to have, that have not ended, and whose price is known.
fn models(ask: &Ask<'_>) -> Vec<(Change, Counting)> {
    let (models, detail) = (&ask.settings.models, ask.recipe.parameters.detail.as_str());
    let is_openai = ask.settings.api_url.is_openai();
    let is_choice = |model: &&Model| {
        let is_other = models.find(&ask.recipe.model) != Some(model);
        is_other
            && (is_openai || model.is_own)
            && model.image.is_some()
            && model.price().is_some()
            && !model.is_over(ask.today)
    };
    let counted = |model: &Model| {
        // What a model does not take is asked as it can best.
        let takes = models.abilities(&model.name).details;
        let detail = if detail == "auto" || takes.contains(&detail) { detail } else { takes.last().unwrap_or(&"high") };
        (Change::Model(model.name.clone()), models.counting(&model.name, detail))
    };
    models.iter().filter(is_choice).map(counted).collect()
}

/// `part` of `whole` of `amount`, rounded down.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_all() {
        assert_eq!(share(10, 1, 4), 2);
        assert_eq!(share(10, 1, 0), 10);
        assert_eq!(share(u64::MAX, 3, 3), u64::MAX);
    }
}
