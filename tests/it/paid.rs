//! What was paid for: never lost, never bought again, whatever becomes of files, folders and second batches.

use std::sync::mpsc;
use std::time::Duration;

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::{Clock, millis};
use batchscribe::kit::stop::StopLevel;
use batchscribe::pipeline::mission::{Fault, Mission, Mode, Outcome};
use batchscribe::provider::Provider as _;
use batchscribe::provider::http::Options;
use batchscribe::provider::openai::OpenAi;
use batchscribe::provider::wire::NewBatch;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::sweep::in_fast_time;

fn weather(scenario: &str) -> Weather {
    let scenario: Scenario = toml::from_str(scenario).expect("a scenario");
    Weather { scenario, ..Weather::default() }
}

/// Works off a mission that must come back by itself.
pub(crate) fn in_time(mission: Mission) -> Outcome {
    let (sender, outcome) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    outcome.recv_timeout(Duration::from_secs(40)).expect("the run ends by itself")
}

/// How many images failed for `reason`.
fn failed_for(sandbox: &Sandbox, reason: &str) -> i64 {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT count(*) FROM image WHERE state = 'failed' AND reason = ?1";
    ledger.query_row(sql, [reason], |row| row.get(0)).expect("a count")
}

#[test]
fn results_that_are_gone_for_good_end_their_images_by_name() {
    let sandbox = Sandbox::with(3, weather("[[door]]\nat = \"read_file\"\nact = \"refuse\"\nstatus = 404\n"));
    let (mut mission, _) = sandbox.mission(Mode::Run { once: false });
    let clock = Clock::manual(millis(Duration::from_secs(1_800_000_000)));
    mission.clock = clock.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(5));
            clock.advance(Duration::from_secs(2));
        }
    });
    let outcome = in_time(mission);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.failed, outcome.standing.packed), (3, 0), "{:?}", outcome.standing);
    assert_eq!(failed_for(&sandbox, "results_gone"), 3);
    assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1));
}

#[test]
fn a_text_folder_of_its_own_gets_the_folders_of_the_images() {
    let mut sandbox = Sandbox::new(4);
    sandbox.set("text.out_dir", "texts");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
    assert!(sandbox.workspace().join("texts/tray_1/page0001.png.txt").is_file());
}

#[test]
fn an_answer_whose_folder_was_away_is_not_bought_again() {
    let sandbox = Sandbox::new(4);
    sandbox.work(Mode::Upload);
    let (tray, away) = (sandbox.corpus().join("tray_1"), sandbox.workspace().join("away"));
    std::fs::rename(&tray, &away).expect("away");
    let outcome = sandbox.work(Mode::Download { wait: true });
    assert_eq!((outcome.standing.done, outcome.standing.failed), (2, 2), "{:?}", outcome.standing);
    std::fs::rename(&away, &tray).expect("back");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1), "{:?}", outcome.standing);
}

#[test]
fn answers_wait_for_an_image_folder_that_is_away() {
    let sandbox = Sandbox::new(4);
    sandbox.work(Mode::Upload);
    let away = sandbox.workspace().join("away");
    std::fs::rename(sandbox.corpus(), &away).expect("away");
    let outcome = sandbox.work(Mode::Download { wait: true });
    assert!(matches!(outcome.fault, Some(Fault::Disk(_))), "{outcome:?}");
    std::fs::rename(&away, sandbox.corpus()).expect("back");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 4);
}

/// A client of its own, beside the program's.
pub(crate) fn client(sandbox: &Sandbox) -> OpenAi {
    OpenAi::new(&Options {
        base_url: sandbox.base_url(),
        key: None,
        key_header: "Authorization: Bearer".to_owned(),
        organization: None,
        project: None,
        stall_timeout: Duration::from_secs(5),
        user_agent: "test".to_owned(),
    })
    .expect("a client")
}

/// Creates a second batch on the input file of the newest one, as a request that was sent twice would.
pub(crate) fn double_the_batch(sandbox: &Sandbox, later: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let provider = client(sandbox);
        let batch = provider.list_batches(None).await.expect("a list").batches.remove(0);
        let again = NewBatch {
            input_file_id: batch.input_file.expect("an input file"),
            endpoint: "/v1/chat/completions".to_owned(),
            completion_window: "24h".to_owned(),
            metadata: batch.metadata,
            output_expires_after: None,
        };
        tokio::time::sleep(later).await;
        provider.create_batch(&again).await.expect("a second batch");
    });
}

