//! A recipe: everything about a request but the image. Its hash is provenance; its text makes every line's bytes.

use serde::{Deserialize, Serialize};

use super::ids::RecipeId;
use super::image::{Format, Needs, Pixels};
use super::sight::Sight;

/// How custom ids are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdStyle {
    /// The path, separators replaced by `|`.
    Path,
    /// `p` and 26 letters of the path's hash, for providers that limit ids.
    Opaque,
}

impl IdStyle {
    /// The word of the ledger and the settings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Opaque => "opaque",
        }
    }

    /// The style behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Path, Self::Opaque].into_iter().find(|style| style.word() == word)
    }
}

/// What is sent and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A page is sent; its text is asked for.
    Read,
    /// A rough text is sent, without its page; the same text without the words that are not the page's is asked for.
    Deep,
}

impl Kind {
    /// The word of the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deep => "deep",
        }
    }

    /// The kind behind a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Read, Self::Deep].into_iter().find(|kind| kind.word() == word)
    }
}

/// What the answer is asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerFormat {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON after a schema (Structured Outputs).
    JsonSchema {
        /// The schema.
        schema: serde_json::Value,
    },
}

impl AnswerFormat {
    /// Whether a text of this format has to parse as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        !matches!(self, Self::Text)
    }
}

/// Request parameters; a member that is `None` is not sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// System prompt, sent before the user's.
    pub system: Option<String>,
    /// `low`, `high`, `original` or `auto`.
    pub detail: String,
    /// `max_completion_tokens`, reasoning included.
    pub max_output_tokens: Option<u32>,
    /// `reasoning_effort`.
    pub reasoning_effort: Option<String>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// What the answer is to be.
    pub answer_format: AnswerFormat,
    /// How pictures are made ready, where that is not the way of every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<Preparation>,
}

/// How pictures are made ready. What every run does (convert what the API does not take, turn what lies on its side) is no part
/// of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// Longest side of what is sent, in pixels; 0: as it is.
    pub longest_side: u32,
    /// Quality of a JPEG that is made, 1 to 100.
    pub jpeg_quality: u8,
    /// When a picture is made anew.
    pub reencode: Reencode,
    /// Percent of the longest side that the model would see, for a second look that is not the first one again; 100: all of it.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub percent: u32,
    /// What the model sees, where a picture is shrunk to that; it is written down here because tables of models change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Sight>,
}

fn whole() -> u32 {
    100
}

fn is_whole(percent: &u32) -> bool {
    *percent == whole()
}

/// Pixels of the longest side beyond which models of most levels of `detail` see no more. Source: `batch-api` reference §5.
const SEEN: u32 = 2048;

impl Default for Preparation {
    fn default() -> Self {
        Self { longest_side: 0, jpeg_quality: 85, reencode: Reencode::WhenNeeded, percent: whole(), fit: None }
    }
}

impl Preparation {
    /// Size of what is sent of a picture.
    #[must_use]
    pub fn size_of(&self, pixels: Pixels) -> Pixels {
        let wished = self.wished(pixels);
        let seen = self.fit.map_or(wished, |sight| sight.fit(wished));
        if is_whole(&self.percent) {
            return seen;
        }
        let longest = seen.width.max(seen.height).min(SEEN);
        seen.within((longest * self.percent / 100).max(1))
    }

    /// Whether a picture is only shrunk to what the model sees of it, so that its own bytes do as well.
    #[must_use]
    pub fn only_fits(&self, pixels: Pixels) -> bool {
        self.reencode == Reencode::WhenNeeded && is_whole(&self.percent) && self.wished(pixels) == pixels
    }

    /// Within the longest side.
    fn wished(&self, pixels: Pixels) -> Pixels {
        if self.longest_side > 0 { pixels.within(self.longest_side) } else { pixels }
    }

    /// Whether a picture is sent as it is, made ready first, or not sent at all.
    #[must_use]
    pub fn way(&self, format: Format, needs: Needs, pixels: Pixels) -> WayOut {
        let too_long = self.size_of(pixels) != pixels;
        match (self.reencode, needs) {
            (Reencode::Always, _) | (Reencode::WhenNeeded, Needs::Turning | Needs::Converting) => WayOut::Prepared,
            (Reencode::WhenNeeded, Needs::Nothing) if too_long => WayOut::Prepared,
            (Reencode::Never, _) if !format.goes_as_it_is() => WayOut::NotAtAll,
            (Reencode::Never | Reencode::WhenNeeded, _) => WayOut::AsItIs,
        }
    }
}

/// How a picture leaves for the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Byte for byte.
    AsItIs,
    /// As a picture that is made of it.
    Prepared,
    /// It is of a format that is not taken, and nothing may be made of it.
    NotAtAll,
}

/// When a picture is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reencode {
    /// Never: what would have to be, ends as an unsupported format, and what lies on its side is sent so.
    Never,
    /// Where the API does not take it, where it lies on its side, where it is too large.
    WhenNeeded,
    /// Every one.
    Always,
}

/// Model, prompt, parameters and id style: two lines of one recipe differ only in image and id.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Its row; absent until the ledger knows it.
    pub id: Option<RecipeId>,
    /// Page to text, or rough text to text.
    pub kind: Kind,
    /// How custom ids are made.
    pub id_style: IdStyle,
    /// The counted try it is meant for, from 1.
    pub step: u32,
    /// Model asked.
    pub model: String,
    /// Path of the endpoint, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// The user's prompt, word for word.
    pub prompt: String,
    /// Everything else.
    pub parameters: Parameters,
}

impl Recipe {
    /// How pictures are made ready.
    #[must_use]
    pub fn preparation(&self) -> Preparation {
        self.parameters.preparation.unwrap_or_default()
    }

    /// Whether its lines are requests to the Responses API; all others are chat completions.
    #[must_use]
    pub fn speaks_responses(&self) -> bool {
        self.endpoint.ends_with("/responses")
    }

    /// What `next` asks otherwise, in the words of the settings: `max_output_tokens 8000`.
    #[must_use]
    pub fn change_to(&self, next: &Self) -> String {
        let (now, then) = (&self.parameters, &next.parameters);
        let word =
            |name: &str, value: Option<String>| format!("{name} {}", value.unwrap_or_else(|| "unset".to_owned()));
        let changes = [
            (self.model != next.model).then(|| format!("model {}", next.model)),
            (now.max_output_tokens != then.max_output_tokens)
                .then(|| word("max_output_tokens", then.max_output_tokens.map(|tokens| tokens.to_string()))),
            (now.reasoning_effort != then.reasoning_effort)
                .then(|| word("reasoning_effort", then.reasoning_effort.clone())),
            (now.temperature != then.temperature)
                .then(|| word("temperature", then.temperature.map(|warmth| warmth.to_string()))),
            (now.detail != then.detail).then(|| format!("detail {}", then.detail)),
            (now.preparation != then.preparation).then(|| "another picture".to_owned()),
            (self.prompt != next.prompt).then(|| "another prompt".to_owned()),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        if changes.is_empty() { "the same".to_owned() } else { changes.join(", ") }
    }

    /// The canonical text whose hash names this recipe; changes with anything that changes a request.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let parts = (self.id_style, self.step, &self.model, &self.endpoint, &self.prompt, &self.parameters);
        // Cannot fail because the parts are strings, numbers and maps with string keys.
        let canonical = serde_json::to_vec(&parts).unwrap_or_default();
        match self.kind {
            Kind::Read => canonical,
            Kind::Deep => [b"deep ", canonical.as_slice()].concat(),
        }
    }
}
