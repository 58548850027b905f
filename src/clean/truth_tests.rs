//! Rules and guard on true pages: each is let through as it is, and missed in every piece.

use std::path::Path;

use super::guard::{compare, words};
use super::polish::{PolishOptions, polish};

const PROMPT: &str = "Transcribe all text on this page exactly as it is written, line by line.";

/// Every text below `tests/data/truth`.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/truth")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("text");
                pages.push((path.display().to_string(), text));
            }
        }
    }
    assert!(pages.len() >= 12, "{} pages", pages.len());
    pages
}

fn accepted(before: &str, after: &str) -> bool {
    compare(before, after, &[]).is_accepted(0.0)
}

#[test]
fn a_true_page_loses_nothing_and_is_not_rough() {
    for (name, text) in pages() {
        let once = polish(&text, &PolishOptions::default(), PROMPT);
        assert!(accepted(&text, &once.text), "{name}: {:?}", compare(&text, &once.text, &[]));
        assert!(once.rough.is_empty(), "{name}: {:?}", once.rough);
        assert!(once.steps.iter().all(|step| step.took.is_empty()), "{name}: {:?}", once.steps);
        assert_eq!(polish(&once.text, &PolishOptions::default(), PROMPT).text, once.text, "{name}");
    }
}

#[test]
fn what_is_laid_around_a_true_page_is_taken_off_again() {
    for (name, text) in pages() {
        let clean = polish(&text, &PolishOptions::default(), PROMPT).text;
        let wrapped = [
            format!("```\n{clean}```\n"),
            format!("```text\r\n{}```", clean.replace('\n', "\r\n")),
            format!("\u{feff}\n\n{clean}\n\n"),
            format!("Here is the transcription of the page:\n\n{clean}"),
            format!("Sure, here is the transcription:\n\n```\n{clean}```"),
        ];
        for wrapped in wrapped {
            let polished = polish(&wrapped, &PolishOptions::default(), PROMPT);
            // Marks that stood in front of everything may be blanks of the page; its words are what counts.
            assert!(accepted(&clean, &polished.text), "{name}: {:?}", compare(&clean, &polished.text, &[]));
            assert!(polished.rough.is_empty(), "{name}: {:?}", polished.rough);
        }
    }
}

#[test]
fn the_guard_misses_every_piece_of_a_true_page() {
    for (name, text) in pages() {
        assert!(accepted(&text, &text), "{name}");
        assert!(!accepted(&text, &format!("{text} added")), "{name}");
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            if words(lines[at]) == 0 {
                continue;
            }
            let fewer: Vec<&str> =
                lines.iter().enumerate().filter(|(line, _)| *line != at).map(|(_, line)| *line).collect();
            assert!(!accepted(&text, &fewer.join("\n")), "{name}: line {at} {:?}", lines[at]);
        }
        for (at, digit) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            let other = if digit == '9' { '0' } else { '9' };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(!compare(&text, &changed, &[]).is_accepted(100.0), "{name}: digit at {at}");
        }
    }
}

#[test]
fn true_pages_of_odd_shapes_are_unharmed() {
    let contents =
        (1..40).map(|page| format!("Chapter {page} {} {page}", ".".repeat(60))).collect::<Vec<_>>().join("\n") + "\n";
    let zeros = "0.00\t0.00\t0.00\n".repeat(60);
    let litany = "Saint Mary,\npray for us.\nSaint Michael,\npray for us.\nSaint Gabriel,\npray for us.\n".to_owned();
    let waves = "Paris, 1903\n~~~\n~~~\n~~~\n~~~\n~~~\nle radium\n".to_owned();
    let letter = "Here is the letter you asked for:\nDear Sir, I am sorry to hear that you cannot come.\n".to_owned();
    let hebrew = "שלום \u{200f}1848\u{200e} עולם\nनमस्ते क्\u{200d}ष\n".to_owned();
    for page in [contents, zeros, litany, waves, letter, hebrew] {
        let polished = polish(&page, &PolishOptions::default(), PROMPT);
        assert_eq!((polished.text.as_str(), polished.rough), (page.as_str(), Vec::new()));
    }
}
