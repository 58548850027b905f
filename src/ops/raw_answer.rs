//! What a saved result line tells of its request beside the text: read where it lies, when somebody asks.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::domain::ids::BatchId;
use crate::domain::layout::{self, Layout};
use crate::kit::lines;
use crate::provider::result_line;

use super::audit::hex;

/// A result line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawAnswer {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its number there, from 1.
    pub line: u64,
    /// The provider's name of the request.
    pub request_id: Option<String>,
    /// What the server said it ran on.
    pub fingerprint: Option<String>,
    /// Model as the answer tells it.
    pub model: Option<String>,
    /// How the model said it had finished.
    pub finish: Option<String>,
}

/// Every line of a batch's saved files, with its custom id; a file that is not there has none.
///
/// # Errors
/// The operating system's, with the path.
pub fn each(layout: &Layout, batch: &BatchId, mut take: impl FnMut(String, RawAnswer)) -> io::Result<()> {
    for path in [layout.raw_output(batch.as_str()), layout.raw_errors(batch.as_str())] {
        match lines(&path, &mut take) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            read => read?,
        }
    }
    Ok(())
}

/// Whether the answer to `custom_id` is saved: as a file of its own, or as a line of one of these batches.
///
/// # Errors
/// The operating system's, with the path.
pub fn is_saved(layout: &Layout, batches: &[BatchId], custom_id: &str) -> io::Result<bool> {
    for batch in batches {
        if layout.results(batch.as_str()).join(layout::result_name(custom_id, hex)).metadata().is_ok() {
            return Ok(true);
        }
        let mut found = false;
        each(layout, batch, |id, _| found |= id == custom_id)?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lines(path: &Path, take: &mut impl FnMut(String, RawAnswer)) -> io::Result<()> {
    let told = lines::each(path, |line| -> io::Result<()> {
        if let Some((custom_id, answer)) = read(line.bytes) {
            take(custom_id, RawAnswer { file: path.to_owned(), line: line.number, ..answer });
        }
        Ok(())
    });
    told.map(drop)
}

/// Lenient: provenance tells what is there.
fn read(line: &[u8]) -> Option<(String, RawAnswer)> {
    let (custom_id, line) = result_line::document(line)?;
    let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| text(pointer));
    let answer = RawAnswer {
        request_id: text("/response/request_id"),
        fingerprint: text("/response/body/system_fingerprint"),
        model: text("/response/body/model"),
        finish: first(&[
            "/response/body/choices/0/finish_reason",
            "/response/body/incomplete_details/reason",
            "/response/body/status",
        ]),
        ..RawAnswer::default()
    };
    Some((custom_id, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_tells() {
        let chat = br#"{"custom_id":"a","response":{"status_code":200,"request_id":"req_1","body":{"model":"m-1",
            "system_fingerprint":"fp","choices":[{"finish_reason":"length"}]}}}"#;
        let (id, told) = read(chat).expect("a line");
        let expected = RawAnswer {
            request_id: Some("req_1".into()),
            fingerprint: Some("fp".into()),
            model: Some("m-1".into()),
            finish: Some("length".into()),
            ..RawAnswer::default()
        };
        assert_eq!((id.as_str(), told), ("a", expected));
        let responses = br#"{"custom_id":"a","response":{"body":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}}"#;
        assert_eq!(read(responses).expect("a line").1.finish.as_deref(), Some("max_output_tokens"));
        assert_eq!(read(br#"{"custom_id":"a","error":{"code":"x"}}"#), Some(("a".into(), RawAnswer::default())));
        assert_eq!(read(b"no line"), None);
    }
}
