//! The page: one file of HTML with everything in it. It loads nothing, so it can be kept, sent and opened anywhere.

use std::io::{self, Write};

use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use serde_json::{Value, json};

use super::draw::Draw;
use super::facts::{Facts, Failures, Surroundings};
use super::sent::{self, Sent};
use super::{picture, table, timeline};
use crate::domain::batch::Usage;
use crate::domain::image::shown;
use crate::domain::layout::Layout;
use crate::domain::money::Money;
use crate::domain::reasons;
use crate::ledger::reader::{EngineRow, ImageResult, RecipeRow, RunRow};
use crate::ledger::records::Standing;
use crate::ops::bill::Sum;

const TEMPLATE: &str = include_str!("page.html");
const BALANCE: &str = include_str!("balance.html");
/// Signs of a text that the page shows.
const MOST_SIGNS: usize = 6_000;

/// A page beside its text.
#[derive(Debug, Serialize)]
struct Pair {
    path: String,
    flags: Vec<String>,
    model: String,
    /// Address of the picture.
    picture: Option<String>,
    /// Why there is none.
    no_picture: String,
    text: String,
    more: bool,
}

/// Templates of pages: whatever is put into them is text, never HTML. They may include `balance.html`.
///
/// # Errors
/// If what they include is no template.
pub fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("grouped", grouped);
    environment.add_filter("size", size);
    environment.add_template("balance.html", BALANCE)?;
    Ok(environment)
}

/// Writes the page.
pub(super) fn write(layout: &Layout, max_pixels: u64, facts: &Facts, to: &mut impl Write) -> io::Result<()> {
    let environment = environment().map_err(io::Error::other)?;
    let template = environment.template_from_str(TEMPLATE).map_err(io::Error::other)?;
    let drawn =
        |draw: &Draw<ImageResult>| json!(draw.drawn().map(|image| pair(layout, max_pixels, image)).collect::<Vec<_>>());
    let mut view = view(facts);
    view["random"] = drawn(&facts.random);
    view["doubtful"] = drawn(&facts.doubtful);
    template.render_captured_to(minijinja::value::Serde(view), to).map(drop).map_err(io::Error::other)
}

/// The counts, as `balance.html` shows them.
#[must_use]
pub fn balance(standing: &Standing) -> Value {
    let Standing { found, done, rough, failed, skipped, owed, packed, .. } = standing;
    json!({
        "found": found, "done": done, "rough": rough, "failed": failed, "skipped": skipped, "owed": owed,
        "in_flight": packed, "closes": standing.closes(),
    })
}

/// What a page tells, its pictures and texts apart.
pub(super) fn view(facts: &Facts) -> Value {
    let Surroundings { name, now, standing, folders, runs, engines, sent, recipes, bill, batches, bars } =
        &facts.around;
    json!({
        "name": name,
        "version": env!("CARGO_PKG_VERSION"),
        "written": table::utc(*now),
        "balance": balance(standing),
        "folders": each(folders, |folder| shown(&folder.root)),
        "runs": each(runs, |run| told_of(run, engines)),
        "recipes": each(recipes, recipe),
        "bill": each(&bill.rows, |(model, sum)| sum_of(model, sum)),
        "total": sum_of("together", &bill.total),
        "open": bill.open,
        "price_days": bill.price_days,
        "failures": each(&facts.failures, failures),
        "flags": facts.flags,
        "doubts": facts.doubts,
        "reviews": facts.reviews,
        "batches": batches,
        "bars": bars,
        "hidden_bars": batches.saturating_sub(bars.len() as u64),
        "most_bars": timeline::SHOWN,
        "sent": each(sent, Sent::told),
        "sentence": sentence(facts),
    })
}

/// What `tell` makes of each, as an array.
fn each<T, V: Into<Value>>(all: impl IntoIterator<Item = T>, tell: impl Fn(T) -> V) -> Value {
    all.into_iter().map(tell).collect()
}

fn pair(layout: &Layout, max_pixels: u64, image: &ImageResult) -> Pair {
    let picture = picture::small(image, max_pixels);
    let text = table::beginning(layout, image, MOST_SIGNS);
    let (text, more) = text.unwrap_or_else(|| ("(the text is not there any more)".to_owned(), false));
    Pair {
        path: image.path.shown(),
        flags: image.flags.clone(),
        model: image.last.as_ref().map(|last| last.model.clone()).unwrap_or_default(),
        no_picture: picture.as_ref().err().cloned().unwrap_or_default(),
        picture: picture.ok(),
        text,
        more,
    }
}

fn told_of(run: &RunRow, engines: &[EngineRow]) -> Value {
    json!({
        "name": run.name, "began": table::utc(run.started_at), "version": run.version, "requests": run.requests,
        "provider": sent::read_by(run, engines),
    })
}

fn recipe(recipe: &RecipeRow) -> Value {
    json!({
        "model": recipe.model, "kind": recipe.kind, "step": recipe.step, "prompt": recipe.prompt,
        "parameters": recipe.parameters, "requests": recipe.requests,
    })
}

pub(super) fn sum_of(name: &str, sum: &Sum) -> Value {
    let cost = sum.known_cost().map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
    let least = if sum.is_at_least() && sum.known_cost().is_some() { "at least " } else { "" };
    let Usage { prompt, cached, output, reasoning } = sum.usage;
    json!({
        "name": name, "answers": sum.answers, "prompt": prompt, "cached": cached, "output": output, "reasoning": reasoning,
        "estimated": sum.estimated, "cost": format!("{least}{cost}"),
        "retries": (sum.retries_cost > Money::ZERO).then(|| sum.retries_cost.to_string()),
    })
}

fn failures(((state, reason), failures): (&(&'static str, String), &Failures)) -> Value {
    let unnamed = failures.images.saturating_sub(failures.named.len() as u64);
    json!({
        "state": state, "reason": reasons::words(reason), "images": failures.images, "named": failures.named, "unnamed": unnamed,
    })
}

/// What a paper may say of how the texts were made.
fn sentence(facts: &Facts) -> String {
    let Surroundings { standing, runs, recipes, now, .. } = &facts.around;
    let models: std::collections::BTreeSet<&str> = recipes.iter().map(|recipe| recipe.model.as_str()).collect();
    let models = models.into_iter().collect::<Vec<_>>().join(", ");
    let days = |at: &str| at.chars().take("2026-11-22".len()).collect::<String>();
    let from = runs.first().map(|run| days(&table::utc(run.started_at))).unwrap_or_default();
    let ended = standing.done + standing.rough;
    format!(
        "Of {} page images, {ended} were transcribed between {from} and {} with {models}, asked through batchscribe {} with the \
         prompt and the parameters given in this report; {} could not be transcribed and {} are listed as doubtful. Texts were \
         cleaned by rule only; no text was corrected by hand unless its row in report.csv bears the flag edited.",
        standing.found,
        days(&table::utc(*now)),
        env!("CARGO_PKG_VERSION"),
        standing.failed,
        facts.doubts,
    )
}

/// 1234567 as `1 234 567`, with spaces that no line is broken at.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes for people: `812 kB`, `1.4 GB`.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([size(0), size(1), size(1_400_000_000)], ["0 kB", "1 kB", "1.4 GB"]);
    }
}
