//! The journal and the notices: whichever road a batch came in by, both tell of it.

use std::io::Write as _;
use std::time::Duration;

use batchscribe::ledger::LedgerError;
use batchscribe::pipeline::mission::{Fault, Mode};

use crate::oracle;
use crate::paid::{double_the_batch, in_time};
use crate::sandbox::{Sandbox, Weather};

fn slow() -> Weather {
    Weather { line_delay: Duration::from_millis(300), ..Weather::default() }
}

fn journal(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.workspace().join("batch/batches.jsonl")).expect("a journal")
}

fn notices(sandbox: &Sandbox) -> Vec<String> {
    let is_notice = |name: &String| name.ends_with(".txt") && !name.contains('/');
    let mut names: Vec<_> =
        oracle::all_files(&sandbox.workspace().join("batch")).into_iter().filter(is_notice).collect();
    names.sort();
    names
}

#[test]
fn a_batch_found_in_the_list_is_told_like_any_other() {
    let sandbox = Sandbox::with(4, slow());
    sandbox.work(Mode::Upload);
    double_the_batch(&sandbox, Duration::ZERO);
    // The sweep of this start finds it, and nobody waits for it yet.
    sandbox.work(Mode::Upload);
    assert_eq!(journal(&sandbox).matches("\"ev\":\"open\"").count(), 2, "{}", journal(&sandbox));
    assert_eq!(notices(&sandbox).len(), 2, "{:?}", notices(&sandbox));
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(journal(&sandbox).matches("\"ev\":\"settled\"").count(), 2, "{}", journal(&sandbox));
    oracle::finished_beside_strays(&sandbox.workspace(), 4);
}

#[test]
fn a_second_batch_found_in_doubt_is_told() {
    let sandbox = crate::paid::in_doubt("", Duration::from_millis(50));
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished_beside_strays(&sandbox.workspace(), 4);
    assert_eq!(oracle::all_files(&sandbox.workspace().join("batch/completed")).len(), 2, "both notices");
}

#[test]
fn what_the_journal_lacks_is_appended_and_a_torn_line_is_cut() {
    let sandbox = Sandbox::with(8, slow());
    sandbox.work(Mode::Upload);
    let path = sandbox.workspace().join("batch/batches.jsonl");
    let whole = journal(&sandbox);
    assert_eq!(whole.lines().count(), 4, "{whole}");
    let half = &whole[..whole.len() - 40];
    std::fs::write(&path, half).expect("torn");
    sandbox.work(Mode::Upload);
    assert_eq!(sorted(&journal(&sandbox)), sorted(&whole), "the torn one is made again");
    std::fs::remove_file(&path).expect("gone");
    sandbox.work(Mode::Upload);
    assert_eq!(sorted(&journal(&sandbox)), sorted(&whole), "all of them");
    for notice in notices(&sandbox) {
        std::fs::remove_file(sandbox.workspace().join("batch").join(notice)).expect("gone");
    }
    sandbox.work(Mode::Download { wait: false });
    assert_eq!(notices(&sandbox).len(), 2, "written again at the first look");
    sandbox.run();
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 8);
    // The notice tells how its batch ended.
    for notice in oracle::all_files(&sandbox.workspace().join("batch/completed")) {
        let text = std::fs::read_to_string(sandbox.workspace().join("batch/completed").join(notice)).expect("notice");
        assert!(text.contains("\"completed\""), "{text}");
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_ledger_that_lacks_paid_work_is_not_worked_on() {
    let sandbox = Sandbox::with(4, slow());
    sandbox.work(Mode::Upload);
    for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        drop(std::fs::remove_file(sandbox.workspace().join("batch").join(file)));
    }
    for mode in [Mode::Run { once: false }, Mode::Upload, Mode::Download { wait: false }] {
        let outcome = in_time(sandbox.mission(mode).0);
        let Some(Fault::Ledger(LedgerError::Damaged { check, .. })) = &outcome.fault else { panic!("{outcome:?}") };
        assert_eq!(check, "it is gone, and batches.jsonl knows a batch");
        assert!(!sandbox.workspace().join("batch/ledger.sqlite").exists(), "none is begun in its place");
    }
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "nothing is paid again");
    // A line of another shard, for which nothing was paid in the end, is no reason to stop.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(sandbox.workspace().join("batch/batches.jsonl"))
        .expect("journal");
    let closed = journal(&sandbox).lines().next().expect("a line").replace("\"intent\"", "\"closed\"");
    writeln!(file, "{closed}").expect("append");
    let notices =
        oracle::all_files(&sandbox.workspace().join("batch")).into_iter().filter(|name| name.ends_with(".txt"));
    notices.for_each(|name| std::fs::remove_file(sandbox.workspace().join("batch").join(name)).expect("a notice"));
    let outcome = in_time(sandbox.mission(Mode::Upload).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
}
