//! A request as an engine sees it, to whichever endpoint: its words, its pictures decoded, its limits.

use std::borrow::Cow;
use std::io::Cursor;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::bad_image;
use crate::domain::image::Pixels;
use crate::domain::tokens::{self, Counting};
use crate::emulator::endpoint::Endpoint;
use crate::emulator::refusal::Refusal;
use crate::kit::base64;

/// A request to a model.
#[derive(Debug)]
pub struct ChatRequest<'a> {
    /// Where it was sent.
    pub endpoint: Endpoint,
    /// The model that the caller names.
    pub model: String,
    /// Texts of the system and developer messages, one a line.
    pub system: String,
    /// Texts of the user messages, one a line.
    pub user: String,
    /// How many texts the user messages have, and where in `user` the last one begins.
    texts: (usize, usize),
    /// The pictures, in order.
    pub images: Vec<Image>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u64>,
    /// The form of the answer.
    pub format: Format,
    /// Whether the answer is to be kept.
    pub store: bool,
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

/// The members of both endpoints: what belongs to the other one is refused by name.
#[derive(Deserialize)]
struct Body<'a> {
    model: Option<String>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    input: Option<Input<'a>>,
    instructions: Option<String>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<AnswerFormat<'a>>,
    #[serde(borrow)]
    text: Option<TextOptions<'a>>,
    store: Option<bool>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct TextOptions<'a> {
    #[serde(borrow)]
    format: Option<AnswerFormat<'a>>,
}

#[derive(Deserialize)]
struct AnswerFormat<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(String),
    Messages(#[serde(borrow)] Vec<Message<'a>>),
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

// Borrowed from the line unless it holds escapes: a picture of a megabyte need not be copied once more.
#[derive(Deserialize)]
#[serde(untagged)]
enum ImageUrl<'a> {
    Plain(#[serde(borrow)] Cow<'a, str>),
    Object {
        #[serde(borrow)]
        url: Cow<'a, str>,
    },
}

impl Body<'_> {
    /// Refuses what belongs to the other endpoint.
    fn no_strangers(&self, endpoint: Endpoint) -> Result<(), Refusal> {
        let of_chat = [
            (self.messages.is_some(), "messages", "input"),
            (self.max_tokens.is_some(), "max_tokens", "max_output_tokens"),
            (self.max_completion_tokens.is_some(), "max_completion_tokens", "max_output_tokens"),
            (self.reasoning_effort.is_some(), "reasoning_effort", "reasoning.effort"),
            (self.response_format.is_some(), "response_format", "text.format"),
        ];
        let of_responses = [
            (self.input.is_some(), "input"),
            (self.instructions.is_some(), "instructions"),
            (self.max_output_tokens.is_some(), "max_output_tokens"),
            (self.reasoning.is_some(), "reasoning"),
            (self.text.is_some(), "text"),
        ];
        let stranger = match endpoint {
            Endpoint::Chat => of_responses
                .into_iter()
                .find(|(is_there, _)| *is_there)
                .map(|(_, name)| Refusal::unknown_parameter(name)),
            Endpoint::Responses => {
                of_chat.into_iter().find(|(is_there, ..)| *is_there).map(|(_, name, to)| Refusal::moved(name, to))
            }
        };
        stranger.map_or(Ok(()), Err)
    }

    fn format(&self, endpoint: Endpoint) -> Result<Format, Refusal> {
        let (param, format) = match endpoint {
            Endpoint::Chat => ("response_format", self.response_format.as_ref()),
            Endpoint::Responses => ("text.format", self.text.as_ref().and_then(|text| text.format.as_ref())),
        };
        let Some(format) = format else { return Ok(Format::Text) };
        match format.kind.as_ref() {
            "text" => Ok(Format::Text),
            "json_schema" if endpoint == Endpoint::Responses && format.name.is_none() => {
                Err(Refusal::missing("text.format.name"))
            }
            "json_schema" if endpoint == Endpoint::Responses && format.schema.is_none() => {
                Err(Refusal::missing("text.format.schema"))
            }
            "json_object" | "json_schema" => Ok(Format::Json),
            other => {
                let supported = "'json_object', 'json_schema', and 'text'";
                Err(Refusal::invalid_value(&format!("{param}.type"), other, supported))
            }
        }
    }
}

