//! A bill: it is the provider's to the token, whatever its rows are, and what it does not know it does not call nothing.

use batchscribe::emulator::scenario::Scenario;
use serde_json::{Value, json};

use crate::cancel::{call, call_with};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

const GROUPINGS: [&str; 5] = ["run", "model", "folder", "attempt", "batch"];

fn weather(scenario: &str) -> Weather {
    Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() }
}

fn bill(sandbox: &Sandbox, by: &str) -> Value {
    let (exit, out, err) = call(sandbox, &format!("bill --json --by {by}"));
    assert_eq!(exit, Some(0), "{err}");
    serde_json::from_str(&out).expect("one document")
}

/// Tokens as the auditor counted them when it decided: in, cached, out, reasoning.
fn audited<'a>(entries: impl IntoIterator<Item = &'a Value>) -> [u64; 4] {
    let mut sums = [0; 4];
    for entry in entries.into_iter().filter(|entry| entry["what"] == "line") {
        let names = ["prompt_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"];
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += entry[name].as_u64().unwrap_or(0);
        }
    }
    sums
}

fn tokens(sum: &Value) -> [u64; 4] {
    ["in", "cached", "out", "reasoning"].map(|name| sum["tokens"][name].as_u64().expect("a count"))
}

fn plus(one: [u64; 4], other: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|at| one[at] + other[at])
}

fn together(rows: &Value) -> [u64; 4] {
    rows.as_array().expect("rows").iter().map(tokens).fold([0; 4], plus)
}

/// Some answers are cut, some eaten by reasoning, some lost between bill and file; one batch expires, one line fails.
const ROUGH: &str = r#"
[habits]
cached_percent = 30

[[batch]]
expire_after_lines = 2
when = { times = 1 }

[[line]]
custom_id_contains = "page0005"
outcome = "length_empty"
when = { times = 1 }

[[line]]
custom_id_contains = "page0006"
outcome = "length_cut"
when = { times = 1 }

[[line]]
custom_id_contains = "page0007"
outcome = "server_error"
when = { times = 1 }

[[line]]
custom_id_contains = "page0008"
outcome = "missing"
when = { times = 1 }

[[line]]
custom_id_contains = "page0009"
outcome = "content_filter"
"#;

#[test]
fn the_bill_is_the_providers_to_the_token() {
    let mut sandbox = Sandbox::with(12, weather(ROUGH));
    sandbox.set("request.model", "gpt-5.6-luna");
    assert!(sandbox.run().fault.is_none());
    let entries = oracle::entries(&sandbox.bill());
    let expected = audited(&entries);
    assert!(expected.iter().all(|tokens| *tokens > 0), "the scene has some of each: {expected:?}");
    let withheld = audited(entries.iter().filter(|entry| entry["withheld"] == true));
    assert!(withheld[0] > 0, "{withheld:?}");
    // 0.10, 0.05 and 0.60 USD for a million tokens.
    let usd = |[prompt, cached, output, _]: [u64; 4]| {
        ((prompt - cached) * 100_000 + cached * 50_000 + output * 600_000 + 500_000) / 1_000_000
    };
    for by in GROUPINGS {
        let bill = bill(&sandbox, by);
        assert_eq!(tokens(&bill["total"]), expected, "{by}");
        assert_eq!(together(&bill["rows"]), expected, "{by}: {bill}");
        let cost = bill["total"]["cost_usd"].as_f64().expect("a price");
        assert_eq!((cost * 1e6).round() as u64, usd(expected), "{by}");
        assert_eq!(bill["total"]["at_least"], false, "{by}");
        let lost = json!({"in": withheld[0], "cached": withheld[1], "out": withheld[2], "reasoning": withheld[3]});
        assert_eq!(bill["difference"]["in_no_answer"], lost, "{by}");
        assert_eq!(bill["difference"]["in_no_batch"], json!({"in": 0, "cached": 0, "out": 0, "reasoning": 0}), "{by}");
        assert_eq!(bill["prices"]["days"], json!(["2026-11-01"]), "{by}");
    }
}

