//! A prompt as texts are compared with it, and the words of a text.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;

use super::chatter::{ECHO, TRANSCRIBED, speaks_of};

/// What is known of a prompt.
pub(super) struct Asked {
    /// Its words.
    pub(super) words: Words,
    /// Whether it asks for what stands on the page, and for nothing else that a machine might say of it.
    pub(super) transcribes: bool,
    /// Whether it asks for text that is marked up.
    pub(super) marks_up: bool,
    /// Each of its words.
    vocabulary: HashSet<String>,
    /// Every [`ECHO`] of its words in a row.
    stretches: HashSet<String>,
}

impl Asked {
    /// What is known of `prompt`. All answers of a batch have one, which is looked at once a thread.
    pub(super) fn of(prompt: &str) -> Rc<Self> {
        thread_local! {
            static LAST: RefCell<Option<(String, Rc<Asked>)>> = const { RefCell::new(None) };
        }
        LAST.with_borrow_mut(|last| {
            if let Some((looked_at, asked)) = last
                && looked_at == prompt
            {
                return Rc::clone(asked);
            }
            let asked = Rc::new(Self::looked_at(prompt));
            *last = Some((prompt.to_owned(), Rc::clone(&asked)));
            asked
        })
    }

    fn looked_at(prompt: &str) -> Self {
        let words = Words::of(prompt);
        let stretches = (ECHO..=words.len()).map(|end| words.folded(end - ECHO..end).to_owned()).collect();
        Self {
            transcribes: speaks_of(prompt, &TRANSCRIBED),
            marks_up: speaks_of(prompt, &["markdown", "html", "xml", "tei", "latex", " md "]),
            vocabulary: (0..words.len()).map(|number| words.word(number).to_owned()).collect(),
            stretches,
            words,
        }
    }

    /// Whether a stretch of [`ECHO`] words stands in the prompt.
    pub(super) fn has(&self, words: &Words, stretch: Range<usize>) -> bool {
        self.stretches.contains(words.folded(stretch))
    }

    /// Whether so many words in a row stand somewhere in the prompt that a stretch of it may be among them: rare, and cheaper
    /// to see than where.
    pub(super) fn may_be_echoed(&self, text: &str) -> bool {
        let (mut in_a_row, mut folded) = (0, String::new());
        places(text).any(|at| {
            fold(&text[at], &mut folded);
            in_a_row = if self.vocabulary.contains(&folded) { in_a_row + 1 } else { 0 };
            folded.clear();
            in_a_row >= ECHO
        })
    }
}

/// Words, folded, one behind the other with a blank between them: a stretch of words is a slice.
pub(super) struct Words {
    folded: String,
    /// Of each word: where it stands in `folded`, and where in the text.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Words {
    /// All words of a text.
    pub(super) fn of(text: &str) -> Self {
        Self::at(text, places(text))
    }

    /// The first words of a text, `most` at most.
    pub(super) fn first(text: &str, most: usize) -> Self {
        Self::at(text, places(text).take(most))
    }

    /// The last words of a text, `most` at most; their places are not those in the text.
    pub(super) fn last(text: &str, most: usize) -> Self {
        let (mut words, mut inside) = (0, false);
        let behind = text.char_indices().rev().find_map(|(at, c)| {
            words += usize::from(inside && !c.is_alphanumeric());
            inside = c.is_alphanumeric();
            (words == most).then_some(at)
        });
        Self::of(&text[behind.unwrap_or(0)..])
    }

    fn at(text: &str, at: impl Iterator<Item = Range<usize>>) -> Self {
        let mut words = Self { folded: String::new(), places: Vec::new() };
        for at in at {
            if !words.folded.is_empty() {
                words.folded.push(' ');
            }
            let begin = words.folded.len();
            fold(&text[at.clone()], &mut words.folded);
            words.places.push((begin..words.folded.len(), at));
        }
        words
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// A word as it is compared.
    pub(super) fn word(&self, number: usize) -> &str {
        &self.folded[self.places[number].0.clone()]
    }

    /// A stretch of words, which is not empty, as it is compared.
    pub(super) fn folded(&self, stretch: Range<usize>) -> &str {
        &self.folded[self.places[stretch.start].0.start..self.places[stretch.end - 1].0.end]
    }

    /// Where it stands in the text.
    pub(super) fn place(&self, stretch: Range<usize>) -> Range<usize> {
        self.places[stretch.start].1.start..self.places[stretch.end - 1].1.end
    }
}

/// Where the words of a text stand.
fn places(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut characters = text.char_indices();
    std::iter::from_fn(move || {
        let (start, _) = characters.find(|(_, c)| c.is_alphanumeric())?;
        let end = characters.find(|(_, c)| !c.is_alphanumeric()).map_or(text.len(), |(at, _)| at);
        Some(start..end)
    })
}

/// Appends a word in lower case.
fn fold(word: &str, to: &mut String) {
    let begin = to.len();
    if word.is_ascii() {
        to.push_str(word);
        to[begin..].make_ascii_lowercase();
    } else {
        to.push_str(&word.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_words_are_those_of_all() {
        let text = " Straße, 12 «Ärger» und\nl'ÉTÉ -- O\u{301}da 7b.";
        let all = Words::of(text);
        let said: Vec<&str> = (0..all.len()).map(|number| all.word(number)).collect();
        assert_eq!(said, ["straße", "12", "ärger", "und", "l", "été", "o", "da", "7b"]);
        assert_eq!(&text[all.place(2..4)], "Ärger» und");
        assert_eq!(all.folded(2..4), "ärger und");
        for most in 1..12 {
            let (first, last) = (Words::first(text, most), Words::last(text, most));
            let many = most.min(said.len());
            assert_eq!(first.folded(0..first.len()), said[..many].join(" "));
            assert_eq!(last.folded(0..last.len()), said[said.len() - many..].join(" "));
        }
        assert_eq!(Words::of(" -- ").len() + Words::last(" -- ", 3).len() + Words::first("", 3).len(), 0);
    }

    #[test]
    fn whoever_has_no_twelve_words_of_the_prompt_in_a_row_does_not_echo_it() {
        let asked = Asked::of("Transcribe all the text on this page as it is written, with every break.");
        let (echo, mixed) = ("the text on this page as it is written with every break", "all text, all the pages");
        assert!(
            asked.may_be_echoed(&echo.to_uppercase())
                && asked.may_be_echoed("all all text text on on this page as it is is")
        );
        assert!(!asked.may_be_echoed(mixed) && !asked.may_be_echoed(&echo.replace("page", "leaf")));
        assert!(asked.transcribes && !asked.marks_up && Asked::of("As HTML, please").marks_up);
    }
}
