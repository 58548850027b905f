//! What everybody who reads a result line has to agree on: whether it is one, whom it answers, and with which status.
//! Source of the cases: `batch-api` reference §2.

use serde_json::Value;

use crate::kit::json::is_too_deep;
use crate::kit::mend::mended;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The bytes of a line that are JSON: some servers begin a file with a byte order mark. `None` if it is nested too deep.
#[must_use]
pub fn json_of(line: &[u8]) -> Option<&[u8]> {
    let bytes = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    (!is_too_deep(bytes)).then_some(bytes)
}

/// A line as a document with its custom id; `None` if it is none. Which of two ids would count is a guess that nobody makes here
/// for the sake of money or files: this is for those who count and tell.
#[must_use]
pub fn document(line: &[u8]) -> Option<(String, Value)> {
    let bytes = json_of(line)?;
    let value: Value = serde_json::from_slice(bytes).or_else(|_| serde_json::from_str(&mended(bytes))).ok()?;
    let custom_id = value.get("custom_id")?.as_str()?.to_owned();
    Some((custom_id, value))
}

/// Whether the model ran for the request that a document answers.
#[must_use]
pub fn ran(document: &Value) -> bool {
    status(document.pointer("/response/status_code")) == Some(200)
}

/// A status: a number, whole or with a fraction of nothing, or its text.
#[must_use]
pub fn status(told: Option<&Value>) -> Option<u64> {
    let told = told?;
    let text = told.as_str().map_or_else(|| told.to_string(), str::to_owned);
    let text = text.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_heard_whatever_the_dialect_of_its_server() {
        for (line, expected) in [
            (r#"{"custom_id":"a","response":{"status_code":200}}"#, Some(("a", true))),
            (r#"{"custom_id":"a","response":{"status_code":"200"}}"#, Some(("a", true))),
            (r#"{"custom_id":"a","response":{"status_code":200.0}}"#, Some(("a", true))),
            ("\u{feff}{\"custom_id\":\"a\",\"response\":{\"status_code\":200}}", Some(("a", true))),
            ("{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"said\":\"a\tb\"}}", Some(("a", true))),
            (r#"{"custom_id":"a","response":{"status_code":429}}"#, Some(("a", false))),
            (r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}"#, Some(("a", false))),
            (r#"{"custom_id":7}"#, None),
            ("[]", None),
            ("no JSON", None),
        ] {
            let told = document(line.as_bytes()).map(|(id, document)| (id, ran(&document)));
            assert_eq!(told, expected.map(|(id, ran)| (id.to_owned(), ran)), "{line}");
        }
        assert_eq!(document("[".repeat(100_000).as_bytes()), None);
    }
}
