//! The guard: proves that a text which was cleaned lost no word and no number, and gained none.

use std::ops::Range;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Differences between two texts beyond which they are not compared any further: a page has a few thousand words.
const MOST_EDITS: usize = 1_000;
/// Letters by which a word may differ from what it was, to be the same word, changed.
const CHANGED_LETTERS: usize = 2;
/// Words that are named of a difference.
const NAMED: usize = 20;

/// A word or a number of a text, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    at: Range<usize>,
}

impl Token {
    fn is_number(&self) -> bool {
        self.text.chars().any(|c| c.is_numeric())
    }
}

/// Words and numbers of `text`: runs of letters and marks, and runs of digits with the signs between them. A word that a line end
/// splits counts as one.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, c)) = characters.next() {
        let is_word = c.is_alphabetic() || is_combining_mark(c);
        if !is_word && !c.is_numeric() {
            continue;
        }
        let mut end = start + c.len_utf8();
        while let Some((at, next)) = characters.peek().copied() {
            let behind = &text[at + next.len_utf8()..];
            let goes_on = if is_word {
                next.is_alphabetic() || is_combining_mark(next)
            } else {
                let between = matches!(next, '.' | ',' | '/' | ':' | '-');
                next.is_numeric() || (between && behind.starts_with(|c: char| c.is_numeric()))
            };
            if !goes_on {
                break;
            }
            end = at + next.len_utf8();
            characters.next();
        }
        let piece: String = text[start..end].nfc().collect();
        match tokens.last_mut() {
            Some(last) if is_word && !last.is_number() && is_split(&text[last.at.end..start]) => {
                last.text.push_str(&piece);
                last.at.end = end;
            }
            _ => tokens.push(Token { text: piece, at: start..end }),
        }
    }
    tokens
}

/// Whether what stands between two pieces of a word is a hyphen at a line end.
fn is_split(between: &str) -> bool {
    let Some(rest) = between.strip_prefix(['-', '¬', '⸗', '\u{ad}', '\u{2010}']) else { return false };
    let line_end = rest.trim_start_matches([' ', '\t', '\r']);
    line_end.strip_prefix('\n').is_some_and(|next| next.chars().all(|c| matches!(c, ' ' | '\t')))
}

/// How many words and numbers a text has.
#[must_use]
pub fn words(text: &str) -> usize {
    tokens(text).len()
}

/// Whether the words of `kept` are one unbroken stretch of those of `whole`, behind its first `before`.
#[must_use]
pub fn is_stretch(whole: &str, kept: &str, before: usize) -> bool {
    let (whole, kept) = (tokens(whole), tokens(kept));
    let stretch = whole.get(before..before + kept.len());
    stretch.is_some_and(|stretch| stretch.iter().zip(&kept).all(|(a, b)| a.text == b.text))
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Words and numbers that are gone and should not be; the first twenty are named.
    pub lost: Vec<String>,
    /// Words and numbers that were not there; the first twenty are named.
    pub added: Vec<String>,
    /// Words that are written in another way now, as pairs; the first twenty are named.
    pub changed: Vec<(String, String)>,
    /// All words of the text before.
    pub words: usize,
    /// How many words are gone that were recognised as the machine's.
    pub taken: usize,
    /// How many there are of lost, added and changed ones.
    pub counts: [usize; 3],
    /// The texts differ so much that nothing can be said of their words.
    pub beyond: bool,
}

impl Difference {
    /// Whether the text after may stand for the one before: nothing lost, nothing added, and at most `changed_percent` of the
    /// words written in another way.
    #[must_use]
    pub fn is_accepted(&self, changed_percent: f64) -> bool {
        let [lost, added, changed] = self.counts;
        let share = if self.words == 0 { 0.0 } else { changed as f64 * 100.0 / self.words as f64 };
        !self.beyond && lost == 0 && added == 0 && share <= changed_percent
    }
}

/// Compares two texts word by word, in order; case counts. What is gone within `machine` (ranges of bytes of `before`) was the
/// machine's and is not missed.
#[must_use]
pub fn compare(before: &str, after: &str, machine: &[Range<usize>]) -> Difference {
    let (old, new) = (tokens(before), tokens(after));
    let mut difference = Difference { words: old.len(), ..Difference::default() };
    let Some(hunks) = hunks(&old, &new) else { return Difference { beyond: true, ..difference } };
    let is_machines =
        |token: &Token| machine.iter().any(|span| span.start <= token.at.start && token.at.end <= span.end);
    for (gone, come) in hunks {
        let (theirs, missed): (Vec<&Token>, Vec<&Token>) = old[gone].iter().partition(|token| is_machines(token));
        difference.taken += theirs.len();
        judge_hunk(&missed, &new[come], &mut difference);
    }
    difference
}

