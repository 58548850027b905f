//! Cleaning by rules: each has a name, can be switched off, and tells what it changed. Together they are idempotent; no word of
//! the page is changed, moved or lost. Spelling, long s, ligatures, quotes, hyphens stay as they are.
//!
//! In order: `line_ends`, `control_characters`, `fence`, `escapes`, `chatter`, `prompt_echo`, `unicode`, `blanks`.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem};
use serde::Serialize;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::guard::Difference;
use super::{chatter, guard, letters};

/// What is done to the Unicode form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnicodeForm {
    /// Canonical composition; never a compatibility form.
    Nfc,
    /// As it came.
    Keep,
}

/// How texts are cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolishOptions {
    /// What is done to the Unicode form.
    pub form: UnicodeForm,
    /// Rules that are switched off, by their names.
    pub skip: Vec<String>,
}

impl Default for PolishOptions {
    fn default() -> Self {
        Self { form: UnicodeForm::Nfc, skip: Vec::new() }
    }
}

impl PolishOptions {
    fn does(&self, rule: &str) -> bool {
        !self.skip.iter().any(|skipped| skipped == rule)
    }
}

/// A polished text and what was found on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polished {
    /// The text: `\n` at the end unless it is empty.
    pub text: String,
    /// Whether the text holds U+FFFD: bytes were lost before they came here.
    pub replacement: bool,
    /// Rules that changed something, in order.
    pub steps: Vec<Step>,
    /// Why no rule may make this text clean: words that are not the page's stand where they cannot be taken off safely. One word
    /// each, such as `model_voice`; empty: the text is clean.
    pub rough: Vec<&'static str>,
}

