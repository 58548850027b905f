//! What answers behind the emulator: one trait, one call for one request.
//!
//! An engine blocks its caller; the workers bound how many are asked at once. It knows nothing of files and batches.

pub mod echo;
#[cfg(feature = "ocr")]
pub mod ocr;
#[cfg(feature = "ocr")]
pub mod reader;
mod request;
pub mod upstream;

pub use request::{ChatRequest, Format, Image};

use std::io;
use std::sync::Arc;

use super::record::Tokens;
use super::refusal::Refusal;

/// Answers chat completions.
pub trait Engine: Send + Sync {
    /// What answers, in one word: the `model` of its answers.
    fn model(&self) -> &str;
    /// Answers one request; blocks until it is done.
    fn answer(&self, request: &ChatRequest<'_>) -> Answered;
}

/// The engine behind a word of the command line: `echo`, `ocr`, or the URL of a server, asked by at most `lines` requests
/// at once and with `key`.
///
/// # Errors
/// `Unsupported` for `ocr` in a build without it, `InvalidInput` for a word that is none of these, otherwise the engine's.
pub fn by_name(name: &str, key: Option<&str>, lines: usize) -> io::Result<Arc<dyn Engine>> {
    match name {
        "echo" => Ok(Arc::new(echo::Echo::new())),
        #[cfg(feature = "ocr")]
        "ocr" => Ok(Arc::new(reader::Reader::load().map_err(|cause| io::Error::other(cause.to_string()))?)),
        #[cfg(not(feature = "ocr"))]
        "ocr" => Err(io::Error::new(io::ErrorKind::Unsupported, "this build has no recogniser of its own")),
        url if url.starts_with("http://") || url.starts_with("https://") => {
            Ok(Arc::new(upstream::Upstream::new(url, key, lines)?))
        }
        other => {
            let message = format!("{other}: an engine is echo, ocr, or a URL that begins with http:// or https://");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

/// How a request ended: an answer that is billed, or an error as the endpoint would give it.
pub type Answered = Result<Said, Refusal>;

/// What the engine said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What answered.
    pub model: String,
    /// The text; none if it refused.
    pub content: Option<String>,
    /// Its refusal, if it refused.
    pub refusal: Option<String>,
    /// `stop`, `length`, `content_filter`.
    pub finish_reason: String,
    /// Tokens of the request, image included.
    pub prompt_tokens: u64,
    /// Part of them that came from a cache.
    pub cached_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Part of them that was reasoning.
    pub reasoning_tokens: u64,
}

impl Said {
    /// An ordinary answer that ended by itself.
    #[must_use]
    pub fn text(model: &str, content: String, prompt_tokens: u64) -> Self {
        let completion_tokens = tokens_of(content.len());
        Self {
            model: model.to_owned(),
            content: Some(content),
            refusal: None,
            finish_reason: "stop".to_owned(),
            prompt_tokens,
            cached_tokens: 0,
            completion_tokens,
            reasoning_tokens: 0,
        }
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens {
            prompt: self.prompt_tokens,
            cached: self.cached_tokens,
            output: self.completion_tokens,
            reasoning: self.reasoning_tokens,
        }
    }

    /// Cuts the text where the request's limit is reached, as a model that runs out of tokens does.
    #[must_use]
    pub fn within(mut self, limit: Option<u64>) -> Self {
        if let (Some(limit), Some(content)) = (limit, &mut self.content)
            && self.completion_tokens > limit
        {
            let bytes = usize::try_from(limit.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
            content.truncate(content.floor_char_boundary(bytes));
            self.completion_tokens = limit;
            "length".clone_into(&mut self.finish_reason);
        }
        self
    }
}

const BYTES_PER_TOKEN: u64 = 4;

pub(super) fn tokens_of(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// A page text in the form that the request asks for: plain, or `{"text": …}`.
pub(super) fn shaped(text: &str, format: Format) -> String {
    match format {
        Format::Text => text.to_owned(),
        Format::Json => serde_json::json!({ "text": text }).to_string(),
    }
}

/// The picture cannot be read; `code` tells how.
fn bad_image(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(400, message).param("messages").code(code)
}

#[cfg(test)]
#[path = "../tests/engine.rs"]
pub(in crate::emulator) mod tests;
