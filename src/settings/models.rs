//! What is known of models: the dated table `config/models.toml`, compiled in, with the user's own rows in the place of its
//! rows of the same name.

use std::sync::Arc;

use serde::Deserialize;

use crate::domain::ladder::Abilities;
use crate::domain::money::Price;
use crate::domain::sight::Sight;
use crate::domain::tokens::{Counting, Detail, ImageRule};

const TABLE: &str = include_str!("../../config/models.toml");
/// Name of a table of the user's.
pub(super) const FILE: &str = "models.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table<R> {
    pub(super) read_on: String,
    pub(super) model: Vec<R>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name without a snapshot's date.
    pub name: String,
    /// What `reasoning_effort` takes, lowest first; empty: the member is not sent.
    #[serde(default)]
    pub efforts: Vec<String>,
    /// USD per million prompt tokens through Batch; absent: unknown.
    pub input: Option<f64>,
    /// USD per million prompt tokens that the provider had in its cache; absent: as `input`.
    pub cached: Option<f64>,
    /// USD per million output tokens through Batch; absent: unknown.
    pub output: Option<f64>,
    /// How images are counted; absent: unknown.
    pub image: Option<ImageRule>,
    /// Most tokens of prompt and answer together; absent: unknown.
    pub context: Option<u64>,
    /// Most output tokens that may be asked for.
    #[serde(default = "newer_output")]
    pub max_output: u32,
    /// Day on which the provider ends it, as `2026-12-11`.
    pub ends: Option<String>,
    /// Day on which the row was read.
    #[serde(default)]
    pub as_of: String,
    /// Where the row is from, for people.
    #[serde(default)]
    pub source: String,
    /// Whether the user wrote the row, so that it holds for whatever provider the settings name.
    #[serde(skip)]
    pub is_own: bool,
}

impl Model {
    /// Its price through Batch, if it is known.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        let (input, output) = self.input.zip(self.output)?;
        Some(Price { input: picos(input), cached: picos(self.cached.unwrap_or(input)), output: picos(output) })
    }

    /// Whether the provider has ended it by `day` (as `2026-12-11`).
    #[must_use]
    pub fn is_over(&self, day: &str) -> bool {
        self.ends.as_deref().is_some_and(|ends| ends <= day)
    }
}

/// Picodollars a token of a price in USD per million tokens.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "prices are positive and small")]
fn picos(usd_per_million: f64) -> u64 {
    (usd_per_million * 1e6).round() as u64
}

/// What models since gpt-5 take. Source: OpenAI's model pages.
fn newer_output() -> u32 {
    128_000
}

/// What every model is known to take that has a batch endpoint: for those that nothing is known of.
const LEAST_OUTPUT: u32 = 16_384;

/// All models that something is known of. Copies share one table.
#[derive(Clone, Debug)]
pub struct Models(Arc<[Model]>);

impl Models {
    /// The compiled-in table.
    #[must_use]
    pub fn built_in() -> Self {
        // Cannot fail: the text is compiled in and a test reads it. An empty table means "nothing is known of any model".
        let table = toml::from_str(TABLE).unwrap_or(Table { read_on: String::new(), model: Vec::new() });
        Self(dated(table).into())
    }

    /// The table with `rows` of the user's, each in the place of the row of its name.
    pub(super) fn with(&self, rows: Vec<Model>) -> Self {
        let mut all = self.0.to_vec();
        for row in rows.into_iter().map(|row| Model { is_own: true, ..row }) {
            match all.iter_mut().find(|model| model.name == row.name) {
                Some(place) => *place = row,
                None => all.push(row),
            }
        }
        Self(all.into())
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.0.iter()
    }

    /// What is known of `name`, a snapshot (`gpt-5.6-luna-2026-07-01`) included. A row of the full name comes first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Model> {
        let named = |name: &str| self.0.iter().find(|model| model.name == name);
        named(name).or_else(|| named(without_date(name)))
    }

    /// Price of `model`; `None` if it is unknown, which is never zero.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<Price> {
        self.find(model)?.price()
    }

    /// How the images of `model` are counted at `detail` (a word of the API).
    #[must_use]
    pub fn counting(&self, model: &str, detail: &str) -> Counting {
        Counting::new(self.find(model).and_then(|model| model.image), Detail::from_word(detail))
    }

    /// What `model` sees of an image at `detail` (a word of the API); `None` if that is unknown.
    #[must_use]
    pub fn sight(&self, model: &str, detail: &str) -> Option<Sight> {
        self.find(model)?.image.map(|rule| rule.sight(Detail::from_word(detail)))
    }

    /// The least effort that `model` takes; None: the member is not sent.
    #[must_use]
    pub fn lowest_effort(&self, model: &str) -> Option<String> {
        self.find(model)?.efforts.first().cloned()
    }

    /// What `model` takes. Models that reason take no temperature; of one that is not in the table nothing is taken for granted.
    #[must_use]
    pub fn abilities(&self, model: &str) -> Abilities {
        let Some(model) = self.find(model) else { return nothing_known() };
        let details: &[&str] = match model.image {
            Some(ImageRule::Patches { high, original, .. }) if high != original => &["low", "high", "original"],
            _ => &["low", "high"],
        };
        let temperature = model.efforts.is_empty();
        let (efforts, max_output_tokens) = (model.efforts.clone(), model.max_output);
        Abilities { efforts, temperature, details, max_output_tokens, image: model.image }
    }

    /// How the ladder looks models up: what OpenAI's own take is known; elsewhere nothing is taken for granted, whatever the
    /// name, but what the user wrote.
    pub fn lookup(&self, is_openai: bool) -> impl Fn(&str) -> Abilities + Send + Sync + 'static {
        let models = self.clone();
        move |name| {
            let knows = is_openai || models.find(name).is_some_and(|model| model.is_own);
            let can = if knows { models.abilities(name) } else { nothing_known() };
            // How images are counted is an estimate for any provider.
            Abilities { image: models.find(name).and_then(|model| model.image), ..can }
        }
    }
}

fn nothing_known() -> Abilities {
    Abilities {
        efforts: Vec::new(),
        temperature: false,
        details: &["low", "high"],
        max_output_tokens: LEAST_OUTPUT,
        image: None,
    }
}

/// The rows of a table; those without a day of their own have the table's.
pub(super) fn dated(table: Table<Model>) -> Vec<Model> {
    let day = table.read_on;
    let dated = |row: Model| if row.as_of.is_empty() { Model { as_of: day.clone(), ..row } } else { row };
    table.model.into_iter().map(dated).collect()
}

fn without_date(name: &str) -> &str {
    let Some(at) = name.len().checked_sub("-2026-07-01".len()) else { return name };
    let is_date = |tail: &str| {
        tail.bytes()
            .enumerate()
            .all(|(i, byte)| if matches!(i, 0 | 5 | 8) { byte == b'-' } else { byte.is_ascii_digit() })
    };
    match name.split_at_checked(at) {
        Some((stem, tail)) if is_date(tail) => stem,
        _ => name,
    }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
