//! `export parquet`: what data frames make of it, and what a build without it says.

use crate::cancel::call;
use crate::export::finished;

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_it_says_how_to_get_it() {
    let sandbox = finished();
    let (exit, out, err) = call(&sandbox, "export parquet --out all.parquet");
    assert_eq!((exit, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("E103") && err.contains("--features parquet") && err.contains("export jsonl"), "{err}");
    assert!(!sandbox.workspace().join("all.parquet").exists(), "nothing was written");
}

/// Reads both files with pandas, holds them against one another, and tells the types.
#[cfg(feature = "parquet")]
const READ: &str = r#"
import json, pandas
frame = pandas.read_parquet("all.parquet")
lines = [json.loads(line) for line in open("all.jsonl", encoding="utf-8")]
assert list(frame.columns) == COLUMNS, list(frame.columns)
assert len(frame) == len(lines), len(frame)
for row, line in zip(frame.to_dict("records"), lines):
    for name, told in line.items():
        cell = row[name]
        if name == "flags":
            cell = list(cell)
        elif pandas.isna(cell):
            cell = None
        elif name == "finished_at":
            cell = cell.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert cell == told, (line["path"], line["page"], name, cell, told)
for name in COLUMNS:
    print(name, frame[name].dtype)
"#;

#[cfg(feature = "parquet")]
#[test]
fn pandas_reads_what_the_lines_say() {
    use std::io::Write as _;
    use std::process::Command;

    let mut sandbox = finished();
    sandbox.set("request.model", "gpt-5.6-luna");
    let (exit, out, err) = call(&sandbox, "export parquet --out all.parquet");
    assert_eq!((exit, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.starts_with("Wrote 10 rows to ") && err.contains("\n1 image has no text"), "{err}");
    assert_eq!(call(&sandbox, "export jsonl --out all.jsonl").0, Some(0));
    let (exit, _, err) = call(&sandbox, "export parquet --out all.parquet");
    assert!(exit == Some(2) && err.contains("all.parquet is there already"), "{err}");
    let (exit, _, err) = call(&sandbox, "export parquet");
    assert!(exit == Some(2) && err.contains("--out all.parquet"), "{err}");
    assert!(sandbox.tree().iter().all(|file| !file.ends_with(".tmp")), "the draft is gone");

    let python = |script: &str| Command::new("python3").current_dir(sandbox.workspace()).args(["-c", script]).output();
    if !python("import pandas, pyarrow").is_ok_and(|told| told.status.success()) {
        writeln!(std::io::stderr(), "skipped: python3 with pandas and pyarrow is not installed").expect("stderr");
        return;
    }
    let columns = "COLUMNS = '''schema path page state reason flags review text edited text_file model recipe batch \
        finished_at attempts returns tokens_in tokens_cached tokens_out tokens_reasoning cost_usd'''.split()";
    let told = python(&format!("{columns}\n{READ}")).expect("python3");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let types = String::from_utf8(told.stdout).expect("text");
    for one in ["page int64", "attempts int64", "tokens_in float64", "cost_usd float64", "flags object"] {
        assert!(types.lines().any(|line| line == one), "{one}: {types}");
    }
    assert!(types.contains("finished_at datetime64[ms, UTC]"), "{types}");
}
