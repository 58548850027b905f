//! One request line: everything around the base64 of the image, and its exact length before a byte is read.

use crate::domain::image::{Format, RelPath};
use crate::domain::layout;
use crate::domain::recipe::{AnswerFormat, Recipe};
use crate::kit::base64::encoded_len;
use crate::kit::hash;

/// What stands before and after the base64 of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// From the opening brace to the comma of the data URL.
    pub prefix: Vec<u8>,
    /// From the quote behind the data URL to the newline.
    pub suffix: Vec<u8>,
}

impl Frame {
    /// Exact length of the line in bytes, newline included, around an image of `image_bytes` bytes.
    #[must_use]
    pub fn line_bytes(&self, image_bytes: u64) -> u64 {
        self.prefix.len() as u64 + encoded_len(image_bytes) + self.suffix.len() as u64
    }
}

/// Frames the lines of one recipe and corpus: the parts that do not change are made once.
#[derive(Clone, Debug)]
pub struct Framer {
    recipe: Recipe,
    given: Vec<u8>,
    /// Behind the custom id, up to `data:`.
    middle: String,
    suffix: Vec<u8>,
}

impl Framer {
    /// A framer for `recipe`; `given` is the corpus as the user wrote it.
    ///
    /// # Errors
    /// Never for recipes that came from the settings or the ledger; JSON that cannot be written is told as such.
    pub fn new(recipe: &Recipe, given: &[u8]) -> serde_json::Result<Self> {
        Ok(Self {
            middle: middle(recipe)?,
            suffix: suffix(recipe)?.into_bytes(),
            recipe: recipe.clone(),
            given: given.to_vec(),
        })
    }

    /// The custom id of an image.
    #[must_use]
    pub fn custom_id(&self, path: &RelPath) -> String {
        layout::custom_id(self.recipe.id_style, &self.given, path, full_hash)
    }

