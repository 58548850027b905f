//! More answers than the settings bear are rejected for one reason: the run stops before more money is spent.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::Fault;

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

const REFUSED: &str = "[[line]]\noutcome = \"refusal\"\n";

fn refused(images: usize) -> Sandbox {
    let scenario = Scenario::read(REFUSED).expect("a scenario");
    let mut sandbox = Sandbox::with(images, Weather { scenario, ..Weather::default() });
    sandbox.set("max_images_per_batch", "10");
    // One batch after the other, so that there is something left that is not sent.
    sandbox.set("batch.max_open_batches", "1");
    sandbox
}

#[test]
fn where_every_answer_is_bad_for_one_reason_most_are_never_paid_for() {
    let sandbox = refused(200);
    let outcome = sandbox.run();
    let Some(Fault::TooManyRejected(told)) = outcome.fault else { panic!("{:?}", outcome.fault) };
    assert_eq!((told.reason.word(), told.rejected, told.answers), ("refused", 50, 50));
    assert!(
        outcome.standing.closes() && outcome.standing.owed + outcome.standing.packed > 130,
        "{:?}",
        outcome.standing
    );
    let paid = oracle::billed(&sandbox.bill()).len();
    assert!((50..=70).contains(&paid), "{paid} answers were paid for");
}

#[test]
fn pages_that_are_put_back_after_they_failed_do_not_stop_a_run_again() {
    let mut sandbox = refused(60);
    sandbox.set("run.max_failures_percent", "unset");
    sandbox.set("retry.max_attempts", "1");
    assert_eq!(sandbox.run().standing.failed, 60);
    let (exit, _, told) = call(&sandbox, "retry");
    assert_eq!(exit, Some(0), "{told}");
    sandbox.set("run.max_failures_percent", "20");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "that they are hopeless was known: {:?}", outcome.fault);
    assert_eq!(outcome.standing.failed, 60);
}

#[test]
fn whoever_wants_them_all_gets_them_all() {
    let mut sandbox = refused(60);
    sandbox.set("run.max_failures_percent", "unset");
    sandbox.set("retry.max_attempts", "1");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.failed, 60);
}

/// Each try is paid for, whoever can tell what it answered.
#[test]
fn lines_that_name_no_image_are_bought_no_oftener_than_any_answer() {
    for (images, stops) in [(12, true), (4, false)] {
        let scenario = Scenario::read("[[line]]\noutcome = \"broken_line\"\n").expect("a scenario");
        let mut sandbox = Sandbox::with(images, Weather { scenario, ..Weather::default() });
        sandbox.set("max_images_per_batch", "400");
        let mut lives = 0;
        loop {
            let outcome = sandbox.run();
            lives += 1;
            assert_eq!(matches!(outcome.fault, Some(Fault::MostlyUnknown(_))), stops, "{:?}", outcome.fault);
            let paid = oracle::count(&sandbox.bill(), "line");
            assert_eq!(paid, images * if stops { lives } else { 3 }, "a stop is one before the next batch");
            if outcome.standing.owed == 0 {
                assert_eq!(outcome.standing.failed, images as u64, "{:?}", outcome.standing);
                break;
            }
        }
        assert_eq!(lives, if stops { 3 } else { 1 });
        assert!(oracle::reasons(&sandbox.workspace()).values().all(|reason| reason == "provider_error"));
        let paid = oracle::count(&sandbox.bill(), "line");
        let outcome = sandbox.run();
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert_eq!(oracle::count(&sandbox.bill(), "line"), paid, "only a person asks again");
    }
}

#[test]
fn a_gateway_that_renames_all_lines_is_told_by_its_code() {
    let scenario = Scenario::read("[[line]]\noutcome = \"broken_line\"\n").expect("a scenario");
    let mut sandbox = Sandbox::with(12, Weather { scenario, ..Weather::default() });
    sandbox.set("max_images_per_batch", "400");
    let (exit, _, err) = call(&sandbox, "run --yes");
    assert_eq!(exit, Some(9), "{err}");
    assert!(err.contains("error[E318]: 12 of 12 result lines of batch batch_"), "{err}");
    let raw = std::fs::read_dir(sandbox.workspace().join("batch_return")).expect("raw files").count();
    assert_eq!(raw, 1, "what was paid for is kept");
}
