//! What machines read: with `--json`, long verbs tell one object a line, all others one document.

use serde_json::{Value, json};

use crate::cli_words::Room;

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
