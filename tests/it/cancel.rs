//! `cancel`: what ran is kept, the rest is owed again, and nothing is paid twice; beside a run, and between two.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

fn slow(images: usize, scenario: &str, millis: u64) -> Sandbox {
    let scenario = Scenario::read(scenario).expect("a scenario");
    let line_delay = Duration::from_millis(millis);
    Sandbox::with(images, Weather { scenario, line_delay, ..Weather::default() })
}

/// The real binary, without a terminal.
pub(crate) fn call(sandbox: &Sandbox, words: &str) -> (Option<i32>, String, String) {
    call_with(sandbox, words, false)
}

/// The same, with the files of the workspace read or not.
pub(crate) fn call_with(sandbox: &Sandbox, words: &str, files: bool) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.env_clear().env("LANG", "C.UTF-8").env("HOME", sandbox.workspace()).current_dir(sandbox.workspace());
    command.stdin(Stdio::null()).args(words.split_whitespace()).args((!files).then_some("--no-config"));
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

fn await_lines(sandbox: &Sandbox, lines: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while oracle::count(&sandbox.bill(), "line") < lines {
        assert!(Instant::now() < patience, "there are no {lines} answers");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Names of the batches that are open, as their notices say.
fn open(sandbox: &Sandbox) -> Vec<String> {
    let notices = sandbox.tree().into_iter().filter_map(|name| {
        let name = name.strip_prefix("batch/")?.strip_suffix(".txt")?.to_owned();
        name.starts_with("batch_").then_some(name)
    });
    notices.collect()
}

fn good(sandbox: &Sandbox, mode: Mode) {
    let ended = sandbox.work(mode);
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
}

#[test]
fn half_way_what_ran_is_fetched_the_rest_is_owed_and_a_run_finishes() {
    let sandbox = slow(12, "", 150);
    good(&sandbox, Mode::Upload);
    await_lines(&sandbox, 3);
    let (exit, out, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!((exit, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("3 batches (12 images) asked to stop") && err.contains("batchscribe download"), "{err}");
    assert_eq!(oracle::count(&sandbox.bill(), "cancel"), 3);
    let (_, out, _) = call(&sandbox, "status");
    assert_eq!(out.matches(" open, being cancelled, 4 images, ").count(), 3, "{out}");
    let ended = sandbox.work(Mode::Download { wait: true });
    let standing = ended.standing;
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    assert!(standing.done >= 3 && standing.owed > 0 && standing.packed == 0 && standing.failed == 0, "{standing:?}");
    assert_eq!(standing.done + standing.owed, 12, "{standing:?}");
    let paid = oracle::billed(&sandbox.bill()).len() as u64;
    assert_eq!(standing.done, paid, "every answer that was paid for is a text");
    let (exit, out, _) = call(&sandbox, "audit");
    assert_eq!(exit, Some(0), "the balance closes: {out}");
    assert_eq!(oracle::gaps(&sandbox.workspace()), i64::try_from(standing.owed).expect("few"), "returns, no tries");
    good(&sandbox, Mode::Run { once: false });
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 12);
}

#[test]
fn beside_a_run_which_asks_the_rest_again() {
    let sandbox = slow(8, "", 200);
    let (mission, _stop) = sandbox.mission(Mode::Run { once: false });
    let run = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    await_lines(&sandbox, 2);
    let (exit, _, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.contains("asks it again at once"), "{err}");
    let ended = run.join().expect("the run ends");
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
    assert!(oracle::count(&sandbox.bill(), "create") > 2, "the rest went in new batches");
}

#[test]
fn one_of_them_by_name() {
    let sandbox = slow(8, "", 400);
    good(&sandbox, Mode::Upload);
    let names = open(&sandbox);
    assert_eq!(names.len(), 2);
    let (exit, out, err) = call(&sandbox, &format!("cancel --json --batch {}", names[0]));
    assert_eq!(exit, Some(0), "{err}");
    let told: serde_json::Value = serde_json::from_str(&out).expect("one document");
    let expected = serde_json::json!({"schema": 1, "dry_run": false,
        "batches": [{"id": names[0], "lines": 4, "stray": false, "fate": "asked"}]});
    assert_eq!(told, expected);
    assert_eq!(oracle::count(&sandbox.bill(), "cancel"), 1);
    let (exit, _, err) = call(&sandbox, "cancel --batch batch_nobody");
    assert_eq!(exit, Some(2));
    let hint = "hint: name one of these, or all with --all\n";
    assert!(
        err.starts_with("error: no batch of this ledger is called batch_nobody\n  open: ") && err.ends_with(hint),
        "{err}"
    );
    assert!(names.iter().all(|name| err.contains(&format!("  open: {name} (4 images)\n"))), "{err}");
    good(&sandbox, Mode::Run { once: false });
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
    let (exit, _, err) = call(&sandbox, &format!("cancel --batch {}", names[0]));
    let expected = format!("Batch {} has ended (cancelled); nothing is left to cancel.\n", names[0]);
    assert_eq!((exit, err), (Some(0), expected));
    let (exit, _, err) = call(&sandbox, "cancel --all");
    assert_eq!((exit, err.as_str()), (Some(0), "No batch is open; nothing is left to cancel.\n"));
}

#[test]
fn nothing_is_cancelled_unasked() {
    let sandbox = slow(8, "", 300);
    let (exit, _, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.starts_with("Nothing was begun in"), "{err}");
    good(&sandbox, Mode::Upload);
    let (exit, _, err) = call(&sandbox, "cancel --all");
    let expected = "error[E109]: a question was asked, but this is no interactive terminal\n  2 batches (8 images) will be \
                    cancelled. What ran stays billed.\nhint: add --yes if they may be cancelled; nothing was\n";
    assert_eq!((exit, err.as_str()), (Some(2), expected));
    let names = open(&sandbox);
    let (exit, out, err) = call(&sandbox, "cancel --all -n");
    let would = |name: &String| format!("Would cancel {name} (4 images)\n");
    let mut lines: Vec<String> = names.iter().map(would).collect();
    lines.sort();
    let mut told: Vec<String> = out.lines().map(|line| format!("{line}\n")).collect();
    told.sort();
    assert_eq!((exit, told, err.as_str()), (Some(0), lines, ""));
    for flags in ["", "-n", "--all --batch x"] {
        assert_eq!(call(&sandbox, &format!("cancel {flags}")).0, Some(2), "{flags}");
    }
    assert_eq!(oracle::count(&sandbox.bill(), "cancel"), 0);
    good(&sandbox, Mode::Run { once: false });
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[test]
fn batches_of_another_account_are_told_before_anything_is_asked() {
    let mut sandbox = slow(4, "", 300);
    good(&sandbox, Mode::Upload);
    sandbox.set("provider.project", "proj_other");
    let (exit, _, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!(exit, Some(6), "{err}");
    assert!(err.starts_with("error[E410]: this ledger has unfinished batches of another account ("), "{err}");
    assert_eq!(oracle::count(&sandbox.bill(), "cancel"), 0);
}

#[test]
fn a_batch_that_has_ended_meanwhile_is_told_and_fetched() {
    let sandbox = slow(4, "", 0);
    good(&sandbox, Mode::Upload);
    await_lines(&sandbox, 4);
    let name = open(&sandbox).remove(0);
    // The last line is billed a moment before its batch has ended.
    let patience = Instant::now() + Duration::from_secs(60);
    let told = loop {
        let (exit, _, err) = call(&sandbox, "cancel --all --yes");
        assert_eq!(exit, Some(0), "{err}");
        if !err.contains("is being cancelled") || Instant::now() > patience {
            break err;
        }
    };
    assert_eq!(told, format!("{name} (4 images): has ended; nothing is left to cancel\n"));
    good(&sandbox, Mode::Run { once: false });
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 4);
}

#[test]
fn a_second_batch_of_the_same_images_is_cancelled_too() {
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"act_twice_then_drop\"\nwhen = { times = 1 }\n
        [[batch]]\nignore_cancel = true\nwhen = { times = 2 }\n";
    let sandbox = slow(4, scenario, 1500);
    good(&sandbox, Mode::Upload);
    let (exit, out, err) = call(&sandbox, "cancel --all -n");
    assert_eq!(exit, Some(0), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert_eq!(out.matches("a second batch of the same images").count(), 1, "{out}");
    let (exit, _, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!(exit, Some(0), "{err}");
    assert!(err.contains("2 batches (4 images) asked to stop"), "{err}");
}

#[test]
fn a_provider_that_does_not_do_it_is_told() {
    let door =
        |rest: &str| format!("[[door]]\nat = \"cancel_batch\"\nact = \"refuse\"\nretry_after_seconds = 0\n{rest}\n");
    for (rest, exit, words) in [
        ("status = 404", 6, "error[E410]: "),
        ("status = 401\ncode = \"invalid_api_key\"", 6, "error[E301]: the key was rejected"),
        ("status = 500", 1, "was not cancelled: "),
        ("status = 400\nmessage = \"Not today.\"", 1, "was not cancelled: "),
    ] {
        let sandbox = slow(8, &door(rest), 300);
        good(&sandbox, Mode::Upload);
        let (told, _, err) = call(&sandbox, "cancel --all --yes");
        assert_eq!(told, Some(exit), "{rest}: {err}");
        assert!(err.contains(words), "{rest}: {err}");
        assert!(!err.contains("asked to stop"), "{rest}: {err}");
    }
    // A server in a bad moment is asked again.
    let sandbox = slow(4, &door("status = 503\nwhen = { times = 2 }"), 300);
    good(&sandbox, Mode::Upload);
    let (told, _, err) = call(&sandbox, "cancel --all --yes");
    assert_eq!(told, Some(0), "{err}");
    assert_eq!(oracle::count(&sandbox.bill(), "cancel"), 1);
}
