//! How answers are judged and cleaned in one life: the settings, and the ladder that knows what can still be asked.

use super::content::{Reading, TextFrom};
use super::judge::{Limits, Next, Question};
use super::polish::PolishOptions;
use super::text_file::Existing;
use crate::domain::answer::Answer;
use crate::domain::ladder::Ladder;
use crate::domain::recipe::{AnswerFormat, Recipe};
use crate::kit::hash::short;
use crate::kit::json_schema::JsonSchema;
use crate::ledger::records::KnownText;

/// Lengths of texts against those of their folder; only ever a flag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LengthLimits {
    /// Shorter than this part of the median.
    pub short: f64,
    /// Longer than so many times the median.
    pub long: f64,
    /// Pages from which on a median says anything.
    pub pages: usize,
}

impl Default for LengthLimits {
    fn default() -> Self {
        Self { short: 0.125, long: 4.0, pages: 20 }
    }
}

/// How answers are judged and cleaned.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What becomes of texts of ours that stand already.
    pub existing: Existing,
    /// How texts are cleaned.
    pub polish: PolishOptions,
    /// Thresholds.
    pub limits: Limits,
    /// Lengths against those of the folder.
    pub length: LengthLimits,
    /// Which part of an answer is the text.
    pub from: TextFrom,
    /// Percent of words that deep cleaning may change.
    pub deep_changed_words: f64,
    /// What may be asked.
    pub ladder: Ladder,
    /// Counted tries of an image.
    pub attempts: u32,
}

impl Rules {
    /// The compiled schema of a recipe; `None` if it has none, or one that nothing can be checked with.
    #[must_use]
    pub fn schema_of(&self, recipe: &Recipe) -> Option<JsonSchema> {
        let AnswerFormat::JsonSchema { schema } = &recipe.parameters.answer_format else { return None };
        JsonSchema::new(schema).inspect_err(|why| tracing::warn!(why, "the schema cannot be checked here")).ok()
    }

    /// What an answer is judged by.
    #[must_use]
    pub(super) fn question<'a>(
        &'a self,
        recipe: &'a Recipe,
        schema: Option<&'a JsonSchema>,
        answer: &Answer,
        known: &KnownText,
    ) -> Question<'a> {
        let attempt = answer.attempt;
        // Asked from its first try on of another model than the settings say: a person ordered that one.
        let ordered = attempt <= 2 && recipe.model != self.ladder.base().model;
        let model = ordered.then_some(recipe.model.as_str());
        Question {
            reading: Reading {
                json: recipe.parameters.answer_format.is_json(),
                schema,
                from: &self.from,
                polish: &self.polish,
                prompt: &recipe.prompt,
            },
            limits: &self.limits,
            ink: known.ink,
            after: known.after.filter(|_| attempt > 1),
            said: known.said,
            as_it_is: !known.prepared,
            next: if attempt < self.attempts {
                Next::Step { ladder: &self.ladder, kind: recipe.kind, attempt: attempt + 1, model }
            } else {
                Next::Nothing
            },
            hash: short,
        }
    }
}