impl Polished {
    /// Whether a rule changed something.
    #[must_use]
    pub fn was_changed_by(&self, rule: &str) -> bool {
        self.steps.iter().any(|step| step.rule == rule)
    }
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name, as in the setting that switches it off.
    pub rule: &'static str,
    /// What it took off, word for word; empty for rules that take no words.
    pub took: String,
    /// Of a deep cleaning: hash of the rough text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rough: Option<String>,
    /// Of a deep cleaning: what it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

impl Step {
    /// A rule that took this off.
    #[must_use]
    pub fn took(rule: &'static str, took: String) -> Self {
        Self { rule, took, rough: None, difference: None }
    }
}

/// Rounds after which a text is taken as it is; three have sufficed for every text seen.
const ROUNDS: usize = 8;
/// Literal line breaks from which on a text without real ones counts as written in escapes.
const ESCAPED_BREAKS: usize = 3;
/// Shortest text in characters that counts as written in escapes.
const ESCAPED_LENGTH: usize = 80;
/// Longest piece of what was taken off that is kept, in bytes.
const LONGEST_TOOK: usize = 2000;

/// Polishes plain text, until another round would change nothing: taking a blank line off may lay a byte order mark bare.
/// `prompt` is what was asked, to know its echo.
#[must_use]
pub fn polish(raw: &str, how: &PolishOptions, prompt: &str) -> Polished {
    let mut steps = Vec::new();
    let mut rough = Vec::new();
    let mut text = raw.to_owned();
    for _ in 0..ROUNDS {
        let next = round(&text, how, prompt, &mut steps, &mut rough);
        // No rule looks at a line end that is the last sign, which is all that most texts lack.
        let settled = next == text || next.strip_suffix('\n') == Some(&text);
        text = next;
        if settled {
            break;
        }
    }
    if how.does(chatter::CHATTER) {
        rough.extend(chatter::rough(&text, prompt));
    }
    rough.dedup();
    let replacement = memmem::find(text.as_bytes(), "\u{fffd}".as_bytes()).is_some();
    Polished { replacement, text, steps, rough }
}

fn round(raw: &str, how: &PolishOptions, prompt: &str, steps: &mut Vec<Step>, rough: &mut Vec<&'static str>) -> String {
    let mut text = raw.to_owned();
    apply(&mut text, steps, how, "line_ends", line_ends);
    apply(&mut text, steps, how, "control_characters", printable);
    take_off(&mut text, steps, rough, how, "fence", |text| {
        let (body, fenced) = strip_fence(text);
        fenced.then(|| range_of(text, body))
    });
    apply(&mut text, steps, how, "escapes", |text| unescaped(text).map_or(Cow::Borrowed(text), Cow::Owned));
    take_off(&mut text, steps, rough, how, chatter::CHATTER, |text| chatter::edge(text).map(|edge| edge.rest));
    take_off(&mut text, steps, rough, how, chatter::ECHOED, |text| {
        chatter::echoed_edge(text, prompt).map(|edge| edge.rest)
    });
    if how.form == UnicodeForm::Nfc {
        apply(&mut text, steps, how, "unicode", |text| {
            if all_stay(text) || is_nfc(text) { Cow::Borrowed(text) } else { text.nfc().collect() }
        });
    }
    apply(&mut text, steps, how, "blanks", trim_lines);
    text
}

/// A rule that takes no words.
fn apply(
    text: &mut String,
    steps: &mut Vec<Step>,
    how: &PolishOptions,
    rule: &'static str,
    change: impl Fn(&str) -> Cow<'_, str>,
) {
    if !how.does(rule) {
        return;
    }
    if let Cow::Owned(changed) = change(text)
        && changed != *text
    {
        if !steps.iter().any(|step| step.rule == rule) {
            steps.push(Step::took(rule, String::new()));
        }
        *text = changed;
    }
}

/// A rule that takes an edge off. The guard has the last word: what is left must be one unbroken stretch of the words before;
/// otherwise nothing is taken, and the text is rough.
fn take_off(
    text: &mut String,
    steps: &mut Vec<Step>,
    rough: &mut Vec<&'static str>,
    how: &PolishOptions,
    rule: &'static str,
    find: impl Fn(&str) -> Option<std::ops::Range<usize>>,
) {
    if !how.does(rule) {
        return;
    }
    let Some(rest) = find(text) else { return };
    let (before, kept, behind) = (&text[..rest.start], &text[rest.clone()], &text[rest.end..]);
    if !guard::is_stretch(text, kept, guard::words(before)) {
        rough.push(rule);
        return;
    }
    let mut took = [before, behind].concat().trim().to_owned();
    took.truncate(took.floor_char_boundary(LONGEST_TOOK));
    steps.push(Step::took(rule, took));
    *text = kept.to_owned();
}

fn range_of(whole: &str, part: &str) -> std::ops::Range<usize> {
    // A part of the whole, so the difference of their places is its place.
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
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

fn line_ends(raw: &str) -> Cow<'_, str> {
    // Looked for as bytes: nearly no text has one.
    if !["\r", "\u{85}", "\u{2028}", "\u{2029}"]
        .iter()
        .any(|end| memmem::find(raw.as_bytes(), end.as_bytes()).is_some())
    {
        return Cow::Borrowed(raw);
    }
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
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

/// Without a byte order mark and what is no sign of writing. Bidi marks and joiners stay: scripts need them.
fn printable(raw: &str) -> Cow<'_, str> {
    let prints = |c: char| matches!(c, '\t' | '\n' | '\u{c}') || !c.is_control();
    match raw.strip_prefix('\u{feff}') {
        None if !may_have_controls(raw.as_bytes()) || raw.chars().all(prints) => Cow::Borrowed(raw),
        rest => rest.unwrap_or(raw).chars().filter(|c| prints(*c)).collect(),
    }
}

/// Whether a control character other than tab, line feed and form feed may stand in a text: U+0000 to U+001F and U+007F are one byte,
/// U+0080 to U+009F are led by the byte C2, as some letters and signs are, too.
fn may_have_controls(text: &[u8]) -> bool {
    let is_suspect = |byte: u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | 0xc)) || matches!(byte, 0x7f | 0xc2);
    // Without an early end the loop is done for many bytes at once.
    text.iter().fold(false, |any, byte| any | is_suspect(*byte))
}

