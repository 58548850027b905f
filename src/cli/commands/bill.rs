//! `bill`: what was paid for what, read from the ledger, also beside a run.

use serde_json::{Value, json};

use crate::cli::args::Billed;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Fail};
use crate::cli::{finish, words};
use crate::domain::batch::Usage;
use crate::ops::bill::{self, Bill, By, Sum};

/// Prints the bill.
pub(super) fn bill(context: &Context, by: Billed) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let by = match by {
        Billed::Run => By::Run,
        Billed::Model => By::Model,
        Billed::Folder => By::Folder,
        Billed::Attempt => By::Attempt,
        Billed::Batch => By::Batch,
    };
    let bill = match super::status::reader(context, &settings.layout())? {
        Some(reader) => bill::bill(&reader, &settings.models, by).map_err(|error| finish::ledger(&error))?,
        // Scripts get a document in any case.
        None if context.out.json => Bill::default(),
        None => return Ok(Exit::Done),
    };
    if context.out.json {
        context.out.data(&document(&bill, by))?;
        return Ok(Exit::Done);
    }
    for line in lines(&bill, by) {
        context.out.data(&line)?;
    }
    Ok(Exit::Done)
}

fn word(by: By) -> &'static str {
    match by {
        By::Run => "run",
        By::Model => "model",
        By::Folder => "folder",
        By::Attempt => "attempt",
        By::Batch => "batch",
    }
}

fn cost(sum: &Sum) -> String {
    match sum.known_cost() {
        Some(cost) if sum.is_at_least() => format!("at least {cost}"),
        Some(cost) => cost.to_string(),
        None => "unknown".to_owned(),
    }
}

/// The bill for people.
fn lines(bill: &Bill, by: By) -> Vec<String> {
    if bill.rows.is_empty() {
        let open = words::count(bill.open, "batch has", "batches have");
        return vec![format!("No answer of a provider that costs money was read yet; {open} not ended.")];
    }
    let head = [word(by), "answers", "in", "cached", "out", "reasoning", "cost"].map(str::to_owned);
    let row = |name: &str, sum: &Sum| {
        let Usage { prompt, cached, output, reasoning } = sum.usage;
        let numbers = [sum.answers, prompt, cached, output, reasoning].map(|number| number.to_string());
        let mut cells =
            [words::safe(name), String::new(), String::new(), String::new(), String::new(), String::new(), cost(sum)];
        for (cell, number) in cells.iter_mut().skip(1).zip(numbers) {
            *cell = number;
        }
        cells
    };
    let mut table = vec![head];
    table.extend(bill.rows.iter().map(|(name, sum)| row(name, sum)));
    table.push(row("together", &bill.total));
    let mut lines = aligned(&table);
    lines.extend(notes(bill));
    lines
}

/// Cells as columns: the first one from the left, numbers from the right.
fn aligned(table: &[[String; 7]]) -> Vec<String> {
    let mut widths = [0; 7];
    for row in table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells
            .map(|(at, (cell, width))| if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        format!(" {}", cells.collect::<Vec<_>>().join("  "))
    };
    table.iter().map(line).collect()
}

/// What stands behind the sums, and what does not.
fn notes(bill: &Bill) -> Vec<String> {
    let Bill { total, unanswered, untold, open, silent_batches, priced_today, price_days, .. } = bill;
    let mut notes = Vec::new();
    let mut note = |name: &str, text: String| notes.push(format!(" {name:<11}{text}"));
    if total.retries > 0 || *unanswered != Usage::default() {
        let answers = words::count(total.retries, "answer", "answers");
        note("Retries", format!("{} of it: {answers} of later attempts or without a text", total.retries_cost));
    }
    if total.estimated > 0 {
        let counted = total.usage.prompt.saturating_sub(unanswered.prompt);
        note(
            "Estimate",
            format!("{} tokens in were estimated for these answers, {counted} were counted", total.estimated),
        );
    }
    if *unanswered != Usage::default() {
        let (prompt, output) = (unanswered.prompt, unanswered.output);
        note(
            "Difference",
            format!("batches tell {prompt} tokens in and {output} out that no answer tells; they are counted"),
        );
    }
    if *untold != Usage::default() {
        let (prompt, output) = (untold.prompt, untold.output);
        note(
            "Difference",
            format!("answers tell {prompt} tokens in and {output} out that their batches do not; they are counted"),
        );
    }
    if *silent_batches > 0 {
        let batches = words::count(*silent_batches, "batch", "batches");
        note("Unknown", format!("{batches} told no tokens: their answers alone are counted"));
    }
    if total.unknown > 0 {
        let answers = words::count(total.unknown, "answer costs", "answers cost");
        note("Unknown", format!("{answers} something, and nobody told how much"));
    }
    if total.unpriced > 0 {
        note("Unknown", format!("{} tokens have no price (E110); models.toml can name one", total.unpriced));
    }
    if *open > 0 {
        let batches = words::count(*open, "batch has", "batches have");
        note("Open", format!("{batches} not ended: their cost comes on top"));
    }
    let days: Vec<&str> = price_days.iter().map(String::as_str).collect();
    if !days.is_empty() {
        let today = if *priced_today > 0 {
            format!(
                "; {} at today's price, that of their day was not kept",
                words::count(*priced_today, "answer", "answers")
            )
        } else {
            String::new()
        };
        note("Prices", format!("of {}{today}", words::safe(&days.join(", "))));
    }
    notes
}

