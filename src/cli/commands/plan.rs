//! `plan`: what a run would ask and cost. Opens no connection and writes nothing, also beside a run.

use serde_json::json;

use crate::cli::args::Planned;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{closing, finish, pages, words, work};
use crate::ops::plan::{self, Ask, Plan, PlanError, Told};
use crate::settings::{Problem, ProviderKind, Settings, texts};

/// Prints the sums, or a list.
pub(super) fn plan(context: &Context, list: Option<Planned>) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let root = work::image_root(&settings)?;
    let prompt = texts::prompt(&settings)?;
    let recipe = texts::recipe(&settings, &prompt.text)?;
    let reader = pages::ledger(&settings.layout()).map_err(|error| finish::ledger(&error))?;
    let ask = Ask { settings: &settings, root: &root, recipe: &recipe };
    let sums = plan::plan(&ask, reader.as_ref(), |path, told| {
        let Some(note) = list.and_then(|list| note(list, told)) else { return Ok(()) };
        let path = path.shown();
        if context.out.json {
            return context.out.data(&json!({ "path": path, "note": note }).to_string());
        }
        context.out.data(format!("{path}  {note}").trim_end())
    });
    let sums = sums.map_err(|error| match error {
        PlanError::Ledger(error) => finish::ledger(&error).into(),
        PlanError::Listener(fail) => fail,
        PlanError::Folder(cause) => {
            Problem::new("E104", format!("cannot read the image folder {}: {cause}", root.display()))
                .hint("image_dir has to be a folder that you may read")
                .into()
        }
    })?;
    if list.is_some() {
        return Ok(Exit::Done);
    }
    if context.out.json {
        context.out.data(&document(&sums, &settings))?;
        return Ok(Exit::Done);
    }
    for line in lines(&sums, &settings, if prompt.built_in { "built-in prompt" } else { "your prompt" }) {
        context.out.data(&line)?;
    }
    Ok(Exit::Done)
}

/// What a list says of an image; `None` if it is none of that list.
fn note(list: Planned, told: &Told) -> Option<String> {
    match (list, told) {
        (Planned::Owed, Told::Owed) => Some(String::new()),
        (Planned::Skipped, Told::Skipped(reason)) => Some(reason.clone()),
        (Planned::Stale, Told::Stale(changed)) => Some(changed.join(", ")),
        (Planned::Collisions, Told::Collides) => Some("differs from another name by case or Unicode form alone".into()),
        _ => None,
    }
}

/// Who receives images.
fn receiver(settings: &Settings) -> String {
    match settings.provider.name {
        ProviderKind::Local => {
            format!("no other computer of ours (engine {})", words::safe(settings.provider.engine.word()))
        }
        ProviderKind::OpenAi => settings.api_url.host().to_owned(),
    }
}

/// Day on which the price of the model was read.
fn price_date(settings: &Settings) -> &str {
    settings.models.find(&settings.request.model).map_or("", |model| &model.as_of)
}

fn lines(plan: &Plan, settings: &Settings, prompt: &str) -> Vec<String> {
    let request = &settings.request;
    let name = settings.workspace.file_name().unwrap_or(settings.workspace.as_os_str()).to_string_lossy();
    let ended = |reasons: &std::collections::BTreeMap<String, u64>| {
        let listed: Vec<String> = reasons.iter().map(|(reason, many)| format!("{reason} {many}")).collect();
        let total: u64 = reasons.values().sum();
        if listed.is_empty() { "0".to_owned() } else { format!("{total} ({})", listed.join(", ")) }
    };
    let mut lines = vec![
        format!("{} · {prompt} · {} · detail {} · Batch", words::safe(&name), request.model, request.detail),
        format!(
            " Images    {} to ask · {} done · {} rough · {} in flight · failed {} · skipped {}",
            plan.owed,
            plan.done,
            plan.rough,
            plan.in_flight,
            ended(&plan.failed),
            ended(&plan.skipped),
        ),
    ];
    if plan.stale > 0 {
        lines.push(format!(" Stale     {} done with another recipe: plan --list stale", plan.stale));
    }
    if plan.built_in > 0 {
        lines.push(format!(" Built-in  {} done by the built-in engine", plan.built_in));
    }
    if plan.collisions > 0 {
        lines.push(format!(
            " Names     {} would share a text where a drive ignores case (E107): plan --list collisions",
            words::count(plan.collisions, "image", "images"),
        ));
    }
    if !plan.passed_over.by_ending.is_empty() {
        lines.push(format!(" Others    {}", closing::endings(&plan.passed_over.by_ending)));
    }
    lines.push(format!(
        " Sent to   {}   {} bytes · {}",
        receiver(settings),
        plan.bytes,
        words::count(plan.batches, "batch", "batches"),
    ));
    let [low, expected, most] = plan.tokens_out;
    let from = if plan.measured { "from answers so far" } else { "a guess until a page was answered" };
    lines
        .push(format!(" Tokens    {} in, from image sizes · {expected} out ({low} to {most}), {from}", plan.tokens_in));
    lines.push(match (plan.cost, settings.provider.name) {
        (_, ProviderKind::Local) => " Cost      none of a provider".to_owned(),
        (Some([low, expected, most]), _) => format!(
            " Cost      about {expected}   (at least {low}; at most {most}, if every page used all {} output tokens)   \
             prices of {}",
            request.max_output_tokens,
            price_date(settings),
        ),
        (None, _) => format!(" Cost      unknown: no price is known for {} (E110)", request.model),
    });
    lines
}

fn document(plan: &Plan, settings: &Settings) -> String {
    let [low, expected, most] = plan.tokens_out;
    json!({
        "schema": 1,
        "images": {
            "found": plan.found, "to_ask": plan.owed, "in_flight": plan.in_flight, "done": plan.done, "stale": plan.stale,
            "built_in": plan.built_in, "rough": plan.rough, "failed": plan.failed, "skipped": plan.skipped,
            "collisions": plan.collisions,
        },
        "other_endings": plan.passed_over.by_ending,
        "host": (settings.provider.name == ProviderKind::OpenAi).then(|| settings.api_url.host()),
        "bytes": plan.bytes,
        "batches": plan.batches,
        "tokens_in": plan.tokens_in,
        "tokens_out": { "low": low, "expected": expected, "worst": most, "measured": plan.measured },
        "cost": plan.cost.map(|[low, expected, worst]| json!({ "currency": "USD", "low": low.usd(), "expected": expected.usd(), "worst": worst.usd() })),
        "price_date": plan.cost.map(|_| price_date(settings)),
    })
    .to_string()
}
