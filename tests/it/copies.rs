//! Files with the same bytes are paid for once, and each gets its text.

use std::path::Path;

use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::Mode;

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

const FIRST: &str = "tray_0/page0000.png";
const COPIES: [&str; 2] = ["tray_1/again.png", "work/scan 1.png"];

/// Three files of the same bytes, the first of them `tray_0/page0000.png`, and two others.
pub(crate) fn archive() -> Sandbox {
    copied(Sandbox::new(3))
}

fn copied(sandbox: Sandbox) -> Sandbox {
    COPIES.iter().for_each(|path| sandbox.image(path, 0));
    sandbox
}

fn in_weather(scenario: &str) -> Sandbox {
    let scenario = Scenario::read(scenario).expect("a scenario");
    copied(Sandbox::with(3, Weather { scenario, ..Weather::default() }))
}

/// Five texts for three answers, the copies' the same as their original's.
pub(crate) fn five_of_three(sandbox: &Sandbox) {
    oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 5, 3);
    let text = sandbox.text(FIRST).expect("a text");
    for copy in COPIES {
        assert_eq!(sandbox.text(copy).as_ref(), Some(&text), "{copy}");
    }
}

/// How the copies of the ledger stand, by the name of their file.
fn stands(sandbox: &Sandbox) -> Vec<(String, String)> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT CAST(name AS TEXT), stands FROM copy JOIN image ON id = image_id ORDER BY 1";
    let mut rows = ledger.prepare(sql).expect("query");
    let told = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    told.map(|row| row.expect("a row")).collect()
}

fn both(word: &str) -> Vec<(String, String)> {
    ["again.png", "scan 1.png"].map(|name| (name.to_owned(), word.to_owned())).into()
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("a file");
}

#[test]
fn three_of_the_same_bytes_are_one_request_and_three_texts() {
    let sandbox = archive();
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    five_of_three(&sandbox);
    assert_eq!(stands(&sandbox), both("served"));
    let (entries, again) = (oracle::entries(&sandbox.bill()).len(), sandbox.run());
    assert!(again.fault.is_none() && again.standing.done == 5, "{:?}", again.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 3, "there is nothing to do");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1);
    assert!(oracle::entries(&sandbox.bill()).len() >= entries);
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn each_is_asked_where_that_is_wanted() {
    let mut sandbox = archive();
    sandbox.set("encode.duplicates", "each");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 5);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 5);
    assert!(stands(&sandbox).is_empty());
}

#[test]
fn one_that_comes_later_gets_the_text_that_is_there() {
    let sandbox = Sandbox::new(3);
    assert!(sandbox.run().fault.is_none());
    let sandbox = copied(sandbox);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    five_of_three(&sandbox);
}

#[test]
fn halves_of_the_work_leave_copies_to_one_another() {
    let sandbox = archive();
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.packed, outcome.standing.owed, outcome.standing.copies), (3, 2, 2));
    let outcome = sandbox.work(Mode::Download { wait: true });
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    five_of_three(&sandbox);
}

#[test]
fn they_fail_for_what_is_in_the_picture() {
    let sandbox = in_weather("[[line]]\ncustom_id_contains = \"page0000\"\noutcome = \"content_filter\"\n");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (2, 3), "{:?}", outcome.standing);
    assert!(oracle::reasons(&sandbox.workspace()).values().all(|reason| reason == "content_filter"));
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 3);
    // Put back alone, one is really asked; the scenario knows its id by another name.
    assert_eq!(call(&sandbox, "retry --path work/*").0, Some(0));
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.failed), (3, 2), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 4);
    // Put back together, they are asked once, again.
    assert_eq!(call(&sandbox, "retry --where state=failed").0, Some(0));
    sandbox.run();
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 5);
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn an_answer_that_is_no_text_is_waited_out() {
    let sandbox = in_weather("[[bad]]\nhow = [\"length_cut\"]\ntimes = 1\n");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 5, "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 6, "each of the three was asked twice");
    assert_eq!(sandbox.text(COPIES[0]), sandbox.text(FIRST));
}

#[test]
fn where_the_first_is_gone_the_others_are_asked_once() {
    let sandbox = archive();
    let outcome = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(stands(&sandbox), both("waiting"));
    remove(&sandbox.corpus().join(FIRST));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (4, 1), "{:?}", outcome.standing);
    assert_eq!(oracle::reasons(&sandbox.workspace())["page0000.png"], "missing_file");
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 3);
    assert!(sandbox.text(COPIES[0]).is_some() && sandbox.text(COPIES[0]) == sandbox.text(COPIES[1]));
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn a_file_that_is_another_one_by_now_is_asked_itself() {
    let sandbox = archive();
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    sandbox.image(COPIES[0], 4711);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 5, 4);
    assert!(sandbox.text(COPIES[0]) != sandbox.text(FIRST) && sandbox.text(COPIES[1]) == sandbox.text(FIRST));
}

