//! `api_url` taken apart: the base of the API, the endpoint of every line, the host for people.

/// An API's address, known to end in `/chat/completions` or `/responses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

/// The endpoints of this version; the first one where nobody says which.
const ENDPOINTS: [&str; 2] = ["/chat/completions", "/responses"];

/// The endpoint that an address or a path ends in.
#[must_use]
pub(super) fn endpoint_of(text: &str) -> Option<&'static str> {
    ENDPOINTS.into_iter().find(|endpoint| text.ends_with(endpoint))
}

impl Address {
    /// `text` as an address, whatever its path; `settings::rules` refuses the wrong ones.
    #[must_use]
    pub(super) fn new(text: &str) -> Self {
        Self(text.trim_end_matches('/').to_owned())
    }

    /// The address of the endpoint below an API's base, such as `http://127.0.0.1:7050/v1`.
    #[must_use]
    pub fn below(base: &str) -> Self {
        Self(format!("{}{}", base.trim_end_matches('/'), ENDPOINTS[0]))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Base of the API: `https://api.openai.com/v1`.
    #[must_use]
    pub fn base(&self) -> &str {
        endpoint_of(&self.0).and_then(|endpoint| self.0.strip_suffix(endpoint)).unwrap_or(&self.0)
    }

    /// Path of the endpoint: `/v1/chat/completions`. It is the url of every line.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        let rest = self.after_scheme();
        rest.find('/').map_or("/", |at| &rest[at..])
    }

    /// The url of every line where the service calls it `named`; a service that has a name for the one endpoint names the other
    /// one alike.
    #[must_use]
    pub(super) fn endpoint_named(&self, named: Option<&str>) -> String {
        let Some(named) = named else { return self.endpoint().to_owned() };
        match (endpoint_of(named), endpoint_of(&self.0)) {
            (Some(other), Some(ours)) => format!("{}{ours}", named.strip_suffix(other).unwrap_or_default()),
            _ => named.to_owned(),
        }
    }

    /// Host and port as written: `api.openai.com`.
    #[must_use]
    pub fn host(&self) -> &str {
        host_in(&self.0)
    }

    /// Whether it leads to this computer only.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let host = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Whether it is OpenAI's own service.
    #[must_use]
    pub fn is_openai(&self) -> bool {
        let host = self.host();
        host == "api.openai.com" || host.ends_with(".api.openai.com")
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.starts_with("https://")
    }

    pub(super) fn has_endpoint(&self) -> bool {
        endpoint_of(&self.0).is_some()
    }

    fn after_scheme(&self) -> &str {
        after_scheme(&self.0)
    }
}

fn after_scheme(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

/// Host and port of an address as it is written.
pub(super) fn host_in(text: &str) -> &str {
    after_scheme(text).split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = Address::new("https://api.openai.com/v1/chat/completions");
        assert_eq!(address.base(), "https://api.openai.com/v1");
        assert_eq!(address.endpoint(), "/v1/chat/completions");
        let responses = Address::new("https://api.openai.com/v1/responses");
        assert_eq!((responses.base(), responses.endpoint()), (address.base(), "/v1/responses"));
        assert_eq!(responses.endpoint_named(Some("/v4/chat/completions")), "/v4/responses");
        assert_eq!(address.endpoint_named(Some("/v4/chat/completions")), "/v4/chat/completions");
        assert_eq!(responses.endpoint_named(None), "/v1/responses");
        assert_eq!(address.host(), "api.openai.com");
        assert!(address.is_openai() && !address.is_loopback() && address.has_endpoint());
        assert_eq!(
            Address::below("http://127.0.0.1:7050/v1/"),
            Address::new("http://127.0.0.1:7050/v1/chat/completions")
        );
    }

    #[test]
    fn loopback_is_this_computer_and_nothing_that_looks_like_it() {
        for (url, expected) in [
            ("http://127.0.0.1:80/v1", true),
            ("http://127.9.9.9/v1", true),
            ("http://[::1]:80/v1", true),
            ("http://localhost/v1", true),
            ("http://127.0.0.1.example.org/v1", false),
            ("http://localhost.example.org/v1", false),
            ("http://10.0.0.1/v1", false),
        ] {
            assert_eq!(Address::new(url).is_loopback(), expected, "{url}");
        }
    }
}
