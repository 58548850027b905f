//! A text that lies in a tree and came from somewhere: what the rules make of it. Values in, values out.
//!
//! Such a text may be a person's work. So the guard has the last word over all rules together: nothing is added, and nothing is
//! missing but what a rule has told that it took.

use super::guard;
use super::polish::{PolishOptions, Polished, Step, polish, strip_fence};
use crate::domain::answer::BLANK_PAGE;
use crate::kit::json::check_strictly;

/// What the rules make of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is clean as it is.
    Clean,
    /// This is the clean text.
    Polished(Polished),
    /// Complete, but with words that no rule may take: this is the rough text.
    Rough(Polished),
    /// Nothing may be done to it, for this reason.
    Left(&'static str),
}

/// It is no UTF-8.
pub const NOT_UTF8: &str = "not_utf8";
/// It looks like JSON and is none: `validate` tells more.
pub const JSON_INVALID: &str = "json_invalid";
/// The guard found words that no rule has told of.
pub const GUARDED: &str = "guarded";

/// Rules that take what lies around a text. In JSON nothing else may be touched: a composed letter would break an escape.
const AROUND_JSON: [&str; 2] = ["fence", "blanks"];
/// Rules that only change how signs are written.
const SIGNS: [&str; 3] = ["line_ends", "control_characters", "unicode"];
/// All rules, in order.
const RULES: [&str; 8] =
    ["line_ends", "control_characters", "fence", "escapes", "chatter", "prompt_echo", "unicode", "blanks"];

/// Looks at a text as it lies on disk.
#[must_use]
pub fn look(bytes: &[u8], how: &PolishOptions, prompt: &str) -> Look {
    let Ok(raw) = std::str::from_utf8(bytes) else { return Look::Left(NOT_UTF8) };
    let (body, fenced) = strip_fence(raw);
    let body = body.trim_start_matches('\u{feff}').trim();
    let is_list = body.starts_with('[') && check_strictly(body).is_ok();
    if body.starts_with('{') || is_list {
        return match (check_strictly(body).is_ok(), fenced) {
            (true, true) => changed(raw, polish(raw, &only(&AROUND_JSON, how), prompt)),
            (true, false) => Look::Clean,
            (false, _) => Look::Left(JSON_INVALID),
        };
    }
    let polished = polish(raw, how, prompt);
    if !is_guarded(raw, &polished, how, prompt) {
        return Look::Left(GUARDED);
    }
    // A text that is all chatter is no blank page.
    let nothing_left = polished.text.is_empty() && guard::words(raw) > 0;
    if nothing_left || !polished.rough.is_empty() {
        let text = if nothing_left { raw.to_owned() } else { polished.text };
        return Look::Rough(Polished { text, ..polished });
    }
    if polished.text.trim() == BLANK_PAGE {
        // Whether the page is blank is for whoever sees it to say.
        return Look::Clean;
    }
    changed(raw, polished)
}

fn changed(raw: &str, polished: Polished) -> Look {
    if polished.text == raw { Look::Clean } else { Look::Polished(polished) }
}

/// Those of `how` that are among `rules`.
fn only(rules: &[&str], how: &PolishOptions) -> PolishOptions {
    let others = RULES.iter().filter(|rule| !rules.contains(rule)).map(|rule| (*rule).to_owned());
    PolishOptions { form: how.form, skip: how.skip.iter().cloned().chain(others).collect() }
}

/// Whether nothing was added, and as many words are missing as the rules have told of.
fn is_guarded(raw: &str, polished: &Polished, how: &PolishOptions, prompt: &str) -> bool {
    if polished.was_changed_by("escapes") {
        // Its letters n and t were signs of line breaks and tabs; it was decoded as a whole, or not at all.
        return true;
    }
    let before = polish(raw, &only(&SIGNS, how), prompt).text;
    let difference = guard::compare(&before, &polished.text, &[]);
    let told: usize = polished.steps.iter().map(|step: &Step| guard::words(&step.took)).sum();
    let [lost, added, changed] = difference.counts;
    !difference.beyond && added == 0 && changed == 0 && lost <= told
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "Transcribe all text on this page exactly as it is written, line by line.";

    fn at(raw: &str) -> Look {
        look(raw.as_bytes(), &PolishOptions::default(), PROMPT)
    }

    fn text(look: Look) -> Result<String, String> {
        match look {
            Look::Polished(polished) => Ok(polished.text),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn what_is_clean_stays_and_what_is_not_is_polished() {
        for clean in
            ["", "Dear Sir\n", "{\"text\": \"e\u{301}\"}", "[blank page]\n", "[illegible]\n", "a\n~~~\n~~~\nb\n"]
        {
            assert_eq!(at(clean), Look::Clean, "{clean:?}");
        }
        let cases = [
            ("Dear Sir", "Dear Sir\n"),
            ("```\r\nDear Sir\r\n```", "Dear Sir\n"),
            ("Here is the transcription of the page:\n\nDear Sir\n", "Dear Sir\n"),
            ("```json\n{\"text\": \"e\u{301}\"}\n```\n", "{\"text\": \"e\u{301}\"}\n"),
            (" \n", ""),
        ];
        for (raw, wanted) in cases {
            assert_eq!(text(at(raw)).as_deref(), Ok(wanted), "{raw:?}");
            assert_eq!(at(wanted), Look::Clean, "once more changes nothing: {raw:?}");
        }
    }

    #[test]
    fn what_no_rule_may_touch_is_left_or_rough() {
        assert_eq!(look(b"\xff", &PolishOptions::default(), PROMPT), Look::Left(NOT_UTF8));
        assert_eq!(at("{\"text\": \"He said \"no\"\"}"), Look::Left(JSON_INVALID));
        assert!(matches!(at("Dear Sir\nThe image shows a stamp.\nYours"), Look::Rough(_)));
    }

    #[test]
    fn a_sign_that_vanishes_within_a_word_is_no_lost_word() {
        assert_eq!(text(at("be\u{7}ll\n")).as_deref(), Ok("bell\n"));
    }
}
