//! What is known of models: the dated table `config/models.toml`, compiled in.

use serde::Deserialize;

use crate::domain::ladder::{Abilities, Lookup};
use crate::domain::money::Price;
use crate::domain::tokens::{Counting, Detail, ImageRule};

const TABLE: &str = include_str!("../../config/models.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    read_on: String,
    model: Vec<Model>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name without a snapshot's date.
    pub name: String,
    /// What `reasoning_effort` takes, lowest first; empty: the member is not sent.
    pub efforts: Vec<String>,
    /// USD per million prompt tokens through Batch.
    pub input: f64,
    /// USD per million prompt tokens that the provider had in its cache; absent: as `input`.
    pub cached: Option<f64>,
    /// USD per million output tokens through Batch.
    pub output: f64,
    /// How images are counted.
    pub image: ImageRule,
    /// Most output tokens that may be asked for.
    #[serde(default = "newer_output")]
    pub max_output: u32,
}

impl Model {
    /// Its price through Batch.
    #[must_use]
    pub fn price(&self) -> Price {
        Price { input: picos(self.input), cached: picos(self.cached.unwrap_or(self.input)), output: picos(self.output) }
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

fn table() -> Table {
    // Cannot fail: the text is compiled in and a test reads it. An empty table means "nothing is known of any model".
    toml::from_str(TABLE).unwrap_or(Table { read_on: String::new(), model: Vec::new() })
}

/// What is known of `name`, a snapshot (`gpt-5.6-luna-2026-07-01`) included.
#[must_use]
pub fn find(name: &str) -> Option<Model> {
    let plain = without_date(name);
    table().model.into_iter().find(|model| model.name == name || model.name == plain)
}

/// How the images of `model` are counted at `detail` (a word of the API).
#[must_use]
pub fn counting(model: &str, detail: &str) -> Counting {
    Counting::new(find(model).map(|model| model.image), Detail::from_word(detail))
}

/// The day on which prices were read.
#[must_use]
pub fn read_on() -> String {
    table().read_on
}

/// The least effort that `model` takes; None: the member is not sent.
#[must_use]
pub fn lowest_effort(model: &str) -> Option<String> {
    find(model)?.efforts.into_iter().next()
}

/// What `model` takes. Models that reason take no temperature; of one that is not in the table nothing is taken for granted.
#[must_use]
pub fn abilities(model: &str) -> Abilities {
    let Some(model) = find(model) else {
        let details = &["low", "high"];
        return Abilities { efforts: Vec::new(), temperature: false, details, max_output_tokens: LEAST_OUTPUT };
    };
    let details: &[&str] = match model.image {
        ImageRule::Patches { high, original, .. } if high != original => &["low", "high", "original"],
        _ => &["low", "high"],
    };
    let temperature = model.efforts.is_empty();
    Abilities { efforts: model.efforts, temperature, details, max_output_tokens: model.max_output }
}

/// How the ladder looks models up: what OpenAI's own take is known; elsewhere nothing is taken for granted, whatever the name.
#[must_use]
pub fn lookup(is_openai: bool) -> Lookup {
    if is_openai { abilities } else { |_| abilities("") }
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
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_table_reads() {
        let table: Table = toml::from_str(TABLE).expect("models.toml");
        assert_eq!(table.read_on, "2026-11-01");
        let names: std::collections::BTreeSet<_> = table.model.iter().map(|model| &model.name).collect();
        assert_eq!(names.len(), table.model.len());
        assert!(table.model.iter().all(|model| model.input > 0.0 && model.output > model.input));
        let price = find("gpt-4o").expect("a row").price();
        assert_eq!(price, Price { input: 1_250_000, cached: 1_250_000, output: 5_000_000 });
    }

    #[test]
    fn what_a_model_takes() {
        let luna = abilities("gpt-5.6-luna");
        assert_eq!(
            (luna.details.last(), luna.temperature, luna.max_output_tokens),
            (Some(&"original"), false, 128_000)
        );
        let omni = abilities("gpt-4o");
        assert_eq!((omni.details.last(), omni.temperature, omni.max_output_tokens), (Some(&"high"), true, 16_384));
        let unknown = abilities("qwen3-vl");
        assert_eq!((unknown.efforts.len(), unknown.temperature, unknown.max_output_tokens), (0, false, 16_384));
    }

    #[test]
    fn the_lowest_effort() {
        for (model, effort) in [
            ("gpt-4o", None),
            ("gpt-4.1-mini", None),
            ("o3", Some("low")),
            ("gpt-5-nano", Some("minimal")),
            ("gpt-5-mini-2025-08-07", Some("minimal")),
            ("gpt-5.6-luna", Some("none")),
            ("gpt-5.6-luna-2026-07-01", Some("none")),
            ("gpt-6-luna", Some("none")),
            ("qwen3-vl", None),
            ("", None),
        ] {
            assert_eq!(lowest_effort(model).as_deref(), effort, "{model}");
        }
    }
}
