//! `audit --compare`: what another recipe made of the same pages, and which one is nearer to the truth.

use std::process::Command;

use serde_json::Value;

use crate::sandbox::Sandbox;

fn call(sandbox: &Sandbox, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.args(words).arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "--yes"]);
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let output = command.env_clear().current_dir(sandbox.workspace()).output().expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The hashes of the recipes, oldest first.
fn recipes(sandbox: &Sandbox) -> Vec<String> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let mut rows = ledger.prepare("SELECT lower(hex(hash)) FROM recipe ORDER BY id").expect("query");
    rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a hash")).collect()
}

#[test]
fn two_recipes_side_by_side_and_against_the_truth() {
    let sandbox = Sandbox::new(4);
    let prompt = sandbox.workspace().join("prompt.txt");
    for asked in ["Transcribe the page.", "Transcribe the whole page, line by line."] {
        std::fs::write(&prompt, asked).expect("a prompt");
        assert_eq!(call(&sandbox, &["run", "--redo", "stale"]).0, Some(0));
    }
    let recipes = recipes(&sandbox);
    let (older, newer) = (&recipes[0][..10], &recipes[recipes.len() - 1][..10]);
    // What stands beside the images now is the truth of this test.
    let truth = sandbox.workspace().join("truth");
    for n in 0..4 {
        let image = format!("tray_{}/page{n:04}.png", n % 2);
        let target = truth.join(format!("{image}.txt"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        std::fs::write(&target, sandbox.text(&image).expect("a text")).expect("written");
    }
    let truth = truth.display().to_string();
    let (exit, out, err) = call(&sandbox, &["audit", "--compare", older, newer, "--truth", &truth, "--json"]);
    assert_eq!(exit, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).expect("one document");
    assert_eq!((&told["all"]["pages"], &told["all"]["truths"], &told["unsaved"]), (&4.into(), &4.into(), &0.into()));
    assert_eq!(told["all"]["cer"][1], 0.0, "{told}");
    assert_eq!(told["folders"]["tray_0"]["pages"], 2, "{told}");
    let (exit, out, _) = call(&sandbox, &["audit", "--compare", older, newer]);
    assert!(exit == Some(0) && out.contains("all: 4 pages"), "{out}");
    // The other way round nothing was answered later.
    let (_, out, _) = call(&sandbox, &["audit", "--compare", newer, older, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).expect("one document")["all"]["pages"], 0);
    let (exit, _, err) = call(&sandbox, &["audit", "--compare", "nobody", newer]);
    assert!(
        exit == Some(2) && err.contains("`nobody` names no run, and is not the beginning of exactly one recipe"),
        "{exit:?} {err}"
    );
}
