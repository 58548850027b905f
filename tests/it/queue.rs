//! The provider's queue of tokens is small: everything is read all the same, and the limit is never exceeded.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use batchscribe::kit::clock::{Clock, millis};
use batchscribe::pipeline::mission::{Mode, Outcome};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// What gpt-4o allows an account of the first tier.
const LIMIT: u64 = 90_000;
/// With the built-in prompt, these fill the queue several times.
const PAGES: usize = 2_000;

fn tight(pages: usize, limit: u64) -> Sandbox {
    let mut sandbox = Sandbox::with(pages, Weather { enqueued_tokens: Some(limit), ..Weather::default() });
    sandbox.set("max_images_per_batch", "400");
    sandbox
}

/// Runs to the end under a clock on which a second passes in ten milliseconds.
fn run_fast(sandbox: &Sandbox) -> Outcome {
    let (mut mission, _) = sandbox.mission(Mode::Run { once: false });
    let clock = Clock::manual(millis(Duration::from_secs(1_800_000_000)));
    mission.clock = clock.clone();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        match ended.recv_timeout(Duration::from_millis(10)) {
            Ok(outcome) => return outcome,
            Err(_) => assert!(Instant::now() < patience, "the run does not end"),
        }
        clock.advance(Duration::from_secs(1));
    }
}

fn kept_to(sandbox: &Sandbox, outcome: &Outcome, pages: usize, limit: u64) -> usize {
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (pages as u64, 0), "{:?}", outcome.standing);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), pages);
    let (most, batches) = oracle::most_enqueued(&sandbox.bill());
    assert!(most <= limit && most > limit / 4, "{most} of {limit} were enqueued at most");
    batches
}

#[test]
fn a_limit_that_the_provider_tells_is_learned_and_kept_to() {
    let sandbox = tight(PAGES, LIMIT);
    let outcome = run_fast(&sandbox);
    let batches = kept_to(&sandbox, &outcome, PAGES, LIMIT);
    let created = oracle::count(&sandbox.bill(), "create");
    assert!(batches >= 4 && created > batches, "{created} created, {batches} enqueued: the limit was never met");
}

#[test]
fn a_limit_of_the_settings_meets_no_refusal() {
    let limit = 4_000;
    let mut sandbox = tight(200, limit);
    sandbox.set("batch.max_enqueued_tokens", &limit.to_string());
    let outcome = sandbox.run();
    let batches = kept_to(&sandbox, &outcome, 200, limit);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), batches, "none was turned away");
}

#[test]
fn plans_made_before_the_limit_was_known_are_made_anew() {
    let mut sandbox = tight(200, 6_000);
    // Plans that are closed because they are full, not because nothing is left.
    sandbox.set("max_images_per_batch", "30");
    let outcome = run_fast(&sandbox);
    kept_to(&sandbox, &outcome, 200, 6_000);
}

#[test]
fn an_upload_stops_when_the_queue_is_full_and_the_rest_stays_owed() {
    let limit = 4_000;
    let mut sandbox = tight(200, limit);
    sandbox.set("batch.max_enqueued_tokens", &limit.to_string());
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!(outcome.standing.batches_open >= 1 && outcome.standing.shards_waiting >= 1, "{:?}", outcome.standing);
    let outcome = sandbox.run();
    kept_to(&sandbox, &outcome, 200, limit);
}

#[test]
fn one_pass_waits_for_no_room_in_the_queue() {
    let limit = 4_000;
    let mut sandbox = tight(200, limit);
    sandbox.set("batch.max_enqueued_tokens", &limit.to_string());
    let (mission, _) = sandbox.mission(Mode::Run { once: true });
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    let outcome = ended.recv_timeout(Duration::from_secs(120)).expect("one pass ends by itself");
    assert!(outcome.fault.is_none() && !outcome.stopped, "{:?}", outcome.fault);
    assert!(outcome.standing.packed > 0, "the queue was never full: {:?}", outcome.standing);
    let outcome = sandbox.run();
    kept_to(&sandbox, &outcome, 200, limit);
}

#[test]
fn status_tells_how_long_the_rest_takes() {
    let limit = 4_000;
    let mut sandbox = tight(200, limit);
    sandbox.set("batch.max_enqueued_tokens", &limit.to_string());
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.arg("--workspace").arg(sandbox.workspace()).args([
        "--no-config",
        "--set",
        "batch.max_enqueued_tokens=4000",
    ]);
    let told = command.arg("status").env_clear().output().expect("status");
    let text = String::from_utf8_lossy(&told.stdout);
    let line = text.lines().find(|line| line.starts_with(" Queue     ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(" of 4000 tokens for ") && line.ends_with("days for the rest"), "{line}");
}