#[test]
fn a_persons_text_is_no_copys() {
    let sandbox = archive();
    assert!(sandbox.run().fault.is_none());
    std::fs::write(sandbox.corpus().join(format!("{FIRST}.txt")), "read by a person").expect("text");
    sandbox.image("work/later.png", 0);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 6, "{:?}", outcome.standing);
    assert_eq!(
        oracle::count(&sandbox.bill(), "line"),
        4,
        "what the machine read is not known any more: it is asked again"
    );
    assert!(sandbox.text("work/later.png").is_some_and(|text| text != "read by a person"));
}

#[test]
fn clean_makes_the_texts_of_copies_again() {
    let sandbox = archive();
    assert!(sandbox.run().fault.is_none());
    for path in [FIRST, COPIES[0], COPIES[1]] {
        remove(&sandbox.corpus().join(format!("{path}.txt")));
    }
    let outcome = sandbox.work(Mode::Clean { rebuild: false, deep: false });
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    five_of_three(&sandbox);
}

#[test]
fn rough_copies_are_cleaned_with_their_original() {
    let sandbox = in_weather("[[bad]]\nhow = [\"model_voice\"]\ntimes = 1\n");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.rough, outcome.fault.is_none()), (5, true), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 3);
    let outcome = sandbox.work(Mode::Clean { rebuild: false, deep: true });
    assert_eq!((outcome.deep_wanted, oracle::states(&sandbox.workspace())["owed"]), (3, 5));
    assert_eq!(stands(&sandbox), both("waiting"));
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (5, 0), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 6);
    assert_eq!(sandbox.text(COPIES[0]), sandbox.text(FIRST));
    let roughs = sandbox.tree().into_iter().filter(|name| name.ends_with(".api")).collect::<Vec<_>>();
    assert_eq!(roughs, Vec::<String>::new());
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn a_pilot_asks_no_page_twice() {
    let sandbox = archive();
    let outcome = sandbox.work(Mode::Pilot(5));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    five_of_three(&sandbox);
}

#[test]
fn a_changed_recipe_puts_copies_back_with_their_original() {
    let mut sandbox = archive();
    assert!(sandbox.run().fault.is_none());
    sandbox.set("request.detail", "low");
    let (exit, _, err) = call(&sandbox, "run --yes --redo stale");
    assert_eq!(exit, Some(0), "{err}");
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 5);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), 6, "three more");
    assert_eq!(stands(&sandbox), both("served"));
}

#[test]
fn unusable_texts_of_copies_are_asked_again_once() {
    let sandbox = archive();
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "validate --format json");
    assert_eq!(exit, Some(3), "{out}{err}");
    let states = oracle::states(&sandbox.workspace());
    assert_eq!(states, [("owed".to_owned(), 5)].into(), "the answer of a copy is saved under its original's name");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, oracle::count(&sandbox.bill(), "line")), (5, 6));
    assert_eq!(sandbox.text(COPIES[0]), sandbox.text(FIRST));
}

#[test]
fn they_are_told_in_plain_words() {
    let sandbox = archive();
    let told = |line: &str| {
        let (exit, out, err) = call(&sandbox, line);
        assert_eq!(exit, Some(0), "{line}: {err}");
        out
    };
    let plan: serde_json::Value = serde_json::from_str(&told("plan --json")).expect("one document");
    assert_eq!((&plan["images"]["to_ask"], &plan["images"]["copies"]), (&3.into(), &2.into()));
    let plan = told("plan");
    assert!(plan.contains(" Copies    2 are copies of others: they get the same text, paid for once"), "{plan}");
    assert!(sandbox.work(Mode::Upload).fault.is_none());
    let status = told("status");
    assert!(
        status.contains(" Copies    2 images are copies of others: paid for once; 2 wait for the answer"),
        "{status}"
    );
    assert_eq!(told("plan --json").matches("\"copies\":2").count(), 1);
    assert!(sandbox.run().fault.is_none());
    let status = told("status");
    assert!(status.contains(" Copies    2 images are copies of others: paid for once\n"), "{status}");
    let copy = told("status in/tray_1/again.png");
    assert!(copy.contains(" the same bytes as tray_0/page0000.png: "), "{copy}");
    assert!(told("audit").contains("2 images are copies of others: paid for once"));
    let provenance = told("export provenance");
    let copies: Vec<serde_json::Value> = provenance
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a document"))
        .filter(|document| document["type"] == "copy")
        .collect();
    assert_eq!(copies.len(), 2);
    assert!(
        copies.iter().all(|copy| copy["of"] == "tray_0/page0000.png" && copy["text"]["kind"] == "txt"),
        "{copies:?}"
    );
}
