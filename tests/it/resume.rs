//! The next life takes up what the last one left, without paying again.

use batchscribe::pipeline::mission::{Fault, Mode};

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
fn a_lost_text_folder_is_named_and_the_neighbours_go_on() {
    let sandbox = Sandbox::new(2);
    sandbox.work(Mode::Upload);
    std::fs::remove_dir_all(sandbox.corpus().join("tray_1")).expect("gone");
    let outcome = sandbox.work(Mode::Download { wait: true });
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (1, 1), "{:?}", outcome.standing);
}

#[test]
fn another_folder_waits_until_this_one_is_finished() {
    let sandbox = Sandbox::new(3);
    sandbox.work(Mode::Upload);
    let (mut mission, _) = sandbox.mission(Mode::Run { once: false });
    mission.image_root = sandbox.corpus().join("tray_0");
    let outcome = std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("it comes back");
    assert!(matches!(outcome.fault, Some(Fault::OtherCorpus(_))), "{:?}", outcome.fault);
    sandbox.run();
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 3);
}

#[test]
fn another_account_waits_until_this_one_is_finished() {
    let mut sandbox = Sandbox::new(3);
    sandbox.work(Mode::Upload);
    sandbox.set("provider.project", "proj_other");
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::OtherAccount(_))), "{:?}", outcome.fault);
}
