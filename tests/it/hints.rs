//! What is only tried out, one batch by its name, lists for programs, and words that say what to do instead: the real binary.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use batchscribe::pipeline::mission::Mode;

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, png};

/// A folder with images, and no provider but the built-in one.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(images: u32) -> Self {
        let desk = Self(tempfile::tempdir().expect("temp dir"));
        std::fs::create_dir(desk.at("in")).expect("folder");
        for n in 0..images {
            std::fs::write(desk.at(&format!("in/page{n}.png")), png(n)).expect("image");
        }
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().expect("temp dir").join(name)
    }

    fn call(&self, words: &str) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.current_dir(self.0.path()).env_clear().env("LANG", "C.UTF-8").env("HOME", self.0.path());
        let Output { status, stdout, stderr } =
            command.args(words.split_whitespace()).stdin(Stdio::null()).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }
}

fn priced(images: usize) -> Sandbox {
    let mut sandbox = Sandbox::new(images);
    sandbox.set("request.model", "gpt-5.6-luna");
    sandbox
}

/// What came to the provider, and what was written there or here.
fn trace(sandbox: &Sandbox) -> ([usize; 3], Vec<String>) {
    // Whoever reads the ledger leaves these two beside it.
    let is_written = |name: &String| !name.ends_with("-shm") && !name.ends_with("-wal");
    let tree = sandbox.tree().into_iter().filter(is_written).collect();
    (["chat", "upload", "create"].map(|what| oracle::count(&sandbox.bill(), what)), tree)
}

/// Names of the batches that are open, as their notices say.
fn open(sandbox: &Sandbox) -> Vec<String> {
    let names = sandbox.tree().into_iter().filter_map(|name| {
        let name = name.strip_prefix("batch/")?.strip_suffix(".txt")?.to_owned();
        name.starts_with("batch_").then_some(name)
    });
    names.collect()
}

#[test]
fn a_run_that_is_only_tried_out_sends_and_writes_nothing() {
    let mut sandbox = priced(6);
    sandbox.set("run.canary", "sync");
    let before = trace(&sandbox);
    for (words, sentence) in [
        ("run -n", "Would send 6 images, about $"),
        ("run --dry-run --limit 2 --budget 2", "Would send 2 images, about $"),
        ("run -n --pilot 3", "Would send 3 images, about $"),
        ("upload -n", "Would send 6 images, about $"),
        ("upload -n --spool-only out", "Would write the requests of 6 images to out. Nothing was sent or written.\n"),
    ] {
        let (exit, out, err) = call(&sandbox, words);
        assert_eq!((exit, err.as_str()), (Some(0), ""), "{words}");
        assert!(out.contains(" Images    6 to ask") && out.contains(sentence), "{words}: {out}");
        assert!(out.ends_with("Nothing was sent or written.\n"), "{words}: {out}");
        assert_eq!(trace(&sandbox), before, "{words}");
    }
    let (exit, out, err) = call(&sandbox, "run -n --json");
    let plan: serde_json::Value = serde_json::from_str(&out).expect("one document");
    assert_eq!((exit, &plan["images"]["to_ask"]), (Some(0), &6.into()), "{err}");
    assert!(err.starts_with("Would send 6 images"), "{err}");
    // What would stop a run stops its trial.
    let mut unpriced = Sandbox::new(1);
    unpriced.set("request.model", "nobody-knows");
    let (exit, _, err) = call(&unpriced, "run -n --budget 1");
    assert!(exit == Some(2) && err.contains("E110") && err.contains("a row in models.toml"), "{err}");
    assert!(sandbox.run().fault.is_none());
    let before = trace(&sandbox);
    let (exit, _, err) = call(&sandbox, "run -n --set request.detail=low");
    assert!(exit == Some(2) && err.contains("E108"), "{err}");
    let (_, out, _) = call(&sandbox, "run -n");
    assert!(out.ends_with("Would ask for nothing.\n"), "{out}");
    let (_, out, _) = call(&sandbox, "run -n --redo all");
    assert!(out.contains("Would send 6 images, about $"), "{out}");
    assert_eq!(trace(&sandbox), before);
}

#[test]
fn a_trial_on_this_computer_says_who_would_read() {
    let desk = Desk::new(2);
    let (exit, out, err) = desk.call("run in -n");
    assert_eq!(exit, Some(0), "{err}");
    assert!(out.contains(" Sent to   nobody: read on this computer (engine ocr)"), "{out}");
    assert!(out.ends_with("Would read 2 images on this computer. Nothing was sent or written.\n"), "{out}");
    assert!(!desk.at("batch").exists());
}

