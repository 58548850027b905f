//! The one question before anything is sent or paid for: how many images, at what cost, to whom.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use crate::domain::money::{Charge, Money};
use crate::domain::recipe::Recipe;
use crate::kit::clock::Millis;
use crate::ledger::LedgerError;
use crate::ledger::reader::{Planned, Reader};
use crate::ops::plan::{self, Ask, Plan, PlanError};
use crate::ops::redo;
use crate::settings::{Problem, ProviderKind, Settings, prices};

use super::context::Context;
use super::exit::{Exit, Fail};
use super::finish;
use super::{pages, words};

/// Output tokens of a page where `plan` has none to guess from.
const GUESS: u64 = 600;

/// What is about to be done.
pub(super) struct Doing<'a> {
    /// The settings in force.
    pub(super) settings: &'a Settings,
    /// The folder, links resolved.
    pub(super) root: &'a Path,
    /// Today's recipe.
    pub(super) recipe: &'a Recipe,
    /// What is put back to be asked again first.
    pub(super) redo: Option<redo::Which>,
    /// The time (unix milliseconds).
    pub(super) now: Millis,
    /// Pages of a pilot: nothing else is sent.
    pub(super) pilot: Option<u32>,
}

/// What would be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    images: u64,
    prompt_tokens: u64,
    /// As expected.
    output_tokens: u64,
}

/// A limit can be kept only where prices are known (E110): of every model that the settings name.
pub(super) fn has_prices(settings: &Settings, recipe: &Recipe) -> Result<(), Problem> {
    if settings.run.max_cost.is_none() {
        return Ok(());
    }
    let charges = prices::charges(settings);
    let escalated = settings.request.escalate_model.iter().cloned();
    for model in std::iter::once(recipe.model.clone()).chain(escalated) {
        let recipe = Recipe { model, ..recipe.clone() };
        if charges(&recipe).is_none() {
            return Err(finish::no_price(&recipe.model));
        }
    }
    Ok(())
}

/// A folder without images is told before anything is made for it (E106).
pub(super) fn has_images(settings: &Settings, root: &Path, recipe: &Recipe) -> Result<(), Fail> {
    // Nothing is priced here.
    let ask = Ask { settings, root, recipe, today: "" };
    match plan::without_images(&ask).map_err(|cause| unlisted(cause, root))? {
        Some(others) => Err(finish::no_images(settings, &others.by_ending, others.links).into()),
        None => Ok(()),
    }
}

/// Asks before images leave this computer or money may be spent (E109 where nobody can answer). Where nothing is to be sent,
/// nothing is asked.
pub(super) fn ask(context: &Context, doing: &Doing<'_>) -> Result<(), Fail> {
    let settings = doing.settings;
    let charge = prices::charges(settings)(doing.recipe);
    if !matters(doing) || context.global.yes {
        return Ok(());
    }
    let sums = sums(doing)?;
    if sums.images == 0 {
        return Ok(());
    }
    let host = settings.receiver().unwrap_or_default();
    asked(context, &question(&sums, charge.as_ref(), settings.run.max_cost, host))
}

/// Goes on only where the answer is yes (E109 where nobody can give one).
fn asked(context: &Context, question: &str) -> Result<(), Fail> {
    if !context.out.can_ask {
        return Err(Problem::new("E109", "a question was asked, but this is no interactive terminal")
            .detail(question.to_owned())
            .hint("add --yes if they may be sent, and --budget with what they may cost; nothing was sent")
            .into());
    }
    if context.out.confirmed(question)? {
        return Ok(());
    }
    context.out.say("Nothing was sent.");
    Err(Fail::Told(Vec::new(), Exit::Done))
}

/// What a run would send, for one that is only tried out.
pub(super) struct Sent {
    /// How many images.
    pub(super) images: u64,
    /// They, their cost, the limit and the host in words.
    pub(super) words: String,
}

/// Adds up what would be sent.
pub(super) fn sent(doing: &Doing<'_>) -> Result<Sent, Fail> {
    let settings = doing.settings;
    let (sums, charge) = (sums(doing)?, prices::charges(settings)(doing.recipe));
    let words = what(&sums, charge.as_ref(), settings.run.max_cost, settings.api_url.host());
    Ok(Sent { images: sums.images, words })
}

