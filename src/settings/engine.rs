//! `provider.engine`: what the built-in provider reads pages with, and who is handed the images.

use super::address::{Address, host_in};
use super::{ProviderKind, Settings};

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

    /// Host of a server on another computer, which is handed every page.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&str> {
        let Self::Url(url) = self else { return None };
        (!Address::new(url).is_loopback()).then(|| host_in(url))
    }

    /// Whether pages would travel to another computer as anybody on the way can read them.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        matches!(self, Self::Url(url) if self.elsewhere().is_some() && !Address::new(url).is_encrypted())
    }
}

impl Settings {
    /// Host of whoever is handed the images: the service, or the server elsewhere that the built-in provider asks; `None` where
    /// every page is read on this computer.
    #[must_use]
    pub fn receiver(&self) -> Option<&str> {
        match self.provider.name {
            ProviderKind::OpenAi => Some(self.api_url.host()),
            ProviderKind::Local => self.provider.engine.elsewhere(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_computer_is_told_from_one_on_this() {
        for (engine, host, is_open) in [
            ("ocr", None, false),
            ("echo", None, false),
            ("http://127.0.0.1:11434/v1", None, false),
            ("http://localhost:11434", None, false),
            ("http://[::1]:8000/v1", None, false),
            ("https://gpu.example.org/v1", Some("gpu.example.org"), false),
            ("https://gpu.example.org:8443", Some("gpu.example.org:8443"), false),
            ("http://10.0.0.7:11434/v1", Some("10.0.0.7:11434"), true),
            ("http://localhost.example.org", Some("localhost.example.org"), true),
        ] {
            let named = Engine::named(engine);
            assert_eq!((named.elsewhere(), named.is_open_to_all()), (host, is_open), "{engine}");
        }
    }
}
