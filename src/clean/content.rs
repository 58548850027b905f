//! The text of an answer: chosen, and where JSON was asked for, parsed strictly. No repair: a guess would be invention.

use memchr::memmem;
use serde_json::Value;

use super::polish::{PolishOptions, Polished, Step, polish, strip_fence};
use crate::domain::answer::BLANK_PAGE;
use crate::kit::json::check_strictly;
use crate::kit::json_schema::{JsonSchema, Misfit};

/// The mark of what cannot be read.
const ILLEGIBLE: &str = "[illegible]";

/// Which part of an answer is the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFrom {
    /// The content as it is: of JSON, the JSON.
    Content,
    /// A string member of the JSON object.
    Field(String),
}

/// How content is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Whether it has to be JSON.
    pub json: bool,
    /// What the JSON has to fit.
    pub schema: Option<&'a JsonSchema>,
    /// Which part is the text.
    pub from: &'a TextFrom,
    /// How texts are cleaned.
    pub polish: &'a PolishOptions,
    /// What was asked, to know its echo.
    pub prompt: &'a str,
}

/// What an answer's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text to write; whether the answer says of itself that the page cannot be read.
    Text(Polished, bool),
    /// The page bears no writing, or so the answer says.
    Blank,
    /// Nothing came.
    Empty,
    /// No JSON although it was asked for; with the parser's words.
    InvalidJson(String),
    /// JSON, but not of the schema.
    Misfit(Misfit),
}

/// Reads the content of a complete answer.
#[must_use]
pub fn read(raw: &str, reading: &Reading<'_>) -> Content {
    if raw.trim() == BLANK_PAGE {
        return Content::Blank;
    }
    if reading.json { read_json(raw, reading) } else { read_text(raw, reading, false) }
}

fn read_text(raw: &str, reading: &Reading<'_>, told_illegible: bool) -> Content {
    let polished = polish(raw, reading.polish, reading.prompt);
    match polished.text.trim() {
        "" => Content::Empty,
        BLANK_PAGE => Content::Blank,
        text => {
            let illegible = told_illegible || says_only_illegible(text);
            Content::Text(polished, illegible)
        }
    }
}

/// Whether nothing is left beside the marks of what cannot be read.
fn says_only_illegible(text: &str) -> bool {
    memmem::find(text.as_bytes(), ILLEGIBLE.as_bytes()).is_some()
        && !text.replace(ILLEGIBLE, "").contains(char::is_alphanumeric)
}

/// The JSON stays as it was answered: key order, number spelling, escapes. No Unicode form is applied to raw JSON, because
/// a combining mark behind `\n` would swallow its letter.
fn read_json(raw: &str, reading: &Reading<'_>) -> Content {
    let raw = raw.strip_prefix('\u{feff}').unwrap_or(raw);
    let (inner, fenced) = strip_fence(raw);
    let inner = inner.trim();
    if inner.is_empty() {
        return Content::Empty;
    }
    let value: Value = match check_strictly(inner).and_then(|()| serde_json::from_str(inner)) {
        Ok(value) => value,
        Err(cause) => return Content::InvalidJson(cause.to_string()),
    };
    if let Some(Err(misfit)) = reading.schema.map(|schema| schema.check(&value)) {
        return Content::Misfit(misfit);
    }
    let member = |name: &str| value.get(name);
    if member("page_state").and_then(Value::as_str) == Some("blank") {
        return Content::Blank;
    }
    let illegible = member("page_state").and_then(Value::as_str) == Some("illegible")
        || member("is_legible").and_then(Value::as_bool) == Some(false);
    match reading.from {
        TextFrom::Content => Content::Text(as_answered(inner, fenced), illegible),
        TextFrom::Field(name) => match member(name).and_then(Value::as_str) {
            Some(text) => read_text(text, reading, illegible),
            None => Content::Misfit(Misfit { pointer: format!("/{name}"), message: "no such text".to_owned() }),
        },
    }
}

fn as_answered(json: &str, fenced: bool) -> Polished {
    let steps = if fenced { vec![Step::took("fence", String::new())] } else { Vec::new() };
    Polished { text: format!("{json}\n"), replacement: json.contains('\u{fffd}'), steps, rough: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by<'a>(from: &'a TextFrom, polish: &'a PolishOptions, json: bool) -> Reading<'a> {
        Reading { json, schema: None, from, polish, prompt: "Transcribe." }
    }

    fn content(raw: &str, json: bool) -> Content {
        read(raw, &by(&TextFrom::Content, &PolishOptions::default(), json))
    }

    fn text(content: Content) -> Option<String> {
        match content {
            Content::Text(polished, _) => Some(polished.text),
            _ => None,
        }
    }

    #[test]
    fn json_is_kept_as_answered() {
        let raw = "```json\n{\"b\":1.50,\"a\":\"He said \\\"hello\\\"\\n\u{303}\"}\n```";
        let expected = "{\"b\":1.50,\"a\":\"He said \\\"hello\\\"\\n\u{303}\"}\n";
        assert_eq!(text(content(raw, true)).as_deref(), Some(expected));
    }

    #[test]
    fn json_is_never_repaired() {
        for raw in ["{\"text\":\"He said \"hello\" to me\"}", "{\"a\":1,}", "{\"a\":1} and more", "plain"] {
            assert!(matches!(content(raw, true), Content::InvalidJson(_)), "{raw}");
        }
    }

    #[test]
    fn a_blank_page_is_an_answer_and_silence_is_none() {
        assert_eq!(content(" [blank page]\n", false), Content::Blank);
        assert_eq!(content("```\n[blank page]\n```", false), Content::Blank);
        assert_eq!(content("{\"page_state\": \"blank\", \"text\": \"\"}", true), Content::Blank);
        assert_eq!(content(" \n", false), Content::Empty);
        assert_eq!(content("", true), Content::Empty);
    }

    #[test]
    fn a_text_is_not_cut_at_its_first_quote() {
        let raw = "He said \"hello\" and \"goodbye\".\nThen he left.";
        assert_eq!(text(content(raw, false)), Some(format!("{raw}\n")));
    }

    #[test]
    fn one_member_may_be_the_text() {
        let (from, polish) = (TextFrom::Field("text".to_owned()), PolishOptions::default());
        let reading = by(&from, &polish, true);
        let raw = "{\"text\": \"He said \\\"hello\\\"\\r\\nstra\\u00dfe\", \"is_legible\": false}";
        let Content::Text(polished, illegible) = read(raw, &reading) else { panic!("a text") };
        assert_eq!((polished.text.as_str(), illegible), ("He said \"hello\"\nstraße\n", true));
        let Content::Misfit(misfit) = read("{\"page\": \"x\"}", &reading) else { panic!("no such member") };
        assert_eq!(misfit.pointer, "/text");
        assert_eq!(read("{\"text\": \" \"}", &reading), Content::Empty);
    }

    #[test]
    fn only_marks_are_illegible() {
        let illegible = |raw| matches!(content(raw, false), Content::Text(_, true));
        assert!(illegible("[illegible]\n[illegible]") && !illegible("[illegible] in the year 1848"));
    }
}
