//! What machines read: with `--json`, long verbs tell one object a line, all others one document.

use std::process::{Command, Stdio};

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::json_schema::JsonSchema;
use serde_json::{Value, json};

use crate::cli_words::Room;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

/// A document, which is all that was printed.
fn document(room: &Room, words: &str, exit: i32) -> Value {
    let told = room.call(words);
    assert_eq!(told.exit, Some(exit), "{words}: {told:?}");
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{words}: {error}: {told:?}"))
}

/// The objects of a long verb, one a line.
fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_workspace_where_nothing_was_begun_is_told_in_documents_all_the_same() {
    let room = Room::new(1);
    let audit = document(&room, "audit --json", 0);
    assert_eq!((&audit["images"]["found"], &audit["balance_closed"]), (&json!(0), &json!(true)));
    assert_eq!(document(&room, "audit --json --compare a b", 0)["all"]["pages"], 0);
    let one = document(&room, "status in/page0.png --json", 0);
    assert_eq!(one, json!({"schema": 1, "path": "in/page0.png", "state": null, "reason": null, "requests": []}));
    assert_eq!(document(&room, "report --json", 0), json!({"schema": 1, "html": null, "csv": null, "json": null}));
    let export = document(&room, "export csv --out all.csv --json", 0);
    assert_eq!((&export["out"], &export["written"]), (&Value::Null, &json!(0)));
    assert!(!room.at("batch").exists(), "who looks begins nothing");
}

#[test]
fn what_was_written_is_told_in_one_document() {
    let room = Room::new(2);
    assert_eq!(room.echo("run in").exit, Some(0));
    let report = document(&room, "report --json", 0);
    for ending in ["html", "csv", "json"] {
        assert_eq!(report[ending], format!("HERE/report.{ending}"));
    }
    let export = document(&room, "export csv --out all.csv --json", 0);
    assert_eq!((&export["out"], &export["written"], &export["unread"]), (&json!("HERE/all.csv"), &json!(2), &json!(0)));
    let told = room.call("export jsonl --json");
    assert_eq!(lines(&told.out).len(), 2, "the standard output is the export itself");
}

#[test]
fn verbs_that_read_saved_answers_end_with_a_summary_or_an_error() {
    let room = Room::new(1);
    assert_eq!(room.echo("run in").exit, Some(0));
    let last = |words: &str| {
        let told = room.call(words);
        (told.exit, lines(&told.out).pop().unwrap_or_default())
    };
    let (exit, summary) = last("clean --json");
    assert_eq!((exit, &summary["type"], &summary["images"]["done"]), (Some(0), &json!("summary"), &json!(1)));
    let (exit, summary) = last("import nothing -n --json");
    assert_eq!(
        (exit, &summary["type"], &summary["exit"]),
        (Some(2), &json!("exit_error"), &json!(2)),
        "no such folder"
    );
    std::fs::create_dir(room.at("origin")).expect("a folder");
    let (exit, summary) = last("import origin --corpus-root in -n --json");
    assert_eq!((exit, &summary["type"], &summary["exit"]), (Some(0), &json!("summary"), &json!(0)), "{summary}");
    room.put("batchscribe.toml", "clean = 7");
    let (exit, error) = last("clean --json");
    assert_eq!((exit, &error["type"], &error["exit"]), (Some(2), &json!("exit_error"), &json!(2)));
}

/// A schema as the program prints it.
fn schema() -> JsonSchema {
    let printed = Room::new(0).call("config schema events");
    JsonSchema::new(&serde_json::from_str(&printed.out).expect("JSON")).expect("a schema")
}

