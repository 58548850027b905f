//! `clean` without a folder: saved answers are judged again by today's rules, and nothing is asked.

use std::process::{Command, Output};

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::prepared::tiff;
use crate::sandbox::{Sandbox, Weather};

const AGAIN: Mode = Mode::Clean { rebuild: false, deep: false };

fn spoilt(how: &str, times: u32) -> Sandbox {
    let scenario = format!("[[bad]]\ncustom_id_contains = \"page0001\"\nhow = [\"{how}\"]\ntimes = {times}\n");
    Sandbox::with(4, Weather { scenario: toml::from_str(&scenario).expect("a scenario"), ..Weather::default() })
}

fn clean(sandbox: &Sandbox, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.arg("clean").args(more).arg("--workspace").arg(sandbox.workspace()).arg("--no-config");
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.env_clear().current_dir(sandbox.workspace()).output().expect("the program")
}

const PAGE: &str = "tray_1/page0001.png";

#[test]
fn texts_that_are_gone_come_back_and_those_of_people_stand() {
    let sandbox = Sandbox::new(4);
    assert!(sandbox.run().fault.is_none());
    let text = sandbox.text(PAGE).expect("a text");
    std::fs::remove_file(sandbox.corpus().join(format!("{PAGE}.txt"))).expect("removed");
    let edited = sandbox.corpus().join("tray_0/page0000.png.txt");
    std::fs::write(&edited, "by a person\n").expect("edited");
    let before = oracle::count(&sandbox.bill(), "create");
    let outcome = sandbox.work(AGAIN);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.rejudged.texts, outcome.rejudged.rough, outcome.rejudged.wanting), (4, 0, 0));
    assert_eq!(sandbox.text(PAGE), Some(text));
    assert_eq!(std::fs::read_to_string(&edited).expect("the text"), "by a person\n");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), before, "nothing is asked");
    assert!(outcome.standing.closes() && outcome.standing.done == 4);
}

#[test]
fn other_rules_make_other_texts_of_the_same_answers() {
    let mut sandbox = spoilt("model_voice", 9);
    sandbox.set("clean.strip_chatter", "false");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (4, 0), "{:?}", outcome.standing);
    let with_remark = sandbox.text(PAGE).expect("a text");
    // The rule is on again: the text is rough, and what stood there was ours.
    sandbox.set("clean.strip_chatter", "true");
    let outcome = sandbox.work(AGAIN);
    assert_eq!((outcome.standing.done, outcome.standing.rough), (3, 1), "{:?}", outcome.standing);
    assert_eq!(sandbox.text(PAGE), None);
    let rough = sandbox.corpus().join(format!("{PAGE}.txt.api"));
    assert_eq!(std::fs::read_to_string(&rough).expect("the rough text"), with_remark);
    // And off again.
    sandbox.set("clean.strip_chatter", "false");
    let outcome = sandbox.work(AGAIN);
    assert_eq!((outcome.standing.done, outcome.standing.rough), (4, 0), "{:?}", outcome.standing);
    assert!(sandbox.text(PAGE) == Some(with_remark) && !rough.exists());
}

#[test]
fn rough_texts_go_back_by_order_and_come_clean() {
    let sandbox = spoilt("model_voice", 1);
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (3, 1), "{:?}", outcome.standing);
    let done = clean(&sandbox, &["--deep"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("1 rough text is owed for deep cleaning"), "{said}");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (4, 0), "{:?}", outcome.standing);
    assert!(!sandbox.text(PAGE).expect("a text").contains("As an AI"));
    assert!(!sandbox.corpus().join(format!("{PAGE}.txt.api")).exists());
    // A deep cleaning stands when everything is judged again.
    let text = sandbox.text(PAGE);
    let outcome = sandbox.work(AGAIN);
    assert_eq!((outcome.rejudged.texts, outcome.rejudged.wanting), (4, 0));
    assert_eq!(sandbox.text(PAGE), text);
}

#[test]
fn an_edited_rough_text_is_sent_nowhere() {
    let sandbox = spoilt("model_voice", 9);
    assert_eq!(sandbox.run().standing.rough, 1);
    let rough = sandbox.corpus().join(format!("{PAGE}.txt.api"));
    std::fs::write(&rough, "cleaned by hand\n").expect("edited");
    let before = oracle::count(&sandbox.bill(), "create");
    assert!(clean(&sandbox, &["--deep"]).status.success());
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.rough), (3, 1), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), before);
    assert_eq!(std::fs::read_to_string(&rough).expect("the rough text"), "cleaned by hand\n");
}

