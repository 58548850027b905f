//! Class scores per column to text: best class of each column, repeats merged, blanks left out (greedy CTC).

/// What the recogniser's classes stand for.
pub(super) struct Alphabet {
    /// `symbols[n]` is class `n + 1`; class 0 is the blank between symbols.
    symbols: Vec<String>,
}

/// Text of one line and how sure the recogniser is of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    pub(super) text: String,
    /// Mean probability of the symbols, 0 to 1; 0 for no text.
    pub(super) confidence: f32,
}

impl Alphabet {
    /// One symbol a line; the space is not listed and comes last.
    pub(super) fn new(listing: &str) -> Self {
        let mut symbols: Vec<String> = listing.lines().map(str::to_owned).collect();
        symbols.push(" ".to_owned());
        Self { symbols }
    }

    /// Classes the recogniser must have for this alphabet, the blank counted.
    pub(super) fn classes(&self) -> usize {
        self.symbols.len() + 1
    }

    /// Decodes columns of `classes()` probabilities each.
    pub(super) fn decode(&self, probabilities: &[f32]) -> Decoded {
        let mut text = String::new();
        let (mut sum, mut symbols) = (0.0, 0_u16);
        let mut previous = 0;
        for column in probabilities.chunks_exact(self.classes()) {
            let (class, probability) = best(column);
            if class != previous && class > 0 {
                text.push_str(&self.symbols[class - 1]);
                sum += probability;
                symbols += 1;
            }
            previous = class;
        }
        Decoded { text, confidence: if symbols == 0 { 0.0 } else { sum / f32::from(symbols) } }
    }
}

/// The class of the highest probability; the first of equals.
fn best(column: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, probability) in column.iter().enumerate() {
        if *probability > best.1 {
            best = (class, *probability);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns that are sure of one class each: `-` blank, `a`, `b`, `_` space.
    fn columns(classes: &str) -> Vec<f32> {
        let column = |class: char| {
            let index = "-ab_".find(class).expect("a class of this alphabet");
            (0..4).map(move |other| if other == index { 0.8 } else { 0.1 })
        };
        classes.chars().flat_map(column).collect()
    }

    #[test]
    fn merges_repeats_and_leaves_out_blanks() {
        let alphabet = Alphabet::new("a\nb\n");
        let table = [
            ("", ""),
            ("---", ""),
            ("aab", "ab"),
            ("a-a", "aa"),
            ("-aa--ab-", "aab"),
            ("a_b", "a b"),
            ("a-__-b", "a b"),
        ];
        for (classes, text) in table {
            assert_eq!(alphabet.decode(&columns(classes)).text, text, "{classes}");
        }
    }

    #[test]
    fn confidence_is_the_mean_over_symbols_alone() {
        let alphabet = Alphabet::new("a\nb\n");
        let sure = alphabet.decode(&columns("--a--b"));
        assert!((sure.confidence - 0.8).abs() < 1e-6);
        assert!(alphabet.decode(&columns("----")).confidence == 0.0);
    }

    #[test]
    fn the_compiled_in_alphabet_is_read_whole() {
        let alphabet = Alphabet::new(super::super::weights::ALPHABET);
        assert_eq!(alphabet.classes(), 6906);
        assert_eq!(alphabet.symbols[0], "!");
        assert_eq!(alphabet.symbols[6904], " ");
    }
}
