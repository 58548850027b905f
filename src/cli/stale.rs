//! Texts that another recipe made: none is mixed with new ones unasked.

use crate::ledger::LedgerError;
use crate::ledger::records::{REDO, REDO_OVER};
use crate::ops::desk::Desk;
use crate::ops::plan::stale;
use crate::ops::redo::{self, Order};
use crate::settings::texts::{self, Prompt};
use crate::settings::{Origin, Problem, ProviderKind, Settings};

use super::args::Redo;
use super::context::Context;
use super::exit::Fail;
use super::{finish, pages, words};

/// Refuses to mix the texts of two recipes unasked (E108).
pub(super) fn same_recipe(settings: &Settings, prompt: &Prompt) -> Result<(), Problem> {
    let Some(reader) = pages::ledger(&settings.layout()).map_err(|error| finish::ledger(&error))? else {
        return Ok(());
    };
    let told = |error: LedgerError| finish::ledger(&error);
    let recipe = texts::recipe(settings, &prompt.text)?;
    let made = reader.made().map_err(told)?;
    let (parts, images) = stale(&made, &recipe, settings.provider.name == ProviderKind::OpenAi);
    if images == 0 {
        return Ok(());
    }
    let (parts, found) = (parts.into_iter().collect::<Vec<_>>().join(", "), reader.standing().map_err(told)?.found);
    Err(Problem::new(
        "E108",
        format!("the recipe changed ({parts}) after {images} of {}", words::count(found, "image", "images")),
    )
    .hint("go on and keep their texts: --keep-old; ask for them again: --redo stale")
    .hint(format!("batchscribe plan{} --list stale  lists them; nothing was sent", folder(settings))))
}

/// The image folder as it was typed in this call: a command that is told without it would look elsewhere.
fn folder(settings: &Settings) -> String {
    let typed = matches!(settings.origin("image_dir"), Some(Origin::Flag(_)));
    if typed { format!(" {}", words::argument(&settings.image_dir_given)) } else { String::new() }
}

/// Puts back what is to be asked again. The same command once more goes on with the order, and puts back nothing that was asked on
/// it: what is stale is not stale any more by then, and of the others the ledger knows the time of the order.
pub(super) fn put_back(context: &Context, settings: &Settings, redo: Redo, prompt: &Prompt) -> Result<(), Fail> {
    let told = |error: LedgerError| Fail::from(finish::ledger(&error));
    let layout = settings.layout();
    let Some(reader) = pages::ledger(&layout).map_err(told)? else { return Ok(()) };
    let today = texts::recipe(settings, &prompt.text)?;
    let which = which(redo);
    let order = Order::of(&reader, which).map_err(told)?;
    let mut desk = Desk::open(&layout, context.clock.clone(), settings).map_err(told)?;
    let note = match order {
        Order::New if which.is_never_done() => Some(REDO),
        Order::Ended(_) => Some(REDO_OVER),
        Order::New | Order::GoesOn(_) => None,
    };
    if let Some(what) = note {
        desk.act(|store| store.note_event(what, None, which.word())).map_err(told)?;
    }
    let images = redo::redo(&reader, &layout, (which, order), &today, |images| {
        desk.act(|store| store.ask_again(images, None)).map(drop)
    });
    // The writer leaves last, and takes the ledger's working files with it.
    drop(reader);
    desk.close().map_err(told)?;
    let images = words::count(images.map_err(told)?, "image is", "images are");
    let word = which.word();
    context.out.say(&match order {
        Order::New => format!("{images} asked again."),
        Order::GoesOn(since) => format!(
            "{images} asked again; the --redo {word} of {} goes on, and what was asked since then is left.",
            words::utc(since)
        ),
        Order::Ended(since) => format!(
            "The --redo {word} of {} has come to its end. The same command again asks for everything once more.",
            words::utc(since)
        ),
    });
    Ok(())
}

/// Notes the end of orders to ask again where no image waits any more, whoever has brought them there: the same order given once
/// more is a new one.
pub(super) fn end_orders(context: &Context, settings: &Settings) -> Result<(), Fail> {
    let told = |error: LedgerError| Fail::from(finish::ledger(&error));
    let Some(reader) = pages::ledger(&settings.layout()).map_err(told)? else { return Ok(()) };
    let mut ended = Vec::new();
    for which in [redo::Which::Failed, redo::Which::All] {
        if matches!(Order::of(&reader, which).map_err(told)?, Order::Ended(_)) {
            ended.push(which);
        }
    }
    drop(reader);
    if ended.is_empty() {
        return Ok(());
    }
    let mut desk = Desk::open(&settings.layout(), context.clock.clone(), settings).map_err(told)?;
    for which in ended {
        desk.act(|store| store.note_event(REDO_OVER, None, which.word())).map_err(told)?;
    }
    desk.close().map_err(told)
}

/// The same, for the verb itself.
pub(super) fn which(redo: Redo) -> redo::Which {
    match redo {
        Redo::Stale => redo::Which::Stale,
        Redo::Failed => redo::Which::Failed,
        Redo::All => redo::Which::All,
    }
}