/// What the program tells of a verb in a sandbox, line by line, each of which fits its schema; and its exit code.
fn told(sandbox: &Sandbox, verb: &str) -> (Option<i32>, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.args(verb.split(' ')).args(["--yes", "--json", "--no-config"]);
    for (key, value) in sandbox.flags() {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command.env_clear().env("HOME", sandbox.workspace()).current_dir(sandbox.workspace());
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let lines = lines(&String::from_utf8(output.stdout).expect("text"));
    let schema = schema();
    for line in &lines {
        schema.check(line).unwrap_or_else(|misfit| panic!("{verb}: {misfit}: {line}"));
    }
    (output.status.code(), lines)
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// One page is cut at the limit of its first try.
fn cut() -> Sandbox {
    let scenario =
        Scenario::read("[[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"length_cut\"\nwhen = { times = 1 }\n");
    let weather = Weather { scenario: scenario.expect("a scenario"), ..Weather::default() };
    let mut sandbox = Sandbox::with(3, weather);
    sandbox.set("request.model", "gpt-5.4-mini");
    sandbox.set("request.reasoning_effort", "unset");
    sandbox
}

#[test]
fn a_run_is_told_line_by_line() {
    let sandbox = cut();
    let (exit, lines) = told(&sandbox, "run --budget 5");
    assert_eq!(exit, Some(0), "{lines:?}");
    let run = lines[0]["run"].as_str().expect("the run is known from the first line on").to_owned();
    assert!(lines.iter().all(|line| line["run"] == run.as_str()), "{lines:?}");
    let start = &lines[0];
    assert_eq!((&start["type"], &start["resumed"]), (&json!("start"), &json!(false)));
    assert_eq!(start["recipe"].as_str().map(str::len), Some(32));
    assert_eq!(lines.last().expect("lines")["type"], "summary");

    let images = of(&lines, "image");
    let page: Vec<_> = images.iter().filter(|image| image["path"] == "tray_1/page0001.png").collect();
    assert_eq!((images.len(), page.len()), (4, 2), "one line for each judged answer: {images:?}");
    let first = [&page[0]["state"], &page[0]["verdict"], &page[0]["code"], &page[0]["next"]];
    assert_eq!(first, ["owed", "ask_again", "E503", "max_output_tokens 8000"]);
    let second = [&page[1]["state"], &page[1]["attempt"], &page[1]["code"], &page[1]["next"]];
    assert_eq!(second, [&json!("done"), &json!(2), &Value::Null, &Value::Null]);

    let batches = of(&lines, "batch");
    let steps: Vec<_> = batches.iter().map(|batch| (batch["from"].as_str(), batch["to"].as_str())).collect();
    let life =
        [(Some("opening"), Some("open")), (Some("open"), Some("completed")), (Some("completed"), Some("settled"))];
    assert_eq!(steps, [life, life].concat());
    let [open, completed, settled] = [batches[0], batches[1], batches[2]];
    assert_eq!([&open["ok"], &open["duration_s"], &open["tokens"], &open["cost_usd"]], [&Value::Null; 4]);
    assert!(completed["duration_s"].is_number() && completed["tokens"]["in"].as_u64() > Some(0), "{completed}");
    assert_eq!([&settled["ok"], &settled["failed"], &settled["missing"], &settled["lines"]], [3, 0, 0, 3]);
    assert_eq!((&settled["kind"], &settled["shard"]), (&json!("read"), &open["shard"]));
    assert!(images.iter().all(|image| batches.iter().any(|batch| batch["id"] == image["batch"])), "{images:?}");
    let costs: f64 =
        batches.iter().filter(|batch| batch["to"] == "settled").filter_map(|batch| batch["cost_usd"].as_f64()).sum();
    let spent = lines.last().and_then(|summary| summary["cost"]["spent"].as_f64()).expect("a sum");
    assert!(costs > 0.0 && (costs - spent).abs() < 1e-6, "{costs} {spent}");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2);

    let (_, again) = told(&sandbox, "run");
    assert_eq!((&again[0]["resumed"], &again[0]["run"]), (&json!(true), &json!(run)));
    assert_eq!(again.last().expect("lines")["run"], json!(run), "though it opened no batch");
}

#[test]
fn a_batch_without_all_its_answers_tells_what_is_missing() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"missing\"\nwhen = { times = 1 }\n\n\
        [[line]]\ncustom_id_contains = \"page0002\"\noutcome = \"server_error\"\nwhen = { times = 1 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(3, Weather { scenario, ..Weather::default() });
    let (exit, lines) = told(&sandbox, "run");
    assert_eq!(exit, Some(0), "{lines:?}");
    let settled = of(&lines, "batch").into_iter().find(|batch| batch["to"] == "settled").expect("a batch");
    assert_eq!([&settled["ok"], &settled["failed"], &settled["missing"]], [1, 1, 1], "{settled}");
}

