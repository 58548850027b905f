//! Letters, by a table of those that most scripts are written in. The library looks whatever is not ASCII up in compressed tables,
//! which is most of what it takes to look a page of Czech or Russian over.

use std::sync::LazyLock;

/// Signs that the table tells of: all that UTF-8 writes in one or two bytes, which are Latin, Greek, Cyrillic, Hebrew, Arabic.
const TOLD: usize = 0x800;
/// Least first byte of a sign beyond ASCII; other bytes of such signs are smaller.
const BEYOND: u8 = 0xc2;
/// Words of 64 bits that hold as many bits.
const WORDS: usize = TOLD / 64;

static ALPHABETIC: LazyLock<[u64; WORDS]> = LazyLock::new(|| table(char::is_alphabetic));
static ALPHANUMERIC: LazyLock<[u64; WORDS]> = LazyLock::new(|| table(char::is_alphanumeric));

fn table(is: fn(char) -> bool) -> [u64; WORDS] {
    let mut table = [0; WORDS];
    for sign in (0..).map_while(char::from_u32).take(TOLD).filter(|sign| is(*sign)) {
        table[sign as usize / 64] |= 1 << (sign as usize % 64);
    }
    table
}

/// As [`char::is_alphanumeric`].
pub(super) fn is_alphanumeric(sign: char) -> bool {
    if sign.is_ascii() {
        return sign.is_ascii_alphanumeric();
    }
    told(&ALPHANUMERIC, sign).unwrap_or_else(|| sign.is_alphanumeric())
}

fn told(table: &[u64; WORDS], sign: char) -> Option<bool> {
    table.get(sign as usize / 64).map(|bits| bits >> (sign as usize % 64) & 1 == 1)
}

/// How many letters a text has, by [`char::is_alphabetic`].
pub(super) fn count(text: &str) -> usize {
    let table = &*ALPHABETIC;
    let beyond = signs_from(text, BEYOND).filter(|sign| told(table, *sign).unwrap_or_else(|| sign.is_alphabetic()));
    text.bytes().filter(u8::is_ascii_alphabetic).count() + beyond.count()
}

/// The signs of a text whose first byte is `first` or larger, itself at least [`BEYOND`]: in most texts they are few, and to see that
/// none is among many bytes takes no longer than to look at one sign.
pub(super) fn signs_from(text: &str, first: u8) -> impl Iterator<Item = char> {
    const PIECE: usize = 64;
    let of_piece = move |(number, piece): (usize, &'_ [u8])| {
        // Without an early end the loop is done for many bytes at once.
        let any = piece.iter().fold(false, |any, byte| any | (*byte >= first));
        let range = number * PIECE..number * PIECE + if any { piece.len() } else { 0 };
        range.filter(move |at| text.as_bytes()[*at] >= first)
    };
    text.as_bytes().chunks(PIECE).enumerate().flat_map(of_piece).filter_map(|at| text[at..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_library_says() {
        for sign in ('\0'..='\u{1000}').chain(['一', 'が', '\u{301}', '🙂']) {
            assert_eq!(is_alphanumeric(sign), sign.is_alphanumeric(), "{sign:?}");
            assert_eq!(count(&sign.to_string()), usize::from(sign.is_alphabetic()), "{sign:?}");
        }
        let long = "Straße, 12 km — Žižka; Вена 一🙂 ".repeat(9) + &"a".repeat(70);
        for first in [BEYOND, 0xcc, 0xe0, 0xf0] {
            let least = |sign: &char| sign.to_string().as_bytes()[0] >= first;
            let signs: Vec<char> = long.chars().filter(least).collect();
            assert_eq!(signs_from(&long, first).collect::<Vec<_>>(), signs, "{first}");
        }
        assert_eq!(count("Straße, 12 km — Žižka; Вена 一"), 6 + 2 + 5 + 4 + 1);
    }
}
