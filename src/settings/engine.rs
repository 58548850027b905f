//! `provider.engine`: what the built-in provider reads pages with.

/// What provider `local` reads pages with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded recogniser.
    Ocr,
    /// Answers made from the request alone.
    Echo,
    /// An OpenAI-compatible server at this URL.
    Url(String),
}

impl Engine {
    /// The engine behind a word or URL, as `provider.engine` and `emulate --engine` take it.
    #[must_use]
    pub fn named(text: &str) -> Self {
        match text {
            "ocr" => Self::Ocr,
            "echo" => Self::Echo,
            url => Self::Url(url.to_owned()),
        }
    }

    /// The word or URL behind it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Ocr => "ocr",
            Self::Echo => "echo",
            Self::Url(url) => url,
        }
    }
}
