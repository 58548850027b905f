//! `audit`: does the balance close? Ends with 3 if it does not.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::events;
use crate::cli::exit::{Exit, Fail};
use crate::cli::finish;
use crate::cli::words;
use crate::ops::audit::{self, Report};

use super::status;

/// Prints the findings.
pub(super) fn audit(context: &Context) -> Result<Exit, Fail> {
    let settings = context.settings()?;
    let layout = settings.layout();
    let Some(reader) = status::reader(context, &layout)? else { return Ok(Exit::Done) };
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
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "balance_closed": report.closes(),
    })
    .to_string()
}
