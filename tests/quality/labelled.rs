//! The labelled answers: `tests/data/answers/labelled.jsonl`, one a line, each with what a person makes of it and why.

use std::path::Path;

use batchscribe::clean::content::{Reading, TextFrom};
use batchscribe::clean::judge::{Limits, Next, Question, judge as judge_answer};
use batchscribe::clean::polish::PolishOptions;
use batchscribe::domain::answer::{Answer, Finish, Outcome};
use batchscribe::domain::batch::Usage;
use batchscribe::domain::ids::ImageId;
use batchscribe::domain::image::{Reason, RelPath};
use batchscribe::domain::ladder::{Abilities, Ladder};
use batchscribe::domain::recipe::{AnswerFormat, IdStyle, Kind, Parameters, Recipe};
use batchscribe::domain::verdict::Verdict;
use batchscribe::kit::hash::short;
use batchscribe::kit::json_schema::JsonSchema;
use serde::Deserialize;

/// One answer with its label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Labelled {
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) language: String,
    finish: String,
    content: Option<String>,
    /// Of good pages: the text that a person transcribed, below `tests/data/truth`.
    truth: Option<String>,
    refusal: Option<String>,
    /// `json` or `schema`; plain text otherwise.
    format: Option<String>,
    ink: Option<f64>,
    after: Option<String>,
    /// Prompt, output and reasoning tokens.
    usage: Option<[u64; 3]>,
    /// The text that has to come of it, where cleaning matters.
    pub(crate) text: Option<String>,
    pub(crate) expected: Told,
    pub(crate) why: String,
}

/// A verdict and its flags, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    pub(crate) verdict: String,
    pub(crate) flags: Vec<String>,
}

/// What the judge says.
pub(crate) struct Judged {
    pub(crate) told: Told,
    pub(crate) text: Option<String>,
}

/// All of them.
pub(crate) fn read() -> Vec<Labelled> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers/labelled.jsonl");
    let text = std::fs::read_to_string(path).expect("the labelled answers");
    let mut answers: Vec<Labelled> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for answer in &mut answers {
        if let Some(truth) = &answer.truth {
            answer.content = Some(super::truth::text(truth));
        }
    }
    answers
}

/// Judges one as the pipeline would, at its first try, or at its second where it was asked again.
pub(crate) fn judge(labelled: &Labelled, prompt: &str, ladder: &Ladder) -> Judged {
    let schema = JsonSchema::new(&serde_json::json!({
        "type": "object", "required": ["text", "page_state"], "additionalProperties": false,
        "properties": {"text": {"type": "string"}, "page_state": {"enum": ["text", "blank", "illegible"]}},
    }));
    let schema = schema.expect("a schema");
    let format = labelled.format.as_deref();
    let (from, polish, limits) = (TextFrom::Content, PolishOptions::default(), Limits::default());
    let reading = Reading {
        json: format.is_some(),
        schema: (format == Some("schema")).then_some(&schema),
        from: &from,
        polish: &polish,
        prompt,
    };
    let after = labelled.after.as_deref().map(|word| Reason::from_word(word).expect("a reason"));
    let attempt = if after.is_some() { 2 } else { 1 };
    let question = Question {
        reading,
        limits: &limits,
        ink: labelled.ink,
        after,
        said: None,
        as_it_is: true,
        next: Next::Step { ladder, kind: Kind::Read, attempt: attempt + 1, model: None },
        hash: short,
    };
    let judgement = judge_answer(&answer(labelled, attempt), &question);
    let mut flags: Vec<String> = judgement.flags.iter().map(|flag| (*flag).to_owned()).collect();
    flags.sort();
    Judged { told: Told { verdict: words(&judgement.verdict), flags }, text: judgement.text }
}

fn answer(labelled: &Labelled, attempt: u32) -> Answer {
    let finish = match labelled.finish.as_str() {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    };
    let (content, refusal) = (labelled.content.clone(), labelled.refusal.clone());
    let outcome = Outcome::Answered { content, refusal, finish };
    let usage = labelled.usage.map(|[prompt, output, reasoning]| Usage { prompt, cached: 0, output, reasoning });
    let path = RelPath { folder: Vec::new(), name: b"page.jpg".to_vec(), page: 1 };
    Answer { image: ImageId(1), path, attempt, outcome, usage }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::AskAgain { reason, .. } | Verdict::Reject(reason) => format!("{}:{}", verdict.word(), reason.word()),
        other => other.word().to_owned(),
    }
    .replace("never_ran", "missing")
}

/// A ladder that has a second step for whatever can be asked otherwise.
pub(crate) fn ladder() -> Ladder {
    let recipe = |kind| Recipe {
        id: None,
        kind,
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
    };
    let lookup = |_: &str| Abilities {
        efforts: Vec::new(),
        temperature: true,
        details: &["low", "high"],
        max_output_tokens: 16_384,
        image: None,
    };
    Ladder::new(recipe(Kind::Read), recipe(Kind::Deep), None, lookup)
}
