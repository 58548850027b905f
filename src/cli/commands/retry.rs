//! `retry`: images are put back to be asked again. It asks nothing itself: nothing is paid before the next run.

use serde_json::json;

use crate::cli::args::Retry;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{finish, words, work};
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ops::desk::Desk;
use crate::ops::explain;
use crate::ops::retry::{self, Found, Selection, Stays};
use crate::settings::{Problem, Settings};

use super::status;

fn told(error: LedgerError) -> Fail {
    finish::ledger(&error).into()
}

/// Puts back what the flags mean, and says what the next run will do.
pub(super) fn retry(context: &Context, flags: &Retry) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let selection = selection(context, flags, &settings).map_err(Fail::usage)?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else { return document(context, flags, &Found::default()) };
    if flags.dry_run {
        let found = retry::retry(&reader, &layout, &selection, |_| Ok(())).map_err(told)?;
        return tell(context, flags, &found);
    }
    let _lock = work::lock(&layout.lock(), "retry")?;
    let mut desk = Desk::open(&layout, context.clock.clone(), &settings).map_err(told)?;
    let found = retry::retry(&reader, &layout, &selection, |images| {
        desk.act(|store| store.ask_again(images, flags.model.as_deref())).map(drop)
    });
    // The writer leaves last, and takes the ledger's working files with it.
    drop(reader);
    desk.close().map_err(told)?;
    tell(context, flags, &found.map_err(told)?)
}

fn selection(context: &Context, flags: &Retry, settings: &Settings) -> Result<Selection, Problem> {
    if flags.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
        return Err(Problem::new("", "--model is empty").hint("name a model, or leave --model out"));
    }
    // As the ledger has its folders: links resolved.
    let here = dunce::canonicalize(&context.current_dir).unwrap_or_else(|_| context.current_dir.clone());
    let attempts = settings.retry.max_attempts;
    Selection::read(&flags.conditions, flags.path.as_deref(), &here, attempts, explain::reason_of)
}

fn tell(context: &Context, flags: &Retry, found: &Found) -> Result<Exit, Fail> {
    for line in lines(flags, found) {
        context.out.say(&line);
    }
    document(context, flags, found)
}

fn lines(flags: &Retry, found: &Found) -> Vec<String> {
    let images = |many| words::count(many, "image", "images");
    let mut lines = Vec::new();
    let with = flags.model.as_deref().map(|model| format!(" with {}", words::safe(model))).unwrap_or_default();
    match (found.total(), flags.dry_run) {
        (0, _) => lines.extend(none(flags, found)),
        (many, true) => lines.push(format!("Would put back {} to be asked again{with}:", images(many))),
        (many, false) => {
            let are = words::count(many, "image is", "images are");
            lines.push(format!("{are} owed again; batchscribe run  asks for them{with} and names the price first:"));
        }
    }
    for ((state, reason), many) in &found.moved {
        let reason = if reason.is_empty() { String::new() } else { format!(" ({})", words::safe(reason)) };
        lines.push(format!("  {many} {}{reason}", state.word()));
    }
    if found.moved.keys().any(|(state, _)| matches!(state, ImageState::Done | ImageState::Rough)) {
        lines.push("Their texts stay until new ones replace them.".to_owned());
    }
    lines.extend(found.stays.iter().map(stays));
    if found.edited > 0 {
        lines.push(format!(
            "{} left: a person's text stands beside them. --path PATH puts one back by its name:",
            images(found.edited)
        ));
        lines.extend(found.examples.iter().map(|path| format!("  {path}")));
        let more = found.edited.saturating_sub(found.examples.len() as u64);
        lines.extend((more > 0).then(|| format!("  and {more} more")));
    }
    if found.unmeasured > 0 {
        let files = words::count(found.unmeasured, "file has", "files have");
        lines.push(format!("{files} to be mended first; the next run measures them anew by itself."));
    }
    lines
}

/// Why nothing is put back. Whoever names a pattern alone means the images that failed, and may have meant others.
fn none(flags: &Retry, found: &Found) -> Vec<String> {
    let Some(path) = flags.path.as_deref().filter(|_| flags.conditions.is_empty()) else {
        return vec!["No image is to be put back.".to_owned()];
    };
    let (path, unfailed) = (words::argument(path), found.unfailed);
    let mut lines = vec![format!("No image is to be put back: none that failed fits --path {path}.")];
    lines.push(if unfailed > 0 {
        let fit = words::count(unfailed, "image that is done or rough fits", "images that are done or rough fit");
        format!("{fit}: --where 'state=done|rough' asks for them again, too, as the full path of one does.")
    } else {
        "Paths are those below the image folder; * stands for anything within a name, ** for folders, too.".to_owned()
    });
    lines
}

/// Said before anything is paid: a person's text is replaced by none, also where its image was named to be asked again.
fn stays(stays: &Stays) -> String {
    let Stays { image, text } = stays;
    format!(
        "The text of {image} is a person's, and stays: the new answer, which is paid for, will lie in the saved results alone \
         (batchscribe status {}  names the file).\nTo have it as the text, move {text} away before the run; or later, and then \
         batchscribe clean  writes it.",
        words::argument(image)
    )
}

fn document(context: &Context, flags: &Retry, found: &Found) -> Result<Exit, Fail> {
    if context.out.json {
        let moved = |((state, reason), images): (&(ImageState, String), &u64)| json!({"state": state.word(), "reason": reason, "images": images});
        let document = json!({
            "schema": 1, "dry_run": flags.dry_run, "model": flags.model, "images": found.total(),
            "from": found.moved.iter().map(moved).collect::<Vec<_>>(), "edited": found.edited,
            "unmeasured": found.unmeasured, "stays": found.stays.iter().map(|stays| &stays.image).collect::<Vec<_>>(), "unfailed": found.unfailed,
        });
        context.out.data(&document.to_string())?;
    }
    Ok(Exit::Done)
}
