//! What changes from one counted try of an image to the next: asking the same again buys the same mistake.
//!
//! A step depends on what was wrong with the last answer. It is a whole recipe, whose number is its place in the ladder, so that
//! the ledger knows what each answer was asked with.

use std::fmt;
use std::sync::Arc;

use super::image::Reason;
use super::recipe::{Kind, Parameters, Preparation, Recipe, Reencode};
use super::tokens::{Detail, ImageRule};

/// Added to the prompt where a blank page may be meant.
const BLANK_NOTE: &str = "If the page bears no writing, answer only: [blank page]";
/// Added where the model refused.
const CONTEXT_NOTE: &str = "This is a historical document; transcribe it exactly.";
/// Added where the answer was not the JSON that was asked for.
const FORMAT_NOTE: &str = "Answer with one complete JSON value and nothing else: no comment, no code fence.";
/// Added where the text ran away in a repetition, and neither picture nor temperature can be changed.
const LOOP_NOTE: &str =
    "Write each line once for each time that it stands on the page, and stop at the end of the page.";
/// Added where deep cleaning changed words.
const COPY_NOTE: &str = "Your last answer changed the text itself. Copy every word, number and sign of it exactly.";
/// Percent of the longest side that a picture is shrunk to, so that a loop is not read again as it was.
const SMALLER: u32 = 85;
/// Temperature that leads out of a loop.
const LOOSENED: f64 = 0.4;
/// Counted tries of a deep cleaning.
pub const DEEP_ATTEMPTS: u32 = 2;

/// What a model takes, as far as the ladder has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// What `reasoning_effort` takes, lowest first; empty: it is not sent.
    pub efforts: Vec<String>,
    /// Whether it takes a `temperature`.
    pub temperature: bool,
    /// Its levels of `detail`, from few image tokens to many.
    pub details: &'static [&'static str],
    /// Most output tokens that may be asked for.
    pub max_output_tokens: u32,
    /// How it counts images; absent: unknown.
    pub image: Option<ImageRule>,
}

/// Looks a model up by its name.
#[derive(Clone)]
struct Lookup(Arc<dyn Fn(&str) -> Abilities + Send + Sync>);

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// What is to be asked for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Page to text, or rough text to text.
    pub kind: Kind,
    /// The counted try that this will be, from 1.
    pub attempt: u32,
    /// What was wrong with the last answer.
    pub after: Option<Reason>,
    /// A model that a person ordered.
    pub model: Option<&'a str>,
}

/// The ladder of one run: its first recipe, and every one that may follow.
#[derive(Clone, Debug)]
pub struct Ladder {
    base: Recipe,
    deep: Recipe,
    escalate_model: Option<String>,
    lookup: Lookup,
}

impl Ladder {
    /// A ladder that begins with `base` for pages and with `deep` for rough texts; `lookup` tells by its name what a model takes.
    #[must_use]
    pub fn new(
        base: Recipe,
        deep: Recipe,
        escalate_model: Option<String>,
        lookup: impl Fn(&str) -> Abilities + Send + Sync + 'static,
    ) -> Self {
        Self { base, deep, escalate_model, lookup: Lookup(Arc::new(lookup)) }
    }

    /// The first recipe for pages.
    #[must_use]
    pub fn base(&self) -> &Recipe {
        &self.base
    }

    /// The recipe of one request. Where nothing is known to change, the first one under its number.
    #[must_use]
    pub fn recipe(&self, wish: &Wish<'_>) -> Recipe {
        let recipe = self.step(wish).unwrap_or_else(|| Recipe { step: wish.attempt, ..self.first(wish) });
        self.fitted(recipe)
    }

    /// `recipe` with pictures that are fitted, if they are, to what its own model sees at its own `detail`.
    fn fitted(&self, recipe: Recipe) -> Recipe {
        let Some(how) = recipe.parameters.preparation.filter(|how| how.fit.is_some()) else { return recipe };
        let rule = (self.lookup.0)(&recipe.model).image;
        let fit = rule.map(|rule| rule.sight(Detail::from_word(&recipe.parameters.detail)));
        let preparation = Some(Preparation { fit, ..how });
        Recipe { parameters: Parameters { preparation, ..recipe.parameters.clone() }, ..recipe }
    }

