//! How runs end when something stands in their way: with the right word, and with everything finished that can be.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::ledger::reader::Reader;
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
fn a_run_that_cannot_begin_leaves_its_ledger_in_good_order() {
    let sandbox = Sandbox::new(2);
    assert!(sandbox.run().fault.is_none());
    // Something else lies where the program wants a folder: that is noticed once the ledger is open.
    std::fs::write(sandbox.workspace().join("batch/spool"), "no folder").expect("a file");
    for _ in 0..8 {
        let outcome = sandbox.run();
        assert!(matches!(outcome.fault, Some(Fault::Disk(_))), "{:?}", outcome.fault);
        let reader = Reader::open(&sandbox.settings().layout().ledger()).expect("a ledger");
        assert!(reader.is_at_rest().expect("an answer"), "its keeper was not waited for");
    }
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

/// How often images were returned without an answer, in all.
fn returns(sandbox: &Sandbox) -> i64 {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    ledger.query_row("SELECT sum(gaps) FROM image", [], |row| row.get(0)).expect("a sum")
}

#[test]
fn a_setting_that_every_line_is_refused_for_stops_the_run_with_all_images_owed() {
    let scenario = "[[line]]\noutcome = \"unsupported_value\"\nwhen = { times = 4 }\n";
    let mut sandbox = Sandbox::with(12, weather(scenario));
    sandbox.set("batch.max_open_batches", "1");
    let outcome = sandbox.run();
    let Some(Fault::SettingRefused(refused)) = outcome.fault else { panic!("{:?}", outcome.fault) };
    assert_eq!((refused.code.as_str(), refused.param.as_str()), ("unsupported_value", "temperature"));
    assert_eq!((outcome.standing.failed, outcome.standing.done), (0, 0), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "nothing new was opened");
    assert_eq!(returns(&sandbox), 0, "nothing is counted");
    // The setting is mended: whatever of the old one is still on its way stops nothing.
    sandbox.set("request.detail", "low");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 12);
}

#[test]
fn open_batches_of_settings_that_were_mended_do_not_stop_the_next_run() {
    let scenario = "[[line]]\noutcome = \"unsupported_value\"\nwhen = { times = 8 }\n";
    let mut sandbox = Sandbox::with(8, weather(scenario));
    sandbox.work(Mode::Upload);
    sandbox.set("request.detail", "low");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(returns(&sandbox), 0, "nothing is counted");
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[test]
fn an_uploaded_shard_of_settings_that_were_refused_is_planned_anew_once_they_are_mended() {
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"refuse\"\nstatus = 400\ncode = \"unsupported_value\"\n
        param = \"detail\"\nmessage = \"Not with this model.\"\nwhen = { times = 2 }\n";
    let mut sandbox = Sandbox::with(3, weather(scenario));
    for _ in 0..2 {
        let outcome = sandbox.run();
        assert!(matches!(outcome.fault, Some(Fault::SettingRefused(_))), "{:?}", outcome.fault);
        assert_eq!(outcome.standing.packed, 3, "{:?}", outcome.standing);
    }
    assert_eq!(oracle::count(&sandbox.bill(), "upload"), 1, "the same settings, the same file");
    sandbox.set("request.detail", "low");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(oracle::count(&sandbox.bill(), "upload"), 2, "another plan, another file");
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 3);
}

#[test]
fn one_image_that_is_always_refused_ends_by_name_and_stops_nobody() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0002\"\noutcome = \"unsupported_value\"\n";
    let mut sandbox = Sandbox::with(4, weather(scenario));
    sandbox.set("retry.max_returns", "2");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (3, 1), "{:?}", outcome.standing);
}

#[test]
fn money_that_is_spent_stops_the_run_and_the_next_one_goes_on() {
    let scenario = "[[line]]\noutcome = \"insufficient_quota\"\nwhen = { skip = 2, times = 2 }\n";
    let mut sandbox = Sandbox::with(8, weather(scenario));
    sandbox.set("batch.max_open_batches", "1");
    let outcome = sandbox.run();
    assert!(matches!(&outcome.fault, Some(Fault::Provider(failure)) if failure.code == "insufficient_quota"));
    assert_eq!((outcome.standing.failed, outcome.standing.done), (0, 2), "{:?}", outcome.standing);
    assert_eq!(returns(&sandbox), 0, "nothing is counted");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[test]
fn a_refusal_of_the_model_that_names_a_line_stops_the_run_all_the_same() {
    let scenario = "[[batch]]\nfail = { code = \"model_not_found\", message = \"No such model.\", lines = [1, 2] }\n";
    let sandbox = Sandbox::with(3, weather(scenario));
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::SettingRefused(_))), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.owed, outcome.standing.failed), (3, 0), "{:?}", outcome.standing);
    assert_eq!(returns(&sandbox), 0, "nothing is counted");
}

#[test]
fn every_line_that_a_refused_batch_names_fails_by_name_and_the_others_go_on() {
    let scenario = "[[batch]]\nfail = { code = \"invalid_json_line\", message = \"no JSON\", lines = [1, 3] }\n
        when = { times = 1 }\n";
    let sandbox = Sandbox::with(4, weather(scenario));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (2, 2), "{:?}", outcome.standing);
}
