//! Repetition: a model that runs away writes one thing until its tokens end. So do litanies, ledgers and tables of contents, which
//! is why only a runaway *ending* decides, and all else is a flag.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};
use memchr::memmem;

/// What counts as a loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoopLimits {
    /// Copies of one unit at the end, at least.
    pub copies: usize,
    /// Characters that they fill, at least.
    pub characters: usize,
    /// Deflated size by size, at most.
    pub deflate_ratio: f64,
    /// Share of the lines that are one line, at least.
    pub line_share: f64,
}

impl Default for LoopLimits {
    /// Source: `quality.md` §3, counted on true pages and published loops.
    fn default() -> Self {
        Self { copies: 6, characters: 200, deflate_ratio: 0.10, line_share: 0.40 }
    }
}

/// Longest unit that is looked for, in characters.
const LONGEST_UNIT: usize = 400;
/// Letters of a unit, at least: dots, dashes and zeros are drawn on pages, too.
const LETTERS: usize = 2;
/// Share of the text that the copies fill, at least.
const SHARE: f64 = 0.30;
/// Characters at the end that are looked at; what loops for longer loops here, too.
const LOOKED_AT: usize = 64 << 10;
/// Shortest text in bytes whose deflated size says anything.
const DEFLATED_FROM: usize = 1_000;
/// Bytes of a window that is looked for further up: longer than most words with their blanks.
const WINDOW: usize = 8;
/// Share of the windows that stand further up, too, below which no text deflates to a tenth: that takes matches of a dozen
/// bytes and more nearly everywhere, in which five windows of twelve are repeated. Pages of prose have a few in a hundred.
const REPEATED: f64 = 0.15;
/// Most places of windows that are remembered.
const PLACES: usize = 64 << 10;
/// Lines from which on their shares say anything.
const LINES: usize = 10;
/// Equal lines in a row that are worth a flag.
const IN_A_ROW: usize = 5;
/// Bytes at the end of a text that stand further up, too, if it loops.
const LAST: usize = 8;

/// Whether a text ends in a loop: one unit again and again.
#[must_use]
pub fn runs_away(text: &str, limits: &LoopLimits) -> bool {
    let text = text.trim_end();
    if !may_loop(text, limits) {
        return false;
    }
    let characters: Vec<char> = text.chars().collect();
    let from = characters.len().saturating_sub(LOOKED_AT);
    let end = &characters[from..];
    let least = limits.characters.max((characters.len() as f64 * SHARE).ceil() as usize).min(LOOKED_AT);
    (1..=LONGEST_UNIT.min(end.len() / limits.copies.max(1))).any(|unit| is_loop(end, unit, limits.copies, least))
}

/// Whether a text may end in a loop, by its last bytes: no text is known by them to loop, but most are to do no such thing.
fn may_loop(text: &str, limits: &LoopLimits) -> bool {
    // With two copies half of the looping end repeats what is above it.
    if limits.copies < 2 || limits.characters < 2 * LAST {
        return true;
    }
    let bytes = text.as_bytes();
    let Some(above) = bytes.len().checked_sub(LAST) else { return false };
    // A unit has at most so many characters, each of at most four bytes.
    let from = above.saturating_sub(4 * LONGEST_UNIT);
    memmem::find(&bytes[from..bytes.len() - 1], &bytes[above..]).is_some()
}

/// Whether the end of `text` repeats with a period of `unit` characters, often and long enough.
fn is_loop(text: &[char], unit: usize, copies: usize, least: usize) -> bool {
    let repeated = text.iter().rev().zip(text.iter().rev().skip(unit)).take_while(|(a, b)| a == b).count();
    // The last copy itself is one of them.
    let whole = repeated + unit;
    let letters = || text[text.len() - unit..].iter().filter(|c| c.is_alphabetic()).count();
    whole >= unit * copies && whole >= least && letters() >= LETTERS
}

/// Whether a text that was cut at its token limit is a loop: it deflates to next to nothing.
#[must_use]
pub fn deflates_away(text: &str, limits: &LoopLimits) -> bool {
    text.len() >= DEFLATED_FROM
        // Deflating takes longer than all the rest of judging, and most texts are far from a loop.
        && (limits.deflate_ratio > 0.10 || repeated(text.as_bytes()) >= REPEATED)
        && ratio(text) <= limits.deflate_ratio
}

