//! Reading requests, strictly: what the real service refuses is refused here with the same words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::core::NewBatch;
use super::endpoint::Endpoint;
use super::refusal::Refusal;

/// Limits of `metadata`: pairs, characters of a key, characters of a value.
const METADATA: (usize, usize, usize) = (16, 64, 512);
/// Life of a file in seconds that `expires_after` may ask for: an hour to thirty days.
const LIFE_SECONDS: (i64, i64) = (3_600, 2_592_000);

/// Reads the body of `POST /batches`; `strict` refuses members that it does not know.
pub(crate) fn new_batch(body: &[u8], strict: bool) -> Result<NewBatch, Refusal> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                       your HTTP library correctly. The API expects a JSON payload.)";
        return Err(Refusal::new(400, message));
    };
    let known = ["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"];
    if let Some(unknown) = members.keys().find(|name| strict && !known.contains(&name.as_str())) {
        return Err(Refusal::unknown_parameter(unknown));
    }
    let input_file_id = text(&members, "input_file_id")?;
    let endpoint = text(&members, "endpoint")?;
    if Endpoint::of_path(&endpoint).is_none() {
        let known = Endpoint::ALL.map(|endpoint| format!("'{}'", endpoint.path()));
        return Err(Refusal::invalid_value("endpoint", &endpoint, &known.join(" and ")));
    }
    let window = text(&members, "completion_window")?;
    if window != "24h" {
        return Err(Refusal::invalid_value("completion_window", &window, "'24h'"));
    }
    let metadata = metadata(members.get("metadata"))?;
    let results_live = members.get("output_expires_after").filter(|value| !value.is_null());
    let results_live = results_live.map(expires_after).transpose()?;
    Ok(NewBatch { input_file_id, endpoint, metadata, results_live })
}

fn text(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Err(Refusal::missing(name)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(Refusal::invalid_type(name, "a string", kind_of(other))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn metadata(value: Option<&Value>) -> Result<Option<BTreeMap<String, String>>, Refusal> {
    let members = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(members)) => members,
        Some(other) => return Err(Refusal::invalid_type("metadata", "an object", kind_of(other))),
    };
    let (pairs, key_length, value_length) = METADATA;
    if members.len() > pairs {
        let message = format!(
            "Invalid 'metadata': too many properties. Expected an object with at most {pairs} properties, but got an \
             object with {} properties instead.",
            members.len()
        );
        return Err(Refusal::new(400, message).param("metadata").code("object_above_max_properties"));
    }
    let mut read = BTreeMap::new();
    for (key, value) in members {
        let param = format!("metadata.{key}");
        let Value::String(value) = value else {
            return Err(Refusal::invalid_type(&param, "a string", kind_of(value)));
        };
        for (what, text, most) in [("key", key, key_length), ("value", value, value_length)] {
            let length = text.chars().count();
            if length > most {
                let message = format!(
                    "Invalid '{param}': {what} too long. Expected a string with maximum length {most}, but got a \
                     string with length {length} instead."
                );
                return Err(Refusal::new(400, message).param(param).code("string_above_max_length"));
            }
        }
        read.insert(key.clone(), value.clone());
    }
    Ok(Some(read))
}

fn expires_after(value: &Value) -> Result<Duration, Refusal> {
    let name = "output_expires_after";
    let Value::Object(members) = value else {
        return Err(Refusal::invalid_type(name, "an object", kind_of(value)));
    };
    let anchor = members.get("anchor").and_then(Value::as_str).unwrap_or_default();
    let seconds = members.get("seconds").ok_or_else(|| Refusal::missing(&format!("{name}.seconds")))?;
    let seconds = seconds
        .as_i64()
        .ok_or_else(|| Refusal::invalid_type(&format!("{name}.seconds"), "an integer", kind_of(seconds)))?;
    life(name, anchor, seconds)
}

/// A life of `seconds` counted from `anchor`, which can only be the creation.
pub(crate) fn life(name: &str, anchor: &str, seconds: i64) -> Result<Duration, Refusal> {
    if anchor != "created_at" {
        return Err(Refusal::invalid_value(&format!("{name}.anchor"), anchor, "'created_at'"));
    }
    let (shortest, longest) = LIFE_SECONDS;
    if !(shortest..=longest).contains(&seconds) {
        return Err(Refusal::out_of_range(&format!("{name}.seconds"), seconds, shortest, longest));
    }
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// The query of a listing, as it stands in the URL.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    pub(crate) after: Option<String>,
    limit: Option<String>,
    order: Option<String>,
    pub(crate) purpose: Option<String>,
}

impl ListQuery {
    /// A full page after `after`, newest first.
    pub(crate) fn after_id(after: Option<&str>) -> Self {
        Self { after: after.map(str::to_owned), limit: Some("100".to_owned()), order: None, purpose: None }
    }

    /// The page length, 1 to `most`, `default` if none is asked.
    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = &self.limit else { return Ok(default) };
        let asked: i64 = text.parse().map_err(|_| Refusal::invalid_type("limit", "an integer", "a string"))?;
        let in_range = usize::try_from(asked).ok().filter(|asked| (1..=most).contains(asked));
        in_range.ok_or_else(|| Refusal::out_of_range("limit", asked, 1, i64::try_from(most).unwrap_or(i64::MAX)))
    }

    /// Whether the newest come first, which they do unless asked otherwise.
    pub(crate) fn newest_first(&self) -> Result<bool, Refusal> {
        match self.order.as_deref() {
            None | Some("desc") => Ok(true),
            Some("asc") => Ok(false),
            Some(other) => Err(Refusal::invalid_value("order", other, "'asc' and 'desc'")),
        }
    }

    /// The cursor; an empty one counts as none.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref().filter(|after| !after.is_empty())
    }
}

/// The bytes of a file of `length` bytes that a `Range` header asks for: first and one past the last.
///
/// A header that is not understood is ignored, as the standard wants; `Err` if the range lies outside.
pub(crate) fn byte_range(header: &str, length: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let (begin, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(begin), Ok(last)) if last >= begin => (begin, last.saturating_add(1).min(length)),
        (Ok(begin), Err(_)) if last.trim().is_empty() => (begin, length),
        (Err(_), Ok(suffix)) if first.trim().is_empty() => (length.saturating_sub(suffix), length),
        _ => return Ok(None),
    };
    if begin < end { Ok(Some((begin, end))) } else { Err(()) }
}

#[cfg(test)]
#[path = "tests/parse.rs"]
mod tests;
