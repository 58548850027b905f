//! What the error of a result line means: the table that decides. `docs/refusals.md` shows it, and a test compares the two.
//! Source: `batch-api` reference §2 and §5.4.

use super::policy::{ANYTHING, MONEY, SETTING, Statuses, Topic};
use crate::domain::image::Reason;

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The run stops: every further line would meet it, too. The image stays owed, nothing is counted.
    Stop,
    /// Nobody's fault: asked again, nothing is counted.
    Again,
    /// The image ends so; asking the same again would buy the same.
    End(Reason),
}

/// A row: an error of a line.
#[derive(Debug)]
pub struct Row {
    /// HTTP status of the line.
    pub statuses: Statuses,
    /// What it speaks of.
    pub about: Topic,
    /// Whether the parameter that it names has to be a setting of the run.
    pub of_setting: bool,
    /// What follows.
    pub then: Then,
}

/// Codes about the image itself.
pub const IMAGE: Topic = Topic {
    codes: &[
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    ],
    words: &[],
};

/// The provider could not fetch an image in time.
pub const SLOW: Topic = Topic { codes: &[], words: &["timeout while downloading"] };

/// Parameters that come from the run's settings; what stands behind a dot or a bracket is a part of them.
pub const SETTINGS: [&str; 9] = [
    "model",
    "temperature",
    "max_completion_tokens",
    "max_tokens",
    "reasoning_effort",
    "response_format",
    // The same in the words of the Responses API.
    "max_output_tokens",
    "reasoning",
    "text",
];

const fn row(statuses: &'static [(u16, u16)], about: Topic, then: Then) -> Row {
    Row { statuses: Statuses(statuses), about, of_setting: false, then }
}

/// Every error of a line; the first row that fits decides.
pub const ERRORS: [Row; 9] = [
    row(&[(401, 401), (403, 403)], ANYTHING, Then::Stop),
    row(&[], MONEY, Then::Stop),
    row(&[(408, 409), (429, 429), (500, u16::MAX)], ANYTHING, Then::Again),
    row(&[], SLOW, Then::Again),
    row(&[], IMAGE, Then::End(Reason::ImageRefused)),
    row(&[(404, 404)], ANYTHING, Then::Stop),
    row(&[], SETTING, Then::Stop),
    Row { of_setting: true, ..row(&[], ANYTHING, Then::Stop) },
    row(&[], ANYTHING, Then::End(Reason::ProviderError)),
];

/// What follows from an error with these members.
#[must_use]
pub fn meaning(status: u16, code: &str, param: &str, message: &str) -> Then {
    let fits = |row: &&Row| {
        row.statuses.contain(status) && row.about.is_told(code, "", message) && (!row.of_setting || is_setting(param))
    };
    ERRORS.iter().find(fits).map_or(Then::Again, |row| row.then)
}

fn is_setting(param: &str) -> bool {
    let param = param.strip_prefix("body.").unwrap_or(param);
    let first = param.split(['.', '[']).next().unwrap_or_default();
    // The one setting that each line repeats inside its messages.
    SETTINGS.contains(&first) || param.ends_with(".detail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_rows_decides() {
        let ended = Then::End(Reason::ProviderError);
        for (status, code, param, message, expected) in [
            (401, "", "", "", Then::Stop),
            (429, "insufficient_quota", "", "", Then::Stop),
            (429, "rate_limit_exceeded", "", "", Then::Again),
            (400, "billing_hard_limit_reached", "", "", Then::Stop),
            (503, "", "model", "overloaded", Then::Again),
            (500, "model_not_found", "", "", Then::Again),
            (400, "invalid_value", "url", "Timeout while downloading https://x.", Then::Again),
            (400, "invalid_image_format", "messages", "", Then::End(Reason::ImageRefused)),
            (404, "model_not_found", "", "", Then::Stop),
            (400, "invalid_value", "response_format.json_schema.schema", "", Then::Stop),
            (400, "invalid_value", "messages[0].content[1].image_url.detail", "", Then::Stop),
            (400, "invalid_value", "messages[0].content", "", ended),
            (400, "invalid_value", "body.reasoning_effort", "", Then::Stop),
            (400, "unsupported_value", "reasoning.effort", "", Then::Stop),
            (400, "invalid_value", "text.format.schema", "", Then::Stop),
            (400, "", "modelling", "", ended),
            (422, "", "", "", ended),
        ] {
            assert_eq!(meaning(status, code, param, message), expected, "{status} {code} {param} {message}");
        }
    }
}