/// A text that was written as the inside of a JSON string, decoded once. Only where no real line break stands in it: a path such
/// as `C:\new` is no escape.
fn unescaped(text: &str) -> Option<String> {
    let inner = text.trim_end_matches('\n');
    if inner.contains('\n') {
        return None;
    }
    let many = inner.matches("\\n").count() >= ESCAPED_BREAKS && inner.chars().count() >= ESCAPED_LENGTH;
    if !many {
        return None;
    }
    // A quote that is not escaped would end the string; it is one of the text.
    let quoted = format!("\"{}\"", with_quotes_escaped(inner));
    serde_json::from_str(&quoted).ok()
}

fn with_quotes_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '"' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        match c {
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            other => out.push(other),
        }
    }
    out
}

/// Whether [`stays`] is true of every sign.
fn all_stay(text: &str) -> bool {
    /// First byte of U+0300; no sign before it has one as large.
    const SUSPECT: u8 = 0xcc;
    letters::signs_from(text, SUSPECT).all(stays)
}

/// Whether a sign stands in no composition with another one, neither as what it is nor in front of it: true of far more signs
/// than these, which most pages are made of. Source: Unicode 16, `NFC_Quick_Check=Yes` and combining class 0.
fn stays(sign: char) -> bool {
    matches!(sign, '\0'..'\u{300}' | '\u{400}'..='\u{482}' | '\u{2010}'..='\u{203f}' | '\u{4e00}'..='\u{9fff}')
}

/// Whether no line ends in a blank, and neither the first nor the last is empty.
fn is_trimmed(lines: &str) -> bool {
    let bytes = lines.as_bytes();
    let ends_in_blank = |end: usize| matches!(bytes[..end], [.., b' ' | b'\t'] | [.., 0xc2, 0xa0]);
    let has_ends = !matches!(bytes, [] | [b'\n', ..] | [.., b'\n']);
    has_ends && !ends_in_blank(bytes.len()) && !memchr_iter(b'\n', bytes).any(ends_in_blank)
}