#[test]
fn a_recovery_that_is_only_tried_out_tells_what_the_disk_tells() {
    let sandbox = Sandbox::new(6);
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "recover -n");
    assert_eq!(exit, Some(0), "{err}");
    assert!(out.starts_with("The ledger is whole: nothing is to be recovered.\n"), "{out}");
    std::fs::remove_file(sandbox.workspace().join("batch/ledger.sqlite")).expect("there");
    let before = trace(&sandbox);
    let (exit, out, err) = call(&sandbox, "recover -n");
    assert_eq!(exit, Some(0), "{err}");
    let expected =
        "The ledger is gone.\n Would look for    what is left of 2 shards (6 images at least)\nNothing was written.";
    assert!(out.starts_with(expected), "{out}");
    let (_, out, _) = call(&sandbox, "recover -n --json");
    let told: serde_json::Value = serde_json::from_str(&out).expect("one document");
    assert_eq!((&told["ledger"], &told["shards"], &told["lines"]), (&"missing".into(), &2.into(), &6.into()));
    assert_eq!(trace(&sandbox), before);
    assert_eq!(call(&sandbox, "recover").0, Some(0));
    assert_eq!(oracle::states(&sandbox.workspace()).values().sum::<u64>(), 6);
}

#[test]
fn one_batch_is_fetched_by_its_name_and_the_others_stay() {
    let sandbox = Sandbox::new(12);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    let names = open(&sandbox);
    assert_eq!(names.len(), 3);
    let (exit, _, err) = call(&sandbox, "download --batch batch_nobody");
    assert_eq!(exit, Some(2), "{err}");
    assert!(err.starts_with("error: no batch of this ledger is called batch_nobody\n  open: "), "{err}");
    assert!(names.iter().all(|name| err.contains(&format!("  open: {name} (4 images)\n"))), "{err}");
    assert!(err.contains("hint: name one of these, or leave --batch out"), "{err}");
    assert_eq!(oracle::states(&sandbox.workspace()), [("packed".to_owned(), 12)].into(), "nothing was looked at");
    let (exit, _, err) = call(&sandbox, &format!("download --wait --batch {}", names[1]));
    assert_eq!(exit, Some(0), "{err}");
    let half = [("done".to_owned(), 4), ("packed".to_owned(), 8)].into();
    assert_eq!(oracle::states(&sandbox.workspace()), half, "{err}");
    assert_eq!(open(&sandbox), [names[0].as_str(), names[2].as_str()]);
    let (exit, _, err) = call(&sandbox, &format!("download --batch {}", names[1]));
    assert!(exit == Some(0) && err.contains("nothing is left to fetch"), "{err}");
    let (_, out, _) = call(&sandbox, &format!("download --json --batch {}", names[1]));
    let kind = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["type"].clone();
    assert_eq!(out.lines().map(kind).collect::<Vec<_>>(), ["start", "summary"], "{out}");
    assert!(sandbox.run().fault.is_none());
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 12);
}

