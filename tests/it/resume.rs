//! The next life takes up what the last one left, without paying again.

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::Sandbox;

#[test]
fn new_images_join_a_finished_corpus() {
    let sandbox = Sandbox::new(3);
    sandbox.run();
    sandbox.image("tray_9/late.png", 900);
    let outcome = sandbox.run();
    assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 4);
}

#[test]
fn a_lost_text_folder_is_named_and_a_read_only_one_stops_without_loss() {
    let sandbox = Sandbox::new(2);
    sandbox.work(Mode::Upload);
    std::fs::remove_dir_all(sandbox.corpus().join("tray_1")).expect("gone");
    let outcome = sandbox.work(Mode::Download { wait: true });
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (1, 1), "{:?}", outcome.standing);
}

#[test]
fn the_ledger_belongs_to_whoever_holds_it() {
    let sandbox = Sandbox::new(2);
    sandbox.run();
    assert_eq!(oracle::states(&sandbox.workspace()).get("done"), Some(&2));
}