#[test]
fn what_was_uploaded_is_fetched_under_the_same_name_and_a_start_that_fails_names_none() {
    let sandbox = cut();
    let (exit, lines) = told(&sandbox, "upload");
    assert_eq!(exit, Some(0), "{lines:?}");
    let run = lines[0]["run"].clone();
    let status = of(&lines, "status").pop().expect("the last status").clone();
    assert_eq!(status["shards"], json!({"open": 0, "sealed": 0, "uploaded": 0, "opening": 0, "waiting": 0}));
    assert_eq!(status["batches"], json!({"opening": 0, "open": 1, "ended": 0, "fetched": 0}));
    let (exit, lines) = told(&sandbox, "download --wait");
    assert_eq!(exit, Some(0), "{lines:?}");
    assert!(run.is_string() && lines.iter().all(|line| line["run"] == run), "{lines:?}");
    assert_eq!(
        [&lines[0]["verb"], &lines[0]["recipe"], &lines[0]["resumed"]],
        [&json!("download"), &Value::Null, &json!(true)]
    );
    assert_eq!(of(&lines, "image").len(), 3);
    // Judged again from what is saved: no request.
    let (exit, lines) = told(&sandbox, "clean");
    assert_eq!((exit, of(&lines, "image").len()), (Some(0), 2), "one of them is owed again: {lines:?}");
    assert_eq!(lines.last().expect("lines")["type"], "summary");

    // What stops a run that has begun is told under its name.
    std::fs::create_dir(sandbox.workspace().join("other")).expect("a folder");
    std::fs::write(sandbox.workspace().join("other/page.png"), png(9)).expect("an image");
    let (exit, lines) = told(&sandbox, "run other");
    let kinds: Vec<_> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!((exit, kinds), (Some(2), vec!["start", "status", "exit_error"]), "{lines:?}");
    assert!(lines.iter().all(|line| line["run"] == run) && lines[2]["code"] == "E113", "{lines:?}");
    // And what does not even begin, under none.
    let (exit, lines) = told(&sandbox, "run nowhere");
    assert_eq!((exit, lines.len(), &lines[0]["code"]), (Some(2), 1, &json!("E104")), "{lines:?}");
    std::fs::write(sandbox.workspace().join("batch/ledger.sqlite"), "no ledger").expect("written");
    let (exit, lines) = told(&sandbox, "run");
    assert_eq!((exit, lines.len()), (Some(2), 1), "{lines:?}");
    assert_eq!((&lines[0]["code"], &lines[0]["run"]), (&json!("E403"), &Value::Null));
}

#[test]
fn a_pilot_files_for_others_and_what_was_imported_fit_the_schema_too() {
    let sandbox = Sandbox::new(4);
    let (exit, lines) = told(&sandbox, "run --pilot 2");
    assert_eq!((exit, of(&lines, "pilot").len(), of(&lines, "image").len()), (Some(0), 1, 2), "{lines:?}");
    let (exit, lines) = told(&sandbox, "upload --spool-only files");
    assert_eq!((exit, of(&lines, "spooled").len()), (Some(0), 1), "{lines:?}");
    std::fs::create_dir(sandbox.workspace().join("origin")).expect("a folder");
    let (exit, lines) = told(&sandbox, "import origin");
    let kinds: Vec<_> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!((exit, kinds), (Some(0), vec!["import", "start", "status", "summary"]), "{lines:?}");
}

#[test]
fn a_reader_that_does_not_read_holds_up_no_work_and_misses_nothing_of_a_few_hundred_lines() {
    const IMAGES: u32 = 400;
    let room = Room::new(IMAGES);
    let mut command = room.command("run in --json --set provider.engine=echo");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    // A pipe takes no more than a part of the lines, and nobody reads it.
    let done = |_: &u32| document(&room, "status --json", 0)["images"]["done"] == IMAGES;
    assert!((0..2_000).any(|look| done(&look)), "the work waits for the reader");
    let mut out = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("a pipe"), &mut out).expect("text");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    let lines = lines(&out);
    assert!(out.len() > 1 << 16, "{} bytes", out.len());
    assert_eq!((of(&lines, "image").len(), of(&lines, "missed").len()), (400, 0));
    assert_eq!(lines.last().expect("lines")["type"], "summary");
}
