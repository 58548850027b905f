//! `validate`: are the texts what was asked for? Ends with 3 if one is not.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::args::{TextFormat, Validate};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::cli::{finish, words, work};
use crate::kit::json_schema::JsonSchema;
use crate::ledger::LedgerError;
use crate::ops::desk::Desk;
use crate::ops::validate::{self, Became, Error, Finding, Report, Rules};
use crate::settings::{Problem, Settings, TextFrom, texts};

use super::status;

fn told(error: LedgerError) -> Fail {
    finish::ledger(&error).into()
}

/// Checks every text, and lists what is unusable.
pub(super) fn validate(context: &Context, flags: &Validate) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let rules = rules(context, flags, &settings)?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else {
        // That nothing was begun was said; programs get their document all the same.
        if context.out.json {
            context.out.data(&document(flags, &Report::default(), Exit::Done))?;
        }
        return Ok(Exit::Done);
    };
    // Whoever reads may go away: what was begun is finished all the same.
    let mut heard: Result<(), Fail> = Ok(());
    let mut each = |finding: &Finding| {
        if heard.is_ok() {
            heard = context.out.data(&line(context, flags, finding));
        }
    };
    let report = if flags.dry_run {
        validate::validate(&reader, &layout, &rules, None, &mut each)
    } else {
        let _lock = work::lock(&layout.lock(), "validate")?;
        let mut desk = Desk::open(&layout, context.clock.clone(), &settings).map_err(told)?;
        let report = validate::validate(&reader, &layout, &rules, Some(&mut desk), &mut each);
        // The writer leaves last, and takes the ledger's working files with it.
        drop(reader);
        desk.close().map_err(told)?;
        report
    };
    let report = report.map_err(|error| match error {
        Error::Ledger(error) => told(error),
        Error::Disk(cause) => cannot_write(&cause).into(),
    })?;
    heard?;
    conclude(context, flags, &report)
}

fn rules(context: &Context, flags: &Validate, settings: &Settings) -> Result<Rules, Fail> {
    let typed = flags.schema.as_ref().map(|path| context.current_dir.join(path));
    let schema = typed.as_deref().or(settings.request.schema_file.as_deref()).map(schema).transpose()?;
    // Texts that were never asked are measured by what would be asked for now.
    let prompt = texts::prompt(settings).map(|prompt| prompt.text).unwrap_or_default();
    let asks_json = texts::recipe(settings, &prompt).is_ok_and(|recipe| recipe.parameters.answer_format.is_json());
    let json = match flags.format {
        Some(format) => Some(format == TextFormat::Json),
        None if flags.schema.is_some() => Some(true),
        // A member of the JSON stands in the text, and is text.
        None => matches!(settings.text.from, TextFrom::Field(_)).then_some(false),
    };
    Ok(Rules { json, asks_json, schema, endings: settings.valid_image_types.clone() })
}

fn schema(path: &Path) -> Result<JsonSchema, Problem> {
    let wrong = |cause: String| {
        Problem::new("E112", format!("schema file {} cannot be used: {cause}", path.display()))
            .hint("it has to be a JSON Schema whose references stay within it")
    };
    let text = fs_err::read_to_string(path).map_err(|cause| wrong(cause.to_string()))?;
    let schema: Value = serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string()))?;
    JsonSchema::new(&schema).map_err(|cause| wrong(cause.to_string()))
}

fn line(context: &Context, flags: &Validate, finding: &Finding) -> String {
    let Finding { path, fault, became } = finding;
    if context.out.json {
        return json!({"schema": 1, "type": "text", "path": path.shown(), "fault": fault.word(),
            "message": fault.to_string(), "became": became.word(), "dry_run": flags.dry_run})
        .to_string();
    }
    let became = became_words(*became, flags.dry_run);
    words::safe(&format!("{}: {fault}; {became}", path.shown()))
}

fn became_words(became: Became, dry_run: bool) -> &'static str {
    match (became, dry_run) {
        (Became::AskedAgain, false) => "taken away, its image is asked again unless its tries are used up",
        (Became::AskedAgain, true) => "would be taken away, and its image asked again",
        (Became::Removed, false) => "taken away",
        (Became::Removed, true) => "would be taken away",
        (Became::Rough, false) => "its raw answer is gone, so it is kept as .txt.api",
        (Became::Rough, true) => "its raw answer is gone, so it would be kept as .txt.api",
        (Became::NoRoom, _) => "left, its raw answer is gone and another .txt.api stands beside it",
        (Became::Waits, _) => "left, its image is not done",
        (Became::Edited, _) => "left, a person has edited it",
        (Became::NeverOurs, _) => "left, it was never ours",
        (Became::Unknown, _) => "left, the ledger does not know its image",
    }
}

fn document(flags: &Validate, report: &Report, exit: Exit) -> String {
    let counted =
        |((fault, became), texts): (&(&str, &str), &u64)| json!({"fault": fault, "became": became, "texts": texts});
    let document = json!({
        "schema": 1, "type": "summary", "dry_run": flags.dry_run, "checked": report.checked, "valid": report.valid,
        "invalid": report.invalid.iter().map(counted).collect::<Vec<_>>(), "finished": report.finished,
        "exit": exit.number(),
    });
    document.to_string()
}

fn conclude(context: &Context, flags: &Validate, report: &Report) -> Result<Exit, Fail> {
    let invalid: u64 = report.invalid.values().sum();
    let exit = if invalid > 0 { Exit::SomeFailed } else { Exit::Done };
    if context.out.json {
        context.out.data(&document(flags, report, exit))?;
    }
    context.out.say(&format!(
        "{} checked, {} good, {invalid} not",
        words::count(report.checked, "text", "texts"),
        report.valid
    ));
    for ((fault, became), texts) in &report.invalid {
        context.out.say(&format!("  {texts} {fault}: {}", became.replace('_', " ")));
    }
    if report.invalid.keys().any(|(_, became)| *became == Became::AskedAgain.word()) {
        let next = "Nothing was paid: batchscribe run  asks for them again and names the price first.";
        context.out.say(if flags.dry_run { "Nothing was changed." } else { next });
    }
    Ok(exit)
}
