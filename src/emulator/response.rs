//! An answer of `/v1/responses`, exact when writing: the members and their order are those of the reference's examples.

use serde::Serialize;

use super::engine::{ChatRequest, Format, Said};

#[derive(Serialize)]
pub(crate) struct ResponseObject<'a> {
    id: String,
    object: &'static str,
    created_at: i64,
    status: &'static str,
    background: bool,
    error: Option<()>,
    incomplete_details: Option<Incomplete>,
    instructions: Option<()>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<()>,
    model: &'a str,
    output: Vec<Item<'a>>,
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    reasoning: Reasoning,
    service_tier: &'static str,
    store: bool,
    temperature: f64,
    text: Text,
    tool_choice: &'static str,
    tools: [(); 0],
    top_logprobs: u8,
    top_p: f64,
    truncation: &'static str,
    usage: Usage,
    user: Option<()>,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
struct Reasoning {
    effort: Option<()>,
    summary: Option<()>,
}

#[derive(Serialize)]
struct Text {
    format: TextFormat,
}

#[derive(Serialize)]
struct TextFormat {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    Reasoning { id: String, summary: [(); 0] },
    Message { id: String, status: &'static str, role: &'static str, content: [Part<'a>; 1] },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    OutputText { annotations: [(); 0], logprobs: [(); 0], text: &'a str },
    Refusal { refusal: &'a str },
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl<'a> ResponseObject<'a> {
    /// An answer to `request` named `tag`, given at `created` (unix seconds).
    pub(crate) fn new(tag: &str, created: i64, request: &ChatRequest<'_>, said: &'a Said) -> Self {
        let stopped_by = match said.finish_reason.as_str() {
            "length" => Some("max_output_tokens"),
            "content_filter" => Some("content_filter"),
            _ => None,
        };
        let tokens = said.tokens();
        Self {
            id: format!("resp_{tag}"),
            object: "response",
            created_at: created,
            status: if stopped_by.is_some() { "incomplete" } else { "completed" },
            background: false,
            error: None,
            incomplete_details: stopped_by.map(|reason| Incomplete { reason }),
            instructions: None,
            max_output_tokens: request.max_tokens,
            max_tool_calls: None,
            model: &said.model,
            output: items(tag, said, stopped_by.is_some()),
            parallel_tool_calls: true,
            previous_response_id: None,
            reasoning: Reasoning { effort: None, summary: None },
            service_tier: "default",
            store: request.store,
            temperature: 1.0,
            text: Text { format: TextFormat { kind: kind(request.format) } },
            tool_choice: "auto",
            tools: [],
            top_logprobs: 0,
            top_p: 1.0,
            truncation: "disabled",
            usage: Usage {
                input_tokens: tokens.prompt,
                input_tokens_details: InputDetails { cached_tokens: tokens.cached, cache_write_tokens: 0 },
                output_tokens: tokens.output,
                output_tokens_details: OutputDetails { reasoning_tokens: tokens.reasoning },
                total_tokens: tokens.prompt + tokens.output,
            },
            user: None,
            metadata: Metadata {},
        }
    }
}

/// The schema of a wanted object is not repeated: its kind is told as the plainer one.
fn kind(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::Json => "json_object",
    }
}

/// Reasoning first; a model that has spent all its tokens on it says nothing at all.
fn items<'a>(tag: &str, said: &'a Said, incomplete: bool) -> Vec<Item<'a>> {
    let thought = (said.reasoning_tokens > 0).then(|| Item::Reasoning { id: format!("rs_{tag}"), summary: [] });
    let part = match (&said.refusal, &said.content) {
        (Some(refusal), _) => Some(Part::Refusal { refusal }),
        (None, Some(text)) if !(incomplete && text.is_empty()) => {
            Some(Part::OutputText { annotations: [], logprobs: [], text })
        }
        _ => None,
    };
    let status = if incomplete { "incomplete" } else { "completed" };
    let message =
        part.map(|part| Item::Message { id: format!("msg_{tag}"), status, role: "assistant", content: [part] });
    thought.into_iter().chain(message).collect()
}