    /// Whether the try of `wish` would ask something else than the one before it did.
    #[must_use]
    pub fn has_step(&self, wish: &Wish<'_>) -> bool {
        self.step(wish).is_some()
    }

    /// Whether a recipe is one of this ladder; those of models that a person ordered are not.
    #[must_use]
    pub fn makes(&self, recipe: &Recipe) -> bool {
        const CAUSES: [Reason; 9] = [
            Reason::ImageRefused,
            Reason::Truncated,
            Reason::ReasoningAteBudget,
            Reason::Loop,
            Reason::Empty,
            Reason::BlankConflict,
            Reason::Refused,
            Reason::JsonInvalid,
            Reason::DeepRejected,
        ];
        let causes = CAUSES.into_iter().map(Some).chain([None]);
        let (kind, attempt) = (recipe.kind, recipe.step);
        let wanted = recipe.canonical();
        causes.into_iter().any(|after| self.recipe(&Wish { kind, attempt, after, model: None }).canonical() == wanted)
    }

    fn first(&self, wish: &Wish<'_>) -> Recipe {
        let base = match wish.kind {
            Kind::Read => &self.base,
            Kind::Deep => &self.deep,
        };
        match wish.model {
            Some(model) => self.with_model(base, model),
            None => base.clone(),
        }
    }

    /// `recipe` asked of another model: what that one does not take is not sent.
    fn with_model(&self, recipe: &Recipe, model: &str) -> Recipe {
        let can = (self.lookup.0)(model);
        let Parameters { reasoning_effort: effort, detail, temperature, .. } = &recipe.parameters;
        let parameters = Parameters {
            reasoning_effort: effort
                .clone()
                .filter(|effort| can.efforts.contains(effort))
                .or(can.efforts.first().cloned()),
            detail: if can.details.contains(&detail.as_str()) { detail.clone() } else { sharpest(&can) },
            temperature: temperature.filter(|_| can.temperature || model == recipe.model),
            ..recipe.parameters.clone()
        };
        Recipe { model: model.to_owned(), parameters, ..recipe.clone() }
    }

    fn step(&self, wish: &Wish<'_>) -> Option<Recipe> {
        let first = self.first(wish);
        if wish.attempt <= 1 {
            return Some(first);
        }
        let changed = match (wish.kind, wish.after?) {
            (Kind::Deep, _) => (wish.attempt <= DEEP_ATTEMPTS).then(|| noted(&first, COPY_NOTE)),
            (Kind::Read, reason) => self.read_step(&first, reason, wish.attempt),
        }?;
        Some(Recipe { step: wish.attempt, ..changed })
    }

    /// Source: `quality.md` §4.
    fn read_step(&self, first: &Recipe, after: Reason, attempt: u32) -> Option<Recipe> {
        let can = (self.lookup.0)(&first.model);
        let second = attempt == 2;
        match after {
            Reason::Truncated => more_tokens(first, &can, attempt, if second { Effort::Same } else { Effort::Lowest }),
            Reason::ReasoningAteBudget => {
                more_tokens(first, &can, attempt, if second { Effort::Lower } else { Effort::Lowest })
            }
            Reason::Loop if second => Some(loosened(first, &can)),
            Reason::ImageRefused if second => remade(first),
            Reason::Empty | Reason::BlankConflict if second => Some(noted(&sharper_or_same(first, &can), BLANK_NOTE)),
            Reason::Refused if second => Some(noted(first, CONTEXT_NOTE)),
            Reason::JsonInvalid | Reason::SchemaMismatch if second => Some(noted(first, FORMAT_NOTE)),
            Reason::Loop if attempt == 3 => self.escalated(first).or_else(|| sharper(first, &can)),
            Reason::Empty | Reason::JsonInvalid | Reason::SchemaMismatch if attempt == 3 => self.escalated(first),
            _ => None,
        }
    }

    fn escalated(&self, first: &Recipe) -> Option<Recipe> {
        let model = self.escalate_model.as_deref().filter(|model| *model != first.model)?;
        Some(self.with_model(first, model))
    }
}

/// What becomes of the effort.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    Same,
    Lower,
    Lowest,
}

