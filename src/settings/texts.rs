//! What is asked: prompt, system prompt, schema, and the recipe that they make.

use std::io;
use std::path::Path;

use crate::domain::recipe::{AnswerFormat, Kind, Parameters, Preparation, Recipe};

use super::problem::{Problem, cause_alone};
use super::{AnswerChoice, Settings};

/// The prompt where the user has none.
pub const BUILT_IN_PROMPT: &str = "\
Transcribe all text on this page exactly as it is written.

- Keep the spelling, capital letters, punctuation and abbreviations of the original, mistakes included. Do not translate, \
modernise, correct, expand or explain anything.
- Keep the line breaks of the page: one line of text for each line on the page. Keep words that are split at the end of \
a line split. Leave one empty line between paragraphs.
- Read columns one after the other, from left to right. Put headings, page numbers, stamps and notes in the margin on \
lines of their own, where they stand on the page. Write tables row by row, with a tab between cells.
- Write [illegible] for what cannot be read. Never guess and never fill in what is missing.
- If the page has no text, answer only: [blank page]

Answer with the transcription alone: no introduction, no comment, no code fence.
";

/// The prompt of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Word for word.
    pub text: String,
    /// Whether it is ours, because the user has none.
    pub built_in: bool,
}

/// Reads the prompt. A `prompt_file` that nobody named and that is absent means the built-in one.
///
/// # Errors
/// E105 if the file is empty, no UTF-8 text, cannot be read, or was named and is missing.
pub fn prompt(settings: &Settings) -> Result<Prompt, Problem> {
    let built_in = || Prompt { text: BUILT_IN_PROMPT.to_owned(), built_in: true };
    let Some(path) = &settings.prompt_file else { return Ok(built_in()) };
    let without = "prompt_file = \"\" takes the built-in prompt";
    match written(path) {
        Ok(text) => {
            Ok(Prompt { text: text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned), built_in: false })
        }
        Err(Unfit::Missing(_)) if !settings.is_set("prompt_file") => Ok(built_in()),
        Err(unfit @ Unfit::Missing(_)) => {
            let hint = format!("batchscribe init  writes a prompt.txt to begin with; {without}");
            Err(unfit.told("prompt file", path).hint(hint))
        }
        Err(unfit) => Err(unfit.told("prompt file", path).hint(without)),
    }
}

/// Why a file holds no prompt.
#[derive(Debug)]
enum Unfit {
    Missing(io::Error),
    Unreadable(io::Error),
    Empty,
    NoText(&'static str),
}

impl Unfit {
    /// In words (E105), and what helps in each case.
    fn told(&self, what: &str, path: &Path) -> Problem {
        let told = |how: &str| Problem::new("E105", format!("{what} {} {how}", path.display()));
        match self {
            Self::Missing(cause) => told("is missing").detail(cause_alone(cause)),
            Self::Unreadable(cause) => {
                told("cannot be read").detail(cause_alone(cause)).hint("it has to be a file that you may read")
            }
            Self::Empty => told("is empty").detail("there is no text in it").hint("write into it what is to be asked"),
            Self::NoText(why) => told("is no UTF-8 text").detail(*why).hint("save it as UTF-8 in your editor"),
        }
    }
}

/// The words of a file, which are sent as they stand.
fn written(path: &Path) -> Result<String, Unfit> {
    let bytes = fs_err::read(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Unfit::Missing(cause),
        _ => Unfit::Unreadable(cause),
    })?;
    // Editors on Windows begin such a file with a mark; without one, every second byte of plain words is zero, which is
    // UTF-8 by its bytes and no text by any means.
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return Err(Unfit::NoText("it seems to be UTF-16, as some editors on Windows write"));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim_start_matches('\u{feff}').trim().is_empty() => Err(Unfit::Empty),
        Ok(text) => Ok(text),
        Err(_) => Err(Unfit::NoText("some of its bytes are no letters of UTF-8: another encoding, or damage")),
    }
}