    /// The frame of one image's line.
    #[must_use]
    pub fn frame(&self, path: &RelPath, format: Format) -> Frame {
        let id = serde_json::Value::String(self.custom_id(path));
        let prefix = format!(r#"{{"custom_id":{id}{}data:{};base64,"#, self.middle, format.media_type());
        Frame { prefix: prefix.into_bytes(), suffix: self.suffix.clone() }
    }

    /// Bytes of prompt text that each line carries, for the estimate of its tokens.
    #[must_use]
    pub fn prompt_bytes(&self) -> u64 {
        let system = self.recipe.parameters.system.as_ref().map_or(0, String::len);
        (self.recipe.prompt.len() + system) as u64
    }
}

/// The hash that names are told apart by: BLAKE3, 64 hex digits.
#[must_use]
pub fn full_hash(bytes: &[u8]) -> String {
    hash::hex_digits(bytes, 64)
}

fn middle(recipe: &Recipe) -> serde_json::Result<String> {
    let parameters = &recipe.parameters;
    let mut text = String::new();
    text.push_str(r#","method":"POST","url":"#);
    text.push_str(&serde_json::to_string(&recipe.endpoint)?);
    text.push_str(r#","body":{"model":"#);
    text.push_str(&serde_json::to_string(&recipe.model)?);
    text.push_str(r#","messages":["#);
    if let Some(system) = &parameters.system {
        text.push_str(r#"{"role":"system","content":"#);
        text.push_str(&serde_json::to_string(system)?);
        text.push_str("},");
    }
    text.push_str(r#"{"role":"user","content":[{"type":"text","text":"#);
    text.push_str(&serde_json::to_string(&recipe.prompt)?);
    text.push_str(r#"},{"type":"image_url","image_url":{"url":""#);
    Ok(text)
}

fn suffix(recipe: &Recipe) -> serde_json::Result<String> {
    let parameters = &recipe.parameters;
    let mut text = String::from(r#"","detail":"#);
    text.push_str(&serde_json::to_string(&parameters.detail)?);
    text.push_str("}}]}]");
    if let Some(tokens) = parameters.max_output_tokens {
        text.push_str(&format!(r#","max_completion_tokens":{tokens}"#));
    }
    if let Some(effort) = &parameters.reasoning_effort {
        text.push_str(r#","reasoning_effort":"#);
        text.push_str(&serde_json::to_string(effort)?);
    }
    if let Some(temperature) = parameters.temperature {
        text.push_str(r#","temperature":"#);
        text.push_str(&serde_json::to_string(&temperature)?);
    }
    if let Some(format) = response_format(&parameters.answer_format) {
        text.push_str(r#","response_format":"#);
        text.push_str(&serde_json::to_string(&format)?);
    }
    text.push_str("}}\n");
    Ok(text)
}

/// `response_format` as chat completions take it; plain text needs none.
fn response_format(format: &AnswerFormat) -> Option<serde_json::Value> {
    match format {
        AnswerFormat::Text => None,
        AnswerFormat::JsonObject => Some(serde_json::json!({"type": "json_object"})),
        AnswerFormat::JsonSchema { schema } => Some(serde_json::json!({
            "type": "json_schema",
            "json_schema": {"name": "page", "schema": schema, "strict": true},
        })),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::recipe::{IdStyle, Parameters};
    use crate::kit::base64::Encoder;
    use proptest::prelude::*;

    pub(crate) fn recipe(prompt: &str) -> Recipe {
        Recipe {
            id: None,
            id_style: IdStyle::Path,
            step: 1,
            model: "gpt-5.6-luna".into(),
            endpoint: "/v1/chat/completions".into(),
            prompt: prompt.into(),
            parameters: Parameters {
                system: Some("You are \"careful\".".into()),
                detail: "high".into(),
                max_output_tokens: Some(4000),
                reasoning_effort: Some("none".into()),
                temperature: Some(0.2),
                answer_format: AnswerFormat::JsonSchema { schema: serde_json::json!({"type": "object"}) },
            },
        }
    }

    fn line(framer: &Framer, path: &RelPath, image: &[u8]) -> Vec<u8> {
        let frame = framer.frame(path, Format::Png);
        let mut bytes = frame.prefix.clone();
        Encoder::new().append(image, &mut bytes);
        bytes.extend_from_slice(&frame.suffix);
        assert_eq!(bytes.len() as u64, frame.line_bytes(image.len() as u64));
        bytes
    }

    #[test]
    fn a_line_is_the_request_of_the_reference() {
        let framer = Framer::new(&recipe("Transcribe\nthe \"page\"."), b"rolls").expect("json");
        let path = RelPath { folder: b"tray_1".to_vec(), name: b"page3986.png".to_vec() };
        let bytes = line(&framer, &path, b"image");
        assert_eq!(bytes.last(), Some(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&bytes).expect("one JSON object");
        let expected = serde_json::json!({
            "custom_id": "rolls|tray_1|page3986.png", "method": "POST", "url": "/v1/chat/completions",
            "body": {
                "model": "gpt-5.6-luna",
                "messages": [
                    {"role": "system", "content": "You are \"careful\"."},
                    {"role": "user", "content": [
                        {"type": "text", "text": "Transcribe\nthe \"page\"."},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1hZ2U=", "detail": "high"}},
                    ]},
                ],
                "max_completion_tokens": 4000, "reasoning_effort": "none", "temperature": 0.2,
                "response_format": {"type": "json_schema",
                    "json_schema": {"name": "page", "schema": {"type": "object"}, "strict": true}},
            },
        });
        assert_eq!(value, expected);
    }

    proptest! {
        #[test]
        fn announced_length_is_written_length(
            prompt in ".{0,200}", name in proptest::collection::vec(any::<u8>(), 1..60),
            image in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let framer = Framer::new(&recipe(&prompt), b".").expect("json");
            let path = RelPath { folder: Vec::new(), name };
            let bytes = line(&framer, &path, &image);
            prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }
}
