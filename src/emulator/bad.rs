//! Bad answers by order: every way in which a model's answer is known to go wrong, as data.
//!
//! ```toml
//! [[bad]]
//! custom_id_contains = "tray_1"              # only images with this in their `custom_id`; all without
//! share = 0.2                                # that share of them, drawn by seed and `custom_id`
//! how = ["loop_stop", "model_voice"]         # one of these for each image, drawn the same way
//! times = 2                                  # its first two answers; all later ones are good
//!
//! [[bad]]                                    # deep cleanings of the same images are counted apart
//! how = ["loses_word"]
//! ```
//!
//! Rules of a line ([`super::scenario`]) strike by turn; these strike by image, so that the order of the workers plays no
//! part. Of several rules that mean an image the first one holds. Counts are the process's: they begin anew after a restart.

use serde::{Deserialize, Serialize};

use super::engine::{Answered, ChatRequest, Format, Said, shaped, tokens_of};
use crate::kit::hash;

/// Before a text, with an empty line behind it.
pub(super) const PREAMBLE: &str = "Here is the transcription of the image:";
/// Behind a text, with an empty line before it.
pub(super) const CLOSING: &str = "Let me know if you need anything else with this transcription.";
/// In the middle of a text.
pub(super) const VOICE: &str = "As an AI, I have transcribed the text as well as I could.";
/// A line that runs away.
const RUNAWAY: &str = "and the said parties of the second part,";
/// Copies of it in an answer that ends by itself.
const COPIES: usize = 60;
/// What is said of a page that bears nothing.
const INVENTED: &str = "Dear Sir,\nI have the honour to acknowledge the receipt of your letter of the 14th instant, and beg to \
    inform you that the matters of which you speak have been laid before the committee.\nIt was resolved that the sum of \
    forty pounds be paid to the widow, and that the books be examined at the next meeting.\nYour obedient servant,\n\
    William Harding";
/// Refusals in words, as models say them.
const REFUSALS: [&str; 5] = [
    "I'm sorry, but I can't assist with transcribing this image.",
    "Es tut mir leid, aber ich kann dieses Bild leider nicht transkribieren.",
    "Je suis désolé, mais je ne peux pas transcrire cette image.",
    "Lo siento, pero no puedo transcribir esta imagen.",
    "Omlouvám se, ale s přepisem tohoto obrázku nemohu pomoci.",
];

/// Images whose answers are bad.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadRule {
    /// Images whose `custom_id` contains this; empty = every image.
    #[serde(default)]
    pub custom_id_contains: String,
    /// Share of those, 0 to 1.
    #[serde(default = "all")]
    pub share: f64,
    /// One of these ways for each image; a way of another kind of request leaves the answer good.
    pub how: Vec<Way>,
    /// How many answers of each image are bad before they are good.
    #[serde(default = "once")]
    pub times: u32,
}

fn all() -> f64 {
    1.0
}

fn once() -> u32 {
    1
}

impl BadRule {
    /// The way of one image, if this rule (the `number`th) means it.
    pub(super) fn way_of(&self, seed: u64, number: usize, custom_id: &str) -> Option<Way> {
        let print = hash::short(format!("{seed}/bad/{number}/{custom_id}").as_bytes());
        let draw = |at: usize| u32::from_le_bytes([print[at], print[at + 1], print[at + 2], print[at + 3]]);
        let is_meant = custom_id.contains(&self.custom_id_contains)
            && f64::from(draw(0)) / (f64::from(u32::MAX) + 1.0) < self.share;
        let at = (draw(4) as usize).checked_rem(self.how.len())?;
        self.how.get(at).copied().filter(|_| is_meant)
    }
}

/// How an answer is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Half of the text, cut at the token limit.
    LengthCut,
    /// Nothing: reasoning has eaten the token limit.
    ReasoningAteBudget,
    /// The text, then one line again and again, ended by itself; twice, it is the same word for word.
    LoopStop,
    /// One line again and again until the token limit.
    LoopLength,
    /// The refusal member.
    Refusal,
    /// A refusal as content, in one of several languages.
    RefusalWords,
    /// Stopped by the filter, after some words.
    ContentFilter,
    /// Nothing, ended by itself.
    Empty,
    /// `[blank page]`, whatever the page bears.
    SaysBlank,
    /// A fluent letter, whatever the page bears.
    Invented,
    /// A line of the model before the text.
    ChatterBefore,
    /// A line of the model behind the text.
    ChatterAfter,
    /// A line of the model within the text.
    ModelVoice,
    /// The text in two fences.
    TwoFences,
    /// The answer in one fence, said to be JSON.
    FencedJson,
    /// JSON with quotes that are not escaped.
    InvalidJson,
    /// JSON with other members than were asked for.
    SchemaMismatch,
    /// The words of the request before the text.
    PromptEcho,
    /// Only marks of what cannot be read.
    Illegible,
    /// Line ends as two characters, `\` and `n`.
    LiteralEscapes,
    /// A deep cleaning without the last word of the text.
    LosesWord,
    /// A deep cleaning with a word more.
    AddsWord,
    /// A deep cleaning with another digit, or with a number more where there is none.
    ChangesNumber,
}