/// Share of the windows of a text that stand further up in it, too; somewhat less than there are, in a very long text.
fn repeated(text: &[u8]) -> f64 {
    let window = |at: usize| text[at..].first_chunk::<WINDOW>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let windows = text.len().saturating_sub(WINDOW - 1);
    // Empty places lead to the first window, which is the same as whatever is looked for or is not.
    let mut places = vec![0_u32; (2 * text.len()).next_power_of_two().min(PLACES)];
    let mut repeated = 0_usize;
    for (number, at) in (0..windows).zip(0_u32..) {
        let this = window(number);
        // Fibonacci hashing: the upper bits depend on all the lower ones.
        let place = (this.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize & (places.len() - 1);
        let before = std::mem::replace(&mut places[place], at) as usize;
        repeated += usize::from(before < number && window(before) == this);
    }
    repeated as f64 / windows.max(1) as f64
}

/// Whether a text repeats itself so much that a person should look.
#[must_use]
pub fn is_repetitive(text: &str, limits: &LoopLimits) -> bool {
    deflates_away(text, limits) || lines_repeat(text, limits)
}

/// Deflated size by size.
fn ratio(text: &str) -> f64 {
    thread_local! {
        // 300 KB, which cost more to ask for and to give back at each text than its deflating.
        static DEFLATER: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), false));
    }
    DEFLATER.with_borrow_mut(|deflater| {
        deflater.reset();
        let mut thrown_away = [0; 4096];
        loop {
            let left = &text.as_bytes()[usize::try_from(deflater.total_in()).unwrap_or(text.len())..];
            match deflater.compress(left, &mut thrown_away, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break deflater.total_out() as f64 / text.len().max(1) as f64,
                Ok(_) => {}
                // Deflating into memory cannot fail.
                Err(_) => break 1.0,
            }
        }
    })
}

/// Whether a line stands several times in a row, or is a large part of all lines. Lines without letters are drawn, not written.
fn lines_repeat(text: &str, limits: &LoopLimits) -> bool {
    let is_written = |line: &&str| line.chars().any(char::is_alphabetic);
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(is_written).collect();
    let longest_row = |lines: &[&str]| lines.chunk_by(|one, other| one == other).map(<[_]>::len).max().unwrap_or(0);
    if longest_row(&lines) >= IN_A_ROW {
        return true;
    }
    // Most lines differ in their length already.
    lines.sort_unstable_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
    lines.len() >= LINES && longest_row(&lines) as f64 >= lines.len() as f64 * limits.line_share
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LoopLimits = LoopLimits { copies: 6, characters: 200, deflate_ratio: 0.10, line_share: 0.40 };

    fn page() -> String {
        "The road from Wien to Praha was long, and the horses were tired when we came to the inn.\n".to_owned()
            + "There we met a man who had served under the old emperor, and who told us of the war.\n"
            + "In the morning we went on, through woods and over a bridge that the spring floods had broken.\n"
    }

    #[test]
    fn only_a_runaway_ending_is_a_loop() {
        let cases = [
            (page() + &"and the man said to him ".repeat(40), true),
            (page() + &"The same line of text\n".repeat(20), true),
            (page() + &"na".repeat(300), true),
            (page() + &"word ".repeat(20), false),
            (page() + &".".repeat(400), false),
            (page() + &"0 0 0 0\n".repeat(60), false),
            (page() + &"~~~\n".repeat(100), false),
            ("and again ".repeat(60) + &page() + &page(), false),
            (page(), false),
            (String::new(), false),
        ];
        for (text, wanted) in cases {
            assert_eq!(runs_away(&text, &LIMITS), wanted, "{}", &text[text.len().saturating_sub(60)..]);
        }
    }

    #[test]
    fn what_repeats_itself_is_flagged() {
        let litany: String =
            ["Sancta Maria", "Sancta Dei Genitrix", "Sancte Michael", "Sancte Gabriel", "Sancte Petre"]
                .iter()
                .map(|saint| format!("{saint},\nora pro nobis.\n"))
                .collect();
        let rows = "Peter Müller\n".repeat(5);
        let drawn = page() + &"~~~\n".repeat(5);
        for (text, wanted) in [(litany, true), (rows, true), (drawn, false), (page(), false)] {
            assert_eq!(is_repetitive(&text, &LIMITS), wanted, "{text}");
        }
        // However long the unit is: what is looked for first never hides what deflating finds.
        for unit in [1, 7, 40, 300, 3_000] {
            let unit: String = (0..unit).map(|n| char::from(b'a' + (n * n * 7 % 23) as u8)).collect();
            for copies in [3, 12, 40] {
                let text = unit.repeat((1_000 / unit.len()).max(1) * copies);
                assert_eq!(deflates_away(&text, &LIMITS), ratio(&text) <= 0.10, "{} x {copies}", unit.len());
            }
        }
        assert!(deflates_away(&"the same again ".repeat(100), &LIMITS) && !deflates_away(&page(), &LIMITS));
    }
}
