//! When is a text stale? When today's recipe differs in anything that a person sets and that the page's text hangs on.
//!
//! What only attempts change (the limit of output tokens, effort, temperature, a note behind the prompt) is no difference: a text
//! that a later attempt of the same settings made is as good as one of the first.

use super::recipe::{AnswerFormat, Kind, Recipe};

/// What differs between the recipe that made a text and today's, in the words of the settings; empty: the text is not stale.
#[must_use]
pub fn changed(made: &Recipe, today: &Recipe) -> Vec<&'static str> {
    // A deep-cleaned text was made from a rough one: its recipe says nothing of how the page was read.
    if made.kind == Kind::Deep {
        return Vec::new();
    }
    let (old, new) = (&made.parameters, &today.parameters);
    // A later step of the ladder asks with a note behind the prompt, in more detail, or another model.
    let first = made.step == 1;
    let prompt = if first { made.prompt == today.prompt } else { made.prompt.starts_with(today.prompt.trim_end()) };
    let parts = [
        ("model", first && made.model != today.model),
        ("endpoint", made.endpoint != today.endpoint),
        ("prompt", !prompt),
        ("system prompt", old.system != new.system),
        ("detail", first && old.detail != new.detail),
        ("answer format", !alike(&old.answer_format, &new.answer_format)),
        ("schema", alike(&old.answer_format, &new.answer_format) && old.answer_format != new.answer_format),
        ("custom_id", made.id_style != today.id_style),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

fn alike(one: &AnswerFormat, other: &AnswerFormat) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recipe::{IdStyle, Parameters};

    fn recipe() -> Recipe {
        Recipe {
            id: None,
            kind: Kind::Read,
            id_style: IdStyle::Path,
            step: 1,
            model: "m".into(),
            endpoint: "/v1/chat/completions".into(),
            prompt: "Read.".into(),
            parameters: Parameters {
                preparation: None,
                system: None,
                detail: "high".into(),
                max_output_tokens: Some(4000),
                reasoning_effort: None,
                temperature: None,
                answer_format: AnswerFormat::Text,
            },
        }
    }

    #[test]
    fn what_makes_a_text_stale() {
        type Change = fn(&mut Recipe);
        let schema = |word: &str| AnswerFormat::JsonSchema { schema: serde_json::json!({ "title": word }) };
        let cases: [(Change, &[&str]); 8] = [
            (|_| (), &[]),
            (|r| r.model = "n".into(), &["model"]),
            (|r| r.prompt = "Look.".into(), &["prompt"]),
            (|r| r.parameters.detail = "low".into(), &["detail"]),
            (|r| r.parameters.answer_format = AnswerFormat::JsonObject, &["answer format"]),
            (|r| r.id_style = IdStyle::Opaque, &["custom_id"]),
            // A later attempt of the same settings.
            (|r| (r.step, r.parameters.max_output_tokens) = (2, Some(8000)), &[]),
            (|r| (r.kind, r.model) = (Kind::Deep, "n".into()), &[]),
        ];
        for (change, expected) in cases {
            let mut made = recipe();
            change(&mut made);
            assert_eq!(changed(&made, &recipe()), expected, "{made:?}");
        }
        let (mut one, mut other) = (recipe(), recipe());
        one.parameters.answer_format = schema("a");
        other.parameters.answer_format = schema("b");
        assert_eq!(changed(&one, &other), ["schema"]);
    }
}
