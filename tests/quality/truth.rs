//! Pages that people have transcribed: no rule may take a word of them, and no rule may call them what they are not.
//!
//! `QUALITY_TRUTH=DIR` names a further tree of texts to be checked in the same way.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use batchscribe::clean::chatter;
use batchscribe::clean::guard;
use batchscribe::clean::polish::{PolishOptions, UnicodeForm, polish};
use batchscribe::clean::refusal::is_refusal;
use batchscribe::clean::repetition::{LoopLimits, is_repetitive, runs_away};
use batchscribe::settings::texts::BUILT_IN_PROMPT;
use proptest::prelude::*;

/// Texts that the repository holds at least.
const LEAST: usize = 30;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/truth")
}

/// One text, by its path below the root.
pub(crate) fn text(below: &str) -> String {
    std::fs::read_to_string(root().join(below)).expect(below)
}

/// All texts that bear any word.
fn texts() -> Vec<(String, String)> {
    let further = std::env::var_os("QUALITY_TRUTH").map(PathBuf::from);
    let mut found = Vec::new();
    for root in [Some(root()), further].into_iter().flatten() {
        collect(&root, &mut found);
    }
    let own = found.len();
    assert!(own >= LEAST, "{own} texts");
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            collect(&entry, found);
        } else if entry.extension() == Some(OsStr::new("txt")) {
            let text = std::fs::read_to_string(&entry).expect("a text");
            if guard::words(&text) > 0 {
                found.push((entry.display().to_string(), text));
            }
        }
    }
}

/// Everything that may stand around a text without being of it.
fn wrappings(text: &str) -> Vec<String> {
    vec![
        text.to_owned(),
        text.replace('\n', "\r\n"),
        format!("\u{feff}\n\n{text}\n\n \t"),
        format!("```\n{text}\n```"),
        format!("```text\n{text}\n```\n"),
        format!("Here is the transcription of the page:\n\n{text}"),
        format!("{text}\n\nLet me know if you need the transcription in another format."),
        format!("Sure, here is the text:\n\n```\n{text}\n```\n\nI hope this transcription helps."),
    ]
}

/// The words of a text, one behind the other, whatever stands between them.
fn same_words(a: &str, b: &str) -> bool {
    guard::compare(a, b, &[]).is_accepted(0.0)
}

#[test]
fn no_page_of_a_person_is_called_a_loop_or_a_refusal() {
    for (path, text) in texts() {
        let limits = LoopLimits::default();
        assert!(!runs_away(&text, &limits), "{path} loops");
        assert!(!is_refusal(&text), "{path} refuses");
        assert!(
            chatter::rough(&text, BUILT_IN_PROMPT).is_empty(),
            "{path}: {:?}",
            chatter::rough(&text, BUILT_IN_PROMPT)
        );
        // One specimen of a type foundry says one sentence four times; that is worth a look, and no more.
        assert!(!is_repetitive(&text, &limits), "{path} is repetitive");
    }
}

#[test]
fn cleaning_a_page_takes_no_word_of_it_and_is_done_at_once() {
    for form in [UnicodeForm::Nfc, UnicodeForm::Keep] {
        let how = PolishOptions { form, ..PolishOptions::default() };
        for (path, text) in texts() {
            for wrapped in wrappings(&text) {
                let once = polish(&wrapped, &how, BUILT_IN_PROMPT);
                assert!(once.rough.is_empty(), "{path}: {:?}", once.rough);
                assert!(same_words(&text, &once.text), "{path}: {:?}", guard::compare(&text, &once.text, &[]));
                let twice = polish(&once.text, &how, BUILT_IN_PROMPT);
                assert_eq!(once.text, twice.text, "{path}");
                assert!(twice.steps.is_empty(), "{path}: {:?}", twice.steps);
            }
        }
    }
}

#[test]
fn the_guard_takes_each_page_for_itself_and_for_nothing_else() {
    for (path, text) in texts() {
        assert!(same_words(&text, &text), "{path}");
        for (what, other) in mutilations(&text) {
            assert!(!same_words(&text, &other), "{path}: {what}");
        }
    }
}

/// A page with one thing wrong.
fn mutilations(text: &str) -> Vec<(&'static str, String)> {
    let words: Vec<&str> = text.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).collect();
    let mut out = Vec::new();
    let Some(word) = words.get(words.len() / 2).copied() else { return out };
    out.push(("a word removed", text.replacen(word, "", 1)));
    out.push(("a word added", text.replacen(word, &format!("{word} {word}"), 1)));
    out.push(("a word changed", text.replacen(word, &format!("{word}x"), 1)));
    if let Some(digit) = text.chars().find(char::is_ascii_digit) {
        let other = if digit == '9' { '8' } else { '9' };
        out.push(("a digit changed", text.replacen(digit, &other.to_string(), 1)));
    }
    let lines: Vec<&str> = text.lines().collect();
    if let Some(line) = lines.iter().position(|line| guard::words(line) > 1).filter(|_| lines.len() > 2) {
        let rest = lines.iter().enumerate().filter(|(n, _)| *n != line).map(|(_, line)| *line);
        out.push(("a line removed", rest.collect::<Vec<_>>().join("\n")));
    }
    if let Some(pair) = words.windows(2).find(|pair| pair[0] != pair[1] && text.contains(&pair.join(" "))) {
        let swapped = text.replacen(&pair.join(" "), &format!("{} {}", pair[1], pair[0]), 1);
        out.push(("two words swapped", swapped));
    }
    out
}

/// Page-like texts: words of several scripts, numbers, hyphens at line ends, quotes, tabs, marks.
fn pages() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "[A-Za-zäöüßſéèçñ]{1,9}",
        2 => "[0-9]{1,4}([.,/:-][0-9]{1,3})?",
        1 => "[а-я]{2,7}|[א-ת]{2,5}|[α-ω]{2,7}",
        1 => "e\u{301}[a-z]{2}|\\[illegible\\]|\"[a-z]{3}\"|'twas|C:\\\\new",
    ];
    let gap = prop_oneof![6 => Just(" "), 2 => Just("\n"), 1 => Just("-\n"), 1 => Just("\t"), 1 => Just(", "), 1 => Just("\n\n")];
    proptest::collection::vec((word, gap), 3..80)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cleaning_a_made_up_page_takes_no_word_of_it(page in pages(), wrapping in 0usize..8) {
        let how = PolishOptions::default();
        // A page may say by chance what a machine says; then it is rough, and nothing is taken.
        let once = polish(&wrappings(&page)[wrapping], &how, BUILT_IN_PROMPT);
        prop_assert!(same_words(&page, &once.text), "{:?}", guard::compare(&page, &once.text, &[]));
        let twice = polish(&once.text, &how, BUILT_IN_PROMPT);
        prop_assert_eq!(once.text, twice.text);
    }
}
