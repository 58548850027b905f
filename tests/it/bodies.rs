//! A file that is no longer what its plan says: the shard is dissolved by name, nothing is counted, the others go on.

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::{Sandbox, png};

/// Six planned images, one of which `spoil` changes before any byte is sent.
fn spoiled(spoil: impl FnOnce(&Sandbox)) -> Sandbox {
    let sandbox = Sandbox::new(6);
    let planned = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert_eq!(planned.standing.packed, 6, "{:?}", planned.standing);
    spoil(&sandbox);
    sandbox
}

#[test]
fn a_grown_file_is_measured_anew_and_asked() {
    let sandbox = spoiled(|sandbox| {
        let mut bytes = png(500);
        bytes.extend_from_slice(b"more");
        std::fs::write(sandbox.corpus().join("tray_0/page0002.png"), bytes).expect("image");
    });
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
}

#[test]
fn a_removed_file_fails_alone() {
    let sandbox = spoiled(|sandbox| {
        std::fs::remove_file(sandbox.corpus().join("tray_0/page0002.png")).expect("removed");
    });
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (5, 1), "{:?}", outcome.standing);
    assert!(outcome.standing.closes());
    assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1));
}

#[test]
fn a_file_that_became_something_else_fails_alone() {
    let sandbox = spoiled(|sandbox| {
        std::fs::write(sandbox.corpus().join("tray_1/page0003.png"), "<html>gone</html>").expect("page");
    });
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (5, 1), "{:?}", outcome.standing);
}

#[test]
fn a_prompt_that_is_longer_than_a_chunk_is_sent_whole() {
    let mut sandbox = Sandbox::new(3);
    let prompt = "Transcribe the page as the examples show. ".repeat(12_000);
    std::fs::write(sandbox.workspace().join("long.txt"), prompt).expect("a prompt of half a megabyte");
    sandbox.set("prompt_file", "long.txt");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 3);
}
