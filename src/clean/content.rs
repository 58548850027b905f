//! The text of an answer: chosen, and where JSON was asked for, parsed strictly. No repair: a guess would be invention.

use super::polish::{Polished, UnicodeForm, polish, strip_fence};
use crate::kit::json::check_strictly;

/// The mark that an empty page is asked to be answered with.
pub const BLANK_PAGE: &str = "[blank page]";

/// What an answer's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text to write.
    Text(Polished),
    /// The page bears no writing.
    Blank,
    /// Nothing came.
    Empty,
    /// No JSON although it was asked for; with the parser's words.
    InvalidJson(String),
}

/// Reads the content of a complete answer.
#[must_use]
pub fn read(raw: &str, json: bool, form: UnicodeForm) -> Content {
    if raw.trim() == BLANK_PAGE {
        return Content::Blank;
    }
    if json { read_json(raw) } else { read_text(raw, form) }
}

fn read_text(raw: &str, form: UnicodeForm) -> Content {
    let polished = polish(raw, form);
    match polished.text.trim() {
        "" => Content::Empty,
        BLANK_PAGE => Content::Blank,
        _ => Content::Text(polished),
    }
}

/// The JSON stays as it was answered: key order, number spelling, escapes. No Unicode form is applied to raw JSON, because
/// a combining mark behind `\n` would swallow its letter.
fn read_json(raw: &str) -> Content {
    let raw = raw.strip_prefix('\u{feff}').unwrap_or(raw);
    let (inner, fenced) = strip_fence(raw);
    let inner = inner.trim();
    if inner.is_empty() {
        return Content::Empty;
    }
    match check_strictly(inner) {
        Ok(()) => {
            let replacement = inner.contains('\u{fffd}');
            let text = format!("{inner}\n");
            Content::Text(Polished { text, fenced, replacement, steps: Vec::new(), rough: Vec::new() })
        }
        Err(cause) => Content::InvalidJson(cause.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: Content) -> Option<String> {
        match content {
            Content::Text(polished) => Some(polished.text),
            _ => None,
        }
    }

    #[test]
    fn json_is_kept_as_answered() {
        let raw = "```json\n{\"b\":1.50,\"a\":\"He said \\\"hello\\\"\\n\u{303}\"}\n```";
        let expected = "{\"b\":1.50,\"a\":\"He said \\\"hello\\\"\\n\u{303}\"}\n";
        assert_eq!(text(read(raw, true, UnicodeForm::Nfc)).as_deref(), Some(expected));
    }

    #[test]
    fn json_is_never_repaired() {
        for raw in ["{\"text\":\"He said \"hello\" to me\"}", "{\"a\":1,}", "{\"a\":1} and more", "plain"] {
            assert!(matches!(read(raw, true, UnicodeForm::Nfc), Content::InvalidJson(_)), "{raw}");
        }
    }

    #[test]
    fn a_blank_page_is_an_answer_and_silence_is_none() {
        assert_eq!(read(" [blank page]\n", false, UnicodeForm::Nfc), Content::Blank);
        assert_eq!(read("```\n[blank page]\n```", false, UnicodeForm::Nfc), Content::Blank);
        assert_eq!(read(" \n", false, UnicodeForm::Nfc), Content::Empty);
        assert_eq!(read("", true, UnicodeForm::Nfc), Content::Empty);
    }

    #[test]
    fn a_text_is_not_cut_at_its_first_quote() {
        let raw = "He said \"hello\" and \"goodbye\".\nThen he left.";
        let expected = "He said \"hello\" and \"goodbye\".\nThen he left.\n";
        assert_eq!(text(read(raw, false, UnicodeForm::Nfc)).as_deref(), Some(expected));
    }
}
