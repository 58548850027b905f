//! Has the simulation teeth? Each protection is left out in turn, and some seed has to break a promise. A release build
//! knows no such order.

use std::process::{Command, Stdio};

/// Protections that a debug build can leave out, and that the simulation has to miss. The sum of enqueued tokens has its control in
/// `tests/it/controls.rs`: what a queue turns away here is opened later, and breaks no promise.
const PROTECTIONS: [&str; 4] = ["intent", "list", "once", "reserve"];
/// Seeds within which each has to be missed.
const WITHIN: u64 = 60;

#[test]
fn each_protection_left_out_breaks_a_promise() {
    let itself = std::env::current_exe().expect("this test");
    for protection in PROTECTIONS {
        let ended = Command::new(&itself)
            .args(["--exact", "every_seed_keeps_the_promises"])
            .env("BATCHSCRIBE_WITHOUT", protection)
            .env("SIM_SEEDS", WITHIN.to_string())
            .env("SIM_FAILURES", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("a process");
        assert_eq!(ended.code(), Some(101), "nothing is broken without {protection}");
    }
}