/// Blanks at line ends and empty lines at both ends off; one line end at the end. Indents and inner empty lines stay.
fn trim_lines(text: &str) -> Cow<'_, str> {
    const BLANKS: [char; 3] = [' ', '\t', '\u{a0}'];
    if text.strip_suffix('\n').is_some_and(is_trimmed) {
        return Cow::Borrowed(text);
    }
    if is_trimmed(text) {
        return Cow::Owned([text, "\n"].concat());
    }
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches(BLANKS)).collect();
    let first = lines.iter().position(|line| !line.is_empty());
    let last = lines.iter().rposition(|line| !line.is_empty());
    match (first, last) {
        (Some(first), Some(last)) => Cow::Owned(lines[first..=last].join("\n") + "\n"),
        _ => Cow::Owned(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::char::canonical_combining_class;
    use unicode_normalization::{IsNormalized, is_nfc_quick};

    const PROMPT: &str = "Transcribe all text on this page exactly as it is written, line by line.";

    fn by(how: &PolishOptions, raw: &str) -> Polished {
        polish(raw, how, PROMPT)
    }

    fn polished(raw: &str) -> String {
        by(&PolishOptions::default(), raw).text
    }

    #[test]
    fn signs_that_stay_are_in_no_composition() {
        let quick = |sign: char| is_nfc_quick(std::iter::once(sign)) == IsNormalized::Yes;
        for sign in ('\0'..=char::MAX).filter(|sign| stays(*sign)) {
            assert!(quick(sign) && canonical_combining_class(sign) == 0, "{sign:?}");
        }
        for text in ["", "Straße", "\u{2ff}", "“Вена” 一", "e\u{301}", "Straße \u{212a}"] {
            assert_eq!(all_stay(text), text.chars().all(stays), "{text}");
        }
        assert!(!stays('\u{301}') && !stays('\u{2000}') && !stays('\u{212a}'));
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
            ("Sure, here is the transcription:\n\n```\nDear Sir\n```", "Dear Sir\n"),
        ];
        for (raw, expected) in cases {
            assert_eq!(polished(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn escapes_are_decoded_only_where_there_is_no_real_line_break() {
        let line = "In the year of our Lord one thousand eight hundred and five, on the tenth";
        let escaped = format!("{line}\\n\\\"{line}\\\"\\nstra\\u00dfe\\n{line}");
        let polished = by(&PolishOptions::default(), &escaped);
        assert_eq!(polished.text, format!("{line}\n\"{line}\"\nstraße\n{line}\n"));
        assert!(polished.was_changed_by("escapes"));
        for left in ["C:\\new\\names\\nine", "short\\na\\nb\\nc", &format!("{line}\\n{line}\n\\n\\n")] {
            assert!(!by(&PolishOptions::default(), left).was_changed_by("escapes"), "{left:?}");
        }
        let broken = format!("{line}\\n\\n\\n\\x{line}");
        assert_eq!(by(&PolishOptions::default(), &broken).text.trim_end(), broken, "what cannot be decoded stays");
    }

    /// The short ways out say the same as the long ways.
    #[test]
    fn what_is_left_alone_would_have_been_left_alone() {
        for text in [
            "a\n",
            "a",
            "a \n",
            "a\n\n",
            "\na\n",
            "\n",
            "",
            " \n",
            "a\u{a0}\nb\n",
            "a\n\nb\n",
            "é\n",
            "\u{85}",
            "\u{c2}\n",
            "©\n",
            "\u{9f}x\n",
            "\u{7f}\n",
            "\u{2028}",
            "â€¨\n",
            "x\u{c}y\n",
            "\u{feff}a\n",
            "  a\n",
        ] {
            let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\u{a0}'])).collect();
            let kept =
                lines.iter().position(|line| !line.is_empty()).zip(lines.iter().rposition(|line| !line.is_empty()));
            let slowly = kept.map_or(String::new(), |(first, last)| lines[first..=last].join("\n") + "\n");
            assert_eq!(trim_lines(text), slowly, "{text:?}");
            let prints = |c: &char| matches!(c, '\t' | '\n' | '\u{c}') || !c.is_control();
            let slowly: String = text.strip_prefix('\u{feff}').unwrap_or(text).chars().filter(prints).collect();
            assert_eq!(printable(text), slowly, "{text:?}");
            let slowly = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
            assert_eq!(line_ends(text), slowly, "{text:?}");
        }
    }

    #[test]
    fn each_rule_can_be_switched_off_and_tells_what_it_took() {
        let raw = "Here is the transcription of the page:\n\n```\nDear  Sir \r\n```\n";
        let all = by(&PolishOptions::default(), raw);
        let took: Vec<_> = all.steps.iter().map(|step| (step.rule, step.took.as_str())).collect();
        let wanted = [
            ("line_ends", ""),
            ("chatter", "Here is the transcription of the page:"),
            ("blanks", ""),
            ("fence", "```\n```"),
        ];
        assert_eq!(took, wanted);
        for rule in ["line_ends", "chatter", "blanks", "fence"] {
            let without = PolishOptions { skip: vec![rule.to_owned()], ..PolishOptions::default() };
            assert!(!by(&without, raw).was_changed_by(rule), "{rule}");
        }
    }

    #[test]
    fn the_unicode_form_is_a_setting() {
        let keep = PolishOptions { form: UnicodeForm::Keep, ..PolishOptions::default() };
        assert_eq!(by(&keep, "e\u{301}").text, "e\u{301}\n");
        assert!(by(&keep, "a\u{fffd}").replacement);
        assert!(by(&keep, "```\nx\n```").was_changed_by("fence"));
    }

    #[test]
    fn words_of_the_machine_inside_make_a_text_rough() {
        let rough = by(&PolishOptions::default(), "Dear Sir\nThe image shows a stamp.\nYours");
        assert_eq!(
            (rough.text.as_str(), rough.rough),
            ("Dear Sir\nThe image shows a stamp.\nYours\n", vec!["model_voice"])
        );
    }

    proptest! {
        #[test]
        fn polishing_twice_changes_nothing_more(raw in "(\\PC|[\r\n\t `\u{feff}\u{85}]|\\\\n|\n\n|```|Here is the text:\n\n){0,80}") {
            let once = polished(&raw);
            prop_assert_eq!(polished(&once), once);
        }

        #[test]
        fn no_word_is_lost(words in proptest::collection::vec("[a-zäöüſ\"'0-9]{1,8}", 1..30)) {
            let raw = words.join(" \r\n ");
            let text = polished(&raw);
            let kept: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(kept, words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