/// The recipe of a run: what every line of it says but for image and id.
///
/// # Errors
/// E105 for a system prompt, E112 for a schema that cannot be used.
pub fn recipe(settings: &Settings, prompt: &str) -> Result<Recipe, Problem> {
    let request = &settings.request;
    let system = request.system_file.as_deref().map(system).transpose()?;
    let preparation = settings.encode.preparation;
    let parameters = Parameters {
        // As for every run: no part of the recipe, which stays the one that it was.
        preparation: (preparation != Preparation::default()).then_some(preparation),
        system,
        detail: request.detail.clone(),
        max_output_tokens: Some(request.max_output_tokens),
        reasoning_effort: request.reasoning_effort.clone(),
        temperature: request.temperature,
        answer_format: answer_format(settings, prompt)?,
    };
    Ok(Recipe {
        id: None,
        kind: Kind::Read,
        id_style: settings.text.custom_id,
        step: 1,
        model: request.model.clone(),
        endpoint: settings.api_url.endpoint_named(settings.provider.endpoint.as_deref()),
        prompt: prompt.to_owned(),
        parameters,
    })
}

/// The prompt of deep cleaning where the user has none.
pub const BUILT_IN_DEEP_PROMPT: &str = "\
The next part is the transcription of a historical page, made by a machine. Words of the machine may stand in it: an \
introduction, a remark, an offer of help, a repeated instruction, Markdown or HTML around the text.

Give back the transcription without them, and change nothing else: not one word, number, sign, spelling or line break of \
the page. Add nothing. If nothing is to be removed, give it back as it is.

Answer with the transcription alone.
";

/// The recipe of deep cleaning beside the recipe of pages.
///
/// # Errors
/// E105 for a prompt file that is missing, empty or no UTF-8 text.
pub fn deep_recipe(settings: &Settings, read: &Recipe) -> Result<Recipe, Problem> {
    let prompt = match &settings.clean.deep_prompt_file {
        None => BUILT_IN_DEEP_PROMPT.to_owned(),
        Some(path) => {
            named_prompt(path, "deep prompt file", "set in clean.deep_prompt_file; \"\" takes the built-in one")?
        }
    };
    let model = settings.clean.deep_clean_model.clone().unwrap_or_else(|| read.model.clone());
    let same = model == read.model;
    let effort = if same || read.parameters.reasoning_effort.is_none() {
        read.parameters.reasoning_effort.clone()
    } else {
        settings.models.lowest_effort(&model)
    };
    let parameters = Parameters {
        preparation: None,
        system: None,
        detail: read.parameters.detail.clone(),
        max_output_tokens: read.parameters.max_output_tokens,
        reasoning_effort: effort,
        temperature: read.parameters.temperature.filter(|_| same),
        answer_format: AnswerFormat::Text,
    };
    Ok(Recipe { kind: Kind::Deep, model, prompt, parameters, ..read.clone() })
}

fn system(path: &Path) -> Result<String, Problem> {
    named_prompt(path, "system prompt file", "set in request.system_file; \"\" sends none")
}

fn named_prompt(path: &Path, what: &str, hint: &str) -> Result<String, Problem> {
    written(path).map_err(|unfit| unfit.told(what, path).hint(hint))
}

fn answer_format(settings: &Settings, prompt: &str) -> Result<AnswerFormat, Problem> {
    let schema = |path: &Path| schema(path).map(|schema| AnswerFormat::JsonSchema { schema });
    match (settings.request.answer_format, &settings.request.schema_file) {
        (AnswerChoice::Auto | AnswerChoice::JsonSchema, Some(path)) => schema(path),
        (AnswerChoice::Json, _) => Ok(AnswerFormat::JsonObject),
        // The word, not a part of one: providers refuse JSON mode unless the prompt says it.
        (AnswerChoice::Auto, None) if says_json(prompt) => Ok(AnswerFormat::JsonObject),
        _ => Ok(AnswerFormat::Text),
    }
}

fn says_json(prompt: &str) -> bool {
    prompt.split(|c: char| !c.is_alphanumeric()).any(|word| word == "JSON")
}

