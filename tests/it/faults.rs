//! The provider misbehaves: nothing is lost, nothing is paid twice.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::{Fault, Mode};

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::sweep::in_fast_time;

const NEVER_CREATED: &str = "[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n";

fn weather(scenario: &str) -> Weather {
    let scenario: Scenario = toml::from_str(scenario).expect("a scenario");
    Weather { scenario, ..Weather::default() }
}

/// Runs eight images to the end through `scenario`, and asks the oracle.
fn survives(scenario: &str) {
    let sandbox = Sandbox::with(8, weather(scenario));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[test]
fn a_create_that_worked_and_lost_its_answer_is_adopted() {
    survives("[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n");
}

#[test]
fn a_create_that_answers_500_and_worked_is_adopted() {
    survives("[[door]]\nat = \"create_batch\"\nact = \"act_then_refuse\"\nstatus = 500\nwhen = { times = 1 }\n");
}

#[test]
fn a_create_that_never_arrived_is_fenced_and_sent_anew() {
    survives("[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n");
}

#[test]
fn an_upload_that_is_refused_for_now_is_made_again() {
    survives("[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 503\nwhen = { times = 1 }\n");
}

#[test]
fn what_was_too_large_once_is_not_tried_by_the_next_run() {
    let scenario = "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 413\nwhen = { times = 1 }\n";
    let mut sandbox = Sandbox::with(8, weather(scenario));
    sandbox.set("max_images_per_batch", "8");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let before = oracle::count(&sandbox.bill(), "create");
    assert!(before >= 2, "one shard was too large: {before}");
    for n in 8..16 {
        sandbox.image(&format!("tray_2/page{n:04}.png"), n);
    }
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let after = oracle::count(&sandbox.bill(), "create");
    assert!(after >= before + 2, "the next run knows: {before}, then {after}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 16);
}

#[test]
fn results_that_are_not_there_yet_are_waited_for() {
    survives("[[door]]\nat = \"read_file\"\nact = \"refuse\"\nstatus = 404\nwhen = { times = 2 }\n");
}

#[test]
fn a_line_that_is_missing_is_owed_again_and_not_counted() {
    let sandbox = Sandbox::with(
        4,
        weather("[[line]]\ncustom_id_contains = \"page0002\"\noutcome = \"missing\"\nwhen = { times = 1 }\n"),
    );
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
}

#[test]
fn what_is_no_whole_answer_becomes_no_text() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0000\"\noutcome = \"length_cut\"\n
        [[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"refusal\"\n
        [[line]]\ncustom_id_contains = \"page0002\"\noutcome = \"empty\"\n
        [[line]]\ncustom_id_contains = \"page0003\"\noutcome = \"content_filter\"\n";
    let sandbox = Sandbox::with(5, weather(scenario));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    // An empty answer to a page without ink says that it is blank.
    assert_eq!((outcome.standing.done, outcome.standing.failed), (2, 3), "{:?}", outcome.standing);
    assert!(outcome.standing.closes());
    assert_eq!(sandbox.text("tray_0/page0002.png").as_deref(), Some(""));
    for (n, image) in ["tray_0/page0000.png", "tray_1/page0001.png", "tray_1/page0003.png"].iter().enumerate() {
        assert_eq!(sandbox.text(image), None, "image {n}");
    }
}

/// Some servers tell that a batch has completed before they show where its answers are.
#[test]
fn an_end_is_none_before_the_files_of_its_answers_are_named() {
    let unnamed = "members = { output_file_id = \"<null>\" }";
    survives(&format!("[[batch]]\nshow = [{{ status = \"completed\", looks = 3, {unnamed} }}]\n"));
    let sandbox = Sandbox::with(4, weather(&format!("[[batch]]\nshow = [{{ status = \"completed\", {unnamed} }}]\n")));
    let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.failed, outcome.standing.packed), (4, 0), "{:?}", outcome.standing);
    let again = sandbox.run();
    assert_eq!(again.standing.failed, 4, "only a person asks again: {:?}", again.standing);
    assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1), "paid once each");
}

