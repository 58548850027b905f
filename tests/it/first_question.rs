//! The canary: a model that does not take the settings is found out before any money is spent, by one line that is asked
//! directly, or by one batch that goes alone.

use std::time::Duration;

use batchscribe::emulator::Pace;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::{Fault, Mode, Outcome};
use batchscribe::provider::failure::Kind;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

fn sandbox(images: usize, canary: &str, scenario: &str) -> Sandbox {
    let scenario = Scenario::read(scenario).expect("a scenario");
    let mut sandbox = Sandbox::with(images, Weather { scenario, ..Weather::default() });
    sandbox.set("run.canary", canary);
    sandbox
}

fn counts(sandbox: &Sandbox) -> [usize; 3] {
    ["chat", "upload", "create"].map(|what| oracle::count(&sandbox.bill(), what))
}

fn all_owed(outcome: &Outcome, images: u64) {
    let standing = &outcome.standing;
    assert_eq!((standing.owed + standing.packed, standing.done, standing.failed), (images, 0, 0), "{standing:?}");
}

#[test]
fn settings_that_are_refused_stop_the_run_before_anything_is_created() {
    for (outcome, code) in [("unsupported_value", "unsupported_value"), ("model_not_found", "model_not_found")] {
        let sandbox = sandbox(9, "sync", &format!("[[line]]\noutcome = \"{outcome}\"\n"));
        let ended = sandbox.run();
        assert!(matches!(&ended.fault, Some(Fault::SettingRefused(told)) if told.code == code), "{:?}", ended.fault);
        all_owed(&ended, 9);
        assert_eq!(counts(&sandbox), [0, 0, 0], "nothing is billed, uploaded or created");
    }
}

#[test]
fn a_model_that_does_not_exist_is_found_out_and_another_one_takes_over() {
    let mut sandbox = Sandbox::with(5, Weather { models: vec!["seen".to_owned()], ..Weather::default() });
    sandbox.set("run.canary", "sync");
    let ended = sandbox.run();
    assert!(matches!(&ended.fault, Some(Fault::SettingRefused(told)) if told.code == "model_not_found"));
    all_owed(&ended, 5);
    sandbox.set("request.model", "seen");
    let ended = sandbox.run();
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 5);
}

#[test]
fn settings_that_are_taken_are_asked_for_once_and_no_image_is_paid_twice() {
    let sandbox = sandbox(9, "sync", "");
    let ended = sandbox.run();
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 9);
    assert_eq!(counts(&sandbox), [1, 3, 3]);
    // By now an answer has proven the settings.
    sandbox.image("more.png", 70);
    let ended = sandbox.run();
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    assert_eq!(counts(&sandbox), [1, 4, 4]);
}

#[test]
fn an_account_that_may_not_ask_stops_the_run() {
    for (status, code, kind) in [(401, "invalid_api_key", Kind::Key), (429, "insufficient_quota", Kind::Money)] {
        let door = format!("[[door]]\nat = \"chat\"\nact = \"refuse\"\nstatus = {status}\ncode = \"{code}\"\n");
        let sandbox = sandbox(5, "sync", &door);
        let ended = sandbox.run();
        assert!(matches!(&ended.fault, Some(Fault::Provider(failure)) if failure.kind == kind), "{:?}", ended.fault);
        all_owed(&ended, 5);
        assert_eq!(counts(&sandbox), [0, 0, 0]);
    }
}

/// What happened between the first create and the second one, if there was one.
fn before_the_second_create(sandbox: &Sandbox) -> Option<Vec<String>> {
    let order = oracle::order(&sandbox.bill());
    let mut creates = (0..order.len()).filter(|at| order[*at] == "create");
    let (first, second) = (creates.next().expect("a batch"), creates.next()?);
    Some(order[first..second].to_vec())
}

#[test]
fn where_nobody_can_be_asked_the_first_batch_goes_alone() {
    for door in [
        "status = 404\nmessage = \"Invalid URL (POST /v1/chat/completions)\"",
        "status = 404\nform = \"detail\"\nmessage = \"Not Found\"",
        "status = 405\nform = \"html\"",
        "status = 500\nretry_after_seconds = 0",
        "status = 429\nretry_after_seconds = 0",
    ] {
        let sandbox = sandbox(30, "sync", &format!("[[door]]\nat = \"chat\"\nact = \"refuse\"\n{door}\n"));
        let ended = sandbox.run();
        assert!(ended.fault.is_none(), "{door}: {:?}", ended.fault);
        oracle::finished(&sandbox.workspace(), &sandbox.bill(), 30);
        let between = before_the_second_create(&sandbox).expect("more batches");
        assert!(between.contains(&"fetch".to_owned()), "{door}: the answers are read first: {between:?}");
    }
}

#[test]
fn a_batch_that_goes_alone_is_small_and_the_others_are_whole() {
    let mut sandbox = sandbox(60, "batch", "");
    sandbox.set("max_images_per_batch", "25");
    let ended = sandbox.run();
    assert!(ended.fault.is_none(), "{:?}", ended.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 60);
    assert_eq!(counts(&sandbox), [0, 3, 3], "10, 25 and 25 images");
    let between = before_the_second_create(&sandbox).expect("more batches");
    assert_eq!(between.iter().filter(|what| *what == "line").count(), 10, "{between:?}");
}

#[test]
fn settings_that_are_refused_cost_one_small_batch_where_nobody_can_be_asked() {
    let mut sandbox = sandbox(60, "batch", "[[line]]\noutcome = \"unsupported_value\"\n");
    sandbox.set("max_images_per_batch", "25");
    let ended = sandbox.run();
    assert!(matches!(ended.fault, Some(Fault::SettingRefused(_))), "{:?}", ended.fault);
    all_owed(&ended, 60);
    assert_eq!(counts(&sandbox)[2], 1, "no second batch was created");
    assert_eq!(oracle::gaps(&sandbox.workspace()), 0, "nothing is counted");
}

#[test]
fn halves_and_single_passes_leave_the_rest_to_the_next_one() {
    for first in [Mode::Upload, Mode::Run { once: true }] {
        let pace = Pace { finalizing: Duration::from_secs(3), ..Pace::default() };
        let mut sandbox = Sandbox::with(40, Weather { pace, ..Weather::default() });
        sandbox.set("run.canary", "batch");
        let ended = sandbox.work(first.clone());
        assert!(ended.fault.is_none(), "{first:?}: {:?}", ended.fault);
        let between = before_the_second_create(&sandbox);
        let alone = between.is_none_or(|between| between.contains(&"fetch".to_owned()));
        assert!(alone, "{first:?}: one batch goes alone");
        let ended = sandbox.run();
        assert!(ended.fault.is_none(), "{first:?}: {:?}", ended.fault);
        oracle::finished(&sandbox.workspace(), &sandbox.bill(), 40);
    }
}