/// Of as many words as before, those that are nearly the same are changed; all others are lost and added.
fn judge_hunk(gone: &[&Token], come: &[Token], difference: &mut Difference) {
    let pairs = gone.len() == come.len();
    for (place, old) in gone.iter().enumerate() {
        match come.get(place).filter(|new| pairs && is_same_word(old, new)) {
            Some(new) => {
                note(&mut difference.changed, (old.text.clone(), new.text.clone()));
                difference.counts[2] += 1;
            }
            None => {
                note(&mut difference.lost, old.text.clone());
                difference.counts[0] += 1;
            }
        }
    }
    for (place, new) in come.iter().enumerate() {
        if !(pairs && is_same_word(gone[place], new)) {
            note(&mut difference.added, new.text.clone());
            difference.counts[1] += 1;
        }
    }
}

fn note<T>(list: &mut Vec<T>, what: T) {
    if list.len() < NAMED {
        list.push(what);
    }
}

fn is_same_word(old: &Token, new: &Token) -> bool {
    !old.is_number() && !new.is_number() && strsim::levenshtein(&old.text, &new.text) <= CHANGED_LETTERS
}

type Hunk = (Range<usize>, Range<usize>);

/// Where two lists differ, after E. W. Myers, "An O(ND) difference algorithm"; `None` beyond [`MOST_EDITS`].
fn hunks(old: &[Token], new: &[Token]) -> Option<Vec<Hunk>> {
    let same = |(a, b): &(&Token, &Token)| a.text == b.text;
    let head = old.iter().zip(new).take_while(same).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(same).count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let trace = trace(a, b)?;
    let (mut hunks, mut x, mut y): (Vec<Hunk>, _, _) = (Vec::new(), a.len(), b.len());
    for (edits, row) in trace.iter().enumerate().rev() {
        let (from_x, from_y) = if edits == 0 { (0, 0) } else { step_back(row, edits, x, y) };
        // A snake of equal words lies between where this edit led and where the next one began.
        let (after_x, after_y) = if edits == 0 { (0, 0) } else { after_edit(from_x, from_y, x, y) };
        if edits > 0 {
            join(&mut hunks, (head + from_x..head + after_x, head + from_y..head + after_y));
        }
        (x, y) = (from_x, from_y);
    }
    hunks.reverse();
    Some(hunks)
}

/// Where the edit from here ended, before equal words led on towards (`x`, `y`).
fn after_edit(from_x: usize, from_y: usize, x: usize, y: usize) -> (usize, usize) {
    // One word gone moves right, one come moves down; the rest is diagonal.
    if x - from_x > y - from_y { (from_x + 1, from_y) } else { (from_x, from_y + 1) }
}

/// Adds an edit in front of those that follow it; neighbours become one hunk.
fn join(hunks: &mut Vec<Hunk>, edit: Hunk) {
    match hunks.last_mut() {
        Some((gone, come)) if edit.0.end == gone.start && edit.1.end == come.start => {
            gone.start = edit.0.start;
            come.start = edit.1.start;
        }
        _ => hunks.push(edit),
    }
}

/// For each number of edits, how far each diagonal reached *before* it: what the way back is read from.
type Row = Vec<usize>;

fn trace(a: &[Token], b: &[Token]) -> Option<Vec<Row>> {
    let most = (a.len() + b.len()).min(MOST_EDITS);
    let centre = most + 1;
    let mut reached: Row = vec![0; 2 * most + 3];
    let mut trace = Vec::new();
    for edits in 0..=most {
        // Only the diagonals that this number of edits can come from.
        trace.push(reached[centre - edits..=centre + edits].to_vec());
        let mut diagonal = -(edits as isize);
        while diagonal <= edits as isize {
            let at = centre.checked_add_signed(diagonal)?;
            let down =
                diagonal == -(edits as isize) || (diagonal != edits as isize && reached[at - 1] < reached[at + 1]);
            let mut x = if edits == 0 {
                0
            } else if down {
                reached[at + 1]
            } else {
                reached[at - 1] + 1
            };
            let mut y = x.checked_add_signed(-diagonal)?;
            while x < a.len() && y < b.len() && a[x].text == b[y].text {
                (x, y) = (x + 1, y + 1);
            }
            reached[at] = x;
            if x >= a.len() && y >= b.len() {
                return Some(trace);
            }
            diagonal += 2;
        }
    }
    None
}

