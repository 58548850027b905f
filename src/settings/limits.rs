//! The table of settings: every key, what kind of value it takes, within which bounds.

use std::time::Duration;

use super::address::endpoint_of;
use super::units;
use super::value::Value;

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A path; empty where that means unset.
    Path,
    /// A whole number.
    Count(u64, u64),
    /// A decimal number, or `"unset"`.
    Number(f64, f64),
    /// An amount of money in USD, kept as it was written: no float ever holds money.
    Money,
    /// `true` or `false`.
    Switch,
    /// A list of texts that pass the check, with the rule in words.
    List(fn(&str) -> bool, &'static str),
    /// The same, or an empty list.
    ListOrNone(fn(&str) -> bool, &'static str),
    /// A duration, in milliseconds.
    Span(u64, u64),
    /// A duration, or `""` for none.
    OptionalSpan,
    /// A duration, in milliseconds, or `""` for none.
    SpanOrNone(u64, u64),
    /// A size in bytes.
    Bytes(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text that passes the check, with the rule in words.
    Checked(fn(&str) -> bool, &'static str),
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Path in the file, `section.key`.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
const MEGABYTE: u64 = 1_000_000;
const FILE_NAME: &str = "a file name of letters, digits, `.`, `-` and `_`";

/// Every key of this version. A key that nothing honours has no place here: accepting it would be a lie.
pub(super) const KEYS: &[Key] = &[
    key("api_key_file", Kind::Path),
    key("api_key_command", Kind::Text),
    key("image_dir", Kind::Checked(is_not_empty, "a folder")),
    key("prompt_file", Kind::Path),
    key("jsonl_file_base", Kind::Checked(is_file_name, FILE_NAME)),
    key("api_url", Kind::Checked(is_web_address, "a URL with https:// or http://, host and path")),
    key("batch_dir", Kind::Checked(is_not_empty, "a folder")),
    key("description", Kind::Checked(is_metadata, "at most 512 characters")),
    key("valid_image_types", Kind::List(is_ending, "a list of endings with a dot, such as [\".jpg\", \".png\"]")),
    key("max_images_per_batch", Kind::Count(1, 50_000)),
    key("completed_dir", Kind::Checked(is_not_empty, "a folder")),
    key("output_dir", Kind::Checked(is_not_empty, "a folder")),
    key("extraction_base_dir", Kind::Checked(is_not_empty, "a folder")),
    key("run.max_cost", Kind::Money),
    key("run.max_duration", Kind::OptionalSpan),
    key("run.limit", Kind::Count(0, u64::MAX)),
    key("run.pilot_images", Kind::Count(2, 10_000)),
    key("run.give_up_after", Kind::Span(SECOND, 30 * DAY)),
    key("run.canary", Kind::Word(&["sync", "batch", "off"])),
    key("run.max_failures_percent", Kind::Number(0.0, 100.0)),
    key("run.keep_remote", Kind::Switch),
    key("run.rescan_interval", Kind::Span(50, DAY)),
    key("provider.name", Kind::Word(&PROVIDERS)),
    key("provider.key_header", Kind::Checked(is_key_header, "`Name: Scheme` or `name:`")),
    key("provider.query", Kind::Checked(is_query, "pairs such as \"api-version=2024-10-21\", or \"\"")),
    key(
        "provider.endpoint",
        Kind::Checked(is_endpoint, "a path that ends in /chat/completions or /responses, or \"\""),
    ),
    key("provider.organization", Kind::Checked(is_header_value, "letters, digits and signs without spaces")),
    key("provider.project", Kind::Checked(is_header_value, "letters, digits and signs without spaces")),
    key("provider.window", Kind::Checked(is_window, "a window such as \"24h\"")),
    key("provider.max_lines", Kind::Count(1, 100_000)),
    key("provider.max_file_bytes", Kind::Bytes(MEGABYTE, 2_000 * MEGABYTE)),
    key("provider.wait_for_file", Kind::Switch),
    key("provider.fence", Kind::Word(&["delete", "wait"])),
    key("provider.settle", Kind::Span(0, DAY)),
    key("provider.engine", Kind::Checked(is_engine, "ocr, echo or the URL of a server")),
    key("provider.engine_threads", Kind::Count(0, 256)),
    key("request.model", Kind::Checked(is_model, "a model's name without spaces")),
    key("request.detail", Kind::Word(&["low", "high", "original", "auto"])),
    key("request.reasoning_effort", Kind::Word(&EFFORTS)),
    key("request.max_output_tokens", Kind::Count(16, 1_000_000)),
    key("request.temperature", Kind::Number(0.0, 2.0)),
    key("request.answer_format", Kind::Word(&["auto", "text", "json", "json_schema"])),
    key("request.schema_file", Kind::Path),
    key("request.system_file", Kind::Path),
    key("request.escalate_model", Kind::Text),
    key("encode.hash_images", Kind::Switch),
    key("encode.longest_side", Kind::Count(0, 100_000)),
    key("encode.fit", Kind::Switch),
    key("encode.reencode", Kind::Word(&["never", "when_needed", "always"])),
    key("encode.jpeg_quality", Kind::Count(1, 100)),
    key("encode.max_pixels", Kind::Count(1, u64::MAX)),
    key("encode.pages", Kind::Word(&["each", "first", "refuse"])),
    key("encode.duplicates", Kind::Word(&["once", "each"])),
    key("shard.max_shard_bytes", Kind::Bytes(64_000, 2_000 * MEGABYTE)),
    key("shard.max_shard_tokens", Kind::Count(0, u64::MAX)),
    key("shard.seal_age", Kind::Span(SECOND, DAY)),
    key("shard.max_memory", Kind::Bytes(64 << 20, 1 << 40)),
    key("shard.max_prepared", Kind::Bytes(128_000, 1 << 50)),
    key("shard.max_bodies", Kind::Count(1, 16)),
    key("shard.spool", Kind::Switch),
    key("batch.max_open_batches", Kind::Count(1, 10_000)),
    key("batch.max_enqueued_tokens", Kind::Count(0, u64::MAX)),
    key("batch.poll_interval", Kind::Span(50, HOUR)),
    key("batch.max_poll_interval", Kind::Span(50, HOUR)),
    key("batch.results_expire_after", Kind::SpanOrNone(HOUR, 30 * DAY)),
    key("retry.max_attempts", Kind::Count(1, 20)),
    key("retry.max_returns", Kind::Count(0, 1_000)),
    key("retry.stall_timeout", Kind::Span(SECOND, HOUR)),
    // Within a group in the order of the alphabet, as TOML gives them back.
    key("judge.loop.characters", Kind::Count(20, 1_000_000)),
    key("judge.loop.copies", Kind::Count(2, 1_000)),
    key("judge.loop.deflate_ratio", Kind::Number(0.0, 1.0)),
    key("judge.loop.line_share", Kind::Number(0.0, 1.0)),
    key("judge.blank.ink", Kind::Number(0.0, 1.0)),
    key("judge.blank.letters", Kind::Count(1, 1_000_000)),
    key("judge.length.long", Kind::Number(1.0, 1_000.0)),
    key("judge.length.pages", Kind::Count(2, 256)),
    key("judge.length.short", Kind::Number(0.0, 1.0)),
    key("clean.unicode", Kind::Word(&["nfc", "keep"])),
    key("clean.strip_chatter", Kind::Switch),
    key("clean.skip_rules", Kind::ListOrNone(is_rule, RULES_IN_WORDS)),
    key("clean.deep_clean", Kind::Switch),
    key("clean.deep_clean_model", Kind::Text),
    key("clean.deep_prompt_file", Kind::Path),
    key("clean.deep_changed_words", Kind::Number(0.0, 100.0)),
    key("text.from", Kind::Checked(is_text_from, "content, or field:NAME with the name of a member of the JSON")),
    key("text.existing", Kind::Word(&["ours", "keep", "stop"])),
    key("text.out_dir", Kind::Path),
    key("text.custom_id", Kind::Word(&["path", "opaque"])),
    key("show.stats", Kind::Span(SECOND, DAY)),
    key("show.log_level", Kind::Checked(is_not_empty, "a level or filter such as \"info\"")),
    key("show.log_file", Kind::Path),
    key("show.log_max_bytes", Kind::Bytes(10_000, 1 << 40)),
    key("show.log_files", Kind::Count(1, 1_000)),
    key("serve.listen", Kind::Checked(is_address, "an address and a port, such as \"127.0.0.1:7040\"")),
    key("serve.token_file", Kind::Path),
    key("serve.host_names", Kind::ListOrNone(is_host, "a list of host names, such as [\"scans.example.org\"]")),
    key("serve.metrics_file", Kind::Path),
    key(
        "notify.command",
        Kind::ListOrNone(is_not_empty, "a program, or a list of a program and its arguments; \"\" or [] for none"),
    ),
    key("notify.webhook", Kind::Checked(is_webhook, "a URL with https:// or http://, or \"\"")),
    key("notify.heartbeat", Kind::Checked(is_heartbeat, "a URL with https:// or http://, or \"\"")),
    key("notify.time_limit", Kind::Span(100, HOUR)),
];

/// Names of providers: `auto`, and the tables of `config/providers.toml`.
pub(super) const PROVIDERS: [&str; 14] = [
    "auto",
    "local",
    "openai",
    "azure",
    "groq",
    "dashscope",
    "moonshot",
    "zhipu",
    "siliconflow",
    "doubleword",
    "parasail",
    "litellm",
    "aibrix",
    "custom",
];

const EFFORTS: [&str; 9] = ["lowest", "unset", "none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The key of this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The key that was probably meant.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    // The right name in the wrong section is the commonest slip.
    if let Some(key) = KEYS.iter().find(|key| last(key.path) == last(path)) {
        return Some(key.path);
    }
    let score = |key: &Key| {
        strsim::damerau_levenshtein(key.path, path).min(strsim::damerau_levenshtein(&last(key.path), &last(path)))
    };
    let near = KEYS.iter().min_by_key(|key| score(key))?;
    (score(near) <= 3.max(path.len() / 4)).then_some(near.path)
}

/// Name of the variable that sets a key.
pub(super) fn variable(path: &str) -> String {
    format!("{}{}", super::environment::PREFIX, path.replace('.', "_").to_ascii_uppercase())
}

impl Kind {
    /// The word that was probably meant.
    pub(super) fn meant(self, written: &str) -> Option<&'static str> {
        let Self::Word(words) = self else { return None };
        let distance = |word: &str| strsim::damerau_levenshtein(word, &written.to_lowercase());
        let near = words.iter().min_by_key(|word| distance(word))?;
        (distance(near) <= 1.max(near.len() / 3)).then_some(*near)
    }

    /// What is allowed, in words.
    pub(super) fn allowed(self) -> String {
        let span = |millis| units::show_duration(Duration::from_millis(millis));
        match self {
            Self::Text => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Count(min, u64::MAX) => format!("a whole number from {min}"),
            Self::Count(min, max) => format!("{min} to {max}"),
            Self::Number(min, max) => format!("{min:.1} to {max:.1}, or \"unset\""),
            Self::Money => "USD with at most twelve decimals, such as 2 or 0.25".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::List(_, rule) | Self::ListOrNone(_, rule) | Self::Checked(_, rule) => rule.to_owned(),
            Self::Span(min, max) => format!("{} to {}, such as \"60s\"", span(min), span(max)),
            Self::SpanOrNone(min, max) => format!("{} to {}, such as \"30d\", or \"\" for none", span(min), span(max)),
            Self::OptionalSpan => "a duration such as \"90m\", or \"\" for none".to_owned(),
            Self::Bytes(min, max) => format!("{} to {}", units::show_bytes(min), units::show_bytes(max)),
            Self::Word(words) => words.join(", "),
        }
    }

    /// The value, if it is within the bounds.
    pub(super) fn admit(self, value: Value) -> Option<Value> {
        let fits = match (self, &value) {
            (Self::Text | Self::Path | Self::Money, Value::Text(_))
            | (Self::Switch, Value::Switch(_))
            | (Self::OptionalSpan, Value::Span(_))
            | (Self::SpanOrNone(..), Value::Span(None)) => true,
            (Self::Count(min, max), Value::Count(count)) => (min..=max).contains(count),
            (Self::Bytes(min, max), Value::Bytes(bytes)) => (min..=max).contains(bytes),
            (Self::Number(min, max), Value::Number(number)) => number.is_none_or(|n| (min..=max).contains(&n)),
            (Self::List(check, _), Value::List(items)) => !items.is_empty() && items.iter().all(|item| check(item)),
            (Self::ListOrNone(check, _), Value::List(items)) => items.iter().all(|item| check(item)),
            (Self::Span(min, max) | Self::SpanOrNone(min, max), Value::Span(Some(span))) => {
                (u128::from(min)..=u128::from(max)).contains(&span.as_millis())
            }
            (Self::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Checked(check, _), Value::Text(text)) => check(text),
            _ => false,
        };
        fits.then_some(value)
    }
}

fn is_not_empty(text: &str) -> bool {
    !text.trim().is_empty()
}

fn is_file_name(text: &str) -> bool {
    is_not_empty(text)
        && !text.starts_with('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@'));
    plain
        && rest
            .is_some_and(|rest| rest.split_once('/').is_some_and(|(host, path)| !host.is_empty() && !path.is_empty()))
}

fn is_engine(text: &str) -> bool {
    matches!(text, "ocr" | "echo") || (is_web_address(text) || is_web_address(&format!("{text}/v1")))
}

fn is_metadata(text: &str) -> bool {
    text.chars().count() <= 512 && !text.contains(char::is_control)
}

/// Rules of cleaning that can be switched off.
const RULES: [&str; 8] =
    ["line_ends", "control_characters", "fence", "escapes", "chatter", "prompt_echo", "unicode", "blanks"];
const RULES_IN_WORDS: &str =
    "a list of rules: line_ends, control_characters, fence, escapes, chatter, prompt_echo, unicode, blanks";

fn is_rule(text: &str) -> bool {
    RULES.contains(&text)
}

/// `content`, or `field:NAME`.
fn is_text_from(text: &str) -> bool {
    text == "content" || text.strip_prefix("field:").is_some_and(|name| !name.trim().is_empty())
}

fn is_ending(text: &str) -> bool {
    text.len() > 1 && text.starts_with('.') && !text.contains(['/', '\\', '*']) && !text.contains(char::is_whitespace)
}

fn is_key_header(text: &str) -> bool {
    let Some((name, scheme)) = text.split_once(':') else { return false };
    let token = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    !name.is_empty() && token(name) && token(scheme.trim())
}

fn is_query(text: &str) -> bool {
    let pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '?' | '"' | '<' | '>');
    text.is_empty() || (text.chars().all(plain) && text.split('&').all(pair))
}

fn is_endpoint(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    text.is_empty() || (text.starts_with('/') && endpoint_of(text).is_some() && text.chars().all(plain))
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

fn is_webhook(text: &str) -> bool {
    text.is_empty() || is_web_address(text)
}

/// Services that watch for silence tell their checks apart by a query.
fn is_heartbeat(text: &str) -> bool {
    is_webhook(text.split_once('?').map_or(text, |(address, _)| address))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '#' | '@'))
}

