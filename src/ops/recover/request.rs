//! How a lost shard was asked: read from the first line of its input file, without the picture in it. Settings may have
//! changed since, and its answers are to be judged by those that it was asked with.

use serde_json::Value;

use crate::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Recipe};

/// Bytes that are kept of a line: a long prompt and a large schema.
const MOST: usize = 4 << 20;
/// What stands before a picture, and what behind it.
const PICTURE: &[u8] = b";base64,";
const END: u8 = b'"';

/// A line while it streams by; what is base64 is not kept.
#[derive(Debug, Default)]
pub(super) struct FirstLine {
    text: Vec<u8>,
    in_picture: bool,
    over: bool,
}

impl FirstLine {
    /// Takes the next bytes; those behind the first newline are none of it.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !self.over && !rest.is_empty() {
            if self.in_picture {
                let Some(end) = memchr::memchr2(END, b'\n', rest) else { return };
                (self.in_picture, rest) = (false, &rest[end..]);
            }
            let Some((byte, more)) = rest.split_first() else { return };
            rest = more;
            self.over = *byte == b'\n' || self.text.len() == MOST;
            self.text.push(*byte);
            self.in_picture = *byte == PICTURE[PICTURE.len() - 1] && self.text.ends_with(PICTURE);
        }
    }

    /// The recipe that the line was made by, if this program made it; custom ids were made in `style`.
    pub(super) fn recipe(&self, style: IdStyle) -> Option<Recipe> {
        let line: Value = serde_json::from_slice(&self.text).ok()?;
        let body = line.get("body")?;
        // Chat completions, or the Responses API with words of its own.
        let (system, user) = match body.get("messages").or_else(|| body.get("input"))?.as_array()?.as_slice() {
            [user] => (None, user),
            [system, user] => (Some(text(system, "content")?), user),
            _ => return None,
        };
        let [prompt, picture] = user.get("content")?.as_array()?.as_slice() else { return None };
        let number = |key: &str| body.get(key).and_then(Value::as_u64).and_then(|number| number.try_into().ok());
        let in_url = picture.get("image_url").and_then(|url| text(url, "detail"));
        let effort = || text(body.get("reasoning")?, "effort");
        let format = body.get("response_format").or_else(|| body.get("text")?.get("format"));
        Some(Recipe {
            id: None,
            kind: Kind::Read,
            id_style: style,
            step: 1,
            model: text(body, "model")?,
            endpoint: text(&line, "url")?,
            prompt: text(prompt, "text")?,
            parameters: Parameters {
                preparation: None,
                system,
                detail: in_url.or_else(|| text(picture, "detail"))?,
                max_output_tokens: number("max_completion_tokens").or_else(|| number("max_output_tokens")),
                reasoning_effort: text(body, "reasoning_effort").or_else(effort),
                temperature: body.get("temperature").and_then(Value::as_f64),
                answer_format: answer_format(format)?,
            },
        })
    }
}

fn answer_format(told: Option<&Value>) -> Option<AnswerFormat> {
    let Some(told) = told else { return Some(AnswerFormat::Text) };
    match told.get("type")?.as_str()? {
        "json_object" => Some(AnswerFormat::JsonObject),
        "json_schema" => {
            let named = told.get("json_schema").unwrap_or(told);
            Some(AnswerFormat::JsonSchema { schema: named.get("schema")?.clone() })
        }
        _ => None,
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::{Format, RelPath};
    use crate::encode::line::Framer;
    use proptest::prelude::*;

    fn recipe(prompt: &str, system: Option<&str>, answer_format: AnswerFormat) -> Recipe {
        let parameters = Parameters {
            preparation: None,
            system: system.map(str::to_owned),
            detail: "high".into(),
            max_output_tokens: Some(4000),
            reasoning_effort: system.map(|_| "none".into()),
            temperature: Some(0.2).filter(|_| system.is_some()),
            answer_format,
        };
        Recipe {
            id: None,
            kind: Kind::Read,
            id_style: IdStyle::Path,
            step: 1,
            model: "m".into(),
            endpoint: "/v1/chat/completions".into(),
            prompt: prompt.into(),
            parameters,
        }
    }

    fn read(recipe: &Recipe, picture: &str, size: usize) -> Option<Recipe> {
        let framer = Framer::new(recipe, b"in").expect("JSON");
        let path = RelPath { folder: b"a".to_vec(), name: b"b.png".to_vec(), page: 1 };
        let frame = framer.frame(&path, Format::Png);
        let line = [&frame.prefix[..], picture.as_bytes(), &frame.suffix, b"{\"custom_id\":\"another\"}\n"].concat();
        let mut first = FirstLine::default();
        line.chunks(size).for_each(|chunk| first.push(chunk));
        assert!(first.text.len() < line.len() - picture.len(), "no picture is kept");
        first.recipe(IdStyle::Path)
    }

    #[test]
    fn a_line_tells_the_recipe_that_it_was_made_by() {
        let schema = AnswerFormat::JsonSchema { schema: serde_json::json!({"type": "object"}) };
        for made in [
            recipe("Read \"it\".\nAll.", None, AnswerFormat::Text),
            recipe("Answer in JSON.", Some("Be careful."), AnswerFormat::JsonObject),
            recipe("x", Some(""), schema),
        ] {
            let responses = Recipe { endpoint: "/v1/responses".into(), ..made.clone() };
            for (made, size) in [1, 3, 64, 100_000].into_iter().flat_map(|size| [(&made, size), (&responses, size)]) {
                assert_eq!(read(made, &"iVBORw0KGgo+/=".repeat(40), size).as_ref(), Some(made), "{size}");
            }
        }
    }

    #[test]
    fn a_line_of_somebody_else_tells_none() {
        for line in [
            "",
            "x",
            "{}",
            "{\"body\":{\"model\":\"m\",\"messages\":[]}}",
            "{\"url\":\"u\",\"body\":{\"messages\":[{}]}}",
        ] {
            let mut first = FirstLine::default();
            first.push(line.as_bytes());
            assert_eq!(first.recipe(IdStyle::Path), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_prompt_comes_back(prompt in ".{0,80}") {
            let made = recipe(&prompt, None, AnswerFormat::Text);
            let framer = Framer::new(&made, b"in").expect("JSON");
            let path = RelPath { folder: Vec::new(), name: b"b.png".to_vec(), page: 1 };
            let frame = framer.frame(&path, Format::Jpeg);
            let mut first = FirstLine::default();
            first.push(&[&frame.prefix[..], b"QUJD", &frame.suffix].concat());
            prop_assert_eq!(first.recipe(IdStyle::Path), Some(made));
        }
    }
}
