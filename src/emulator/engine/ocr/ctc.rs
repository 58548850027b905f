//! Class probabilities per column to symbols: best class of each column, repeats merged, blanks left
//! out (greedy CTC). Where the best class is one that print often confuses, the second choice is kept
//! too; `spelling` decides between them.

/// What the recogniser's classes stand for.
pub(super) struct Alphabet {
    /// `symbols[n]` is class `n + 1`; class 0 is the blank between symbols.
    symbols: Vec<char>,
    /// Classes that are letters, none of them ideographs, with their letters.
    letters: Vec<(usize, char)>,
    /// Classes that no western page holds are left out of these, the blank among them.
    western: Vec<usize>,
}

/// One symbol read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Symbol {
    pub(super) best: char,
    /// Probability of `best`, 0 to 1.
    pub(super) probability: f32,
    /// What it is if it is not `best`.
    pub(super) second: Second,
    /// Where it stands, as a share of the line's width from its left side.
    pub(super) place: f32,
}

/// The second choice for a symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Second {
    /// Nothing to confuse it with.
    Same,
    /// For a digit: the most probable letter.
    Letter(char),
    /// For an ideograph or the like: the most probable class of western print, nothing if that is the blank.
    Western(Option<char>),
}

impl Alphabet {
    /// One symbol a line; the space is not listed and comes last.
    pub(super) fn new(listing: &str) -> Self {
        let symbols: Vec<char> = listing.lines().filter_map(|line| line.chars().next()).chain([' ']).collect();
        let numbered = || symbols.iter().enumerate().map(|(index, symbol)| (index + 1, *symbol));
        let letters = numbered().filter(|(_, symbol)| symbol.is_alphabetic() && !is_eastern(*symbol)).collect();
        let western = numbered().filter(|(_, symbol)| !is_eastern(*symbol)).map(|(class, _)| class);
        Self { letters, western: [0].into_iter().chain(western).collect(), symbols }
    }

    /// Classes the recogniser must have for this alphabet, the blank counted.
    pub(super) fn classes(&self) -> usize {
        self.symbols.len() + 1
    }

    /// Decodes columns of `classes()` probabilities each.
    pub(super) fn decode(&self, probabilities: &[f32]) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        let mut previous = 0;
        let columns = probabilities.chunks_exact(self.classes());
        let width = columns.len() as f32;
        for (index, column) in columns.enumerate() {
            let class = most_probable(column, 0..column.len());
            if class != previous && class > 0 {
                let best = self.symbols[class - 1];
                let place = (index as f32 + 0.5) / width;
                symbols.push(Symbol { best, probability: column[class], second: self.second(best, column), place });
            }
            previous = class;
        }
        symbols
    }

    fn second(&self, best: char, column: &[f32]) -> Second {
        if best.is_ascii_digit() {
            let class = most_probable(column, self.letters.iter().map(|(class, _)| *class));
            Second::Letter(self.symbols[class - 1])
        } else if is_eastern(best) {
            let class = most_probable(column, self.western.iter().copied());
            Second::Western(class.checked_sub(1).map(|index| self.symbols[index]))
        } else {
            Second::Same
        }
    }
}

/// Ideographs, kana and the full-width forms that go with them.
pub(super) fn is_eastern(symbol: char) -> bool {
    matches!(symbol, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

/// The class of the highest probability; the first of equals.
fn most_probable(column: &[f32], classes: impl Iterator<Item = usize>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for class in classes {
        if column[class] > best.1 {
            best = (class, column[class]);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns over the alphabet `a`, `1`, `年`, space: the first character is the best class, the
    /// second one the next best, `-` the blank.
    fn columns(choices: &[&str]) -> Vec<f32> {
        let column = |choice: &&str| {
            let rank = |class: char| choice.chars().position(|chosen| chosen == class);
            "-a1年_"
                .chars()
                .map(rank)
                .map(|rank| [0.7, 0.2].get(rank.unwrap_or(9)).copied().unwrap_or(0.01))
                .collect::<Vec<f32>>()
        };
        choices.iter().flat_map(column).collect()
    }

    fn decoded(choices: &[&str]) -> Vec<Symbol> {
        Alphabet::new("a\n1\n年\n").decode(&columns(choices))
    }

    #[test]
    fn merges_repeats_and_leaves_out_blanks() {
        let table: [(&[&str], &str); 7] = [
            (&[], ""),
            (&["-", "-"], ""),
            (&["a", "a", "1"], "a1"),
            (&["a", "-", "a"], "aa"),
            (&["-", "a", "a", "-", "-", "a", "1", "-"], "aa1"),
            (&["a", "_", "1"], "a 1"),
            (&["a", "-", "_", "_", "-", "1"], "a 1"),
        ];
        for (choices, text) in table {
            let symbols = decoded(choices);
            assert_eq!(symbols.iter().map(|symbol| symbol.best).collect::<String>(), text, "{choices:?}");
            assert!(symbols.iter().all(|symbol| symbol.probability == 0.7));
        }
    }

    #[test]
    fn knows_where_a_symbol_stands() {
        let places: Vec<f32> = decoded(&["-", "a", "a", "-", "1"]).iter().map(|symbol| symbol.place).collect();
        assert_eq!(places, [0.3, 0.9]);
    }

    #[test]
    fn keeps_the_second_choice_where_print_confuses() {
        let table = [("a1", Second::Same), ("1a", Second::Letter('a')), ("年1", Second::Western(Some('1')))];
        for (choice, second) in table {
            assert_eq!(decoded(&[choice])[0].second, second, "{choice}");
        }
    }

    #[test]
    fn the_compiled_in_alphabet_is_read_whole() {
        let alphabet = Alphabet::new(super::super::weights::ALPHABET);
        assert_eq!(alphabet.classes(), 6906);
        assert_eq!((alphabet.symbols[0], alphabet.symbols[6904]), ('!', ' '));
    }
}