fn is_header_value(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic())
}

fn is_window(text: &str) -> bool {
    units::duration(text).is_some_and(|window| !window.is_zero())
}

fn is_model(text: &str) -> bool {
    is_not_empty(text) && text.len() <= 256 && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_are_unique() {
        let names: std::collections::BTreeSet<String> = KEYS.iter().map(|key| variable(key.path)).collect();
        assert_eq!(names.len(), KEYS.len());
        assert_eq!(variable("encode.hash_images"), "BATCHSCRIBE_ENCODE_HASH_IMAGES");
    }

    #[test]
    fn slips_are_understood() {
        for (typed, meant) in [
            ("request.modle", Some("request.model")),
            ("model", Some("request.model")),
            ("max_image_per_batch", Some("max_images_per_batch")),
            ("run.max_open_batches", Some("batch.max_open_batches")),
            ("colour_of_the_binding", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }

    #[test]
    fn checks_of_texts() {
        assert!(is_web_address("https://api.openai.com/v1/chat/completions"));
        assert!(!is_web_address("api.openai.com/v1") && !is_web_address("https://user@host/v1"));
        assert!(is_engine("ocr") && is_engine("http://127.0.0.1:11434") && !is_engine("tesseract"));
        assert!(is_key_header("Authorization: Bearer") && is_key_header("api-key:") && !is_key_header("api-key"));
        assert!(is_ending(".jpg") && !is_ending("jpg") && !is_ending(".") && !is_ending(".a/b"));
        assert!(is_file_name("batchinput") && !is_file_name("../x") && !is_file_name(".hidden"));
    }
}
