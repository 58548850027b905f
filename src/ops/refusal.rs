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
            .hint(
                "a project's key works only there: see provider.project; batchscribe keys path  lists where keys lie",
            ),
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

/// The setting that a request's parameter comes from.
fn setting_of(param: &str) -> Option<&'static str> {
    let param = param.strip_prefix("body.").unwrap_or(param);
    let settings = [
        ("model", "request.model"),
        ("temperature", "request.temperature"),
        ("max_completion_tokens", "request.max_output_tokens"),
        ("max_tokens", "request.max_output_tokens"),
        ("max_output_tokens", "request.max_output_tokens"),
        ("reasoning", "request.reasoning_effort"),
        ("text", "request.answer_format or request.schema_file"),
        ("reasoning_effort", "request.reasoning_effort"),
        ("response_format", "request.answer_format or request.schema_file"),
    ];
    if param.ends_with(".detail") {
        return Some("request.detail");
    }
    let first = param.split(['.', '[']).next().unwrap_or_default();
    settings.into_iter().find(|(name, _)| *name == first).map(|(_, setting)| setting)
}

/// A setting that the provider refused for every line; `message` holds its words.
#[must_use]
pub fn of_a_setting(code: &str, param: &str, message: &str, model: &str, host: &str) -> Problem {
    let words = shown(message.as_bytes());
    let goes_on = "every page would be refused; all of them are still owed, and the same command goes on";
    if code == "model_not_found" || matches!(param, "model" | "body.model") {
        return Problem::new("E308", format!("{model} is not available for Batch at {host}"))
            .detail(words)
            .hint("choose another (request.model); some models answer so for a while: then try again later")
            .hint(goes_on);
    }
    let what = if param.is_empty() { "a setting".to_owned() } else { shown(param.as_bytes()) };
    let fix = match setting_of(param) {
        Some(setting) => format!("remove or change  {setting}"),
        None => format!("remove or change what it names; see  batchscribe config show  for what is sent to {host}"),
    };
    Problem::new("E307", format!("{model} refuses {what}: {words}")).hint(fix).hint(goes_on)
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
                        batchscribe keys path  lists where keys lie";
        assert_eq!(told(&failure, "the variable OPENAI_API_KEY").to_string(), expected);
    }

    #[test]
    fn a_refused_setting_is_told_with_its_fix() {
        let words = "Unsupported value: 'temperature' does not support 0.2 with this model.";
        let told = of_a_setting("unsupported_value", "temperature", words, "gpt-x", "api.openai.com").to_string();
        let expected = "error[E307]: gpt-x refuses temperature: Unsupported value: 'temperature' does not support 0.2 with \
                        this model.\nhint: remove or change  request.temperature\n      every page would be refused; all of \
                        them are still owed, and the same command goes on";
        assert_eq!(told, expected);
        for (param, setting) in [
            ("messages[1].content[0].image_url.detail", Some("request.detail")),
            ("response_format.json_schema.schema", Some("request.answer_format or request.schema_file")),
            ("body.model", Some("request.model")),
            ("reasoning.effort", Some("request.reasoning_effort")),
            ("text.format.schema", Some("request.answer_format or request.schema_file")),
            ("messages", None),
        ] {
            assert_eq!(setting_of(param), setting, "{param}");
        }
    }
}