impl Way {
    /// Every way in which the answer to a page can be bad.
    pub const READING: [Self; 20] = [
        Self::LengthCut,
        Self::ReasoningAteBudget,
        Self::LoopStop,
        Self::LoopLength,
        Self::Refusal,
        Self::RefusalWords,
        Self::ContentFilter,
        Self::Empty,
        Self::SaysBlank,
        Self::Invented,
        Self::ChatterBefore,
        Self::ChatterAfter,
        Self::ModelVoice,
        Self::TwoFences,
        Self::FencedJson,
        Self::InvalidJson,
        Self::SchemaMismatch,
        Self::PromptEcho,
        Self::Illegible,
        Self::LiteralEscapes,
    ];

    /// Whether it is an answer to a rough text, and not to a page.
    #[must_use]
    pub fn is_deep(self) -> bool {
        matches!(self, Self::LosesWord | Self::AddsWord | Self::ChangesNumber)
    }
}

/// A good answer made bad; `said` is what the engine said to `request`. An error stays one.
pub(super) fn spoil(way: Way, request: &ChatRequest<'_>, said: Answered) -> Answered {
    let said = said?;
    let limit = request.max_tokens.unwrap_or(2048);
    let (answer, text) = (said.content.clone().unwrap_or_default(), text_of(&said, request.format));
    let ended = |content: Option<String>, finish: &str, tokens: u64, reasoning: u64| {
        Ok(Said {
            content,
            refusal: None,
            finish_reason: finish.to_owned(),
            completion_tokens: tokens,
            reasoning_tokens: reasoning,
            ..said.clone()
        })
    };
    // Nobody says more than the limit allows, and what is cut says so.
    let whole = |content: String| {
        let tokens = tokens_of(content.len());
        ended(Some(content), "stop", tokens, 0).map(|said| said.within(request.max_tokens))
    };
    let around = |text: String| whole(shaped(&text, request.format));
    match way {
        Way::LengthCut => {
            let half = answer.floor_char_boundary(answer.len() / 2);
            ended(Some(answer[..half].to_owned()), "length", limit, 0)
        }
        Way::ReasoningAteBudget => ended(Some(String::new()), "length", limit, limit),
        Way::LoopLength => {
            let copies = usize::try_from(limit).unwrap_or(usize::MAX).min(8192) / 8;
            ended(Some(vec![RUNAWAY; copies.max(10)].join("\n")), "length", limit, 0)
        }
        Way::Refusal => {
            let refusal = Some("I'm sorry, but I can't help with that request.".to_owned());
            ended(None, "stop", 14, 0).map(|said| Said { refusal, ..said })
        }
        Way::ContentFilter => ended(Some(answer.chars().take(8).collect()), "content_filter", 2, 0),
        Way::Empty => ended(Some(String::new()), "stop", 1, 0),
        // Which language is drawn by the page, so that the same page refuses in the same one.
        Way::RefusalWords => whole(REFUSALS[usize::from(hash::short(text.as_bytes())[0]) % REFUSALS.len()].to_owned()),
        Way::FencedJson => whole(format!("```json\n{answer}\n```")),
        Way::InvalidJson => whole("{\"text\":\"He said \"hello\" to me\"}".to_owned()),
        Way::SchemaMismatch => whole("{\"pages\":[{\"number\":1}]}".to_owned()),
        Way::ChatterBefore => whole(format!("{PREAMBLE}\n\n{answer}")),
        Way::ChatterAfter => whole(format!("{answer}\n\n{CLOSING}")),
        Way::LoopStop => around(format!("{text}\n{}", vec![RUNAWAY; COPIES].join("\n"))),
        Way::SaysBlank => around("[blank page]".to_owned()),
        Way::Invented => around(INVENTED.to_owned()),
        Way::ModelVoice => around(halves(&text, |head, tail| format!("{head}\n{VOICE}\n{tail}"))),
        Way::TwoFences => around(halves(&text, |head, tail| format!("```\n{head}\n```\n\n```\n{tail}\n```"))),
        Way::PromptEcho => around(format!("{}\n\n{text}", request.user)),
        Way::Illegible => around("[illegible]\n[illegible]".to_owned()),
        Way::LiteralEscapes => around(format!("{}\\n", text.replace('\n', "\\n"))),
        Way::LosesWord => {
            whole(text.trim_end().rsplit_once(char::is_whitespace).map_or("", |(head, _)| head).to_owned())
        }
        Way::AddsWord => whole(format!("{} indeed", text.trim_end())),
        Way::ChangesNumber => whole(renumbered(&text)),
    }
}

/// The page's text within an answer.
fn text_of(said: &Said, format: Format) -> String {
    let answer = said.content.clone().unwrap_or_default();
    match format {
        Format::Text => answer,
        Format::Json => serde_json::from_str::<serde_json::Value>(&answer)
            .ok()
            .and_then(|value| value["text"].as_str().map(str::to_owned))
            .unwrap_or(answer),
    }
}

/// The text taken apart behind its first line.
fn halves(text: &str, join: impl Fn(&str, &str) -> String) -> String {
    let (head, tail) = text.split_once('\n').unwrap_or((text, ""));
    join(head, tail)
}

fn renumbered(text: &str) -> String {
    let Some(at) = text.find(|sign: char| sign.is_ascii_digit()) else { return format!("{} 1848", text.trim_end()) };
    let other = if text[at..].starts_with('7') { "3" } else { "7" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

/// A rough text without the words that [`spoil`] put around and into it: what a good deep cleaning answers.
pub(super) fn unspoilt(rough: &str) -> String {
    let is_ours = |line: &str| matches!(line.trim(), PREAMBLE | CLOSING | VOICE | "```" | "```json");
    let kept: Vec<&str> = rough.lines().filter(|line| !is_ours(line)).collect();
    kept.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
#[path = "tests/bad.rs"]
mod tests;
