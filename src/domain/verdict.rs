//! What we think of an answer.

use super::image::Reason;

/// The judgement of one answer; every other word (flags, codes) hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its text is written.
    Accept,
    /// The page bears no text: an empty text is written.
    Blank,
    /// Complete, but with words that no rule may remove by itself: written as a rough text.
    DeepClean,
    /// Unusable; asked again, and `counted` tells whether this was a paid attempt or nobody's fault.
    AskAgain {
        /// What was wrong with it.
        reason: Reason,
        /// Whether it uses one of the counted attempts.
        counted: bool,
    },
    /// Unusable, and asking again would buy the same.
    Reject(Reason),
}

impl Verdict {
    /// The word of the ledger.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Blank => "blank",
            Self::DeepClean => "deep_clean",
            Self::AskAgain { .. } => "ask_again",
            Self::Reject(_) => "reject",
        }
    }

    /// Its word and that of its reason, which is empty where a text came of it.
    #[must_use]
    pub fn outcome(&self) -> (&'static str, &'static str) {
        let reason = match self {
            Self::Accept | Self::Blank | Self::DeepClean => "",
            Self::AskAgain { reason, .. } | Self::Reject(reason) => reason.word(),
        };
        (self.word(), reason)
    }
}
