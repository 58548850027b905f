//! Cleaning of the first degree: line ends, control characters, one outer fence, blanks at the edges, Unicode form.
//! Idempotent; no word is changed, moved or lost. Spelling, long s, ligatures, quotes, hyphens stay as they are.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// What is done to the Unicode form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnicodeForm {
    /// Canonical composition; never a compatibility form.
    Nfc,
    /// As it came.
    Keep,
}

/// A polished text and what was found on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polished {
    /// The text: `\n` at the end unless it is empty.
    pub text: String,
    /// Whether an outer fence was taken off.
    pub fenced: bool,
    /// Whether the text holds U+FFFD: bytes were lost before they came here.
    pub replacement: bool,
    /// Rules that changed something, in order.
    pub steps: Vec<Step>,
    /// Why no rule may make this text clean: words that are not the page's stand where they cannot be taken off safely. One word
    /// each, such as `model_voice`; empty: the text is clean.
    pub rough: Vec<&'static str>,
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// Its name, as in the setting that switches it off.
    pub rule: &'static str,
    /// What it took off, word for word; empty for rules that take no words.
    pub took: String,
}

/// Rounds after which a text is taken as it is; two have sufficed for every text seen.
const ROUNDS: usize = 8;

/// Polishes plain text, until another round would change nothing: taking a blank line off may lay a byte order mark bare.
#[must_use]
pub fn polish(raw: &str, form: UnicodeForm) -> Polished {
    let mut polished = round(raw, form);
    for _ in 1..ROUNDS {
        let next = round(&polished.text, form);
        let settled = next.text == polished.text;
        polished = Polished { fenced: polished.fenced | next.fenced, ..next };
        if settled {
            break;
        }
    }
    polished
}

fn round(raw: &str, form: UnicodeForm) -> Polished {
    let text = clean_characters(raw);
    let (body, fenced) = strip_fence(&text);
    let composed = match form {
        UnicodeForm::Nfc if !is_nfc(body) => body.nfc().collect(),
        _ => body.to_owned(),
    };
    let text = trim_lines(&composed);
    Polished { replacement: text.contains('\u{fffd}'), text, fenced, steps: Vec::new(), rough: Vec::new() }
}

/// One fence around everything: an opening line of three backticks with or without a word, *and* a closing one.
#[must_use]
pub fn strip_fence(text: &str) -> (&str, bool) {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let Some((word, body)) = inner.and_then(|rest| rest.split_once('\n')) else { return (text, false) };
    let plain_word = word.trim().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '_'));
    // A fence inside means that the outer ones are not a pair around everything.
    if plain_word && !body.contains("```") { (body, true) } else { (text, false) }
}

fn clean_characters(raw: &str) -> String {
    let raw = raw.strip_prefix('\u{feff}').unwrap_or(raw);
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' => {
                // CRLF is one line end.
                characters.next_if_eq(&'\n');
                text.push('\n');
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => text.push('\n'),
            '\t' | '\n' | '\u{c}' => text.push(c),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    text
}

/// Blanks at line ends and empty lines at both ends off; one line end at the end. Indents and inner empty lines stay.
fn trim_lines(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\u{a0}'])).collect();
    let first = lines.iter().position(|line| !line.is_empty());
    let last = lines.iter().rposition(|line| !line.is_empty());
    match (first, last) {
        (Some(first), Some(last)) => lines[first..=last].join("\n") + "\n",
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polished(raw: &str) -> String {
        polish(raw, UnicodeForm::Nfc).text
    }

    #[test]
    fn edges_are_cleaned_and_words_stay() {
        let cases = [
            ("one\r\ntwo\rthree\u{2028}four", "one\ntwo\nthree\nfour\n"),
            ("\u{feff}\n\n  indented \t\n\ninner\n\n\n", "  indented\n\ninner\n"),
            ("bell\u{7} gone\u{0}", "bell gone\n"),
            ("```text\nHe said \"hello\"\n```", "He said \"hello\"\n"),
            ("```\nfenced\n```\n", "fenced\n"),
            ("```\nopen fence only", "```\nopen fence only\n"),
            ("```\na\n```\nand\n```\nb\n```", "```\na\n```\nand\n```\nb\n```\n"),
            ("Straſse ﬁ “quotes” [illegible] C:\\new", "Straſse ﬁ “quotes” [illegible] C:\\new\n"),
            ("e\u{301}", "é\n"),
            ("page one\u{c}page two", "page one\u{c}page two\n"),
            (" \n\t\n", ""),
            ("\n\u{feff}bare mark", "bare mark\n"),
        ];
        for (raw, expected) in cases {
            assert_eq!(polished(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn the_unicode_form_is_a_setting() {
        assert_eq!(polish("e\u{301}", UnicodeForm::Keep).text, "e\u{301}\n");
        assert!(polish("a\u{fffd}", UnicodeForm::Nfc).replacement);
        assert!(polish("```\nx\n```", UnicodeForm::Nfc).fenced);
    }

    proptest! {
        #[test]
        fn polishing_twice_changes_nothing_more(raw in "(\\PC|[\r\n\t `\u{feff}\u{85}]){0,80}") {
            let once = polished(&raw);
            prop_assert_eq!(polished(&once), once);
        }

        #[test]
        fn no_word_is_lost(words in proptest::collection::vec("[a-zäöüſ\"'0-9]{1,8}", 1..30)) {
            let raw = words.join(" \r\n ");
            let text = polish(&raw, UnicodeForm::Keep).text;
            let kept: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(kept, words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
