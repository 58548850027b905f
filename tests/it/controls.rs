//! Do the checks have teeth? Each protection is left out of the real program in turn, and its story must be found wanting;
//! with it, the same story holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::kill::{command, live};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

struct Control {
    /// What is left out.
    without: &'static str,
    /// A workspace just before the command.
    prepare: fn() -> Sandbox,
    /// Where the first life is killed.
    killed_at: Option<&'static str>,
    /// How many times as fast the program's clock goes.
    haste: u32,
    /// What has to hold at the end.
    holds: fn(&Sandbox),
}

const CONTROLS: [Control; 9] = [
    // An intent in the ledger is doubt, and doubt is resolved before anything is paid again.
    Control { without: "intent", prepare: calm, killed_at: Some("create.answered:1"), haste: 1, holds: six },
    // The list is asked before a create that lost its answer is repeated.
    Control { without: "list", prepare: lost, killed_at: None, haste: 1, holds: six },
    // A create is sent once, whatever the answer.
    Control { without: "once", prepare: lost, killed_at: None, haste: 1, holds: six },
    // What an expired batch has answered is read.
    Control { without: "expired", prepare: expiring, killed_at: None, haste: 1, holds: paid_once },
    // What is enqueued is summed up before more is.
    Control { without: "sum", prepare: tight, killed_at: None, haste: 50, holds: none_turned_away },
    // What open batches may cost is summed up before more is opened.
    Control {
        without: "reserve",
        prepare: crate::budget::scarce,
        killed_at: None,
        haste: 1,
        holds: crate::budget::within_the_limit,
    },
    // A text is replaced only if it is as we wrote it.
    Control { without: "edited", prepare: edited, killed_at: None, haste: 1, holds: the_edit_stands },
    // A setting that the model refuses stops the run.
    Control { without: "breaker", prepare: refused, killed_at: None, haste: 1, holds: none_failed },
    // It is asked whether the model takes the settings before anything is created.
    Control { without: "canary", prepare: refused_at_once, killed_at: None, haste: 1, holds: none_created },
];

fn weather(scenario: &str) -> Weather {
    Weather { scenario: toml::from_str(scenario).expect("a scenario"), ..Weather::default() }
}

fn calm() -> Sandbox {
    Sandbox::new(6)
}

fn lost() -> Sandbox {
    Sandbox::with(6, weather("[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n"))
}

fn expiring() -> Sandbox {
    Sandbox::with(6, weather("[[batch]]\nexpire_after_lines = 2\nwhen = { times = 2 }\n"))
}

fn refused() -> Sandbox {
    Sandbox::with(6, weather("[[line]]\noutcome = \"unsupported_value\"\n"))
}

fn refused_at_once() -> Sandbox {
    let mut sandbox = refused();
    sandbox.set("run.canary", "sync");
    sandbox
}

fn tight() -> Sandbox {
    let limit = 4_000;
    // Each batch stays in the queue for some two seconds: long enough for a third one to meet it on a busy machine.
    let line_delay = Duration::from_millis(300);
    let mut sandbox = Sandbox::with(30, Weather { enqueued_tokens: Some(limit), line_delay, ..Weather::default() });
    let limit = limit.to_string();
    let settings = [
        ("batch.max_enqueued_tokens", limit.as_str()),
        ("batch.poll_interval", "3s"),
        ("batch.max_poll_interval", "5s"),
        ("provider.settle", "10s"),
    ];
    for (key, value) in settings {
        sandbox.set(key, value);
    }
    sandbox
}

const EDIT: &str = "corrected by hand\n";

/// A finished corpus; then a person corrects a text, and its image is scanned anew.
fn edited() -> Sandbox {
    let sandbox = Sandbox::new(6);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    std::fs::write(sandbox.corpus().join("tray_0/page0000.png.txt"), EDIT).expect("the edit");
    sandbox.image("tray_0/page0000.png", 77);
    sandbox
}

fn six(sandbox: &Sandbox) {
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
}

/// Lines that never ran are raw lines, too, so the plain count of those does not fit here.
fn paid_once(sandbox: &Sandbox) {
    oracle::finished_beside_strays(&sandbox.workspace(), 6);
    let twice: Vec<_> = oracle::billed(&sandbox.bill()).into_iter().filter(|(_, times)| *times != 1).collect();
    assert!(twice.is_empty(), "paid more than once: {twice:?}");
}

fn none_turned_away(sandbox: &Sandbox) {
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 30);
    let (_, enqueued) = oracle::most_enqueued(&sandbox.bill());
    assert_eq!(oracle::count(&sandbox.bill(), "create"), enqueued, "a batch was turned away");
}

fn the_edit_stands(sandbox: &Sandbox) {
    oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 6, 7);
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some(EDIT), "a person's text was replaced");
}

fn none_created(sandbox: &Sandbox) {
    assert!(!oracle::states(&sandbox.workspace()).contains_key("failed"), "an image failed");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 0, "a batch was created in vain");
}

fn none_failed(sandbox: &Sandbox) {
    let states = oracle::states(&sandbox.workspace());
    assert_eq!(states.keys().collect::<Vec<_>>(), ["owed"], "{states:?}");
}

fn holds(control: &Control, without: Option<&str>) -> bool {
    let sandbox = (control.prepare)();
    let life = |killed_at: Option<&str>| {
        let mut command = command(&sandbox);
        command.env("BATCHSCRIBE_HASTE", control.haste.to_string());
        command.envs(without.map(|name| ("BATCHSCRIBE_WITHOUT", name)));
        command.envs(killed_at.map(|point| ("BATCHSCRIBE_CRASH", point)));
        // A life that does not end is no story that holds.
        let _ended = live(command, Some(Duration::from_secs(30)));
    };
    if control.killed_at.is_some() {
        life(control.killed_at);
    }
    life(None);
    catch_unwind(AssertUnwindSafe(|| (control.holds)(&sandbox))).is_ok()
}

#[test]
fn each_protection_left_out_is_noticed() {
    std::thread::scope(|scope| {
        for control in &CONTROLS {
            scope.spawn(move || {
                assert!(holds(control, None), "{}: the story does not hold with it", control.without);
                assert!(!holds(control, Some(control.without)), "{}: nobody notices that it is gone", control.without);
            });
        }
    });
}
