//! A chat request as an engine sees it: its words, its pictures decoded, its limits.

use std::borrow::Cow;
use std::io::Cursor;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::bad_image;
use crate::domain::image::Pixels;
use crate::domain::tokens::{self, Counting};
use crate::emulator::refusal::Refusal;
use crate::kit::base64;

/// A request to `/v1/chat/completions`.
#[derive(Debug)]
pub struct ChatRequest<'a> {
    /// The model that the caller names.
    pub model: String,
    /// Texts of the system and developer messages, one a line.
    pub system: String,
    /// Texts of the user messages, one a line.
    pub user: String,
    /// The pictures, in order.
    pub images: Vec<Image>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u64>,
    /// The form of the answer.
    pub format: Format,
    /// The request body as it came, for engines that hand it on.
    pub body: &'a RawValue,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Text,
    /// A JSON object.
    Json,
}

/// A picture of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// Media type as announced, such as `image/png`.
    pub media_type: String,
    /// The encoded picture.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("media_type", &self.media_type).field("bytes", &self.bytes.len()).finish()
    }
}

impl Image {
    /// Size of the picture, read from its header.
    #[must_use]
    pub fn pixels(&self) -> Option<Pixels> {
        pixels(&self.bytes)
    }
}

fn pixels(bytes: &[u8]) -> Option<Pixels> {
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let (width, height) = reader.into_dimensions().ok()?;
    Some(Pixels { width, height })
}

#[derive(Deserialize)]
struct Body<'a> {
    model: Option<String>,
    #[serde(borrow, default)]
    messages: Option<Vec<Message<'a>>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    #[serde(borrow)]
    response_format: Option<ResponseFormat<'a>>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(String),
    Parts(#[serde(borrow)] Vec<Part<'a>>),
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    #[serde(borrow)]
    image_url: Option<ImageUrl<'a>>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    // Borrowed from the line unless it holds escapes: a picture of a megabyte need not be copied once more.
    #[serde(borrow)]
    url: Cow<'a, str>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// The refusal that the endpoint answers: a member missing or of the wrong type, a picture that is no picture.
    pub fn read(body: &'a RawValue) -> Result<Self, Refusal> {
        let read: Body<'a> = serde_json::from_str(body.get()).map_err(|cause| {
            Refusal::new(400, format!("Invalid request body: {cause}.")).param("messages").code("invalid_type")
        })?;
        let model = read.model.ok_or_else(|| Refusal::new(400, "you must provide a model parameter"))?;
        let messages = read.messages.ok_or_else(|| Refusal::missing("messages"))?;
        if read.stream == Some(true) {
            return Err(Refusal::new(400, "Streaming is not supported by this server.").param("stream"));
        }
        let format = match read.response_format.as_ref().map(|format| format.kind.as_ref()) {
            None | Some("text") => Format::Text,
            Some("json_object" | "json_schema") => Format::Json,
            Some(other) => {
                let supported = "'json_object', 'json_schema', and 'text'";
                return Err(Refusal::invalid_value("response_format.type", other, supported));
            }
        };
        let max_tokens = read.max_completion_tokens.or(read.max_tokens);
        let (system, user, images) = (String::new(), String::new(), Vec::new());
        let mut request = Self { model, system, user, images, max_tokens, format, body };
        for (place, message) in messages.iter().enumerate() {
            request.add(place, message)?;
        }
        Ok(request)
    }

    fn add(&mut self, place: usize, message: &Message<'_>) -> Result<(), Refusal> {
        let text =
            if matches!(message.role.as_ref(), "system" | "developer") { &mut self.system } else { &mut self.user };
        match &message.content {
            None => {}
            Some(Content::Text(words)) => push(text, words),
            Some(Content::Parts(parts)) => {
                for (number, part) in parts.iter().enumerate() {
                    match (part.kind.as_ref(), &part.text, &part.image_url) {
                        ("text", Some(words), _) => push(text, words),
                        ("image_url", _, Some(image)) => self.images.push(decode(&image.url)?),
                        (kind, _, _) => {
                            let param = format!("messages[{place}].content[{number}].type");
                            return Err(Refusal::invalid_value(&param, kind, "'text' and 'image_url'"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Prompt tokens by the house's estimate: words and every picture.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        let words = (self.system.len() + self.user.len()) as u64;
        let images = self.images.iter().filter_map(Image::pixels).map(|pixels| Counting::default().image(pixels));
        tokens::text(words) + images.sum::<u64>()
    }
}

fn push(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(words);
}

/// The picture behind a data URL.
fn decode(url: &str) -> Result<Image, Refusal> {
    let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) else {
        let message = "Invalid image URL: this server takes data URLs (data:image/png;base64,…) only.";
        return Err(bad_image("invalid_image_url", message));
    };
    let media_type = head.strip_suffix(";base64").ok_or_else(invalid_base64)?;
    let bytes = base64::Encoder::new().decode(data.as_bytes()).ok_or_else(invalid_base64)?;
    if bytes.is_empty() {
        return Err(bad_image("empty_image_file", "The image file is empty."));
    }
    Ok(Image { media_type: media_type.to_owned(), bytes })
}

fn invalid_base64() -> Refusal {
    bad_image("invalid_base64_image", "Invalid base64 image_url.")
}
