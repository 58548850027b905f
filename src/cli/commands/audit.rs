//! `audit`: does the balance close? Ends with 3 if it does not.

use std::path::Path;

use serde_json::json;

use crate::cli::args::Audit;
use crate::cli::context::Context;
use crate::cli::events;
use crate::cli::exit::{Exit, Fail};
use crate::cli::finish;
use crate::cli::words;
use crate::domain::layout::Layout;
use crate::domain::metrics::Errors;
use crate::ledger::reader::{Reader, Side};
use crate::ops::audit::{self, Report};
use crate::ops::compare::{self, CompareError, Comparison, Tally};
use crate::settings::Problem;

use super::status;

/// Prints the findings, or a comparison.
pub(super) fn audit(context: &Context, flags: &Audit) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else { return nothing(context, flags) };
    if let Some([older, newer]) = flags.compare.as_deref() {
        return compare(context, &reader, &layout, [older, newer], flags.truth.as_deref());
    }
    let report = audit::audit(&reader, &layout).map_err(|error| finish::ledger(&error))?;
    if context.out.json {
        context.out.data(&document(&report))?;
    } else {
        for line in lines(&report) {
            context.out.data(&line)?;
        }
    }
    Ok(if report.closes() { Exit::Done } else { Exit::SomeFailed })
}

/// Nothing was begun: nothing is missing. Scripts get a document in any case.
fn nothing(context: &Context, flags: &Audit) -> Result<Exit, Fail> {
    if context.out.json {
        let compares = flags.compare.is_some();
        let document = if compares { compared(&Comparison::default()) } else { document(&Report::default()) };
        context.out.data(&document)?;
    }
    Ok(Exit::Done)
}

fn compare(
    context: &Context,
    reader: &Reader,
    layout: &Layout,
    names: [&str; 2],
    truth: Option<&Path>,
) -> Result<Exit, Fail> {
    let side = |name: &str| -> Result<Side, Fail> {
        let unknown = || {
            Problem::new(
                "",
                format!("`{}` names no run, and is not the beginning of exactly one recipe", words::safe(name)),
            )
            .hint("batchscribe status FILE  shows the recipes of a page; a run has a name such as 2026-11-22-a")
        };
        reader.side(name).map_err(|error| finish::ledger(&error))?.ok_or_else(|| Fail::usage(unknown()))
    };
    let sides = [side(names[0])?, side(names[1])?];
    let truth = truth.map(|truth| context.current_dir.join(truth));
    let comparison = compare::compare(reader, layout, sides, truth.as_deref()).map_err(|error| match error {
        CompareError::Ledger(error) => Fail::from(finish::ledger(&error)),
        CompareError::Disk(cause) => Fail::from(Problem::new("E201", format!("a file cannot be read: {cause}"))),
    })?;
    if context.out.json {
        context.out.data(&compared(&comparison))?;
        return Ok(Exit::Done);
    }
    let folders = comparison.folders.iter().map(|(folder, tally)| (folder.as_str(), tally));
    for (folder, tally) in folders.chain([("all", &comparison.all)]) {
        for line in tally_lines(folder, tally) {
            context.out.data(&words::safe(&line))?;
        }
    }
    if comparison.unsaved > 0 {
        let pages = words::count(comparison.unsaved, "page has", "pages have");
        context.out.warn(&format!("{pages} an answer that is no longer saved"));
    }
    Ok(Exit::Done)
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

fn tally_lines(folder: &str, tally: &Tally) -> Vec<String> {
    let name = if folder.is_empty() { "." } else { folder };
    let [before, after] = tally.signs;
    let mut lines = vec![format!(
        "{name}: {}, {} with the same words, {} of the words changed, {before} characters before, {after} now",
        words::count(tally.pages, "page", "pages"),
        tally.same,
        percent(tally.churn.rate())
    )];
    lines.extend(tally.flags.iter().map(|(flag, [more, less])| format!("  {flag}: +{more} -{less}")));
    if tally.truths > 0 {
        let [old, new] = tally.cer.map(|errors| percent(errors.rate()));
        let [old_words, new_words] = tally.wer.map(|errors| percent(errors.rate()));
        lines.push(format!(
            "  against {}: character errors {old} before, {new} now; word errors {old_words} before, {new_words} now",
            words::count(tally.truths, "true text", "true texts")
        ));
    }
    if let Some((gain, spread)) = tally.gain() {
        let nearer = match () {
            () if gain + spread < 0.0 => "the newer one is nearer",
            () if gain - spread > 0.0 => "the older one is nearer",
            () => "no difference is proved",
        };
        lines.push(format!(
            "  a page: {:+.2} ± {:.2} percentage points of character errors: {nearer}",
            gain * 100.0,
            spread * 100.0
        ));
    }
    lines
}

fn compared(comparison: &Comparison) -> String {
    let tally = |tally: &Tally| {
        let rates = |errors: [Errors; 2]| errors.map(Errors::rate);
        let (cer, wer) = (rates(tally.cer), rates(tally.wer));
        json!({
            "pages": tally.pages, "same": tally.same, "words_changed": tally.churn.rate(), "signs": tally.signs,
            "flags": tally.flags, "truths": tally.truths, "cer": cer, "wer": wer,
            "gain": tally.gain().map(|(mean, _)| mean), "gain_95": tally.gain().map(|(_, half)| half),
        })
    };
    let folders: serde_json::Map<String, serde_json::Value> =
        comparison.folders.iter().map(|(folder, sums)| (folder.clone(), tally(sums))).collect();
    json!({"schema": 1, "all": tally(&comparison.all), "folders": folders, "unsaved": comparison.unsaved}).to_string()
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![
        words::balance(&report.counted),
        format!(
            "read {}, {} edited by people and kept; {} with {}",
            words::count(report.texts, "text", "texts"),
            report.edited,
            words::count(report.raw_files, "result file", "result files"),
            words::count(report.raw_lines, "line", "lines"),
        ),
    ];
    lines.extend(words::copies(report.copies));
    for finding in &report.findings {
        lines.push(format!("✗ {} ({})", finding.what, finding.count));
        lines.extend(finding.examples.iter().map(|example| format!("    {}", words::safe(example))));
    }
    lines.push(if report.closes() { "✓ the balance closes" } else { "✗ the balance does not close" }.to_owned());
    lines
}

fn document(report: &Report) -> String {
    let finding =
        |finding: &audit::Finding| json!({"what": finding.what, "count": finding.count, "examples": finding.examples});
    json!({
        "schema": 1,
        "images": events::images(&report.counted),
        "texts": report.texts,
        "edited": report.edited,
        "raw_files": report.raw_files,
        "raw_lines": report.raw_lines,
        "copies": events::copies(report.copies),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "balance_closed": report.closes(),
    })
    .to_string()
}
