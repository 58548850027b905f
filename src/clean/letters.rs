//! Letters, by a table of those that most scripts are written in. The library looks whatever is not ASCII up in compressed tables,
//! which is most of what it takes to look a page of Czech or Russian over.

use std::sync::LazyLock;

/// Signs that the table tells of: all that UTF-8 writes in one or two bytes, which are Latin, Greek, Cyrillic, Hebrew, Arabic.
const TOLD: usize = 0x800;
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
    if text.is_ascii() {
        return text.bytes().filter(u8::is_ascii_alphabetic).count();
    }
    let table = &*ALPHABETIC;
    text.chars().filter(|sign| told(table, *sign).unwrap_or_else(|| sign.is_alphabetic())).count()
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
        assert_eq!(count("Straße, 12 km — Žižka; Вена 一"), 6 + 2 + 5 + 4 + 1);
    }
}
