//! The straight walk: images in, texts out, everything accounted for.

use batchscribe::kit::stop::StopLevel;
use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::Sandbox;

#[test]
fn every_image_gets_its_text_in_the_origins_layout() {
    let sandbox = Sandbox::new(11);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!(outcome.standing.closes() && outcome.standing.done == 11, "{:?}", outcome.standing);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 11);
    let tree = sandbox.tree();
    let has = |wanted: &str| tree.iter().any(|file| file.contains(wanted));
    assert!(has("batch/completed/batch_") && has("batch/ledger.sqlite") && has("batch/batches.jsonl"), "{tree:?}");
    assert!(has("/in|tray_0|page0000.png.json"), "{tree:?}");
    assert!(sandbox.text("tray_1/page0001.png").is_some_and(|text| text.ends_with('\n')));
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 3, "four images a batch");
}

#[test]
fn the_same_command_again_does_nothing() {
    let sandbox = Sandbox::new(5);
    sandbox.run();
    let again = sandbox.run();
    assert!(again.fault.is_none() && again.standing.done == 5, "{again:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 5);
    assert_eq!(oracle::count(&sandbox.bill(), "upload"), 2, "nothing was uploaded again");
}

#[test]
fn originals_stay_as_they_are() {
    let sandbox = Sandbox::new(3);
    let before = std::fs::metadata(sandbox.corpus().join("tray_0/page0000.png")).expect("image");
    sandbox.run();
    let path = sandbox.corpus().join("tray_0/page0000.png");
    let after = std::fs::metadata(&path).expect("image");
    assert_eq!(before.modified().ok(), after.modified().ok());
    assert_eq!(std::fs::read(&path).expect("image"), crate::sandbox::png(0));
}

#[test]
fn what_cannot_be_asked_is_named_and_the_neighbours_go_on() {
    let sandbox = Sandbox::new(2);
    let write = |name: &str, bytes: &[u8]| std::fs::write(sandbox.corpus().join(name), bytes).expect("file");
    write("empty.jpg", b"");
    write("error-page.jpg", b"<!DOCTYPE html><html><body>404</body></html>");
    write("cut.png", &crate::sandbox::png(1)[..12]);
    write("notes.txt", b"not an image");
    write("master.tif", b"II*\0\x08\0\0\0");
    write("._page.png", b"resource fork");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let standing = outcome.standing;
    assert_eq!((standing.done, standing.failed, standing.skipped), (2, 4, 1), "{standing:?}");
    assert!(standing.closes());
    assert_eq!(outcome.passed_over.by_ending.get("txt"), Some(&1), "{:?}", outcome.passed_over);
}

#[test]
fn a_text_that_is_there_is_a_persons() {
    let sandbox = Sandbox::new(3);
    let theirs = sandbox.corpus().join("tray_0/page0000.png.txt");
    std::fs::write(&theirs, "typed by hand").expect("text");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.skipped), (2, 1), "{:?}", outcome.standing);
    assert_eq!(std::fs::read_to_string(&theirs).expect("text"), "typed by hand");
    assert_eq!(oracle::billed(&sandbox.bill()).len(), 2, "nothing was paid for it");
}

#[test]
fn a_changed_image_is_asked_again_and_an_edited_text_stands() {
    let sandbox = Sandbox::new(2);
    sandbox.run();
    let first = sandbox.text("tray_0/page0000.png").expect("text");
    std::fs::write(sandbox.corpus().join("tray_1/page0001.png.txt"), "corrected by hand\n").expect("edit");
    // Another length, so that the stamp differs even within one millisecond.
    for image in ["tray_0/page0000.png", "tray_1/page0001.png"] {
        let mut bytes = crate::sandbox::png(77);
        bytes.extend_from_slice(&[0; 5]);
        std::fs::write(sandbox.corpus().join(image), bytes).expect("image");
    }
    let outcome = sandbox.run();
    assert_eq!(outcome.standing.done, 2, "{:?}", outcome.standing);
    assert_ne!(sandbox.text("tray_0/page0000.png"), Some(first), "ours was replaced");
    assert_eq!(sandbox.text("tray_1/page0001.png").as_deref(), Some("corrected by hand\n"));
}

#[test]
fn a_stop_ends_in_good_order_and_the_next_run_goes_on() {
    // No batch ends before the stop.
    let mut sandbox = Sandbox::with(
        12,
        crate::sandbox::Weather { line_delay: std::time::Duration::from_millis(400), ..Default::default() },
    );
    sandbox.set("max_images_per_batch", "3");
    let (mission, stop) = sandbox.mission(Mode::Run { once: false });
    let working = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    sandbox.await_batches(1);
    stop.raise(StopLevel::Drain);
    let outcome = working.join().expect("it comes back");
    assert!(outcome.fault.is_none() && outcome.stopped, "{outcome:?}");
    assert!(outcome.standing.closes(), "{:?}", outcome.standing);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 12);
}
