//! `config`: the settings in force, where they come from, which files are read.

use crate::cli::args::{Config, Described};
use crate::cli::context::Context;
use crate::cli::events;
use crate::cli::exit::{Exit, Fail};
use crate::settings::{Origin, Settings, files, schema, tables, texts};

/// Shows what is asked.
pub(super) fn config(context: &Context, what: &Config) -> Result<Exit, Fail> {
    match what {
        Config::Show { origin } => show(context, *origin),
        Config::Check => check(context),
        Config::Schema { of } => {
            match of {
                Described::Settings => context.out.data(&format!("{:#}", schema()))?,
                Described::Events => context.out.data(events::SCHEMA.trim_end())?,
            }
            Ok(Exit::Done)
        }
        Config::Path => path(context),
    }
}

/// Everything that a run reads before it begins; every mistake is told, and nothing is sent or written.
fn check(context: &Context) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let prompt = texts::prompt(&settings)?;
    texts::recipe(&settings, &prompt.text)?;
    // What follows from the provider's name was set by nobody.
    let is_set = |origin: &Origin| !matches!(origin, Origin::Default | Origin::Profile(_));
    let set = settings.sources.iter().filter(|sourced| is_set(&sourced.origin)).count();
    let are = if set == 1 { "setting is set" } else { "settings are set" };
    context.out.data(&format!("ok: {set} {are}; where each comes from:  batchscribe config show --origin"))?;
    Ok(Exit::Done)
}

fn show(context: &Context, origin: bool) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    if context.out.json {
        context.out.data(&document(&settings))?;
        return Ok(Exit::Done);
    }
    for line in lines(&settings, origin) {
        context.out.data(&line)?;
    }
    Ok(Exit::Done)
}

/// `key = value`, in the order of `default.toml`; reads back as a settings file.
fn lines(settings: &Settings, origin: bool) -> Vec<String> {
    let line = |sourced: &crate::settings::Sourced| {
        let plain = format!("{} = {}", sourced.key, sourced.value);
        if origin { format!("{plain}   # {}", sourced.origin) } else { plain }
    };
    settings.sources.iter().map(line).collect()
}

fn document(settings: &Settings) -> String {
    let entry = |sourced: &crate::settings::Sourced| {
        (sourced.key.to_owned(), serde_json::json!({"value": sourced.value, "origin": sourced.origin.to_string()}))
    };
    serde_json::Value::Object(settings.sources.iter().map(entry).collect()).to_string()
}

fn path(context: &Context) -> Result<Exit, Fail> {
    let sources = context.sources();
    for path in files(&sources).into_iter().chain(tables(&sources)) {
        let state = if path.metadata().is_ok() { "" } else { "   # is not there" };
        context.out.data(&format!("{}{state}", path.display()))?;
    }
    Ok(Exit::Done)
}