/// Whether images leave this computer, or money may be spent.
fn matters(doing: &Doing<'_>) -> bool {
    let settings = doing.settings;
    let is_paid = prices::charges(settings)(doing.recipe).is_some();
    match settings.provider.name {
        ProviderKind::OpenAi => !settings.api_url.is_loopback() || is_paid,
        ProviderKind::Local => settings.provider.engine.elsewhere().is_some(),
    }
}

/// Asks before the built-in provider hands pages to a server elsewhere that were planned for another engine: its batches go on
/// wherever it is started, by a verb that sends nothing of its own as well.
pub(super) fn ask_for_what_is_open(context: &Context, settings: &Settings) -> Result<(), Fail> {
    let is_local = settings.provider.name == ProviderKind::Local;
    let Some(host) = settings.receiver().filter(|_| is_local && !context.global.yes) else { return Ok(()) };
    // Without a ledger that can be read nobody knows what its batches hold.
    let reader = pages::ledger(&settings.layout()).ok().flatten();
    let images = reader.and_then(|reader| opened_for_others(settings, &reader).ok());
    if images == Some(0) { Ok(()) } else { asked(context, &question_of_open(images, host)) }
}

fn question_of_open(images: Option<u64>, host: &str) -> String {
    let images = images.map_or("Images".to_owned(), |images| words::count(images, "image", "images"));
    format!("{images} of batches that are open for another engine, at a cost unknown, to {}. Go?", words::safe(host))
}

/// Images of open batches of the built-in provider that nobody has said yes for yet: they were made for another engine than the
/// one elsewhere that is set now.
fn opened_for_others(settings: &Settings, reader: &Reader) -> Result<u64, LedgerError> {
    let engine = &settings.provider.engine;
    let is_relayed = settings.provider.name == ProviderKind::Local && engine.elsewhere().is_some();
    let is_known = |last: Option<String>| last.is_none_or(|last| last == engine.word());
    if !is_relayed || is_known(reader.last_engine()?) {
        return Ok(0);
    }
    Ok(reader.standing()?.packed.saturating_sub(reader.planned()?.waiting))
}

/// For a server, whose images nobody knows yet: yes was said beforehand (E109).
pub(super) fn given(context: &Context, doing: &Doing<'_>) -> Result<(), Problem> {
    if !matters(doing) || context.global.yes {
        return Ok(());
    }
    let host = words::safe(doing.settings.receiver().unwrap_or_default());
    Err(Problem::new("E109", "a server asks no questions, and whatever comes into the folder is sent")
        .detail(format!("to {host}, which may cost money"))
        .hint("add --yes if it may be sent, and run.max_cost (--set run.max_cost=40) with what it may cost; nothing was sent"))
}

fn question(sums: &Sums, charge: Option<&Charge>, limit: Option<Money>, host: &str) -> String {
    format!("{}. Go?", what(sums, charge, limit, host))
}

fn what(sums: &Sums, charge: Option<&Charge>, limit: Option<Money>, host: &str) -> String {
    let images = words::count(sums.images, "image", "images");
    let cost = charge.map_or_else(
        || "at an unknown cost".to_owned(),
        |charge| {
            let expected = charge.list.price.of(sums.prompt_tokens, sums.output_tokens);
            format!("about {expected}, worst case {}", charge.worst(sums.prompt_tokens, sums.images))
        },
    );
    let limit = limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
    format!("{images}, {cost}{limit}, to {}", words::safe(host))
}