#[test]
fn a_batch_that_has_ended_waits_while_another_one_is_fetched() {
    let sandbox = Sandbox::new(8);
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    let patience = Instant::now() + Duration::from_secs(60);
    while oracle::count(&sandbox.bill(), "line") < 8 {
        assert!(Instant::now() < patience, "there are no answers");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut killed = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    killed.env_clear().env("HOME", sandbox.workspace()).env("BATCHSCRIBE_CRASH", "ended.recorded:1");
    killed.current_dir(sandbox.workspace()).args(["download", "--wait", "--no-config"]).stdin(Stdio::null());
    for (key, value) in sandbox.flags() {
        killed.arg("--set").arg(format!("{key}={value}"));
    }
    assert!(!killed.output().expect("the program starts").status.success());
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let of = |state: &str| -> String {
        let sql = format!("SELECT batch_id FROM batch WHERE state = '{state}'");
        ledger.query_row(&sql, [], |row| row.get(0)).expect("one batch")
    };
    let (ended, waiting) = (of("ended"), of("open"));
    drop(ledger);
    let (exit, _, err) = call(&sandbox, &format!("download --wait --batch {waiting}"));
    assert_eq!(exit, Some(0), "{err}");
    let half = [("done".to_owned(), 4), ("packed".to_owned(), 4)].into();
    assert_eq!(oracle::states(&sandbox.workspace()), half, "the one that has ended waits: {err}");
    let (exit, _, err) = call(&sandbox, &format!("download --batch {ended}"));
    assert_eq!(exit, Some(0), "{err}");
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[cfg(unix)]
#[test]
fn links_are_counted_and_lists_of_paths_end_in_nul() {
    let desk = Desk::new(2);
    std::fs::write(desk.at("in/odd\nname.png"), png(7)).expect("image");
    std::fs::write(desk.at("in/broken.png"), b"").expect("file");
    std::os::unix::fs::symlink(desk.at("in/page0.png"), desk.at("in/link.png")).expect("link");
    let (_, out, err) = desk.call("plan in");
    let links = " Links     1 link or special file is passed over; no setting follows them: name the folder that they lead to, or copy the files\n";
    assert!(out.contains(links), "{out}{err}");
    let (_, out, _) = desk.call("plan in --json");
    let plan: serde_json::Value = serde_json::from_str(&out).expect("one document");
    assert_eq!(plan["links"], 1);
    let (exit, out, err) = desk.call("plan in --list owed -0");
    assert_eq!((exit, out.as_str()), (Some(0), "odd\nname.png\0page0.png\0page1.png\0"), "{err}");
    let (exit, _, err) = desk.call("plan in --list owed --null --json");
    assert!(exit == Some(2) && err.contains("--null contradicts --json"), "{err}");
    let (exit, _, err) = desk.call("plan in -0");
    assert!(exit == Some(2) && err.contains("--list"), "{err}");
    let (exit, _, err) = desk.call("run in --set provider.engine=echo");
    assert!(exit == Some(3) && err.contains(" Links     1 link"), "{err}");
    let (exit, out, err) = desk.call("status --list failed --null");
    assert_eq!((exit, out.as_str()), (Some(0), "broken.png\0"), "{err}");
    let only = Desk::new(0);
    std::os::unix::fs::symlink(desk.at("in/page0.png"), only.at("in/link.png")).expect("link");
    let (exit, _, err) = only.call("run in");
    assert!(exit == Some(2) && err.contains("E106") && err.contains("1 link or special file is passed over"), "{err}");
}

#[test]
fn what_is_no_folder_is_told_once_and_with_its_name() {
    let desk = Desk::new(1);
    std::fs::write(desk.at("file"), b"x").expect("file");
    for words in ["--workspace file run in", "--workspace file status", "--workspace file/below plan in"] {
        let (exit, _, err) = desk.call(words);
        let expected = format!("error: the workspace is no folder: {} is a file\n", desk.at("file").display());
        assert!(exit == Some(2) && err.starts_with(&expected) && err.matches("error").count() == 1, "{words}: {err}");
    }
    for (key, value, is) in [
        ("batch_dir", "file", "is a file"),
        ("batch_dir", "file/below", "lies below a file"),
        ("completed_dir", "./file", "is a file"),
        ("output_dir", "file", "is a file"),
        ("extraction_base_dir", "file", "is a file"),
    ] {
        let (exit, _, err) = desk.call(&format!("run in --set {key}={value}"));
        assert_eq!(exit, Some(2), "{err}");
        assert!(err.contains(&format!("error[E102]: `{key}` has to be a folder: ")) && err.contains(is), "{err}");
        assert!(err.contains("name another folder") && err.contains("set in --set"), "{err}");
    }
    assert!(!desk.at("batch").exists(), "nothing was begun");
    let (exit, _, err) = desk.call("plan nowhere");
    assert!(exit == Some(2) && err.ends_with("      named on the command line\n"), "{err}");
}

#[test]
fn a_contradiction_names_the_flags_to_leave_out() {
    let desk = Desk::new(1);
    let (exit, _, err) = desk.call("run in --set encode.fit=true --set encode.reencode=never");
    assert_eq!(exit, Some(2), "{err}");
    assert!(err.ends_with("      or leave out  --set encode.fit=true  or  --set encode.reencode=never\n"), "{err}");
    let (exit, _, err) = desk.call("serve in --listen 0.0.0.0:0");
    assert!(exit == Some(2) && err.ends_with("      or leave out  --listen\n"), "{err}");
}

#[test]
fn slips_of_verbs_are_understood() {
    let desk = Desk::new(0);
    for (typed, meant) in [("rnu", "run"), ("plann", "plan"), ("dowload", "download")] {
        let (exit, _, err) = desk.call(typed);
        let tip = format!("tip: a similar subcommand exists: '{meant}'");
        assert!(exit == Some(2) && err.contains(&tip), "{typed}: {err}");
    }
    let (_, _, err) = desk.call("keys chek");
    assert!(err.contains("'check'"), "{err}");
    let (exit, _, err) = desk.call("keys rnu");
    assert!(exit == Some(2) && !err.contains("'run'"), "a verb of keys was meant: {err}");
    let (exit, out, err) = desk.call("help keys set");
    assert!(exit == Some(0) && out.contains("Usage: batchscribe keys set"), "{out}{err}");
    let (exit, _, err) = desk.call("help rnu");
    assert!(exit == Some(2) && err.contains("did you mean  batchscribe help run ?"), "{err}");
    let (exit, _, err) = desk.call("help keys nothing");
    assert!(exit == Some(2) && err.contains("there is no verb and no error `keys nothing`"), "{err}");
    let (exit, out, _) = desk.call("help");
    assert!(exit == Some(0) && out.contains("Commands:"), "{out}");
}
