//! Answers from the request alone, reproducibly: the same picture gives the same text, whatever asked for it.

use super::{Answered, ChatRequest, Engine, Image, Said, bad_image, shaped};
use crate::emulator::bad;
use crate::kit::hash;

/// Words that the texts are made of.
const WORDS: [&str; 16] = [
    "the",
    "letter",
    "of",
    "March",
    "was",
    "received",
    "and",
    "page",
    "with",
    "regard",
    "to",
    "our",
    "union",
    "label",
    "sincerely",
    "yours",
];

/// The echo engine; needs no model and no time.
#[derive(Debug, Default)]
pub struct Echo;

impl Echo {
    /// An echo.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// The text that the picture `bytes` is answered with, so that a test can know it beforehand.
    #[must_use]
    pub fn text_of(bytes: &[u8]) -> String {
        let print = hash::short(bytes);
        let words: Vec<&str> = print.iter().map(|byte| WORDS[usize::from(byte % 16)]).collect();
        format!("Page {}\n{}\n{}.", &hash::hex(&print)[..12], words[..8].join(" "), words[8..].join(" "))
    }
}

impl Engine for Echo {
    fn model(&self) -> &str {
        "batchscribe-echo"
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        request.images.iter().try_for_each(check)?;
        let text = if request.is_deep() {
            bad::unspoilt(request.last_text())
        } else if request.images.is_empty() {
            request.user.clone()
        } else {
            request.images.iter().map(|image| Self::text_of(&image.bytes)).collect::<Vec<_>>().join("\n\n")
        };
        let said = Said::text(self.model(), shaped(&text, request.format), request.prompt_tokens());
        Ok(said.within(request.max_tokens))
    }
}

/// Refuses what is no picture by its first bytes, or has no readable header.
fn check(image: &Image) -> Result<(), super::Refusal> {
    let starts: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF"];
    if !starts.iter().any(|start| image.bytes.starts_with(start)) {
        let message = "You uploaded an unsupported image. Please make sure your image is valid and has one of the \
                       following formats: ['png', 'jpeg', 'gif', 'webp'].";
        return Err(bad_image("invalid_image_format", message));
    }
    if image.pixels().is_none() {
        return Err(bad_image("image_parse_error", "The image could not be parsed."));
    }
    Ok(())
}
