//! What other settings would change: each level of `detail`, the cheapest models of the table, and smaller pictures.

use super::packing::{Load, Packing};
use super::sums::is_real;
use super::{Ask, Correction, line_bytes, text_bytes};
use crate::domain::image::Pixels;
use crate::domain::money::Money;
use crate::domain::recipe::Recipe;
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
    side: Shrunk,
}

struct Shrunk {
    counting: Counting,
    packing: Packing,
    bytes: u64,
    tokens: u64,
    /// Pictures that shrink.
    images: u64,
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
        let side = Shrunk { counting, packing: Packing::new(bounds), bytes: 0, tokens: 0, images: 0 };
        Self { counts, changes, side }
    }

    /// One more image to be asked, of `bytes` bytes.
    pub(super) fn add(&mut self, recipe: &Recipe, bytes: u64, pixels: Pixels) {
        let text = text_bytes(recipe);
        for (counting, tokens) in &mut self.counts {
            *tokens += counting.line(pixels, text);
        }
        let small = within(pixels, SIDE);
        let bytes = if small == pixels { bytes } else { share(bytes, small.count(), pixels.count()) };
        let line = [1, line_bytes(recipe, bytes), self.side.counting.line(small, text)];
        self.side.packing.add(line);
        self.side.bytes += line[1];
        self.side.tokens += line[2];
        self.side.images += u64::from(small != pixels);
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
                Change::Detail(_) | Change::Side => others.push(other(change, own, tokens, None)),
            }
        }
        if self.side.images > 0 {
            let sent = Some([self.side.bytes, self.side.packing.batches()]);
            others.push(other(Change::Side, own, self.side.tokens, sent));
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

/// `pixels` shrunk so that no side is longer than `side`.
pub(super) fn within(pixels: Pixels, side: u32) -> Pixels {
    let longest = pixels.width.max(pixels.height);
    if longest <= side {
        return pixels;
    }
    let shrunk = |length: u32| {
        let length = share(u64::from(length), u64::from(side), u64::from(longest));
        u32::try_from(length).unwrap_or(side).max(1)
    };
    Pixels { width: shrunk(pixels.width), height: shrunk(pixels.height) }
}

/// `part` of `whole` of `amount`, rounded down.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_within_a_side() {
        let page = |width, height| Pixels { width, height };
        assert_eq!(within(page(2480, 3508), SIDE), page(1447, 2048));
        assert_eq!(within(page(2048, 100), SIDE), page(2048, 100));
        assert_eq!(within(page(65_000, 1), SIDE), page(2048, 1));
        assert_eq!(share(10, 1, 0), 10);
    }
}