/// The bill for programs. Money is in USD; a cost of which nothing is known is null, one with a hole is the least that it may be.
fn document(bill: &Bill, by: By) -> String {
    let rows = bill.rows.iter().map(|(name, sum)| {
        let mut row = sum_of(sum);
        row["name"] = json!(name);
        row
    });
    json!({
        "schema": 1,
        "by": word(by),
        "currency": "USD",
        "rows": rows.collect::<Vec<_>>(),
        "total": sum_of(&bill.total),
        "difference": { "in_no_answer": tokens(bill.unanswered), "in_no_batch": tokens(bill.untold) },
        "batches": { "open": bill.open, "without_usage": bill.silent_batches },
        "prices": { "days": bill.price_days, "answers_at_todays": bill.priced_today },
    })
    .to_string()
}

fn sum_of(sum: &Sum) -> Value {
    json!({
        "answers": sum.answers, "tokens": tokens(sum.usage), "estimated_in": sum.estimated,
        "cost_usd": sum.known_cost().map(|cost| cost.usd()), "at_least": sum.is_at_least(),
        "unpriced_tokens": sum.unpriced, "cost_unknown_answers": sum.unknown,
        "retries": { "answers": sum.retries, "cost_usd": sum.retries_cost.usd() },
    })
}

fn tokens(usage: Usage) -> Value {
    json!({ "in": usage.prompt, "cached": usage.cached, "out": usage.output, "reasoning": usage.reasoning })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    fn sum(cost: u64, unpriced: u64) -> Sum {
        let usage = Usage { prompt: 1_000, cached: 200, output: 90, reasoning: 0 };
        Sum { answers: 3, usage, cost: Money::from_micros(cost), unpriced, ..Sum::default() }
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        assert_eq!(
            [cost(&sum(5_000, 0)), cost(&sum(5_000, 7)), cost(&sum(0, 7))],
            ["$0.0050", "at least $0.0050", "unknown"]
        );
        assert_eq!(cost(&Sum::default()), "$0.00");
        assert!(sum_of(&sum(0, 7))["cost_usd"].is_null());
    }

    #[test]
    fn a_table_and_its_notes() {
        let total = Sum { retries: 1, retries_cost: Money::from_micros(9_600), estimated: 980, ..sum(240_000, 0) };
        let bill = Bill {
            rows: vec![("2026-11-22-a".to_owned(), sum(240_000, 0))],
            total,
            unanswered: Usage { prompt: 5, ..Usage::default() },
            price_days: std::iter::once("2026-11-01".to_owned()).collect(),
            ..Bill::default()
        };
        let expected = [
            " run           answers    in  cached  out  reasoning   cost",
            " 2026-11-22-a        3  1000     200   90          0  $0.24",
            " together            3  1000     200   90          0  $0.24",
            " Retries    $0.0096 of it: 1 answer of later attempts or without a text",
            " Estimate   980 tokens in were estimated for these answers, 995 were counted",
            " Difference batches tell 5 tokens in and 0 out that no answer tells; they are counted",
            " Prices     of 2026-11-01",
        ];
        assert_eq!(lines(&bill, By::Run), expected);
        let nothing = Bill { open: 2, ..Bill::default() };
        assert_eq!(
            lines(&nothing, By::Run),
            ["No answer of a provider that costs money was read yet; 2 batches have not ended."]
        );
    }
}
