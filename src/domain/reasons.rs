//! Why an image has no text, in the words of the terminal, the report and the pages. Ledger, JSON, CSV and metrics keep the codes.

use super::image::Reason;

impl Reason {
    /// What is said in the place of its code: short enough to stand behind a number or a path.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::EmptyFile => "empty file",
            Self::NotAnImage => "not an image",
            Self::Damaged => "damaged",
            Self::TooLarge => "too large",
            Self::OverAllowance => "more tokens than the queue takes",
            Self::UnsupportedFormat => "unsupported format",
            Self::KeepsChanging => "changed while it was read",
            Self::Missing => "file is gone",
            Self::ImageRefused => "image refused by the provider",
            Self::Refused => "refused by the model",
            Self::ContentFilter => "stopped by the provider's filter",
            Self::Truncated => "cut off at the token limit",
            Self::ReasoningAteBudget => "all tokens spent on reasoning",
            Self::Empty => "no text came",
            Self::Loop => "text repeats itself",
            Self::BlankConflict => "unclear whether blank",
            Self::JsonInvalid => "not JSON",
            Self::SchemaMismatch => "JSON that does not fit the schema",
            Self::DeepRejected => "deep cleaning changed words",
            Self::ProviderError => "error of the provider",
            Self::NeverRan => "never run by the provider",
            Self::ResultsGone => "results gone at the provider",
            Self::ProgramError => "error of this program",
            Self::TextPresent => "text is there already",
            Self::Excluded => "excluded",
        }
    }
}

/// The words of a code of the ledger; one that a newer version wrote is told as it is, without its underscores.
#[must_use]
pub fn words(code: &str) -> String {
    Reason::from_word(code).map_or_else(|| code.replace('_', " "), |reason| reason.words().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own() {
        let all: std::collections::BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::words).collect();
        assert_eq!(all.len(), Reason::ALL.len());
        assert!(all.iter().all(|words| !words.contains('_')), "{all:?}");
        assert_eq!([words("missing"), words("of_tomorrow")], ["never run by the provider", "of tomorrow"]);
    }
}