#[test]
fn each_row_is_what_the_auditor_says_of_it() {
    let mut sandbox = Sandbox::with(12, weather(ROUGH));
    sandbox.set("request.model", "gpt-5.6-luna");
    assert!(sandbox.run().fault.is_none());
    let entries = oracle::entries(&sandbox.bill());
    let rows = |by: &str| bill(&sandbox, by)["rows"].as_array().expect("rows").clone();
    for row in rows("batch") {
        assert_eq!(tokens(&row), audited(entries.iter().filter(|entry| entry["batch"] == row["name"])), "{row}");
    }
    for row in rows("folder") {
        let folder = row["name"].as_str().expect("a name");
        let is_here = |entry: &&Value| {
            let withheld = entry["withheld"] == true;
            let within = entry["custom_id"].as_str().is_some_and(|id| id.contains(folder));
            if folder == "(in no answer)" { withheld } else { within && !withheld }
        };
        assert_eq!(tokens(&row), audited(entries.iter().filter(is_here)), "{row}");
    }
    let names: Vec<Value> = rows("attempt").iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names[..2], ["attempt 1", "attempt 2"].map(Value::from));
    // Paid and no text, or paid because there was none: the two cut answers, the filtered one, and what followed the two.
    let total = &bill(&sandbox, "run")["total"];
    assert_eq!(total["retries"]["answers"], 5, "{total}");
    let (exit, out, err) = call(&sandbox, "bill");
    assert_eq!(exit, Some(0), "{err}");
    for words in
        ["together", "of it: 5 answers of later attempts or without a text", "that no answer tells; they are counted"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn a_provider_that_tells_no_sums_and_a_model_that_nobody_knows() {
    let mut sandbox = Sandbox::with(6, weather("[habits]\nbatch = { usage = \"<absent>\" }\n"));
    sandbox.set("request.model", "nobody-knows");
    assert!(sandbox.run().fault.is_none());
    let expected = audited(&oracle::entries(&sandbox.bill()));
    for by in GROUPINGS {
        let bill = bill(&sandbox, by);
        assert_eq!((tokens(&bill["total"]), together(&bill["rows"])), (expected, expected), "{by}");
        assert!(bill["total"]["cost_usd"].is_null(), "{by}: unknown is never zero");
        assert_eq!(bill["total"]["unpriced_tokens"], expected[0] + expected[2], "{by}");
        assert_eq!(bill["batches"]["without_usage"], 2, "{by}");
    }
    let (_, out, _) = call(&sandbox, "bill");
    assert!(out.contains("unknown") && out.contains("tokens have no price (E110)"), "{out}");
    // A price of the user's own, named later.
    let table = "read_on = \"2026-11-20\"\n[[model]]\nname = \"nobody-knows\"\ninput = 2\noutput = 4\n";
    std::fs::write(sandbox.workspace().join("models.toml"), table).expect("file");
    let (_, out, _) = call_with(&sandbox, "bill --json", true);
    let bill: Value = serde_json::from_str(&out).expect("one document");
    let usd = (expected[0] * 2 + expected[2] * 4) as f64 / 1e6;
    assert_eq!((bill["total"]["cost_usd"].as_f64(), &bill["prices"]["answers_at_todays"]), (Some(usd), &json!(6)));
}

#[test]
fn the_built_in_engine_costs_nothing_and_is_on_no_bill() {
    let desk = tempfile::tempdir().expect("temp dir");
    std::fs::create_dir(desk.path().join("in")).expect("folder");
    std::fs::write(desk.path().join("in/a.png"), crate::sandbox::png(1)).expect("image");
    let call = |words: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.current_dir(desk.path()).env_clear().env("HOME", desk.path()).args(words.split_whitespace());
        command.args(["--set", "image_dir=in", "--set", "provider.engine=echo"]);
        let output = command.stdin(std::process::Stdio::null()).output().expect("the program starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let nothing: Value = serde_json::from_str(&call("bill --json").1).expect("a document before there is a ledger");
    assert_eq!(nothing["rows"], json!([]));
    assert_eq!(call("run").0, Some(0));
    let (exit, out) = call("bill");
    assert_eq!((exit, out.contains("No answer of a provider that costs money was read yet")), (Some(0), true), "{out}");
}

#[test]
fn the_bill_has_what_was_asked_directly() {
    let mut sandbox = Sandbox::new(5);
    sandbox.set("request.model", "gpt-5.6-luna");
    sandbox.set("run.canary", "sync");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::count(&sandbox.bill(), "chat"), 1);
    let (_, out, _) = call(&sandbox, "status --json");
    let status: Value = serde_json::from_str(&out).expect("one document");
    for by in GROUPINGS {
        let bill = bill(&sandbox, by);
        let rows = bill["rows"].as_array().expect("rows");
        let direct = rows.last().expect("a row");
        assert_eq!((&direct["name"], &direct["answers"]), (&"(asked directly)".into(), &1.into()), "{by}: {bill}");
        assert!(direct["cost_usd"].as_f64() > Some(0.0) && direct["tokens"]["in"].as_u64() > Some(0), "{by}: {bill}");
        let (total, spent) = (&bill["total"]["cost_usd"], &status["cost"]["spent"]);
        assert_eq!(total, spent, "{by}: the sum is what was paid");
    }
}
