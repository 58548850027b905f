//! `clean` without a folder: saved answers are judged again by today's rules, and nothing is asked.

use std::process::{Command, Output};

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
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