fn schema(path: &Path) -> Result<serde_json::Value, Problem> {
    let wrong = |cause: String| {
        Problem::new("E112", format!("schema file {} cannot be used: {cause}", path.display()))
            .hint("strict schemas need every property in `required` and additionalProperties: false")
    };
    let text = fs_err::read_to_string(path).map_err(|cause| wrong(cause_alone(&cause)))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string()))?;
    if value.get("type").and_then(serde_json::Value::as_str) != Some("object") {
        return Err(wrong("its outermost type is not \"object\"".to_owned()));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Flag, Sources, resolve};
    use super::*;

    fn settings(folder: &Path, flags: &[(&str, &str)]) -> Settings {
        let flag = |(key, value): &(&str, &str)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let sources = Sources {
            workspace: folder.to_owned(),
            current_dir: folder.to_owned(),
            config: None,
            no_config: true,
            flags: flags.iter().map(flag).collect(),
            environment: Environment::default(),
        };
        resolve(&sources).map_err(|problems| format!("{problems:?}")).expect("settings").settings
    }

    fn write(path: &Path, text: &str) {
        use crate::kit::atomic_file::{self, Access, Durability};
        atomic_file::write(path, text.as_bytes(), Access::Umask, Durability::Derived).expect("file");
    }

    #[test]
    fn a_prompt_that_nobody_named_may_be_absent_but_not_empty() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path();
        assert!(prompt(&settings(path, &[])).expect("built in").built_in);
        let problem = prompt(&settings(path, &[("prompt_file", "mine.txt")])).expect_err("missing");
        let expected = format!("prompt file {} is missing", path.join("mine.txt").display());
        assert_eq!((problem.code, problem.sentence), ("E105", expected));
        write(&path.join("prompt.txt"), "\u{feff}Read {this}.\n");
        let own = prompt(&settings(path, &[])).expect("own");
        assert_eq!(own, Prompt { text: "Read {this}.\n".to_owned(), built_in: false });
        write(&path.join("prompt.txt"), " \n");
        assert_eq!(prompt(&settings(path, &[])).expect_err("empty").code, "E105");
        assert!(prompt(&settings(path, &[("prompt_file", "")])).expect("unset").built_in);
    }

    #[test]
    fn a_prompt_that_cannot_be_sent_is_told_by_what_is_wrong_with_it() {
        use crate::kit::atomic_file::{self, Access, Durability};
        let folder = tempfile::tempdir().expect("temp dir");
        let file = folder.path().join("prompt.txt");
        let utf16: Vec<u8> = "\u{feff}Read.\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, how, hint) in [
            (&b""[..], "is empty", "write into it"),
            ("\u{feff}\n".as_bytes(), "is empty", "write into it"),
            (&utf16[..], "is no UTF-8 text", "save it as UTF-8"),
            (&utf16[2..], "is no UTF-8 text", "save it as UTF-8"),
            (b"Lies das f\xfcr mich", "is no UTF-8 text", "save it as UTF-8"),
        ] {
            atomic_file::write(&file, bytes, Access::Umask, Durability::Derived).expect("file");
            let problem = prompt(&settings(folder.path(), &[])).expect_err(how);
            assert!(problem.sentence.ends_with(how) && problem.hints[0].starts_with(hint), "{problem}");
            assert!(!problem.to_string().contains("batchscribe init"), "init writes none where one is: {problem}");
        }
    }

    #[test]
    fn the_answer_format() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path();
        write(&path.join("s.json"), "{\"type\":\"object\"}");
        write(&path.join("bad.json"), "{\"type\":");
        let format = |flags: &[(&str, &str)], prompt: &str| {
            recipe(&settings(path, flags), prompt).map(|recipe| recipe.parameters.answer_format).map_err(|p| p.code)
        };
        let schema = AnswerFormat::JsonSchema { schema: serde_json::json!({"type": "object"}) };
        assert_eq!(format(&[], "Transcribe."), Ok(AnswerFormat::Text));
        assert_eq!(format(&[], "Answer in JSON."), Ok(AnswerFormat::JsonObject));
        assert_eq!(format(&[], "Ignore JSONL."), Ok(AnswerFormat::Text));
        assert_eq!(format(&[("request.answer_format", "text")], "No JSON."), Ok(AnswerFormat::Text));
        assert_eq!(format(&[("request.schema_file", "s.json")], "Read."), Ok(schema));
        assert_eq!(format(&[("request.schema_file", "bad.json")], "Read."), Err("E112"));
        assert_eq!(format(&[], BUILT_IN_PROMPT), Ok(AnswerFormat::Text));
    }
}
