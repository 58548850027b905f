//! `keys`: puts a key into its file, tries it out, tells where keys lie, takes it away. A key is typed or piped, never an argument.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use serde_json::json;

use crate::cli::args::Keys;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail, cannot_write};
use crate::ops::keys::{Said, check};
use crate::settings::keys::{self, Key, Lies};
use crate::settings::{Problem, ProviderKind, Settings};

/// Does what was asked.
pub(super) fn keys(context: &Context, what: &Keys) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    match what {
        Keys::Set => set(context, &settings),
        Keys::Check => checked(context, &settings),
        Keys::Path => path(context, &settings),
        Keys::Forget => forget(context, &settings),
    }
}

fn file(settings: &Settings) -> Result<&Path, Problem> {
    settings.api_key_file.as_deref().ok_or_else(|| {
        Problem::new("E303", "there is no file for a key: api_key_file is empty").hint("name one, such as api_key.txt")
    })
}

/// Reads a key and keeps it, unless the provider refuses it.
fn set(context: &Context, settings: &Settings) -> Result<Exit, Fail> {
    let file = file(settings)?;
    if !may_replace(context, file)? {
        context.out.say("Nothing was changed.");
        return Ok(Exit::Done);
    }
    let key = keys::plain(typed(context)?, "what was typed")?;
    let key = Key { secret: key.into(), source: "what was typed".to_owned() };
    let tried = try_out(context, settings, &key)?;
    keys::keep(file, &key).map_err(|cause| cannot_write(&cause))?;
    context.out.say(&format!("{tried}. Saved in {} (0600).", file.display()));
    // What is looked at before the file would win over it.
    if let Some(found) = keys::find(settings, &context.environment)?.filter(|found| !found.is_of(file)) {
        context.out.warn(&format!("{} is looked at first, and has a key: that one is used", found.source));
    }
    Ok(Exit::Done)
}

/// Whether a key may be written to this file: one that is there may be the only copy, so at a terminal that is asked.
fn may_replace(context: &Context, file: &Path) -> Result<bool, Fail> {
    if !file.metadata().is_ok_and(|facts| facts.is_file() && facts.len() > 0) {
        return Ok(true);
    }
    if context.out.can_ask && !context.global.yes {
        return Ok(context.out.confirmed(&format!("{} holds a key already. Replace it?", file.display()))?);
    }
    context.out.say(&format!("{} holds a key already; the new one replaces it.", file.display()));
    Ok(true)
}

/// What the provider says to the key. One that it refuses is a mistake; one that nobody could be asked about is not.
fn try_out(context: &Context, settings: &Settings, key: &Key) -> Result<String, Fail> {
    if settings.provider.name == ProviderKind::Local && settings.provider.named {
        return Ok("Not tried out: the provider is the built-in engine".to_owned());
    }
    let host = settings.api_url.host();
    context.out.say(&format!("Checking with {host} …"));
    match check(settings, key)? {
        Said::Taken => Ok(format!("Ok: {host} takes it, and lists batches")),
        Said::Refused(problem) => Err(problem.hint("the key was not saved").into()),
        Said::Nothing(why) => Ok(format!("Not tried out: {why}")),
    }
}

/// A line from the terminal, unseen, or from a pipe.
fn typed(context: &Context) -> Result<String, Fail> {
    let told = |cause: io::Error| Problem::new("E303", format!("no key was read: {cause}")).hint("pipe it, or type it");
    if io::stdin().is_terminal() {
        if !context.out.can_ask {
            return Err(Problem::new("E109", "a question was asked, but questions are switched off")
                .hint("pipe the key: batchscribe keys set < FILE")
                .into());
        }
        context.out.say("Paste your key (it stays invisible):");
        return Ok(console::Term::stderr().read_secure_line().map_err(told)?);
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(told)?;
    Ok(line)
}

fn checked(context: &Context, settings: &Settings) -> Result<Exit, Fail> {
    let Some(key) = keys::find(settings, &context.environment)? else {
        return Err(keys::missing(settings, &context.environment).into());
    };
    match check(settings, &key)? {
        Said::Taken => {
            let (host, source, ending) = (settings.api_url.host(), &key.source, key.ending());
            context.out.data(&format!("ok: {host} takes the key of {source}{ending}, and lists batches"))?;
            Ok(Exit::Done)
        }
        Said::Refused(problem) => Err(problem.into()),
        Said::Nothing(why) => {
            Err(Problem::new("E310", format!("{} cannot be reached: {why}", settings.api_url.host()))
                .hint("the key was found, and not tried out")
                .into())
        }
    }
}

/// Every place in the order in which it is looked at, and whether a run would take what lies there. Nothing is run, and no key is
/// shown.
fn path(context: &Context, settings: &Settings) -> Result<Exit, Fail> {
    let places = keys::looked_at(settings, &context.environment);
    if context.out.json {
        let places = places.iter().map(|(place, lies)| match lies {
            Lies::Key => json!({"place": place, "there": true}),
            Lies::Nothing => json!({"place": place, "there": false}),
            Lies::Wrong(problem) => {
                json!({"place": place, "there": true, "code": problem.code, "wrong": problem.sentence})
            }
            Lies::Unknown => json!({"place": place, "there": null}),
        });
        context.out.data(&json!({"schema": 1, "places": places.collect::<Vec<_>>()}).to_string())?;
        return Ok(Exit::Done);
    }
    let none = places.iter().all(|(_, lies)| matches!(lies, Lies::Nothing));
    for (place, lies) in places {
        let mark = match &lies {
            Lies::Key => "✓",
            Lies::Nothing => "-",
            Lies::Wrong(_) => "✗",
            Lies::Unknown => "?",
        };
        context.out.data(&format!("{mark} {place}"))?;
        if let Lies::Wrong(problem) = lies {
            context.out.data(&format!("    {} ({}); {}", problem.sentence, problem.code, problem.hints.join("; ")))?;
        }
    }
    if none {
        context.out.say("No key is there yet: batchscribe keys set  keeps one");
    }
    Ok(Exit::Done)
}

fn forget(context: &Context, settings: &Settings) -> Result<Exit, Fail> {
    let file = file(settings)?;
    match fs_err::remove_file(file) {
        Ok(()) => {
            context.out.say(&format!("Removed {}. The key itself is still valid at its provider.", file.display()))
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            context.out.say(&format!("There is no {}: nothing to forget.", file.display()));
        }
        Err(cause) => return Err(cannot_write(&cause).into()),
    }
    Ok(Exit::Done)
}
