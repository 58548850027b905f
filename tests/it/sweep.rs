//! Batches that the ledger lacks are found in the provider's list; batches that a key does not see are not given up.

use std::time::Duration;

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::Clock;
use batchscribe::pipeline::mission::{Fault, Mission, Mode, Outcome};

use crate::oracle;
use crate::paid::{double_the_batch, in_time};
use crate::sandbox::{Sandbox, Weather};

fn slow(scenario: &str) -> Weather {
    let scenario: Scenario = toml::from_str(scenario).expect("a scenario");
    Weather { scenario, line_delay: Duration::from_millis(300), ..Weather::default() }
}

/// Strays in the ledger, and how many of them are settled.
fn strays(sandbox: &Sandbox) -> (i64, i64) {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT count(*), coalesce(sum(state = 'settled'), 0) FROM batch WHERE stray = 1";
    ledger.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("counts")
}

/// Works off a mission on a clock of its own that runs much faster.
pub(crate) fn in_fast_time(mut mission: Mission) -> Outcome {
    let clock = Clock::manual(Clock::wall().now());
    mission.clock = clock.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(5));
            clock.advance(Duration::from_secs(20));
        }
    });
    in_time(mission)
}

#[test]
fn a_second_batch_is_found_at_the_next_start_and_read() {
    let sandbox = Sandbox::with(4, slow(""));
    sandbox.work(Mode::Upload);
    double_the_batch(&sandbox, Duration::ZERO);
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.batches_open), (4, 0), "{:?}", outcome.standing);
    assert_eq!(strays(&sandbox), (1, 1));
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "no third");
}

#[test]
fn a_second_batch_is_found_while_others_are_waited_for() {
    let sandbox = Sandbox::with(8, slow(""));
    let (mission, _) = sandbox.mission(Mode::Run { once: false });
    let working = std::thread::spawn(move || in_time(mission));
    sandbox.await_batches(2);
    double_the_batch(&sandbox, Duration::ZERO);
    let outcome = working.join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.batches_open), (8, 0), "{:?}", outcome.standing);
    assert_eq!(strays(&sandbox), (1, 1));
}

#[test]
fn a_ledger_restored_from_before_its_batches_pays_nothing_twice() {
    let sandbox = Sandbox::with(8, slow(""));
    let ledger = sandbox.workspace().join("batch/ledger.sqlite");
    sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("spool")));
    let before = std::fs::read(&ledger).expect("ledger");
    let uploaded = sandbox.work(Mode::Upload);
    assert_eq!(uploaded.standing.batches_open, 2, "{:?}", uploaded.standing);
    std::fs::write(&ledger, before).expect("restored");
    // With the journal it would say what it lacks, and `recover` would bring it back.
    std::fs::remove_file(sandbox.workspace().join("batch/batches.jsonl")).expect("a journal");
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "none is opened again");
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 8);
}

#[test]
fn a_key_that_sees_none_of_our_batches_stops_the_run_and_gives_nothing_up() {
    let scenario = "[[batch]]\nhide_from_lists = 1000000\n
        [[door]]\nat = \"get_batch\"\nact = \"refuse\"\nstatus = 404\n";
    for images in [4, 8] {
        let sandbox = Sandbox::with(images, slow(scenario));
        sandbox.work(Mode::Upload);
        let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
        assert!(matches!(&outcome.fault, Some(Fault::NoneKnown { .. })), "{:?}", outcome.fault);
        assert_eq!(outcome.standing.packed, images as u64, "{:?}", outcome.standing);
    }
}

#[test]
fn a_batch_that_is_gone_while_another_is_known_ends_its_images_by_name() {
    let scenario = "[[batch]]\nhide_from_lists = 1000000\nwhen = { times = 1 }\n
        [[door]]\nat = \"get_batch\"\nact = \"refuse\"\nstatus = 404\n";
    let sandbox = Sandbox::with(8, slow(scenario));
    sandbox.work(Mode::Upload);
    let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (4, 4), "{:?}", outcome.standing);
}
