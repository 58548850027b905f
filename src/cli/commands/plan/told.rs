//! The words and the document of a plan.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::{closing, words};
use crate::domain::money::Money;
use crate::domain::reasons;
use crate::ops::plan::{Bound, Change, Other, Plan, Time};
use crate::settings::models::Model;
use crate::settings::units::show_bytes;
use crate::settings::{ProviderKind, Settings};

/// Images beyond which a pilot is worth its trouble.
const PILOT_PAYS: u64 = 100;

/// Who receives images.
fn receiver(settings: &Settings) -> String {
    match settings.receiver() {
        Some(host) => words::safe(host),
        None => format!("nobody: read on this computer (engine {})", words::safe(settings.provider.engine.word())),
    }
}

/// What the table knows of the model that is asked.
fn model(settings: &Settings) -> Option<&Model> {
    settings.models.find(&settings.request.model)
}

/// Day on which the price of the model was read.
fn price_date(settings: &Settings) -> Option<&str> {
    model(settings).map(|model| model.as_of.as_str())
}

/// The plan for people; `today` as `2026-11-22`.
pub(super) fn lines(plan: &Plan, settings: &Settings, prompt: &str, today: &str) -> Vec<String> {
    let request = &settings.request;
    let name = settings.workspace.file_name().unwrap_or(settings.workspace.as_os_str()).to_string_lossy();
    let head = format!(
        "{} · {prompt} · {} · detail {} · Batch",
        words::safe(&name),
        words::safe(&request.model),
        request.detail
    );
    let mut lines = vec![head];
    lines.extend(images(plan));
    lines.extend(warnings(plan, settings, today));
    lines.extend(sent(plan, settings));
    lines.extend(tokens(plan));
    lines.extend(cost(plan, settings));
    lines.extend(plan.time.as_ref().map(|time| duration(plan, time, settings)));
    lines
}

/// The command that comes next, for somebody who has only just read the plan.
pub(super) fn next(plan: &Plan, settings: &Settings) -> String {
    let then = |head: &str, words: &str| format!("{head}:  {}", words::command(settings, words));
    match (plan.owed, settings.provider.name, plan.cost) {
        (0, ..) if plan.in_flight > 0 => then("Nothing to ask; what is ready is fetched by", "download"),
        (0, ..) => then("Nothing to ask", "status"),
        (_, ProviderKind::Local, _) if plan.measured => then("Go", "run"),
        (_, ProviderKind::Local, _) => then("Try it", "run --limit 20"),
        (owed, ..) if !plan.measured && owed > PILOT_PAYS => better_guess(plan, settings),
        (_, _, Some([_, _, most])) => {
            then("Go, and never beyond the worst case", &format!("run --budget {}", cents_up(most)))
        }
        _ => then("Go", "run"),
    }
}

