//! Symbols to text: settles what a letter's shape alone cannot, by what stands around it.
//!
//! Only the network's own second choice is ever taken, never a word from a list: a recogniser that
//! knows words invents them.

use super::ctc::{Second, Symbol, is_eastern};

/// A page is western if at most this share of its symbols are ideographs: those are misread strokes.
const EASTERN_SHARE_MAX: f32 = 0.2;

/// So many letters after a leading digit make it one of them.
const LETTERS_AFTER_MIN: usize = 4;

/// Whether the page's script knows no ideographs, given the symbols of all its lines.
pub(super) fn is_western<'a>(symbols: impl Iterator<Item = &'a Symbol>) -> bool {
    let (mut eastern, mut all) = (0_u32, 0_u32);
    for symbol in symbols {
        all += 1;
        eastern += u32::from(is_eastern(symbol.best));
    }
    eastern as f32 <= EASTERN_SHARE_MAX * all as f32
}

/// Text of one line. On a western page ideographs give way to their second choice, and so do the
/// digits `1` and `0` within words: typewriters had one type for `l` and `1`, for `O` and `0`.
pub(super) fn text(symbols: &[Symbol], western: bool) -> String {
    if !western {
        return symbols.iter().map(|symbol| symbol.best).collect();
    }
    let mut text = String::with_capacity(symbols.len());
    for word in symbols.split_inclusive(|symbol| !is_word(symbol.best)) {
        text.extend((0..word.len()).filter_map(|index| settled(word, index)));
    }
    text
}

/// What a symbol of a western word is; nothing if it is no symbol at all.
fn settled(word: &[Symbol], index: usize) -> Option<char> {
    let symbol = word[index];
    match symbol.second {
        Second::Western(second) => second,
        Second::Letter(letter) if matches!(symbol.best, '0' | '1') && stands_for_letter(word, index) => Some(letter),
        _ => Some(symbol.best),
    }
}

/// Whether the digit at `index` stands among letters as one of them.
fn stands_for_letter(word: &[Symbol], index: usize) -> bool {
    let letters = word.iter().filter(|symbol| symbol.best.is_alphabetic()).count();
    let digits = word.iter().filter(|symbol| symbol.best.is_numeric()).count();
    let begins = !word[..index].iter().any(|symbol| symbol.best.is_alphabetic());
    let is_elided = word.get(index + 1).is_some_and(|next| matches!(next.best, '\'' | '’'));
    // `1st`, `1er`, `0frs` are right as they stand.
    letters > digits && (!begins || is_elided || letters >= LETTERS_AFTER_MIN)
}

/// Whether a word may hold this symbol: an apostrophe does not end it (`1'herbe`).
fn is_word(symbol: char) -> bool {
    symbol.is_alphanumeric() && !is_eastern(symbol) || matches!(symbol, '\'' | '’')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every digit's second choice is `l`, every ideograph's a full stop.
    fn symbols(line: &str) -> Vec<Symbol> {
        let second = |best: char| match best {
            '0'..='9' => Second::Letter('l'),
            best if is_eastern(best) => Second::Western(Some('.')),
            _ => Second::Same,
        };
        line.chars().map(|best| Symbol { best, probability: 0.9, second: second(best), place: 0.5 }).collect()
    }

    #[test]
    fn digits_give_way_within_words_only() {
        let table = [
            ("", ""),
            ("bui1ding", "building"),
            ("1'herbe", "l'herbe"),
            ("Wi11ie, 11", "Willie, 11"),
            ("21st 60H 1v.h. 5o", "21st 60H 1v.h. 5o"),
            ("le 4.7.1962", "le 4.7.1962"),
            ("Mar5h", "Mar5h"),
            ("1st 1er 0frs", "1st 1er 0frs"),
            ("1solés", "lsolés"),
            ("No.1 A1", "No.1 A1"),
            ("page 1年", "page 1."),
        ];
        for (read, expected) in table {
            assert_eq!(text(&symbols(read), true), expected, "{read}");
        }
    }

    #[test]
    fn an_eastern_page_is_left_as_it_was_read() {
        let line = symbols("二〇一1年bui1ding");
        assert_eq!(text(&line, false), "二〇一1年bui1ding");
    }

    #[test]
    fn a_few_ideographs_do_not_make_a_page_eastern() {
        let table = [("", true), ("a letter with a 年 in it", true), ("年月日 1905", false)];
        for (page, western) in table {
            assert_eq!(is_western(symbols(page).iter()), western, "{page}");
        }
    }
}
