//! One request line: everything around the base64 of the image, and its exact length before a byte is read.

use crate::domain::image::{Format, RelPath};
use crate::domain::layout;
use crate::domain::recipe::{AnswerFormat, Kind, Recipe};
use crate::kit::base64::{Encoder, encoded_len};
use crate::kit::hash;

/// 64 × 64 white pixels: the smallest picture that no service is known to find too small.
const BLANK_PAGE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00@\x00\x00\x00@\x01\x00\x00\x00\x00\x82\x12Ls\x00\x00\x00\x12IDATx\xdac\xf8\x0f\x05\x0c\xa3\x8cQ\x06\xe9\x0c\x00\xe3\xd3\xfe\x10\x02\xdal\xe3\x00\x00\x00\x00IEND\xaeB`\x82";
/// Bytes of a path of 4,096 bytes, each written as an escape of six.
const LONGEST_ID: u64 = 6 * 4096;
/// What is asked about where no rough text is at hand.
const ROUGH_PAGE: &str = "A line of text.";
/// Name of the schema of an answer.
const SCHEMA_NAME: &str = "page";

/// What stands before and after the base64 of one image, or before and after a rough text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// From the opening brace to the comma of the data URL, or to the quote before the rough text.
    pub prefix: Vec<u8>,
    /// From the quote behind the data URL or the rough text to the newline.
    pub suffix: Vec<u8>,
}

impl Frame {
    /// Exact length of the line in bytes, newline included, around an image of `image_bytes` bytes.
    #[must_use]
    pub fn line_bytes(&self, image_bytes: u64) -> u64 {
        self.around(encoded_len(image_bytes))
    }

    /// Exact length of the line in bytes, newline included, around a rough text that is `escaped` bytes long in JSON.
    #[must_use]
    pub fn around(&self, escaped: u64) -> u64 {
        self.prefix.len() as u64 + escaped + self.suffix.len() as u64
    }
}

/// A rough text as it stands in a line: the inside of a JSON string.
#[must_use]
pub fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
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
        let mut prefix = format!(r#"{{"custom_id":{id}{}"#, self.middle);
        if self.recipe.kind == Kind::Read {
            prefix.push_str(&format!("data:{};base64,", format.media_type()));
        }
        Frame { prefix: prefix.into_bytes(), suffix: self.suffix.clone() }
    }

    /// What a line of this recipe asks, around a blank page of our own: every setting, none of the user's pictures. Cut out of a
    /// whole line, so that it is the request that a batch would make.
    ///
    /// # Errors
    /// As [`Framer::new`].
    pub fn specimen(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(serde::Deserialize)]
        struct Line<'a> {
            #[serde(borrow)]
            body: &'a serde_json::value::RawValue,
        }
        let frame = self.frame(&RelPath { folder: Vec::new(), name: Vec::new(), page: 1 }, Format::Png);
        let mut line = frame.prefix;
        match self.recipe.kind {
            Kind::Read => Encoder::new().append(BLANK_PAGE, &mut line),
            Kind::Deep => line.extend_from_slice(ROUGH_PAGE.as_bytes()),
        }
        line.extend_from_slice(&frame.suffix);
        serde_json::from_slice::<Line<'_>>(&line).map(|line| line.body.get().as_bytes().to_vec())
    }

    /// Bytes of the largest image whose line fits into a shard of `shard_bytes`, whatever its path.
    #[must_use]
    pub fn largest_image(&self, shard_bytes: u64) -> u64 {
        let short = RelPath { folder: Vec::new(), name: Vec::new(), page: 1 };
        let around = self.frame(&short, Format::Jpeg).line_bytes(0) + LONGEST_ID;
        let largest = shard_bytes.saturating_sub(around) / 4 * 3;
        debug_assert!(encoded_len(largest) + around <= shard_bytes.max(around + 4));
        largest
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

/// The two shapes that a request may have, with the words in which they differ.
struct Shape {
    /// The member that holds the messages.
    messages: &'static str,
    /// Before the prompt's text.
    text: &'static str,
    /// Between the prompt's text and the data URL.
    image: &'static str,
    /// Between the detail and the members of the settings: closes image, message and list.
    image_end: &'static str,
    /// Behind a rough text: closes its part, message and list.
    text_end: &'static str,
    /// The member of the token limit.
    tokens: &'static str,
    /// Around the effort.
    effort: (&'static str, &'static str),
}

const CHAT: Shape = Shape {
    messages: r#""messages":["#,
    text: r#"{"type":"text","text":"#,
    image: r#"},{"type":"image_url","image_url":{"url":""#,
    image_end: "}}]}]",
    text_end: r#""}]}]"#,
    tokens: "max_completion_tokens",
    effort: (r#""reasoning_effort":"#, ""),
};

const RESPONSES: Shape = Shape {
    messages: r#""input":["#,
    text: r#"{"type":"input_text","text":"#,
    image: r#"},{"type":"input_image","image_url":""#,
    image_end: "}]}]",
    text_end: r#""}]}]"#,
    tokens: "max_output_tokens",
    effort: (r#""reasoning":{"effort":"#, "}"),
};

fn shape(recipe: &Recipe) -> &'static Shape {
    if recipe.speaks_responses() { &RESPONSES } else { &CHAT }
}

fn middle(recipe: &Recipe) -> serde_json::Result<String> {
    let shape = shape(recipe);
    let mut text = String::new();
    text.push_str(r#","method":"POST","url":"#);
    text.push_str(&serde_json::to_string(&recipe.endpoint)?);
    text.push_str(r#","body":{"model":"#);
    text.push_str(&serde_json::to_string(&recipe.model)?);
    text.push(',');
    text.push_str(shape.messages);
    if let Some(system) = &recipe.parameters.system {
        text.push_str(r#"{"role":"system","content":"#);
        text.push_str(&serde_json::to_string(system)?);
        text.push_str("},");
    }
    text.push_str(r#"{"role":"user","content":["#);
    text.push_str(shape.text);
    text.push_str(&serde_json::to_string(&recipe.prompt)?);
    match recipe.kind {
        Kind::Read => text.push_str(shape.image),
        // The rough text is a part of its own, so that it cannot be taken for the order.
        Kind::Deep => {
            text.push_str("},");
            text.push_str(shape.text);
            text.push('"');
        }
    }
    Ok(text)
}

fn suffix(recipe: &Recipe) -> serde_json::Result<String> {
    let (shape, parameters) = (shape(recipe), &recipe.parameters);
    let mut text = String::new();
    match recipe.kind {
        Kind::Read => {
            text.push_str(r#"","detail":"#);
            text.push_str(&serde_json::to_string(&parameters.detail)?);
            text.push_str(shape.image_end);
        }
        Kind::Deep => text.push_str(shape.text_end),
    }
    if let Some(tokens) = parameters.max_output_tokens {
        text.push_str(&format!(r#","{}":{tokens}"#, shape.tokens));
    }
    if let Some(effort) = &parameters.reasoning_effort {
        text.push(',');
        text.push_str(shape.effort.0);
        text.push_str(&serde_json::to_string(effort)?);
        text.push_str(shape.effort.1);
    }
    if let Some(temperature) = parameters.temperature {
        text.push_str(r#","temperature":"#);
        text.push_str(&serde_json::to_string(&temperature)?);
    }
    if recipe.speaks_responses() {
        if let Some(format) = text_format(&parameters.answer_format) {
            text.push_str(r#","text":{"format":"#);
            text.push_str(&serde_json::to_string(&format)?);
            text.push('}');
        }
        // Unasked, the service keeps every answer, and the page with it, for thirty days.
        text.push_str(r#","store":false"#);
    } else if let Some(format) = response_format(&parameters.answer_format) {
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
            "json_schema": {"name": SCHEMA_NAME, "schema": schema, "strict": true},
        })),
    }
}

/// `text.format` as the Responses API takes it: the same, without the inner object.
fn text_format(format: &AnswerFormat) -> Option<serde_json::Value> {
    match format {
        AnswerFormat::JsonSchema { schema } => {
            Some(serde_json::json!({"type": "json_schema", "name": SCHEMA_NAME, "schema": schema, "strict": true}))
        }
        other => response_format(other),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::recipe::{IdStyle, Kind, Parameters};
    use proptest::prelude::*;

    pub(crate) fn recipe(prompt: &str) -> Recipe {
        Recipe {
            id: None,
            kind: Kind::Read,
            id_style: IdStyle::Path,
            step: 1,
            model: "gpt-5.6-luna".into(),
            endpoint: "/v1/chat/completions".into(),
            prompt: prompt.into(),
            parameters: Parameters {
                preparation: None,
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
        let path = RelPath { folder: b"tray_1".to_vec(), name: b"page3986.png".to_vec(), page: 1 };
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

    fn responses(prompt: &str) -> Recipe {
        Recipe { endpoint: "/v1/responses".into(), ..recipe(prompt) }
    }

    #[test]
    fn a_line_of_the_responses_api_is_the_request_of_the_reference() {
        let framer = Framer::new(&responses("Transcribe\nthe \"page\"."), b"rolls").expect("json");
        let path = RelPath { folder: b"tray_1".to_vec(), name: b"page3986.png".to_vec(), page: 1 };
        let value: serde_json::Value =
            serde_json::from_slice(&line(&framer, &path, b"image")).expect("one JSON object");
        let expected = serde_json::json!({
            "custom_id": "rolls|tray_1|page3986.png", "method": "POST", "url": "/v1/responses",
            "body": {
                "model": "gpt-5.6-luna",
                "input": [
                    {"role": "system", "content": "You are \"careful\"."},
                    {"role": "user", "content": [
                        {"type": "input_text", "text": "Transcribe\nthe \"page\"."},
                        {"type": "input_image", "image_url": "data:image/png;base64,aW1hZ2U=", "detail": "high"},
                    ]},
                ],
                "max_output_tokens": 4000, "reasoning": {"effort": "none"}, "temperature": 0.2,
                "text": {"format":
                    {"type": "json_schema", "name": "page", "schema": {"type": "object"}, "strict": true}},
                "store": false,
            },
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_line_of_a_deep_cleaning_sends_the_text_alone() {
        let rough = "Sure!\n\"Dear Sir\" \u{1} \\ ſ";
        for (endpoint, list, kind) in
            [("/v1/chat/completions", "messages", "text"), ("/v1/responses", "input", "input_text")]
        {
            let deep = Recipe { kind: Kind::Deep, endpoint: endpoint.into(), ..recipe("Clean \"it\".") };
            let framer = Framer::new(&deep, b"rolls").expect("json");
            let path = RelPath { folder: Vec::new(), name: b"a.png".to_vec(), page: 1 };
            let (frame, escaped) = (framer.frame(&path, Format::Png), escaped(rough));
            let line = [&frame.prefix[..], escaped.as_bytes(), &frame.suffix].concat();
            assert_eq!(line.len() as u64, frame.around(escaped.len() as u64));
            let value: serde_json::Value = serde_json::from_slice(&line).expect("one JSON object");
            let parts = serde_json::json!([{"type": kind, "text": "Clean \"it\"."}, {"type": kind, "text": rough}]);
            assert_eq!(value["body"][list][1]["content"], parts);
            let specimen: serde_json::Value =
                serde_json::from_slice(&framer.specimen().expect("JSON")).expect("one JSON object");
            assert_eq!(specimen[list][1]["content"][1]["text"], ROUGH_PAGE);
        }
    }

    #[test]
    fn a_specimen_is_what_a_line_asks_around_a_page_that_is_nobodys() {
        for recipe in [recipe("Transcribe."), responses("Transcribe.")] {
            let framer = Framer::new(&recipe, b".").expect("json");
            let path = RelPath { folder: Vec::new(), name: b"a.png".to_vec(), page: 1 };
            let whole: serde_json::Value = serde_json::from_slice(&line(&framer, &path, BLANK_PAGE)).expect("JSON");
            let specimen = framer.specimen().expect("JSON");
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&specimen).expect("JSON"), whole["body"]);
        }
        let page = image::load_from_memory(BLANK_PAGE).expect("a picture").to_luma8();
        assert_eq!(page.dimensions(), (64, 64));
        assert!(page.pixels().all(|pixel| pixel.0 == [255]), "it is blank");
    }

    proptest! {
        #[test]
        fn announced_length_is_written_length(
            prompt in ".{0,200}", system in proptest::option::of(".{0,50}"), temperature in proptest::option::of(0.0f64..2.0),
            tokens in proptest::option::of(16u32..100_000), effort in proptest::option::of("[a-z]{1,8}"),
            format in 0usize..3, is_chat in any::<bool>(), name in proptest::collection::vec(any::<u8>(), 1..60),
            image in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let schema = serde_json::json!({"type": "object", "description": prompt});
            let formats = [AnswerFormat::Text, AnswerFormat::JsonObject, AnswerFormat::JsonSchema { schema }];
            let mut recipe = if is_chat { recipe(&prompt) } else { responses(&prompt) };
            recipe.parameters = Parameters { preparation: None,
                system,
                detail: "high".into(),
                max_output_tokens: tokens,
                reasoning_effort: effort,
                temperature,
                answer_format: formats[format].clone(),
            };
            let framer = Framer::new(&recipe, b".").expect("json");
            let path = RelPath { folder: Vec::new(), name, page: 1 };
            let bytes = line(&framer, &path, &image);
            prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value = serde_json::from_slice::<serde_json::Value>(&bytes).expect("one JSON object");
            let asked = if is_chat { "messages" } else { "input" };
            prop_assert!(value["body"][asked].is_array());
        }
    }
}