/// Twice the tokens of each try before, as far as the model goes; `None` where neither they nor the effort can be changed.
fn more_tokens(first: &Recipe, can: &Abilities, attempt: u32, effort: Effort) -> Option<Recipe> {
    let at_first = first.parameters.max_output_tokens?;
    let most = can.max_output_tokens.max(at_first);
    let tokens = |attempt: u32| at_first.saturating_mul(1 << (attempt - 1).min(16)).min(most);
    let now = first.parameters.reasoning_effort.as_ref();
    let place = now.and_then(|now| can.efforts.iter().position(|word| word == now));
    let changed = match (effort, place) {
        (Effort::Lower, Some(place @ 1..)) => can.efforts.get(place - 1),
        (Effort::Lowest, Some(1..)) => can.efforts.first(),
        _ => now,
    };
    // From the third try on the effort is the lowest already, so the tokens alone must rise.
    let is_new = tokens(attempt) > tokens(attempt - 1) || (changed != now && attempt <= 3);
    is_new.then(|| {
        let max_output_tokens = Some(tokens(attempt));
        let reasoning_effort = changed.cloned();
        let parameters = Parameters { max_output_tokens, reasoning_effort, ..first.parameters.clone() };
        Recipe { parameters, ..first.clone() }
    })
}

/// Another picture, so that other image tokens are read, and a temperature that leads out of the rut where the model takes one.
fn loosened(first: &Recipe, can: &Abilities) -> Recipe {
    let warmer = can.temperature && first.parameters.temperature.is_none_or(|temperature| temperature < LOOSENED);
    let temperature = if warmer { Some(LOOSENED) } else { first.parameters.temperature };
    let preparation = first.preparation();
    if preparation.reencode == Reencode::Never {
        let parameters = Parameters { temperature, ..first.parameters.clone() };
        let first = Recipe { parameters, ..first.clone() };
        return if warmer { first } else { noted(&first, LOOP_NOTE) };
    }
    let preparation = Some(Preparation { percent: SMALLER, ..preparation });
    Recipe { parameters: Parameters { temperature, preparation, ..first.parameters.clone() }, ..first.clone() }
}

/// The picture made anew by us, where its own bytes were refused.
fn remade(first: &Recipe) -> Option<Recipe> {
    let preparation = first.preparation();
    let preparation = Some(Preparation { reencode: Reencode::Always, ..preparation })
        .filter(|_| preparation.reencode == Reencode::WhenNeeded)?;
    let parameters = Parameters { preparation: Some(preparation), ..first.parameters.clone() };
    Some(Recipe { parameters, ..first.clone() })
}

/// The next level of `detail`, if there is one.
fn sharper(first: &Recipe, can: &Abilities) -> Option<Recipe> {
    let place = can.details.iter().position(|word| *word == first.parameters.detail);
    // What `auto` means is the service's affair; the sharpest level is no less.
    let next = place.map_or(can.details.last(), |place| can.details.get(place + 1))?;
    let parameters = Parameters { detail: (*next).to_owned(), ..first.parameters.clone() };
    Some(Recipe { parameters, ..first.clone() })
}

fn sharper_or_same(first: &Recipe, can: &Abilities) -> Recipe {
    sharper(first, can).unwrap_or_else(|| first.clone())
}

fn sharpest(can: &Abilities) -> String {
    can.details.last().copied().unwrap_or("auto").to_owned()
}