impl<'a> ChatRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// The refusal that the endpoint answers: a member missing, strange or of the wrong type, a picture that is no picture.
    pub fn read(endpoint: Endpoint, body: &'a RawValue) -> Result<Self, Refusal> {
        let list = if endpoint == Endpoint::Chat { "messages" } else { "input" };
        let read: Body<'a> = serde_json::from_str(body.get()).map_err(|cause| {
            Refusal::new(400, format!("Invalid request body: {cause}.")).param(list).code("invalid_type")
        })?;
        read.no_strangers(endpoint)?;
        let format = read.format(endpoint)?;
        let model = read.model.ok_or_else(|| Refusal::new(400, "you must provide a model parameter"))?;
        if read.stream == Some(true) {
            return Err(Refusal::new(400, "Streaming is not supported by this server.").param("stream"));
        }
        let mut request = Self {
            endpoint,
            model,
            system: read.instructions.unwrap_or_default(),
            user: String::new(),
            texts: (0, 0),
            images: Vec::new(),
            max_tokens: read.max_output_tokens.or(read.max_completion_tokens).or(read.max_tokens),
            format,
            store: read.store.unwrap_or(endpoint == Endpoint::Responses),
            body,
        };
        let messages = match (read.messages, read.input) {
            (Some(messages), _) | (None, Some(Input::Messages(messages))) => messages,
            (None, Some(Input::Text(text))) => {
                request.user = text;
                return Ok(request);
            }
            (None, None) => return Err(Refusal::missing(list)),
        };
        for (place, message) in messages.iter().enumerate() {
            request.add(&format!("{list}[{place}]"), message)?;
        }
        Ok(request)
    }

    fn add(&mut self, place: &str, message: &Message<'_>) -> Result<(), Refusal> {
        let is_user = !matches!(message.role.as_ref(), "system" | "developer");
        let text = if is_user { &mut self.user } else { &mut self.system };
        let (words, picture) = match self.endpoint {
            Endpoint::Chat => ("text", "image_url"),
            Endpoint::Responses => ("input_text", "input_image"),
        };
        let parts = match &message.content {
            None => return Ok(()),
            Some(Content::Text(words)) => {
                push(text, words);
                return Ok(());
            }
            Some(Content::Parts(parts)) => parts,
        };
        for (number, part) in parts.iter().enumerate() {
            let param = format!("{place}.content[{number}]");
            match (part.kind.as_ref(), &part.text, &part.image_url) {
                (kind, Some(told), _) if kind == words => {
                    push(text, told);
                    if is_user {
                        self.texts = (self.texts.0 + 1, text.len() - told.len());
                    }
                }
                (kind, _, Some(image)) if kind == picture => self.images.push(decode(self.endpoint, image, &param)?),
                (kind, _, _) => {
                    let supported = format!("'{words}' and '{picture}'");
                    return Err(Refusal::invalid_value(&format!("{param}.type"), kind, &supported));
                }
            }
        }
        Ok(())
    }

    /// Whether it is about a text and not about a page: an instruction, the text, and no picture.
    #[must_use]
    pub fn is_deep(&self) -> bool {
        self.images.is_empty() && self.texts.0 >= 2
    }

    /// The last text of the user messages; all of them where they have no parts.
    #[must_use]
    pub fn last_text(&self) -> &str {
        self.user.get(self.texts.1..).unwrap_or_default()
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

/// The picture behind a data URL, which the one endpoint takes within an object and the other one plainly.
fn decode(endpoint: Endpoint, url: &ImageUrl<'_>, param: &str) -> Result<Image, Refusal> {
    let url = match (endpoint, url) {
        (Endpoint::Chat, ImageUrl::Object { url }) | (Endpoint::Responses, ImageUrl::Plain(url)) => url,
        (Endpoint::Chat, _) => {
            return Err(Refusal::invalid_type(&format!("{param}.image_url"), "an object", "a string"));
        }
        (Endpoint::Responses, _) => {
            return Err(Refusal::invalid_type(&format!("{param}.image_url"), "an image URL", "an object"));
        }
    };
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