/// Where the way stood before the `edits`-th edit that led towards (`x`, `y`).
fn step_back(row: &Row, edits: usize, x: usize, y: usize) -> (usize, usize) {
    let diagonal = x as isize - y as isize;
    let reached = |diagonal: isize| {
        let place = diagonal + edits as isize;
        usize::try_from(place).ok().and_then(|place| row.get(place)).copied()
    };
    let all = edits as isize;
    let (below, above) = (reached(diagonal - 1), reached(diagonal + 1));
    let down = diagonal == -all || (diagonal != all && below < above);
    let from = if down { diagonal + 1 } else { diagonal - 1 };
    let from_x = reached(from).unwrap_or_default();
    (from_x, from_x.checked_add_signed(-from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    fn accepted(before: &str, after: &str) -> bool {
        compare(before, after, &[]).is_accepted(0.0)
    }

    #[test]
    fn words_and_numbers_of_a_text() {
        let cases: [(&str, &[&str]); 7] = [
            ("Dear Sir, on 3.5.1848", &["Dear", "Sir", "on", "3.5.1848"]),
            ("the transcrip-\n  tion", &["the", "transcription"]),
            ("Nach¬\nricht und well-known", &["Nachricht", "und", "well", "known"]),
            ("a 12:30, 1/2 and 5-7.", &["a", "12:30", "1/2", "and", "5-7"]),
            ("e\u{301}te\u{301}", &["été"]),
            ("word-\n1848", &["word", "1848"]),
            ("", &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(said(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_lost_added_and_changed_is_told() {
        let difference = compare("one two three four 1848", "one too three five four 1849 six", &[]);
        assert_eq!(difference.changed, [("two".to_owned(), "too".to_owned())]);
        assert_eq!(
            (difference.lost, difference.added),
            (vec!["1848".into()], vec!["five".into(), "1849".into(), "six".into()])
        );
        assert_eq!(difference.counts, [1, 3, 1]);
    }

    #[test]
    fn a_text_is_taken_only_for_the_same_words() {
        let page = "In the year 1848, the 3.5., we came to Wien and saw the Straſse of the town.";
        assert!(accepted(page, page));
        assert!(accepted(page, &page.replace(", ", "\n")), "signs and line breaks are no words");
        let others = [
            page.replace("1848", "1843"),
            page.replace("Straſse", "Strasse"),
            page.replace("came ", ""),
            page.replace("came", "came on"),
            page.replace("came to", "to came"),
            page.replace("Wien", "wien"),
            String::new(),
        ];
        for other in others {
            assert!(!accepted(page, &other), "{other}");
        }
        assert!(compare(page, &page.replace("Straſse", "Strasse"), &[]).is_accepted(10.0));
        assert!(!compare(page, &page.replace("1848", "1843"), &[]).is_accepted(100.0), "a number is never changed");
    }

    #[test]
    fn the_machines_words_are_not_missed() {
        let rough = "The image shows a letter.\nDear Sir";
        let machine = 0..26;
        let difference = compare(rough, "Dear Sir", std::slice::from_ref(&machine));
        assert!(difference.is_accepted(0.0) && difference.taken == 5, "{difference:?}");
        assert!(!compare(rough, "Sir", std::slice::from_ref(&machine)).is_accepted(0.0));
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_beyond_comparison() {
        let many = |letter: &str| vec![letter; 2 * MOST_EDITS].join(" ");
        assert!(compare(&many("a"), &many("b"), &[]).beyond);
    }

    #[test]
    fn a_stretch_is_unbroken_and_stands_where_it_should() {
        assert!(is_stretch("a b c d", "b c", 1) && is_stretch("a b", "", 2));
        assert!(!is_stretch("a b c d", "b d", 1) && !is_stretch("a b c", "b", 0) && !is_stretch("a", "a b", 0));
    }

    proptest! {
        #[test]
        fn differences_add_up(a in proptest::collection::vec("[abc]{1,2}", 0..30), b in proptest::collection::vec("[abc]{1,2}", 0..30)) {
            let (before, after) = (a.join(" "), b.join(" "));
            let difference = compare(&before, &after, &[]);
            let [lost, added, _] = difference.counts;
            prop_assert_eq!(a.len() - lost, b.len() - added);
            prop_assert_eq!(difference.counts == [0, 0, 0], a == b);
        }

        #[test]
        fn a_word_that_is_removed_is_missed(words in proptest::collection::vec("[a-zß]{3,9}|[0-9]{1,4}", 2..60), at in any::<prop::sample::Index>()) {
            let at = at.index(words.len());
            let mut fewer = words.clone();
            fewer.remove(at);
            prop_assert!(accepted(&words.join(" "), &words.join("\n")));
            prop_assert!(!accepted(&words.join(" "), &fewer.join(" ")));
        }
    }
}
