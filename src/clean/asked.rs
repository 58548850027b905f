//! A prompt as texts are compared with it, and the words of a text.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;

use super::chatter::{ECHO, TRANSCRIBED, speaks_of};
use super::letters::is_alphanumeric;

/// Bytes of a stretch of [`ECHO`] words, at least: each has a letter, and something stands between two.
const SHORTEST_STRETCH: usize = 2 * ECHO - 1;

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
    /// What tells most other words from them.
    heads: Heads,
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
        let vocabulary: HashSet<String> = (0..words.len()).map(|number| words.word(number).to_owned()).collect();
        Self {
            transcribes: speaks_of(prompt, &TRANSCRIBED),
            marks_up: speaks_of(prompt, &["markdown", "html", "xml", "tei", "latex", " md "]),
            heads: Heads::of(&vocabulary),
            vocabulary,
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
        let mut folded = String::new();
        let mut stands = |word: &str| self.stands(word, &mut folded);
        // No stretch begins before.
        let mut from = 0;
        while from < text.len() {
            let until = text.floor_char_boundary(from + SHORTEST_STRETCH);
            // Whatever stretch begins up to this word goes on to it: a stranger here spares the look at all those before it.
            let Some(word) = last_word(text, from..until) else {
                from = until;
                continue;
            };
            if !stands(&text[word.clone()]) {
                from = word.end;
                continue;
            }
            let (rest, mut words) = (&text[from..], 0);
            let mut next = places(rest).take(ECHO).inspect(|_| words += 1);
            match next.find(|word| !stands(&rest[word.clone()])) {
                Some(stranger) => from += stranger.end,
                None => return words == ECHO,
            }
        }
        false
    }

    /// Whether the first or the last [`ECHO`] words of a text all stand somewhere in the prompt.
    pub(super) fn may_be_echoed_at_an_edge(&self, text: &str) -> bool {
        let mut folded = String::new();
        let mut all = |text: &str| places(text).take(ECHO).all(|word| self.stands(&text[word], &mut folded));
        all(text) || all(last(text, ECHO))
    }

    /// Whether a word stands in the prompt; `folded` is lent for the look.
    fn stands(&self, word: &str, folded: &mut String) -> bool {
        self.heads.may_have(word) && {
            folded.clear();
            fold(word, folded);
            self.vocabulary.contains(folded)
        }
    }
}

/// First and last letters and lengths of the words of a vocabulary: most words that are not among them differ in one of these, and
/// need not be folded and looked up.
struct Heads {
    /// A bit for each of 2^14 shapes that words of ASCII have.
    shapes: [u64; 256],
    /// Whether a word has a letter beyond ASCII; folding may change the length of such a one.
    beyond: bool,
}

impl Heads {
    fn of(vocabulary: &HashSet<String>) -> Self {
        let mut heads = Self { shapes: [0; 256], beyond: vocabulary.iter().any(|word| !word.is_ascii()) };
        for shape in vocabulary.iter().filter(|word| word.is_ascii()).filter_map(|word| shape(word)) {
            heads.shapes[shape / 64] |= 1 << (shape % 64);
        }
        heads
    }

    fn may_have(&self, word: &str) -> bool {
        if !word.is_ascii() {
            // The sign for kelvin is a letter of ASCII in lower case.
            return self.beyond || word.contains('\u{212a}');
        }
        shape(word).is_some_and(|shape| self.shapes[shape / 64] >> (shape % 64) & 1 == 1)
    }
}

/// What a word of ASCII looks like from afar, in 14 bits: lower case and upper case look alike.
fn shape(word: &str) -> Option<usize> {
    let (first, last) = (word.as_bytes().first()?, word.as_bytes().last()?);
    Some(usize::from(first & 31) << 9 | usize::from(last & 31) << 4 | word.len().min(15))
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
        Self::of(last(text, most))
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

/// The end of a text that has its last words, `most` at most.
fn last(text: &str, most: usize) -> &str {
    let (mut words, mut inside) = (0, false);
    let behind = text.char_indices().rev().find_map(|(at, c)| {
        let is_of_word = is_alphanumeric(c);
        words += usize::from(inside && !is_of_word);
        inside = is_of_word;
        (words == most).then_some(at)
    });
    &text[behind.unwrap_or(0)..]
}

/// The last of the words of a text that begin in `range`, which does not begin inside a word; it may go on behind.
fn last_word(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let mut before = text[range.clone()].char_indices().rev();
    let (letter, _) = before.find(|(_, c)| is_alphanumeric(*c))?;
    let start = before.find(|(_, c)| !is_alphanumeric(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    let letter = range.start + letter;
    let behind = text[letter..].char_indices().find(|(_, c)| !is_alphanumeric(*c));
    Some(range.start + start..behind.map_or(text.len(), |(at, _)| letter + at))
}

/// Where the words of a text stand.
fn places(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut characters = text.char_indices();
    std::iter::from_fn(move || {
        let (start, _) = characters.find(|(_, c)| is_alphanumeric(*c))?;
        let end = characters.find(|(_, c)| !is_alphanumeric(*c)).map_or(text.len(), |(at, _)| at);
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn no_stretch_is_overlooked(parts in proptest::collection::vec((0..9_usize, 0..4_usize), 0..60)) {
            let asked = Asked::of("Read the page. Lies sie Straße für Straße, a b c d e f g h.");
            let (words, signs) = (["the", "a", "b", "STRASSE", "straße", "für", "Page", "ſtranger", "x"], [" ", ", ", "\n", " — "]);
            let text: String = parts.iter().flat_map(|(word, sign)| [words[*word], signs[*sign]]).collect();
            let all: Vec<Range<usize>> = places(&text).collect();
            let stands = |word: &Range<usize>| asked.stands(&text[word.clone()], &mut String::new());
            let echoed = all.windows(ECHO).any(|stretch| stretch.iter().all(stands));
            prop_assert_eq!(asked.may_be_echoed(&text), echoed, "{}", text);
        }
    }
}