/// Adds up what the folder, the ledger's plans and the images to be asked again come to.
fn sums(doing: &Doing<'_>) -> Result<Sums, Fail> {
    let told = |error| Fail::from(finish::ledger(&error));
    let Doing { settings, root, recipe, redo, now, pilot } = *doing;
    let layout = settings.layout();
    let reader = pages::ledger(&layout).map_err(told)?;
    let today = words::day(now);
    let plan = plan::plan(&Ask { settings, root, recipe, today: &today }, reader.as_ref(), |_, _| Ok(()))
        .map_err(|error| plan_failed(error, root))?;
    let mut planned = reader.as_ref().map(Reader::planned).transpose().map_err(told)?.unwrap_or_default();
    let open = reader.as_ref().map_or(Ok(0), |reader| opened_for_others(settings, reader)).map_err(told)?;
    // A pilot sends none of the plans that wait, but where they were made for another account it may draw from their pages.
    let drawn_from = if pilot.is_some() {
        planned.waiting_tokens = 0;
        std::mem::take(&mut planned.waiting)
    } else {
        0
    };
    let limit = pilot.map(u64::from).or(settings.run.limit);
    let again = match (redo, &reader) {
        (Some(which), Some(reader)) => {
            let order = redo::Order::of(reader, which).map_err(told)?;
            redo::redo(reader, &layout, (which, order), recipe, |_| Ok(())).map_err(told)?
        }
        _ => 0,
    };
    let sums = added(&plan, planned, again + drawn_from, recipe.parameters.max_output_tokens, limit);
    Ok(Sums { images: sums.images + open, ..sums })
}

/// The folder of the images cannot be listed (E104).
pub(super) fn unlisted(cause: io::Error, root: &Path) -> Fail {
    plan_failed(PlanError::Folder(cause), root)
}

pub(super) fn plan_failed(error: PlanError<Infallible>, root: &Path) -> Fail {
    match error {
        PlanError::Ledger(error) => finish::ledger(&error).into(),
        PlanError::Folder(cause) => {
            Problem::new("E104", format!("cannot read the image folder {}: {cause}", root.display()))
                .hint("image_dir has to be a folder that you may read")
                .into()
        }
        PlanError::Listener(never) => match never {},
    }
}

/// Images are asked again at the price of an average one. What waits was chosen already, and no limit holds it.
fn added(plan: &Plan, planned: Planned, again: u64, most: Option<u32>, limit: Option<u64>) -> Sums {
    let average = (planned.tokens + plan.tokens_in).checked_div(planned.lines + plan.owed).unwrap_or(0);
    let most = most.map_or(u64::MAX, u64::from);
    let output = plan.tokens_out[1].checked_div(plan.owed).unwrap_or(GUESS).min(most);
    let owed = plan.owed + again;
    let fed = limit.map_or(owed, |limit| owed.min(limit));
    let share = |tokens: u64| tokens.saturating_mul(fed).checked_div(owed).unwrap_or(0);
    let images = fed + planned.waiting;
    Sums {
        images,
        prompt_tokens: share(plan.tokens_in + average * again) + planned.waiting_tokens,
        output_tokens: output * images,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::{ListPrice, Price};

    #[test]
    fn the_question_names_number_cost_limit_and_host() {
        let price = Price { input: 100_000, cached: 100_000, output: 600_000 };
        let list = ListPrice { price, as_of: String::new(), source: String::new() };
        let charge = Charge { list, most_output: 4000, input_percent: 100 };
        let sums = Sums { images: 396, prompt_tokens: 1_300_000, output_tokens: 180_180 };
        let asked = |charge, limit| question(&sums, charge, limit, "api.openai.com");
        assert_eq!(
            asked(Some(&charge), Money::parse("2")),
            "396 images, about $0.24, worst case $1.08, limit $2.00, to api.openai.com. Go?"
        );
        assert_eq!(asked(None, None), "396 images, at an unknown cost, to api.openai.com. Go?");
    }

    #[test]
    fn what_waits_and_what_is_asked_again_are_sent_as_well() {
        let plan = Plan { owed: 10, tokens_in: 1000, tokens_out: [1, 2000, 3], ..Plan::default() };
        let planned = Planned { waiting: 4, waiting_tokens: 500, lines: 10, tokens: 1200 };
        let sums = |limit| added(&plan, planned, 5, Some(4000), limit);
        assert_eq!(sums(None), Sums { images: 19, prompt_tokens: 1000 + 5 * 110 + 500, output_tokens: 19 * 200 });
        assert_eq!(sums(Some(3)), Sums { images: 7, prompt_tokens: 1550 / 5 + 500, output_tokens: 7 * 200 });
        let nothing = added(&Plan::default(), Planned::default(), 0, Some(4000), None);
        assert_eq!(nothing, Sums { images: 0, prompt_tokens: 0, output_tokens: 0 });
    }
}
