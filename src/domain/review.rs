//! What a person thinks of a text; kept apart from what the program thinks of the answer.

/// A person's verdict on a text. None: nobody has looked at it yet (`unreviewed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// It can be used as it is.
    Good,
    /// Somebody has to mend it.
    NeedsWork,
    /// The page itself cannot be read.
    Unreadable,
}

impl Review {
    /// Every verdict, in the order of the keys 1, 2 and 3.
    pub const ALL: [Self; 3] = [Self::Good, Self::NeedsWork, Self::Unreadable];
    /// The word for none.
    pub const NONE: &'static str = "unreviewed";

    /// The word kept in the ledger, and used by pages and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NeedsWork => "needs_work",
            Self::Unreadable => "unreadable",
        }
    }

    /// The verdict behind a word; the outer `None`: it is no word of ours, the inner one: nobody has looked.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Option<Self>> {
        if word == Self::NONE {
            return Some(None);
        }
        Self::ALL.into_iter().find(|review| review.word() == word).map(Some)
    }
}

/// What a person did at an image's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Gave a verdict on it, or took it back.
    Reviewed(Option<Review>),
    /// Wrote it: it is a person's from now on. First 16 bytes of the BLAKE3 of what stands there now.
    Edited([u8; 16]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back() {
        for review in Review::ALL {
            assert_eq!(Review::from_word(review.word()), Some(Some(review)));
        }
        assert_eq!((Review::from_word("unreviewed"), Review::from_word("fine")), (Some(None), None));
    }
}