fn noted(first: &Recipe, note: &str) -> Recipe {
    Recipe { prompt: format!("{}\n\n{note}", first.prompt.trim_end()), ..first.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::{AnswerFormat, IdStyle};
    use super::*;

    fn abilities(model: &str) -> Abilities {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match model {
            "thinker" => Abilities {
                efforts: words(&["none", "low", "high"]),
                temperature: false,
                details: &["low", "high", "original"],
                max_output_tokens: 128_000,
                image: Some(ImageRule::Tiles { base: 85, tile: 170 }),
            },
            _ => Abilities {
                efforts: Vec::new(),
                temperature: true,
                details: &["low", "high"],
                max_output_tokens: 10_000,
                image: None,
            },
        }
    }

    fn recipe(kind: Kind, model: &str, effort: Option<&str>) -> Recipe {
        Recipe {
            id: None,
            kind,
            id_style: IdStyle::Path,
            step: 1,
            model: model.to_owned(),
            endpoint: "/v1/chat/completions".into(),
            prompt: "Read.\n".into(),
            parameters: Parameters {
                preparation: None,
                system: None,
                detail: "high".into(),
                max_output_tokens: Some(4000),
                reasoning_effort: effort.map(str::to_owned),
                temperature: None,
                answer_format: AnswerFormat::Text,
            },
        }
    }

    fn ladder(model: &str, effort: Option<&str>, escalate: Option<&str>) -> Ladder {
        let deep = recipe(Kind::Deep, model, effort);
        Ladder::new(recipe(Kind::Read, model, effort), deep, escalate.map(str::to_owned), abilities)
    }

    /// Tokens, effort, temperature, detail, model and note of a step.
    fn told(ladder: &Ladder, after: Reason, attempt: u32) -> Option<String> {
        let wish = Wish { kind: Kind::Read, attempt, after: Some(after), model: None };
        let recipe = ladder.step(&wish)?;
        assert_eq!(recipe.step, attempt);
        let Parameters { max_output_tokens, reasoning_effort, temperature, detail, .. } = &recipe.parameters;
        let note = recipe.prompt.split_once("\n\n").map_or("", |(_, note)| note.split(' ').next().unwrap_or_default());
        let (tokens, effort) = (max_output_tokens.unwrap_or_default(), reasoning_effort.as_deref().unwrap_or("-"));
        let warmth = temperature.map_or("-".to_owned(), |warmth| warmth.to_string());
        let picture = match recipe.parameters.preparation {
            Some(Preparation { percent: SMALLER, .. }) => "85 %",
            Some(Preparation { reencode: Reencode::Always, .. }) => "anew",
            _ => "",
        };
        Some(format!("{tokens} {effort} {warmth} {detail} {} {note}{picture}", recipe.model).trim_end().to_owned())
    }

    #[test]
    fn the_note_names_the_mark() {
        assert!(BLANK_NOTE.ends_with(crate::domain::answer::BLANK_PAGE), "{BLANK_NOTE}");
    }

    #[test]
    fn each_reason_has_its_steps() {
        let thinker = ladder("thinker", Some("high"), Some("plain"));
        let plain = ladder("plain", None, None);
        let cases = [
            (&thinker, Reason::Truncated, [Some("8000 high - high thinker"), Some("16000 none - high thinker")]),
            (&plain, Reason::Truncated, [Some("8000 - - high plain"), Some("10000 - - high plain")]),
            (
                &thinker,
                Reason::ReasoningAteBudget,
                [Some("8000 low - high thinker"), Some("16000 none - high thinker")],
            ),
            (&plain, Reason::Loop, [Some("4000 - 0.4 high plain 85 %"), None]),
            (&thinker, Reason::Loop, [Some("4000 high - high thinker 85 %"), Some("4000 - - high plain")]),
            (&thinker, Reason::Empty, [Some("4000 high - original thinker If"), Some("4000 - - high plain")]),
            (&plain, Reason::Empty, [Some("4000 - - high plain If"), None]),
            (&thinker, Reason::BlankConflict, [Some("4000 high - original thinker If"), None]),
            (&thinker, Reason::Refused, [Some("4000 high - high thinker This"), None]),
            (&thinker, Reason::JsonInvalid, [Some("4000 high - high thinker Answer"), Some("4000 - - high plain")]),
            (&plain, Reason::SchemaMismatch, [Some("4000 - - high plain Answer"), None]),
            (&thinker, Reason::ContentFilter, [None, None]),
            (&thinker, Reason::ImageRefused, [Some("4000 high - high thinker anew"), None]),
        ];
        for (ladder, reason, wanted) in cases {
            let steps = [2, 3].map(|attempt| told(ladder, reason, attempt));
            assert_eq!(steps.each_ref().map(Option::as_deref), wanted, "{reason:?}");
        }
    }

    #[test]
    fn pictures_are_fitted_to_the_model_and_detail_of_each_step() {
        let sight = |detail| ImageRule::Tiles { base: 85, tile: 170 }.sight(detail);
        let fitted = |detail: Detail, word: &str| {
            let base = recipe(Kind::Read, "thinker", Some("high"));
            let preparation = Some(Preparation { fit: Some(sight(detail)), ..Preparation::default() });
            let parameters = Parameters { preparation, detail: word.to_owned(), ..base.parameters.clone() };
            let deep = recipe(Kind::Deep, "thinker", None);
            Ladder::new(Recipe { parameters, ..base }, deep, Some("plain".to_owned()), abilities)
        };
        let fit = |ladder: &Ladder, attempt, after| {
            ladder.recipe(&Wish { kind: Kind::Read, attempt, after, model: None }).preparation().fit
        };
        let (low, high) = (sight(Detail::Low), sight(Detail::High));
        let ladder = fitted(Detail::Low, "low");
        assert_eq!(fit(&ladder, 1, None), Some(low));
        assert_eq!(fit(&ladder, 2, Some(Reason::Empty)), Some(high), "a sharper look sees more");
        assert_eq!(fit(&ladder, 2, Some(Reason::Loop)), Some(low));
        assert_eq!(fit(&ladder, 3, Some(Reason::Empty)), None, "what the other model sees is unknown");
        assert!(ladder.makes(&ladder.recipe(&Wish {
            kind: Kind::Read,
            attempt: 2,
            after: Some(Reason::Empty),
            model: None
        })));
    }

    #[test]
    fn tokens_rise_until_the_model_takes_no_more() {
        let steps: Vec<_> =
            (2..=5).map(|attempt| told(&ladder("plain", None, None), Reason::Truncated, attempt)).collect();
        let wanted = [Some("8000 - - high plain".to_owned()), Some("10000 - - high plain".to_owned()), None, None];
        assert_eq!(steps, wanted);
    }

    #[test]
    fn no_step_asks_what_was_asked_before() {
        let reasons = Reason::ALL;
        for ladder in [ladder("thinker", Some("high"), Some("plain")), ladder("plain", None, Some("thinker"))] {
            for after in reasons {
                let recipe = |attempt| {
                    let wish = Wish { kind: Kind::Read, attempt, after: Some(after), model: None };
                    ladder.step(&wish).map(|recipe| Recipe { step: 0, ..recipe })
                };
                let steps: Vec<_> = (1..8).map_while(recipe).map(|recipe| recipe.canonical()).collect();
                assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{after:?}");
            }
        }
    }

    #[test]
    fn an_ordered_model_is_asked_from_the_first_try_on() {
        let ladder = ladder("thinker", Some("low"), None);
        let wish = |attempt, after| Wish { kind: Kind::Read, attempt, after, model: Some("plain") };
        let first = ladder.recipe(&wish(1, None));
        assert_eq!((first.model.as_str(), first.parameters.reasoning_effort.as_deref()), ("plain", None));
        let second = ladder.recipe(&wish(2, Some(Reason::Loop)));
        assert_eq!((second.model.as_str(), second.parameters.temperature), ("plain", Some(0.4)));
        assert!(!ladder.makes(&first) && !ladder.makes(&second), "an order is no setting");
    }

    #[test]
    fn a_ladder_knows_its_own_recipes() {
        let mine = ladder("thinker", Some("high"), Some("plain"));
        let other = Ladder::new(
            Recipe { prompt: "Other.".into(), ..recipe(Kind::Read, "thinker", Some("high")) },
            recipe(Kind::Deep, "thinker", None),
            None,
            abilities,
        );
        for after in [None, Some(Reason::Truncated), Some(Reason::Loop), Some(Reason::SchemaMismatch)] {
            for attempt in 1..4 {
                let recipe = mine.recipe(&Wish { kind: Kind::Read, attempt, after, model: None });
                assert!(mine.makes(&recipe) && !other.makes(&recipe), "{after:?} {attempt}");
            }
        }
    }

    #[test]
    fn a_deep_cleaning_is_tried_twice() {
        let ladder = ladder("thinker", Some("low"), None);
        let wish = |attempt| Wish { kind: Kind::Deep, attempt, after: Some(Reason::DeepRejected), model: None };
        let steps = [1, 2, 3].map(|attempt| ladder.has_step(&wish(attempt)));
        assert_eq!(steps, [true, true, false]);
        assert_eq!(ladder.recipe(&wish(2)).kind, Kind::Deep);
    }
}
