//! Plans of which nothing was ever sent: they are nobody's money, and stand in nobody's way.

use std::time::Duration;

use batchscribe::pipeline::mission::{Fault, Mode};

use crate::cancel::call;
use crate::kill::{command, live};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

const REFUSED: &str = "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"
    when = { times = 1 }\n";

/// Six images in one plan, whose upload was refused for the key's sake.
fn refused() -> Sandbox {
    let scenario = toml::from_str(REFUSED).expect("a scenario");
    let mut sandbox = Sandbox::with(6, Weather { scenario, ..Weather::default() });
    sandbox.set("max_images_per_batch", "400");
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::Provider(_))), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.packed, outcome.standing.owed), (6, 0), "planned: {:?}", outcome.standing);
    sandbox
}

/// The same, and another account pays by now.
pub(crate) fn for_another_account() -> Sandbox {
    let mut sandbox = refused();
    sandbox.set("provider.project", "proj_other");
    sandbox
}

/// The same, and other settings hold by now.
pub(crate) fn with_other_settings() -> Sandbox {
    let mut sandbox = refused();
    sandbox.set("request.max_output_tokens", "777");
    sandbox
}

/// States of all plans, each with what it asked for at most.
fn plans(sandbox: &Sandbox) -> Vec<(String, bool)> {
    let ledger = rusqlite::Connection::open(sandbox.settings().layout().ledger()).expect("the ledger");
    let sql =
        "SELECT s.state, r.parameters LIKE '%777%' FROM shard s JOIN recipe r ON r.id = s.recipe_id ORDER BY s.id";
    let mut rows = ledger.prepare(sql).expect("query");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// What was never sent is owed to another account, and asked with its key.
#[test]
fn another_account_takes_over_what_was_never_sent() {
    let sandbox = for_another_account();
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
    let states: Vec<_> = plans(&sandbox).into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["dissolved", "gone"]);
}

/// A pilot draws from these pages, and asks before it pays for them like any other.
#[test]
fn a_pilot_of_another_account_asks_before_it_draws_from_them() {
    let sandbox = for_another_account();
    let (exit, _, err) = call(&sandbox, "run --pilot 2");
    assert!(exit == Some(2) && err.contains("E109") && err.contains("2 images, about $"), "{exit:?} {err}");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 0, "nothing was sent");
}

#[test]
fn what_may_have_arrived_stands_in_the_way_of_another_account() {
    for point in ["upload.recorded:1", "intent.journalled:1", "create.answered:1"] {
        let mut sandbox = Sandbox::new(4);
        let mut life = command(&sandbox);
        life.env("BATCHSCRIBE_CRASH", point);
        live(life, None).expect("it ends");
        let before = plans(&sandbox);
        sandbox.set("provider.project", "proj_other");
        let outcome = sandbox.run();
        assert!(matches!(outcome.fault, Some(Fault::OtherAccount(_))), "{point}: {:?}", outcome.fault);
        assert_eq!(plans(&sandbox), before, "{point}");
    }
}

/// What was written out may have been sent by hand.
#[test]
fn what_was_written_out_stands_in_the_way_of_another_account() {
    let mut sandbox = Sandbox::new(4);
    let outcome = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    sandbox.set("provider.project", "proj_other");
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::OtherAccount(_))), "{:?}", outcome.fault);
}

#[test]
fn what_was_never_sent_is_asked_with_the_settings_of_today() {
    let sandbox = with_other_settings();
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
    assert_eq!(plans(&sandbox), [("dissolved".to_owned(), false), ("gone".to_owned(), true)]);
}

/// An upload that arrived while nobody could record it: the plan is given up, and its file does not stay.
#[test]
fn a_file_of_a_plan_that_is_given_up_is_deleted() {
    let mut sandbox = Sandbox::new(4);
    let mut life = command(&sandbox);
    life.env("BATCHSCRIBE_CRASH", "upload.answered:1");
    live(life, None).expect("it ends");
    assert_eq!(inputs(&sandbox), 1, "the file arrived");
    sandbox.set("request.max_output_tokens", "777");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 4);
    assert_eq!(plans(&sandbox), [("dissolved".to_owned(), false), ("gone".to_owned(), true)]);
    assert_eq!((oracle::count(&sandbox.bill(), "upload"), inputs(&sandbox)), (2, 0), "what was answered is swept");
}

/// Files at the server.
fn inputs(sandbox: &Sandbox) -> usize {
    let files = std::fs::read_dir(sandbox.workspace().with_file_name("server").join("files")).expect("its files");
    files.count()
}

/// Who is told to lower what a page may cost, and does so, goes on.
#[test]
fn a_smaller_answer_makes_room_in_the_same_limit() {
    let mut sandbox = Sandbox::with(6, Weather { line_delay: Duration::from_millis(20), ..Weather::default() });
    sandbox.set("request.model", "gpt-4.1");
    sandbox.set("request.max_output_tokens", "20000");
    sandbox.set("run.max_cost", "0.05");
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::NoMoney(_))), "{:?}", outcome.fault);
    sandbox.set("request.max_output_tokens", "777");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 6, "{:?}", outcome.standing);
}
