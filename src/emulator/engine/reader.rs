//! The embedded recogniser as an engine: it reads every picture of the request and answers its text.

use super::ocr::{OcrError, Recogniser};
use super::{Answered, ChatRequest, Engine, Refusal, Said, bad_image, shaped};
use crate::domain::answer::BLANK_PAGE;

/// The embedded recogniser.
pub struct Reader {
    recogniser: Recogniser,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Loads the recogniser's weights, which are part of the program.
    ///
    /// # Errors
    /// The recogniser's, if it cannot be set up.
    pub fn load() -> Result<Self, OcrError> {
        Recogniser::load().map(|recogniser| Self { recogniser })
    }
}

impl Engine for Reader {
    fn model(&self) -> &str {
        "batchscribe-ppocrv6-tiny"
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        if request.images.is_empty() {
            return Err(Refusal::new(400, "This model reads images, and the request has none.").param("messages"));
        }
        let mut pages = Vec::with_capacity(request.images.len());
        for image in &request.images {
            let reading = self.recogniser.read(&image.bytes).map_err(|cause| refusal(&cause))?;
            let text = reading.text.trim();
            pages.push(if text.is_empty() { BLANK_PAGE.to_owned() } else { text.to_owned() });
        }
        let content = shaped(&pages.join("\n\n"), request.format);
        Ok(Said::text(self.model(), content, request.prompt_tokens()).within(request.max_tokens))
    }
}

fn refusal(cause: &OcrError) -> Refusal {
    let code = match cause {
        OcrError::NotAnImage => "invalid_image_format",
        OcrError::Damaged(_) => "image_parse_error",
        OcrError::TooLarge { .. } => "image_too_large",
        OcrError::Model(_) => return Refusal::new(500, cause.to_string()).code("server_error"),
    };
    bad_image(code, cause.to_string())
}