/// Four images whose only batch was created twice, and whether it was created at all is in doubt; `scenario` for the
/// batches.
pub(crate) fn in_doubt(scenario: &str, line_delay: Duration) -> Sandbox {
    let lost = "[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n";
    let slow = Weather { line_delay, ..weather(&format!("{lost}{scenario}")) };
    let mut sandbox = Sandbox::with(4, slow);
    sandbox.set("provider.settle", "30s");
    let (mission, stop) = sandbox.mission(Mode::Upload);
    let working = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    sandbox.await_batches(1);
    stop.raise(StopLevel::Drain);
    let outcome = working.join().expect("it comes back");
    assert_eq!(outcome.standing.shards_waiting, 1, "in doubt: {:?}", outcome.standing);
    // In another second, so that it is clear which one is older.
    double_the_batch(&sandbox, Duration::from_millis(1100));
    sandbox.set("provider.settle", "200ms");
    sandbox
}

/// The same worked off to the end.
fn doubled(scenario: &str) -> Sandbox {
    let sandbox = in_doubt(scenario, Duration::from_millis(500));
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
    assert_eq!((outcome.standing.batches_open, outcome.standing.batches_ended), (0, 0), "both were read");
    sandbox
}

#[test]
fn a_second_batch_of_a_shard_is_waited_for_and_read() {
    let sandbox = doubled("");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "ours and the second one, no third");
}

#[test]
fn what_the_first_batch_never_ran_is_taken_from_the_second_and_not_bought_again() {
    let sandbox = doubled(
        "[[batch]]\nexpire_after_lines = 2\nwhen = { times = 1 }\n
        [[batch]]\nignore_cancel = true\n",
    );
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "ours and the second one, no third");
}

#[test]
fn a_page_that_the_first_batch_refused_is_taken_from_the_second() {
    let sandbox = doubled(
        "[[line]]\ncustom_id_contains = \"page0003\"\noutcome = \"refusal\"\nwhen = { times = 1 }\n
        [[batch]]\nignore_cancel = true\n",
    );
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "ours and the second one, no third");
}

#[test]
fn a_result_file_whose_length_never_fits_is_read_as_it_is() {
    let scenario = "[[door]]\nat = \"get_file\"\nact = \"cut\"\nkeep = 0.5\n
        [[line]]\ncustom_id_contains = \"page0003\"\noutcome = \"missing\"\n";
    let sandbox = Sandbox::with(4, weather(scenario));
    let outcome = in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!((outcome.standing.done, outcome.standing.failed), (3, 1), "{:?}", outcome.standing);
    assert_eq!(failed_for(&sandbox, "results_gone"), 1, "it may have been paid for");
    let kept = oracle::all_files(&sandbox.workspace().join("batch_return"));
    assert!(kept.len() == 1 && kept[0].ends_with(".jsonl.incomplete"), "{kept:?}");
}

/// An error stands in the file far before the answer to the same image: the answer is the one that was paid for.
#[test]
fn an_answer_beats_an_error_that_stands_far_before_it() {
    for error in [r#""status_code":400,"body":{"error":{"code":"x","message":"no"}}"#, r#""status_code":500,"body":{}"#]
    {
        let sandbox = Sandbox::new(4);
        let mut life = crate::kill::command(&sandbox);
        life.env("BATCHSCRIBE_CRASH", "fetch.recorded:1");
        assert!(!crate::kill::live(life, None).expect("it ends").success());
        let mut files = std::fs::read_dir(sandbox.workspace().join("batch_return")).expect("raw files");
        let path = files.next().expect("a file").expect("entry").path();
        let raw = std::fs::read_to_string(&path).expect("lines");
        let lines: Vec<&str> = raw.lines().collect();
        let last: serde_json::Value = serde_json::from_str(lines[3]).expect("a line");
        let refused = format!(r#"{{"id":"e","custom_id":{},"response":{{{error}}},"error":null}}"#, last["custom_id"]);
        // Other lines come again and again, so that the two are not read together.
        let others = format!("{}\n{}\n{}\n", lines[0], lines[1], lines[2]).repeat(500);
        std::fs::write(&path, format!("{refused}\n{others}{}\n", lines[3])).expect("written");
        let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
        assert!(oracle::billed(&sandbox.bill()).values().all(|times| *times == 1), "paid once each: {error}");
        // The same when all are judged once more.
        let outcome = in_time(sandbox.mission(Mode::Clean { rebuild: false, deep: false }).0);
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert_eq!(outcome.standing.done, 4, "{:?}", outcome.standing);
        assert_eq!(outcome.rejudged.wanting, 0, "{:?}", outcome.rejudged);
    }
}
