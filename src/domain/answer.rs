//! An answer: one result line, read but not judged.

use super::batch::Usage;
use super::ids::ImageId;
use super::image::RelPath;

/// What a page without writing is to be answered with, as the built-in prompt asks for it.
pub const BLANK_PAGE: &str = "[blank page]";

/// Answers of a batch that are judged and written together, at most; a batch of usual size has fewer.
pub const MOST_TOGETHER: usize = 512;

/// What the lines of a batch's result files came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinesRead {
    /// Those that name an image of the batch.
    pub ours: u64,
    /// Those that name none, or cannot be read.
    pub unknown: u64,
}

/// How the model said it had finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By itself.
    Stop,
    /// At the token limit.
    Length,
    /// Stopped by the provider's filter.
    ContentFilter,
    /// A word this program does not know, or none.
    Other(String),
}

impl Finish {
    /// How a chat completion says it, if it does. Source: `finish_reason` of the OpenAPI description.
    #[must_use]
    pub fn told(reason: Option<&str>) -> Self {
        match reason {
            Some("stop") => Self::Stop,
            Some("length") => Self::Length,
            Some("content_filter") => Self::ContentFilter,
            other => Self::Other(other.unwrap_or_default().to_owned()),
        }
    }
}

/// What came back for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model answered.
    Answered {
        /// The text, if there is any.
        content: Option<String>,
        /// The model's refusal, if it wrote one.
        refusal: Option<String>,
        /// How it finished.
        finish: Finish,
    },
    /// The endpoint answered with an error.
    Error {
        /// HTTP status of the line.
        status: u16,
        /// The provider's code, such as `invalid_image_format`.
        code: String,
        /// The parameter it names.
        param: String,
        /// Its words.
        message: String,
    },
    /// The line never ran: window over, cancelled, server fault before the endpoint.
    NeverRan {
        /// The provider's code, such as `batch_expired`.
        code: String,
    },
}

/// One result line, tied to its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The image it answers.
    pub image: ImageId,
    /// Where the image lies.
    pub path: RelPath,
    /// The counted try that it answers, from 1.
    pub attempt: u32,
    /// What came back.
    pub outcome: Outcome,
    /// Tokens, if told.
    pub usage: Option<Usage>,
}
