//! The targets P1 to P18, measured side by side on this machine: one command, one table, a verdict a row. Ratios are taken
//! pair by pair in turns, so that a busy machine slows both sides of them. `docs/performance.md` says what each row means.
//!
//! `cargo bench --bench table`, and behind `--`: `--quick` for small sizes, `--only P7` for one row, `--rounds 5`,
//! `--folder DIR` for another disk

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reads the clock, prints its table, and tells how far it is"
)]

#[path = "table/answers.rs"]
mod answers;
#[path = "table/cases.rs"]
mod cases;
#[path = "table/many.rs"]
mod many;
#[path = "table/origin.rs"]
mod origin;
#[path = "table/rows.rs"]
mod rows;
#[path = "table/scene.rs"]
mod scene;
#[path = "table/sending.rs"]
mod sending;
#[path = "table/servers.rs"]
mod servers;
mod support;
#[path = "table/verdict.rs"]
mod verdict;

use std::path::Path;

use batchscribe::bench::machine::Machine;
use rows::Row;
use scene::{Scene, Sizes};
use verdict::Verdict;

/// What measures which rows.
type Part = (&'static [&'static str], fn(&Scene) -> Vec<Row>);

const PARTS: [Part; 11] = [
    (&["P1", "P2", "P3", "P9"], sending::pushes),
    (&["P4", "P5"], origin::uploads),
    (&["P6"], origin::cycles),
    (&["P7", "P8"], sending::runs),
    (&["P10"], many::scan),
    (&["P11", "P13"], many::large),
    (&["P12"], many::commits),
    (&["P14", "P15"], answers::lines),
    (&["P16"], answers::waiting),
    (&["P17"], sending::calls),
    (&["P18"], sending::cold),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [case, name, words @ ..] if case == "--case" => return cases::run(name, words),
        [serve, words @ ..] if serve == "--serve" => return servers::serve(words),
        _ => {}
    }
    let quick = words.iter().any(|word| word == "--quick");
    let after = |name: &str| words.iter().skip_while(|word| *word != name).nth(1);
    let only = after("--only");
    let folder = Path::new(after("--folder").map_or(env!("CARGO_TARGET_TMPDIR"), String::as_str));
    let scene = Scene::new(folder, if quick { Sizes::QUICK } else { Sizes::FULL }, support::argument("rounds", 5));
    println!("{}", Machine::here());
    println!("{} rounds in turns after one that warms up: median (least to most)", scene.rounds);
    if quick {
        println!("--quick: smaller than the targets say; look at whether it works, not at the verdicts");
    }
    let mut rows = Vec::new();
    for (ids, measure) in PARTS.iter().filter(|(ids, _)| only.is_none_or(|only| ids.contains(&only.as_str()))) {
        eprintln!("measuring {} …", ids.join(", "));
        rows.extend(measure(&scene));
    }
    // In the order of the targets, whatever was measured together.
    rows.sort_by_key(|row| row.id.trim_start_matches('P').parse::<u32>().unwrap_or(u32::MAX));
    println!();
    for row in &rows {
        println!("{}", row.line());
        if !row.note.is_empty() {
            println!("     {}", row.note);
        }
    }
    let count = |wanted: fn(&Verdict) -> bool| rows.iter().filter(|row| wanted(&row.verdict())).count();
    println!(
        "\n{} goals met, {} musts met, {} musts missed, {} not measured",
        count(|verdict| *verdict == Verdict::Goal),
        count(|verdict| *verdict == Verdict::Must),
        count(|verdict| *verdict == Verdict::Missed),
        count(|verdict| matches!(verdict, Verdict::NotMeasured(_))),
    );
}
