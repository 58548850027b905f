//! How runs end when something stands in their way: with the right word, and with everything finished that can be.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::{Fault, Mode};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

fn weather(scenario: &str) -> Weather {
    let scenario: Scenario = toml::from_str(scenario).expect("a scenario");
    Weather { scenario, ..Weather::default() }
}

#[test]
fn as_many_batches_are_opened_as_there_are_slots() {
    let mut sandbox = Sandbox::new(16);
    sandbox.set("batch.max_open_batches", "2");
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.batches_open, 2, "{:?}", outcome.standing);
    sandbox.run();
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 16);
}

#[test]
fn a_key_rejected_while_polling_ends_the_waiting_and_not_the_work_behind_it() {
    let scenario = "[[batch]]\nwhen = { skip = 1 }\nshow = [{ members = { status = \"in_progress\" } }]\n
        [[door]]\nat = \"read_file\"\nact = \"delay\"\ndelay_ms = 1500\n
        [[door]]\nat = \"get_batch\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"\n";
    let sandbox = Sandbox::with(8, weather(scenario));
    let uploaded = sandbox.work(Mode::Upload);
    assert_eq!(uploaded.standing.batches_open, 2, "{:?}", uploaded.standing);
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::Provider(_))), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 4, "what had ended is finished: {:?}", outcome.standing);
}

#[test]
fn a_refusal_that_names_no_line_stops_the_run() {
    let scenario = "[[batch]]\nfail = { code = \"model_not_found\", message = \"The model does not exist.\" }\n";
    let sandbox = Sandbox::with(3, weather(scenario));
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::SettingRefused(_))), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.owed, outcome.standing.failed), (3, 0), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "not asked again and again");
}

#[test]
fn a_refusal_of_all_lines_stops_the_run_and_ends_no_image() {
    // The service names each line by its number; the first one is no worse than the others.
    let sandbox = Sandbox::with(3, Weather { models: vec!["another".to_owned()], ..Weather::default() });
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::SettingRefused(_))), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.owed, outcome.standing.failed), (3, 0), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "not asked again and again");
}

/// Five images that are owed from an earlier life, one of which `change` replaces before the next.
fn changed_while_owed(change: impl Fn(&std::path::Path)) -> Sandbox {
    let mut sandbox = Sandbox::new(6);
    sandbox.set("run.limit", "1");
    assert_eq!(sandbox.run().standing.owed, 5);
    sandbox.set("run.limit", "0");
    sandbox.set("max_images_per_batch", "400");
    for image in ["tray_0/page0004.png", "tray_1/page0003.png"] {
        change(&sandbox.corpus().join(image));
    }
    sandbox
}

#[test]
fn an_owed_image_that_changed_is_asked_as_it_is_now() {
    let sandbox = changed_while_owed(|image| {
        let mut bytes = png(900);
        bytes.extend_from_slice(image.as_os_str().as_encoded_bytes());
        std::fs::write(image, bytes).expect("image");
    });
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
}

#[test]
fn an_owed_image_that_broke_fails_alone() {
    let sandbox = changed_while_owed(|image| std::fs::write(image, "<html>gone</html>").expect("page"));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (4, 2), "{:?}", outcome.standing);
}