/// A sum as `--budget` takes it, rounded up to the cent: it has to pay for all of it.
fn cents_up(sum: Money) -> String {
    let cents = sum.picos().div_ceil(10_000_000_000);
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A pilot costs its part of what everything may cost.
fn better_guess(plan: &Plan, settings: &Settings) -> String {
    let pages = u64::from(settings.run.pilot_images);
    let about = plan.cost.map(|[_, expected, _]| {
        let part = u128::from(expected.picos()) * u128::from(pages) / u128::from(plan.owed.max(1));
        Money::from_picos(u64::try_from(part).unwrap_or(u64::MAX))
    });
    let about = about.map_or(String::new(), |cost| format!("    (about {cost})"));
    format!("Better guess:  {}{about}", words::command(settings, &format!("run --pilot {pages}")))
}

fn images(plan: &Plan) -> Vec<String> {
    let ended = |by_reason: &BTreeMap<String, u64>| {
        let listed: Vec<String> =
            by_reason.iter().map(|(reason, many)| format!("{} {many}", reasons::words(reason))).collect();
        let total: u64 = by_reason.values().sum();
        if listed.is_empty() { "0".to_owned() } else { format!("{total} ({})", listed.join(", ")) }
    };
    let mut lines = vec![format!(
        " Images    {} to ask · {} done · {} rough · {} in flight · failed {} · skipped {}",
        plan.owed,
        plan.done,
        plan.rough,
        plan.in_flight,
        ended(&plan.failed),
        ended(&plan.skipped),
    )];
    if plan.copies > 0 {
        let are = words::count(plan.copies, "is a copy of another: it gets", "are copies of others: they get");
        lines.push(format!(" Copies    {are} the same text, paid for once"));
    }
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
    lines.extend(closing::links(plan.passed_over.links).map(|links| format!(" Links     {links}")));
    lines
}

/// What the table knows against the plan.
fn warnings(plan: &Plan, settings: &Settings, today: &str) -> Vec<String> {
    let fit = settings.why_no_fit();
    let fit = fit.map(|why| format!(" Pictures  encode.fit changes nothing: {} (E114)", words::safe(&why)));
    let Some(model) = model(settings).filter(|_| settings.provider.name == ProviderKind::OpenAi) else {
        return fit.into_iter().collect();
    };
    let name = words::safe(&model.name);
    let ends = model.ends.as_ref().map(|day| {
        let verb = if model.is_over(today) { "ended" } else { "ends" };
        format!(" Model     {name} {verb} on {day}")
    });
    let context = model.context.filter(|context| plan.owed > 0 && plan.largest_page > *context).map(|context| {
        format!(
            " Model     {name} takes {context} tokens of page and answer; the largest page may need {}",
            plan.largest_page
        )
    });
    fit.into_iter().chain(ends).chain(context).collect()
}

fn sent(plan: &Plan, settings: &Settings) -> Vec<String> {
    let filled = plan.binds.map_or(String::new(), |bound| format!(", filled by {}", bound.word()));
    let queue = match (plan.queue_limit, settings.provider.name) {
        (_, ProviderKind::Local) => String::new(),
        (Some(limit), _) => format!(" · queue limit {} tokens", words::tokens(limit)),
        (None, _) => " · queue limit unknown until the first answer".to_owned(),
    };
    let mut lines = vec![format!(
        " Sent to   {}   {} · {}{filled}{queue}",
        receiver(settings),
        show_bytes(plan.bytes),
        words::count(plan.batches, "batch", "batches"),
    )];
    for (key, other) in plan.others.iter().filter_map(|other| Some((smaller(&other.change)?, other))) {
        let Some([bytes, batches]) = other.sent else { continue };
        let tokens = if other.tokens_in == plan.tokens_in {
            "the same tokens".to_owned()
        } else {
            format!("{} tokens in", words::tokens(other.tokens_in))
        };
        let less = plan.time.as_ref().map_or(String::new(), |time| {
            let less = plan.bytes.saturating_sub(bytes).div_ceil(time.bytes_per_second);
            format!(" (about {} less upload)", words::seconds(less))
        });
        lines.push(format!(
            "           with {key}: about {}, {}, {tokens}{less}",
            show_bytes(bytes),
            words::count(batches, "batch", "batches"),
        ));
    }
    lines
}

/// The setting that makes pictures smaller, as a person writes it.
fn smaller(change: &Change) -> Option<String> {
    match change {
        Change::Side => Some(format!("encode.longest_side = {}", crate::ops::plan::SIDE)),
        Change::Fit => Some("encode.fit = true".to_owned()),
        Change::Detail(_) | Change::Model(_) => None,
    }
}

fn tokens(plan: &Plan) -> Vec<String> {
    let [low, expected, most] = plan.tokens_out.map(words::tokens);
    let from = if plan.measured { "from answers so far" } else { "a guess until a page was answered" };
    let into = words::tokens(plan.tokens_in);
    let mut lines = vec![format!(" Tokens    {into} in, from image sizes · {expected} out ({low} to {most}), {from}")];
    lines.extend(plan.correction.map(|correction| format!("           {}", words::counted(correction))));
    lines
}

fn cost(plan: &Plan, settings: &Settings) -> Vec<String> {
    let request = &settings.request;
    let first = match (plan.cost, settings.provider.name) {
        (_, ProviderKind::Local) => {
            return vec![match settings.receiver() {
                Some(host) => format!(" Cost      unknown: what {} charges is its own affair", words::safe(host)),
                None => " Cost      nothing: no provider is paid".to_owned(),
            }];
        }
        (Some([low, expected, most]), _) => format!(
            " Cost      about {expected}   (at least {low}; at most {most}, if every page used all {} output tokens)   \
             prices of {}",
            request.max_output_tokens,
            price_date(settings).unwrap_or_default(),
        ),
        (None, _) => {
            format!(
                " Cost      unknown: no price is known for {} (E110); models.toml can name one",
                words::safe(&request.model)
            )
        }
    };
    let told = |other: &Other| {
        let cost = other.cost.map_or("cost unknown".to_owned(), |cost| format!("about {cost}"));
        match &other.change {
            // Of small pictures each level makes the same.
            Change::Detail(_) if other.tokens_in == plan.tokens_in => None,
            Change::Detail(word) => Some(format!("{word} {} in, {cost}", words::tokens(other.tokens_in))),
            Change::Model(name) => Some(format!("{} {cost}", words::safe(name))),
            Change::Side | Change::Fit => None,
        }
    };
    let listed = |is_meant: fn(&Change) -> bool| {
        let meant = plan.others.iter().filter(|other| plan.owed > 0 && is_meant(&other.change));
        Some(meant.filter_map(told).collect::<Vec<_>>().join(" · ")).filter(|list| !list.is_empty())
    };
    let details = listed(|change| matches!(change, Change::Detail(_)));
    let models = listed(|change| matches!(change, Change::Model(_)));
    let details = details.map(|list| format!("           with another detail: {list}"));
    let models = models.map(|list| format!("           with another model, if its answers are as long: {list}"));
    [Some(first), details, models].into_iter().flatten().collect()
}

fn duration(plan: &Plan, time: &Time, settings: &Settings) -> String {
    let pace = if time.measured { "as before" } else { "assumed" };
    let upload = words::seconds(time.upload_seconds);
    let upload = format!("about {upload} to send at {}/s ({pace})", show_bytes(time.bytes_per_second));
    let window = words::seconds(settings.provider.window_length().as_secs());
    let answers = match time.answers {
        Some([batches, half, longest]) => format!(
            "half of {} took {} or less, the longest {}",
            words::count(batches, "batch", "batches"),
            words::seconds(half),
            words::seconds(longest)
        ),
        None => "usually 1 to 6 h".to_owned(),
    };
    let rounds = plan.queue_limit.map_or(1, |limit| plan.tokens_in.div_ceil(limit.max(1)));
    let rounds =
        if rounds > 1 { format!(" · the queue limit lets it through in {rounds} rounds") } else { String::new() };
    if settings.provider.name == ProviderKind::Local {
        let reader = settings.receiver().map_or("this computer".to_owned(), words::safe);
        return format!(" Time      as fast as {reader} reads");
    }
    format!(" Time      {upload} · then {answers}, at most {window} a batch{rounds}")
}

/// The plan for programs. Money is in USD; what is not known is null.
pub(super) fn document(plan: &Plan, settings: &Settings) -> String {
    let [low, expected, most] = plan.tokens_out;
    let cost = plan.cost.map(|[low, expected, worst]| {
        json!({ "currency": "USD", "low": low.usd(), "expected": expected.usd(), "worst": worst.usd() })
    });
    json!({
        "schema": 1,
        "images": {
            "found": plan.found, "to_ask": plan.owed, "copies": plan.copies, "in_flight": plan.in_flight, "done": plan.done, "stale": plan.stale,
            "built_in": plan.built_in, "rough": plan.rough, "failed": plan.failed, "skipped": plan.skipped,
            "collisions": plan.collisions,
        },
        "other_endings": plan.passed_over.by_ending,
        "links": plan.passed_over.links,
        "host": settings.receiver(),
        "bytes": plan.bytes,
        "batches": plan.batches,
        "filled_by": plan.binds.map(Bound::word),
        "queue_limit": plan.queue_limit,
        "tokens_in": plan.tokens_in,
        "tokens_out": { "low": low, "expected": expected, "worst": most, "measured": plan.measured },
        "correction": plan.correction.map(|one| json!({ "thousandths": one.thousandths, "batches": one.batches })),
        "price_date": plan.cost.and_then(|_| price_date(settings)),
        "cost": cost,
        "model_ends": model(settings).and_then(|model| model.ends.as_ref()),
        "time": plan.time.as_ref().map(time),
        "others": plan.others.iter().map(other).collect::<Vec<_>>(),
    })
    .to_string()
}

fn time(time: &Time) -> Value {
    let answers = time.answers.map(
        |[batches, half, longest]| json!({ "batches": batches, "half_seconds": half, "longest_seconds": longest }),
    );
    json!({
        "bytes_per_second": time.bytes_per_second, "measured": time.measured, "upload_seconds": time.upload_seconds,
        "answers": answers,
    })
}

fn other(other: &Other) -> Value {
    let (key, value) = match &other.change {
        Change::Detail(word) => ("request.detail", json!(word)),
        Change::Model(name) => ("request.model", json!(name)),
        Change::Side => ("encode.longest_side", json!(crate::ops::plan::SIDE)),
        Change::Fit => ("encode.fit", json!(true)),
    };
    json!({
        "key": key, "value": value, "tokens_in": other.tokens_in, "cost_usd": other.cost.map(|cost| cost.usd()),
        "bytes": other.sent.map(|[bytes, _]| bytes), "batches": other.sent.map(|[_, batches]| batches),
    })
}
