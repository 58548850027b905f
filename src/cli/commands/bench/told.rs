//! Figures in words and as a document; nothing here prints.

use serde_json::json;

use crate::bench::compare::{Change, Compared};
use crate::bench::figures::{Report, Row, Spread, Wait};
use crate::settings::Problem;

/// Waits shorter than this part of a second are left out of the list.
const WORTH_TELLING_S: f64 = 0.001;

const HEADS: [&str; 8] =
    ["stage", "items/s", "spread", "MB/s", "CPU s/GB", "CPU µs/item", "peak MB", "waited longest for"];

/// What `--json` prints; the comparison as a list, or in words why there is none.
pub(super) fn document(report: &Report, against: Option<&Result<Vec<Compared>, String>>) -> Result<String, Problem> {
    let wrong = |cause: serde_json::Error| Problem::new("", format!("a figure is no number: {cause}"));
    let mut document = serde_json::to_value(report).map_err(wrong)?;
    match against {
        Some(Ok(compared)) => {
            document["against"] = compared
                .iter()
                .map(|one| {
                    let by = if one.by_cpu { "cpu" } else { "wall" };
                    json!({"stage": one.stage, "ratio": one.ratio, "by": by, "change": change(one.change)})
                })
                .collect();
        }
        Some(Err(why)) => document["not_comparable"] = json!(why),
        None => {}
    }
    Ok(document.to_string())
}

/// The page for people.
pub(super) fn table(report: &Report) -> String {
    let rows: Vec<[String; 8]> =
        std::iter::once(HEADS.map(str::to_owned)).chain(report.stages.iter().map(row)).collect();
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            0 | 7 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rounds = report.stages.first().map_or(0, |row| row.rounds);
    let mut page = vec![
        report.machine.to_string(),
        format!("{} images of {} bytes; medians of {rounds} rounds in turns", report.images, report.image_bytes),
        String::new(),
    ];
    page.extend(rows.iter().map(line));
    for row in report.stages.iter().filter(|row| row.waits.len() > 1) {
        page.push(String::new());
        page.push(format!("{} waited: {}", row.stage.name(), waits(&row.waits)));
    }
    page.join("\n")
}

fn row(row: &Row) -> [String; 8] {
    let figure = |spread: Option<Spread>, digits: usize| {
        spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let peak = row.peak_bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
    let wait = row.bottleneck().map_or_else(|| "–".to_owned(), |wait| format!("{} {:.3} s", wait.edge, wait.seconds));
    [
        row.stage.name().to_owned(),
        figure(Some(row.items_per_s), 0),
        apart(&row.items_per_s),
        figure(row.mb_per_s, 0),
        figure(row.cpu_s_per_gb, 2),
        figure(row.cpu_us_per_item, 1),
        peak,
        wait,
    ]
}

/// How far the rounds lie apart, in percent of their median.
fn apart(spread: &Spread) -> String {
    if spread.median > 0.0 {
        format!("{:.0} %", (spread.most - spread.least) / spread.median * 100.0)
    } else {
        "–".to_owned()
    }
}

fn waits(waits: &[Wait]) -> String {
    let told: Vec<String> = waits
        .iter()
        .filter(|wait| wait.seconds >= WORTH_TELLING_S)
        .map(|wait| format!("{} {:.3} s", wait.edge, wait.seconds))
        .collect();
    if told.is_empty() { "nowhere".to_owned() } else { told.join(", ") }
}

/// The comparison for people: what a stage takes now for what it took then.
pub(super) fn comparison(compared: &[Compared]) -> String {
    let line = |one: &Compared| {
        let by = if one.by_cpu { "CPU an item" } else { "time an item" };
        let words = match one.change {
            Change::Better => "better: no round overlaps",
            Change::Worse => "WORSE: no round overlaps",
            Change::Same => "the rounds overlap",
        };
        format!("{:<9} {by} × {:.2}  {words}", one.stage.name(), one.ratio)
    };
    std::iter::once("\nagainst the earlier result:".to_owned())
        .chain(compared.iter().map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Same => "same",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{SCHEMA, Sample};
    use crate::bench::machine::Machine;
    use crate::bench::stage::Stage;

    fn report() -> Report {
        let waits = [("slot_wait", 0.5), ("clean_wait", 0.25), ("body_wait", 0.0)];
        let waits =
            waits.map(|(edge, seconds)| Wait { edge: edge.to_owned(), seconds }).into_iter().collect::<Vec<_>>();
        let sample = |wall_s| Sample {
            stage: Stage::Pipeline,
            items: 100,
            bytes: 50_000_000,
            wall_s,
            cpu_s: Some(0.1),
            peak_bytes: Some(9_000_000),
            waits: waits.clone(),
        };
        let stages = Row::of(&[sample(1.0), sample(2.0), sample(1.0)]).into_iter().collect();
        let machine = Machine { cpu: "Some CPU".into(), cores: 2, ..Machine::default() };
        Report { schema: SCHEMA, machine, images: 100, image_bytes: 500_000, seed: 1, sink: None, stages }
    }

    #[test]
    fn a_page_for_people() {
        let expected = "\
Some CPU, 2 threads, ; 
100 images of 500000 bytes; medians of 3 rounds in turns

stage     items/s  spread  MB/s  CPU s/GB  CPU µs/item  peak MB  waited longest for
pipeline      100    50 %    50      2.00       1000.0        9  slot_wait 0.500 s

pipeline waited: slot_wait 0.500 s, clean_wait 0.250 s";
        assert_eq!(table(&report()), expected);
    }

    #[test]
    fn a_document_can_be_compared_with() {
        let report = report();
        let text = document(&report, None).expect("figures");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("a report"), report);
        let compared = Compared { stage: Stage::Pipeline, ratio: 0.5, by_cpu: true, change: Change::Better };
        let text = document(&report, Some(&Ok(vec![compared.clone()]))).expect("figures");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["against"], json!([{"stage": "pipeline", "ratio": 0.5, "by": "cpu", "change": "better"}]));
        let told = comparison(&[compared]);
        assert_eq!(told, "\nagainst the earlier result:\npipeline  CPU an item × 0.50  better: no round overlaps");
        let none = document(&report, Some(&Err("other".to_owned()))).expect("figures");
        assert!(none.contains("\"not_comparable\":\"other\""));
    }
}
