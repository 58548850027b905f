//! The real program, killed where it hurts, then started again with the same command until it ends. The emulator outlives it,
//! and its bill says whether anything was paid twice.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// Every point at which the program can be told to kill itself on the straight walk.
const POINTS: [&str; 22] = [
    "keeper.commit",
    "keeper.committed",
    "body.chunk",
    "body.last_chunk",
    "upload.before",
    "upload.answered",
    "upload.recorded",
    "intent.recorded",
    "create.before",
    "create.answered",
    "create.recorded",
    "create.noticed",
    "ended.recorded",
    "fetch.half",
    "fetch.renamed",
    "fetch.recorded",
    "text.renamed",
    "text.folder_synced",
    "verdicts.recorded",
    "settle.before",
    "settle.recorded",
    "sweep.notice_moved",
];

/// Longest that one life may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn command(sandbox: &Sandbox) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "--yes", "--plain"]);
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let words = std::fs::File::create(sandbox.words()).expect("a file for its words");
    command.arg("run").env_clear().current_dir(sandbox.workspace());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
    command
}

/// Runs to the end, or to the kill; `None` if it had to be killed because time ran out.
fn live(mut command: Command, killed_after: Option<Duration>) -> Option<ExitStatus> {
    let mut child = command.spawn().expect("the program starts");
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        let limit = killed_after.unwrap_or(PATIENCE);
        if begun.elapsed() >= limit {
            child.kill().expect("killed");
            let status = child.wait().expect("a child");
            return killed_after.map(|_| status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ends_well(sandbox: &Sandbox, story: &str) {
    let status = live(command(sandbox), None).unwrap_or_else(|| panic!("{story}: it does not end"));
    let words = std::fs::read_to_string(sandbox.words()).unwrap_or_default();
    assert!(status.success(), "{story}: {status}\n{words}");
}

#[test]
fn killed_at_each_named_point_nothing_is_lost_and_nothing_paid_twice() {
    for point in POINTS {
        for visit in [1, 3] {
            let sandbox = Sandbox::new(6);
            let story = format!("{point}:{visit}");
            let mut first = command(&sandbox);
            first.env("BATCHSCRIBE_CRASH", &story);
            let status = live(first, None).unwrap_or_else(|| panic!("{story}: it does not end"));
            // Two batches: some points are visited only twice in one life. The first visit is never missed.
            assert!(visit > 1 || !status.success(), "{story} was not reached");
            ends_well(&sandbox, &story);
            oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
        }
    }
}

#[test]
fn killed_at_ten_moments_of_a_run_of_400_pages() {
    // No batch ends within its first second: the kills meet every stage.
    let mut sandbox = Sandbox::with(400, Weather { line_delay: Duration::from_millis(50), ..Weather::default() });
    sandbox.set("max_images_per_batch", "25");
    let mut killed = 0;
    // Moments spread over the whole run; each life goes on where the last one was cut off.
    for moment in [60, 130, 35, 210, 90, 300, 170, 45, 250, 120, 400, 75] {
        let status = live(command(&sandbox), Some(Duration::from_millis(moment))).expect("bounded");
        killed += u32::from(!status.success());
    }
    assert!(killed >= 10, "only {killed} of the kills hit a living program");
    ends_well(&sandbox, "the last life");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 400);
}
