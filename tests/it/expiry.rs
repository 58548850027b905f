//! Results that wait at the provider are told of while they are still there.

use batchscribe::pipeline::mission::Mode;
use serde_json::Value;

use crate::cancel::call;
use crate::sandbox::Sandbox;

/// Lets all batches have been opened so many days earlier.
fn older(sandbox: &Sandbox, days: i64) {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let changed = ledger.execute("UPDATE batch SET opened_at = opened_at - ?1 * 86400000", [days]).expect("sql");
    assert_eq!(changed, 2);
}

fn warnings(sandbox: &Sandbox) -> Vec<Value> {
    let (exit, out, err) = call(sandbox, "status --json");
    assert_eq!(exit, Some(0), "{err}");
    let document: Value = serde_json::from_str(&out).expect("one document");
    document["warnings"].as_array().expect("a list").clone()
}

#[test]
fn results_that_wait_are_told_of_from_day_twenty_until_they_are_fetched() {
    let mut sandbox = Sandbox::new(5);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    older(&sandbox, 19);
    assert_eq!(warnings(&sandbox), Vec::<Value>::new());
    assert!(!call(&sandbox, "status").1.contains("Warning"));
    older(&sandbox, 2);
    let told = warnings(&sandbox);
    assert_eq!((told.len(), &told[0]["code"]), (1, &Value::from("E314")));
    let text = told[0]["text"].as_str().expect("words").to_owned();
    assert!(text.starts_with("results of 2 batches wait at 127.0.0.1:"), "{text}");
    assert!(text.ends_with(" and are kept for 30 days alone; the oldest batch is 21 days old"), "{text}");
    let (_, out, _) = call(&sandbox, "status");
    assert!(out.contains(&format!(" Warning   {text} (E314); ")) && out.contains("batchscribe download"), "{out}");
    // Nobody knows how long a provider keeps what it was not told to delete.
    sandbox.set("batch.results_expire_after", "");
    assert_eq!(warnings(&sandbox), Vec::<Value>::new());
    sandbox.set("batch.results_expire_after", "30d");
    let (exit, out, err) = call(&sandbox, "download --wait --json");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.contains(&format!("warning: {text} (E314)")), "{err}");
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&"start".into(), &"warning".into()), "{out}");
    assert_eq!((&events[1]["code"], &events[1]["text"]), (&told[0]["code"], &told[0]["text"]));
    assert_eq!(warnings(&sandbox), Vec::<Value>::new(), "they are fetched");
    assert!(!call(&sandbox, "run").2.contains("E314"));
}

#[test]
fn after_their_time_they_may_be_gone() {
    let sandbox = Sandbox::new(5);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    older(&sandbox, 31);
    let (exit, _, err) = call(&sandbox, "run --once");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.contains("warning: results of 2 batches may be gone at 127.0.0.1:"), "{err}");
}