/// Every file of the workspace with its bytes, but those that whoever reads or locks the ledger leaves beside it.
fn everything(sandbox: &Sandbox) -> std::collections::BTreeMap<String, Vec<u8>> {
    let beside = ["ledger.sqlite-shm", "ledger.sqlite-wal", "ledger.lock"];
    let files = sandbox.tree().into_iter().filter(|name| !beside.iter().any(|end| name.ends_with(end)));
    files.map(|name| (name.clone(), std::fs::read(sandbox.workspace().join(name)).expect("a file"))).collect()
}

fn tried(sandbox: &Sandbox) -> serde_json::Value {
    let output = clean(sandbox, &["-n", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one document")
}

#[test]
fn a_cleaning_that_is_only_tried_out_tells_what_would_change_and_changes_nothing() {
    let mut sandbox = spoilt("model_voice", 9);
    sandbox.set("clean.strip_chatter", "false");
    assert!(sandbox.run().fault.is_none());
    let told = tried(&sandbox);
    let counts = |told: &serde_json::Value| ["changed", "new", "removed", "same"].map(|name| told[name].as_u64());
    assert_eq!(counts(&told), [Some(0), Some(0), Some(0), Some(4)], "{told}");
    let (gone, edited) =
        (sandbox.corpus().join("tray_0/page0002.png.txt"), sandbox.corpus().join("tray_0/page0000.png.txt"));
    std::fs::remove_file(&gone).expect("a text");
    std::fs::write(&edited, "by a person\n").expect("edited");
    // The text with the machine's words becomes a rough one, the one that is gone comes back, and a person's stays.
    sandbox.set("clean.strip_chatter", "true");
    let before = everything(&sandbox);
    let told = tried(&sandbox);
    assert_eq!(counts(&told), [Some(0), Some(2), Some(1), Some(2)], "{told}");
    assert_eq!((&told["rough"], &told["wanting"]), (&1.into(), &0.into()), "{told}");
    let output = clean(&sandbox, &["-n"]);
    let words = String::from_utf8(output.stdout).expect("text");
    let expected = "Would change 0 texts, write 2 where none is, and remove 1; 2 would stay as they are.\n \
                    1 text would be rough (.txt.api).\nNothing was changed.\n";
    assert_eq!(words, expected);
    assert_eq!(everything(&sandbox), before);
    assert!(!clean(&sandbox, &["-n", "--deep"]).status.success(), "what that would owe is not tried out");
    // And so it comes.
    assert!(clean(&sandbox, &[]).status.success());
    assert!(gone.is_file() && sandbox.text(PAGE).is_none());
    assert!(sandbox.corpus().join(format!("{PAGE}.txt.api")).is_file());
    assert_eq!(std::fs::read_to_string(&edited).expect("the text"), "by a person\n");
}

#[test]
fn a_trial_knows_files_of_several_pages_copies_and_other_folders_for_texts() {
    for out_dir in ["", "mine"] {
        let mut sandbox = Sandbox::new(2);
        sandbox.set("text.out_dir", out_dir);
        std::fs::write(sandbox.corpus().join("deed.tif"), tiff(&[10, 200, 90])).expect("a file of pages");
        sandbox.image("tray_1/again.png", 0);
        assert!(sandbox.run().fault.is_none());
        let before = everything(&sandbox);
        let told = tried(&sandbox);
        assert_eq!((&told["same"], &told["changed"], &told["new"]), (&4.into(), &0.into(), &0.into()), "{told}");
        let folder = if out_dir.is_empty() { sandbox.corpus() } else { sandbox.workspace().join(out_dir) };
        for name in ["deed.tif.txt", "tray_1/again.png.txt"] {
            std::fs::remove_file(folder.join(name)).expect("a text");
        }
        let told = tried(&sandbox);
        assert_eq!((&told["same"], &told["new"]), (&2.into(), &2.into()), "{told}");
        assert!(clean(&sandbox, &[]).status.success());
        let texts = |files: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<Vec<u8>> {
            files.iter().filter(|(name, _)| name.ends_with(".txt")).map(|(_, bytes)| bytes.clone()).collect()
        };
        assert_eq!(texts(&everything(&sandbox)), texts(&before), "as it was told");
    }
}