#[test]
fn a_rejected_key_stops_the_run_with_everything_owed() {
    let sandbox = Sandbox::with(
        4,
        weather("[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"\n"),
    );
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::Provider(_))), "{:?}", outcome.fault);
    assert!(outcome.standing.closes() && outcome.standing.done == 0, "{:?}", outcome.standing);
}

#[test]
fn results_that_are_gone_for_good_end_their_images_by_that_name() {
    // Some say that they have no such file, others that they have one no longer, or refuse to hand it out.
    for said in ["status = 404", "status = 410", "status = 400\nmessage = \"This file has expired.\""] {
        let sandbox = Sandbox::with(4, weather(&format!("[[door]]\nat = \"read_file\"\nact = \"refuse\"\n{said}\n")));
        let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
        assert!(outcome.fault.is_none(), "{said}: {:?}", outcome.fault);
        assert_eq!((outcome.standing.failed, outcome.standing.packed), (4, 0), "{:?}", outcome.standing);
        assert!(outcome.standing.closes());
        let again = sandbox.run();
        assert!(again.fault.is_none(), "no run is held up by them: {:?}", again.fault);
        assert_eq!(again.standing.failed, 4, "only a person asks again: {:?}", again.standing);
        assert_eq!(oracle::count(&sandbox.bill(), "create"), 1);
    }
}

/// A provider that never says for certain what became of a create: the doubt stays, and the run ends all the same.
#[test]
fn a_doubt_that_is_never_answered_ends_the_run_and_stays() {
    for door in [
        "at = \"delete_file\"\nact = \"refuse\"\nstatus = 405",
        "at = \"list_batches\"\nact = \"refuse\"\nstatus = 400",
    ] {
        let scenario = format!("{NEVER_CREATED}[[door]]\n{door}\n");
        let mut sandbox = Sandbox::with(4, weather(&scenario));
        sandbox.set("run.give_up_after", "1s");
        for life in 0..2 {
            let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
            assert!(matches!(outcome.fault, Some(Fault::Unreachable(_))), "{door}: {:?}", outcome.fault);
            assert_eq!(outcome.standing.packed, 4, "{life}: {:?}", outcome.standing);
        }
        assert_eq!(oracle::count(&sandbox.bill(), "create"), 0, "{door}");
        let (exit, _, err) = call(&sandbox, "run");
        assert_eq!(exit, Some(5), "{err}");
        assert!(err.contains("E313") && err.contains("an earlier run ended before it knew"), "{err}");
    }
}

/// What the run says at its end while `lost` takes the state folder away.
fn told_of_a_lost_folder(sandbox: &mut Sandbox, lost: impl FnOnce(&Sandbox) + Send) -> String {
    sandbox.set("run.give_up_after", "1s");
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| lost(sandbox));
        sandbox.run()
    });
    let Some(Fault::Unreachable(failure)) = outcome.fault else { panic!("{:?}", outcome.fault) };
    failure.message
}

fn lose_the_folder(sandbox: &Sandbox) {
    let files = sandbox.workspace().with_file_name("server").join("files");
    std::fs::rename(&files, files.with_extension("away")).expect("moved");
    std::fs::write(&files, "no folder").expect("a file");
}

#[test]
fn a_built_in_server_that_cannot_take_an_upload_says_why() {
    let mut sandbox = Sandbox::new(4);
    lose_the_folder(&sandbox);
    let told = told_of_a_lost_folder(&mut sandbox, |_| {});
    assert!(told.contains("state folder") && told.contains("irectory"), "{told}");
}

#[test]
fn a_built_in_server_that_cannot_write_results_says_why_and_is_not_waited_for() {
    let weather = Weather { line_delay: std::time::Duration::from_millis(200), ..Weather::default() };
    let mut sandbox = Sandbox::with(4, weather);
    let told = told_of_a_lost_folder(&mut sandbox, |sandbox| {
        sandbox.await_batches(1);
        lose_the_folder(sandbox);
    });
    assert!(told.contains("state folder") && told.contains("until it is started again"), "{told}");
}

#[test]
fn a_provider_that_answers_nothing_but_errors_is_given_up_and_nothing_is_lost() {
    let mut sandbox = Sandbox::with(4, weather("[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 500\n"));
    sandbox.set("run.give_up_after", "1s");
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::Unreachable(_))), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.packed, 4, "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 0);
}
