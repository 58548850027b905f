//! The halves of the work, each in a life of its own.

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::Sandbox;

/// The tree without the names that differ from life to life.
fn shape(sandbox: &Sandbox) -> Vec<String> {
    let known = |name: String| {
        let parts = name.split('/').map(|part| {
            let id = part.split('.').next().unwrap_or_default();
            if id.starts_with("batch_") && id != "batch_return" && id != "batch_json_results" {
                part.replace(id, "batch_X")
            } else {
                part.to_owned()
            }
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let mut files: Vec<String> =
        sandbox.tree().into_iter().filter(|name| !name.contains("ledger")).map(known).collect();
    files.sort();
    files
}

#[test]
fn upload_then_download_gives_the_same_tree_as_run() {
    let whole = Sandbox::new(9);
    whole.run();
    let halves = Sandbox::new(9);
    let uploaded = halves.work(Mode::Upload);
    assert!(uploaded.fault.is_none(), "{:?}", uploaded.fault);
    assert_eq!((uploaded.standing.packed, uploaded.standing.batches_open), (9, 3), "{:?}", uploaded.standing);
    let notices = halves.tree().into_iter().filter(|name| name.starts_with("batch/batch_")).count();
    assert_eq!(notices, 3, "a notice for each open batch");
    let downloaded = halves.work(Mode::Download { wait: true });
    assert!(downloaded.fault.is_none(), "{:?}", downloaded.fault);
    oracle::finished(&halves.workspace(), &halves.bill(), 9);
    assert_eq!(shape(&halves), shape(&whole));
}

#[test]
fn one_pass_leaves_open_what_is_open() {
    let sandbox = Sandbox::with(
        4,
        crate::sandbox::Weather { line_delay: std::time::Duration::from_millis(800), ..Default::default() },
    );
    let outcome = sandbox.work(Mode::Run { once: true });
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.packed, 4, "{:?}", outcome.standing);
    sandbox.run();
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 4);
}

#[test]
fn spooled_files_are_what_would_be_sent() {
    let mut sandbox = Sandbox::new(6);
    let folder = sandbox.workspace().join("jsonl");
    let outcome = sandbox.work(Mode::SpoolOnly(folder.clone()));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let mut lines = 0;
    for entry in std::fs::read_dir(&folder).expect("spool folder") {
        let path = entry.expect("entry").path();
        assert!(path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("batchinput_")), "{path:?}");
        for line in std::fs::read_to_string(&path).expect("jsonl").lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["url"], "/v1/chat/completions");
            lines += 1;
        }
    }
    assert_eq!(lines, 6);
    assert_eq!(oracle::count(&sandbox.bill(), "upload"), 0, "nothing was sent");
    // The same plans are sent later, with a spool file of their own that goes once the batch is open.
    sandbox.set("shard.spool", "true");
    sandbox.run();
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
    let left = oracle::all_files(&sandbox.workspace().join("batch/spool"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_limit_ends_the_run_and_the_rest_stays_owed() {
    let mut sandbox = Sandbox::new(7);
    sandbox.set("run.limit", "3");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.owed), (3, 4), "{:?}", outcome.standing);
    assert!(outcome.standing.closes());
}

#[test]
fn the_readme_shows_the_edges_that_the_code_has() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("by a test -->\n").nth(1).and_then(|rest| rest.split("<!-- /edges -->").next());
    assert_eq!(shown, Some(batchscribe::pipeline::edges::markdown().as_str()), "copy the table into README.md");
}

#[test]
fn one_pass_ends_although_the_queue_is_full() {
    let line_delay = std::time::Duration::from_secs(2);
    let mut sandbox = Sandbox::with(60, crate::sandbox::Weather { line_delay, ..Default::default() });
    sandbox.set("batch.max_enqueued_tokens", "4000");
    let (mission, _stop) = sandbox.mission(Mode::Run { once: true });
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    let outcome = ended.recv_timeout(std::time::Duration::from_secs(60)).expect("the pass ends");
    assert!(outcome.fault.is_none() && !outcome.stopped, "{:?}", outcome.fault);
    let standing = outcome.standing;
    assert!(standing.batches_open > 0 && standing.owed + standing.packed + standing.done == 60, "{standing:?}");
}
