//! A provider's refusal in words that help.

use crate::domain::image::shown;
use crate::provider::failure::{Failure, Kind};
use crate::settings::Problem;

/// The failure that stopped a run, and what to do about it; `key_source` is where the key came from.
#[must_use]
pub fn told(failure: &Failure, key_source: &str) -> Problem {
    let host = &failure.host;
    let words = shown(failure.message.as_bytes());
    match failure.kind {
        Kind::Key => Problem::new("E301", format!("the key was rejected by {host} (401)"))
            .detail(words)
            .hint(format!("it came from {key_source}"))
            .hint("a project's key works only there: see provider.project; batchscribe doctor  lists where keys lie"),
        Kind::Forbidden => Problem::new("E302", format!("the key may not use this at {host} (403)"))
            .detail(words)
            .hint("ask the project's owner to allow Files, Batches and the model"),
        Kind::Money => Problem::new("E305", format!("{host} wants money: {}", shown(failure.code.as_bytes())))
            .detail(words)
            .hint("add credit, then the same command; nothing is asked twice"),
        _ => Problem::new("E310", format!("{host} cannot be used"))
            .detail(words)
            .hint("nothing is lost; the same command goes on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_key_is_told_with_its_source() {
        let failure = Failure {
            kind: Kind::Key,
            status: Some(401),
            code: "invalid_api_key".to_owned(),
            param: String::new(),
            message: "Incorrect API key provided.".to_owned(),
            host: "api.openai.com".to_owned(),
            retry_after: None,
        };
        let expected = "error[E301]: the key was rejected by api.openai.com (401)\n  Incorrect API key provided.\nhint: it \
                        came from the variable OPENAI_API_KEY\n      a project's key works only there: see provider.project; \
                        batchscribe doctor  lists where keys lie";
        assert_eq!(told(&failure, "the variable OPENAI_API_KEY").to_string(), expected);
    }
}
