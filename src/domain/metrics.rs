//! How far two texts are apart: edits over characters and over words, and what share of a whole they are.
//!
//! Memory is one row of the shorter text, time is the product of both lengths less what they share at both ends.

/// Edits against the length of the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Insertions, deletions and replacements.
    pub edits: u64,
    /// Signs, or words, of the truth.
    pub of: u64,
}

impl Errors {
    /// Adds those of another page.
    pub fn add(&mut self, other: Self) {
        self.edits += other.edits;
        self.of += other.of;
    }

    /// The rate; `None` where the truth is empty: unknown is not zero.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(self) -> Option<f64> {
        (self.of > 0).then(|| self.edits as f64 / self.of as f64)
    }
}

/// Errors over characters, white space runs counted as one blank.
#[must_use]
pub fn characters(read: &str, truth: &str) -> Errors {
    let signs = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect::<Vec<_>>();
    errors(&signs(read), &signs(truth))
}

/// Errors over words, as white space parts them.
#[must_use]
pub fn words(read: &str, truth: &str) -> Errors {
    let words = |text| str::split_whitespace(text).collect::<Vec<_>>();
    errors(&words(read), &words(truth))
}

fn errors<T: PartialEq>(read: &[T], truth: &[T]) -> Errors {
    Errors { edits: edits(read, truth) as u64, of: truth.len() as u64 }
}

/// Levenshtein distance: the fewest insertions, deletions and replacements from one sequence to the other.
#[must_use]
pub fn edits<T: PartialEq>(one: &[T], other: &[T]) -> usize {
    let same = one.iter().zip(other).take_while(|(left, right)| left == right).count();
    let (one, other) = (&one[same..], &other[same..]);
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(left, right)| left == right).count();
    let (one, other) = (&one[..one.len() - same], &other[..other.len() - same]);
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    let mut row: Vec<usize> = (0..=short.len()).collect();
    for (index, left) in long.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, right) in short.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[short.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances() {
        for (one, other, signs, tokens) in [
            ("", "", 0, 0),
            ("abc", "", 3, 1),
            ("kitten", "sitting", 3, 1),
            ("a b  c\n", "a b c", 0, 0),
            ("the old house", "the new house", 3, 1),
            ("ſo", "so", 1, 1),
        ] {
            assert_eq!(characters(one, other).edits, signs, "{one:?} {other:?}");
            assert_eq!(words(one, other).edits, tokens, "{one:?} {other:?}");
        }
        assert_eq!(characters("x", "").rate(), None);
        assert_eq!(words("a b c x", "a b c d").rate(), Some(0.25));
    }

    proptest! {
        #[test]
        fn a_distance_is_one(one in "[ab]{0,12}", two in "[ab]{0,12}", three in "[ab]{0,12}") {
            let [one, two, three] = [one, two, three].map(|text| text.into_bytes());
            prop_assert_eq!(edits(&one, &two), edits(&two, &one));
            prop_assert_eq!(edits(&one, &two) == 0, one == two);
            prop_assert!(edits(&one, &three) <= edits(&one, &two) + edits(&two, &three));
        }
    }
}
