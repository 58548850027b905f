//! A changed recipe is asked about, and `--redo` puts back what another one made.

use std::process::{Command, Output};

use batchscribe::emulator::scenario::Scenario;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

fn call(sandbox: &Sandbox, words: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.args(words.split(' ')).arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "--yes"]);
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let Output { status, stderr, .. } =
        command.env_clear().current_dir(sandbox.workspace()).output().expect("the program");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn asked(sandbox: &Sandbox) -> usize {
    oracle::count(&sandbox.bill(), "line")
}

#[test]
fn a_changed_prompt_is_asked_about_and_pages_are_asked_again_by_order_alone() {
    let sandbox = Sandbox::new(4);
    let prompt = sandbox.workspace().join("prompt.txt");
    std::fs::write(&prompt, "Transcribe the page.").expect("a prompt");
    assert_eq!(call(&sandbox, "run").0, Some(0));
    let edited = sandbox.corpus().join("tray_0/page0000.png.txt");
    std::fs::write(&edited, "by a person\n").expect("edited");
    let first = asked(&sandbox);
    std::fs::write(&prompt, "Transcribe the whole page.").expect("a prompt");
    let (exit, said) = call(&sandbox, "run");
    assert!(exit == Some(2) && said.contains("E108") && said.contains("--redo stale"), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first, "nothing was sent");
    let (exit, said) = call(&sandbox, "run --redo stale");
    assert!(exit == Some(0) && said.contains("3 images are asked again"), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 3, "a person's text is not asked for again");
    assert_eq!(std::fs::read_to_string(&edited).expect("the text"), "by a person\n");
    let (exit, said) = call(&sandbox, "run --redo stale");
    assert!(exit == Some(0) && said.contains("0 images are asked again"), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 3, "nothing is stale any more");
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn old_texts_may_be_kept() {
    let sandbox = Sandbox::new(2);
    let prompt = sandbox.workspace().join("prompt.txt");
    std::fs::write(&prompt, "Transcribe the page.").expect("a prompt");
    assert_eq!(call(&sandbox, "run").0, Some(0));
    std::fs::write(&prompt, "Transcribe the whole page.").expect("a prompt");
    sandbox.image("tray_1/page0009.png", 9);
    let first = asked(&sandbox);
    assert_eq!(call(&sandbox, "run --keep-old").0, Some(0));
    assert_eq!(asked(&sandbox), first + 1, "the new page alone");
    // Whoever has gone on once is not asked again.
    assert_eq!(call(&sandbox, "run").0, Some(0));
}

#[test]
fn what_failed_is_asked_again_where_a_text_would_stop_it_unless_one_lies_there() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"refusal\"\nwhen = { times = 6 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(3, Weather { scenario, ..Weather::default() });
    assert_eq!(sandbox.run().standing.failed, 1);
    let first = asked(&sandbox);
    let theirs = sandbox.corpus().join("tray_1/page0001.png.txt");
    std::fs::write(&theirs, "typed by hand\n").expect("text");
    let (exit, said) = call(&sandbox, "run --existing stop --redo failed");
    assert!(exit == Some(2) && said.contains("contradicts 1 text that is there\n  tray_1/page0001.png"), "{said}");
    assert_eq!(asked(&sandbox), first, "nothing was sent");
    std::fs::remove_file(&theirs).expect("text");
    let (exit, said) = call(&sandbox, "run --existing stop --redo failed");
    assert!(said.contains("1 image is asked again"), "{exit:?} {said}");
    assert!(asked(&sandbox) > first, "{said}");
}

#[test]
fn an_order_that_was_broken_off_goes_on_and_pays_for_no_page_twice() {
    let sandbox = Sandbox::new(4);
    assert_eq!(call(&sandbox, "run").0, Some(0));
    let first = asked(&sandbox);
    let (exit, said) = call(&sandbox, "run --redo all --limit 2");
    assert!(exit == Some(0) && said.contains("4 images are asked again."), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 2);
    let (exit, said) = call(&sandbox, "run --redo all");
    assert!(exit == Some(0) && said.contains("0 images are asked again; the --redo all of"), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 4, "each page once");
    let (exit, said) = call(&sandbox, "run --redo all");
    assert!(exit == Some(0) && said.contains("4 images are asked again."), "a new order: {exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 8);
    assert_eq!(call(&sandbox, "audit").0, Some(0));
    // An order that another verb brings to its end is over as well.
    let (_, said) = call(&sandbox, "run --redo all --limit 2");
    assert!(said.contains("4 images are asked again."), "{said}");
    assert_eq!(call(&sandbox, "run").0, Some(0));
    let (exit, said) = call(&sandbox, "run --redo all");
    assert!(exit == Some(0) && said.contains("4 images are asked again."), "{exit:?} {said}");
    assert_eq!(asked(&sandbox), first + 16);
}
