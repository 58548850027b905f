//! The ledger is lost, or spoiled, at every stage of the work; `recover` and the ordinary run together lose nothing and pay
//! nothing twice.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::Clock;
use batchscribe::ledger::LedgerError;
use batchscribe::pipeline::mission::{Fault, Mode, Outcome};
use batchscribe::provider::Provider as _;
use batchscribe::provider::wire::Batch;

use crate::kill::{command_of, live};
use crate::oracle;
use crate::paid::{client, double_the_batch, in_time};
use crate::sandbox::{Sandbox, Weather};

fn slow() -> Weather {
    Weather { line_delay: Duration::from_millis(200), ..Weather::default() }
}

/// How a call of `recover` ended: exit code, and what it said.
fn recover(sandbox: &Sandbox, more: &[&str]) -> (Option<i32>, String) {
    let output = command_of(sandbox, "recover").args(more).stderr(Stdio::piped()).output().expect("the program starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

/// `recover` that must bring everything back.
fn recovered(sandbox: &Sandbox, more: &[&str]) -> String {
    let (exit, said) = recover(sandbox, more);
    assert_eq!(exit, Some(0), "{said}");
    said
}

fn in_batch(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.workspace().join("batch").join(name)
}

fn lose_ledger(sandbox: &Sandbox) {
    std::fs::remove_file(in_batch(sandbox, "ledger.sqlite")).expect("a ledger");
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        drop(std::fs::remove_file(in_batch(sandbox, name)));
    }
}

/// The journal and every notice are lost, too.
fn lose_traces(sandbox: &Sandbox) {
    lose_ledger(sandbox);
    std::fs::remove_file(in_batch(sandbox, "batches.jsonl")).expect("a journal");
    for name in oracle::all_files(&in_batch(sandbox, "")).into_iter().filter(|name| name.ends_with(".txt")) {
        std::fs::remove_file(in_batch(sandbox, &name)).expect("a notice");
    }
}

fn run(sandbox: &Sandbox) -> Outcome {
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    outcome
}

/// Runs to the end: every image has its text, paid for once, and the books agree.
fn ends_well(sandbox: &Sandbox, images: usize) {
    run(sandbox);
    let found = oracle::agreement(&sandbox.workspace(), &sandbox.bill(), false);
    let figures = (found.images, found.done, found.paid_twice, found.lost, found.billed);
    assert_eq!(figures, (images, images, 0, 0, images), "{found:?}");
    assert_eq!(found.odd, Vec::<String>::new());
    let audit = command_of(sandbox, "audit").status().expect("the program starts");
    assert!(audit.success(), "the balance closes");
}

/// Four images done, four more at the provider.
fn half_way() -> Sandbox {
    let sandbox = Sandbox::with(4, slow());
    run(&sandbox);
    (4..8).for_each(|n| sandbox.image(&format!("tray_2/page{n:04}.png"), n));
    sandbox.work(Mode::Upload);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2);
    sandbox
}

#[test]
fn lost_in_the_middle_of_a_run() {
    let sandbox = half_way();
    lose_ledger(&sandbox);
    let (exit, said) = recover(&sandbox, &[]);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("1 shard, 4 images that wait") && said.contains("only the provider can tell"), "{said}");
    assert!(said.contains("recover --from-account"), "{said}");
    let (mission, _) = sandbox.mission(Mode::Run { once: false });
    assert!(in_time(mission).fault.is_some(), "what waits would be paid for again");
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(
        said.contains("The ledger lacked paid work.") && said.contains("0 with answers on disk, 1 at the"),
        "{said}"
    );
    ends_well(&sandbox, 8);
}

#[test]
fn lost_in_the_middle_of_a_run_with_the_account_at_hand() {
    let sandbox = half_way();
    lose_ledger(&sandbox);
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("2 shards, 8 images that wait"), "{said}");
    assert!(said.contains("1 with answers on disk, 1 at the provider, 0 in doubt"), "{said}");
    ends_well(&sandbox, 8);
}

#[test]
fn lost_with_a_create_whose_answer_never_came() {
    for (point, created) in [("create.answered:1", 1), ("create.before:1", 0)] {
        let sandbox = Sandbox::with(4, slow());
        let mut first = command_of(&sandbox, "upload");
        first.env("BATCHSCRIBE_CRASH", point);
        assert!(!live(first, None).expect("it ends").success(), "{point}");
        assert_eq!(oracle::count(&sandbox.bill(), "create"), created, "{point}");
        lose_ledger(&sandbox);
        let said = recovered(&sandbox, &["--from-account"]);
        assert!(
            said.contains(if created == 1 { "1 at the provider, 0 in doubt" } else { "0 at the provider, 1 in doubt" }),
            "{said}"
        );
        ends_well(&sandbox, 4);
        assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "{point}");
    }
}

#[test]
fn lost_with_a_create_that_no_list_shows_yet() {
    // Two listings do not show the batch: that of `recover`, and the first one about the doubt.
    let scenario: Scenario = toml::from_str("[[batch]]\nhide_from_lists = 2\n").expect("a scenario");
    let sandbox = Sandbox::with(4, Weather { scenario, ..slow() });
    let mut first = command_of(&sandbox, "upload");
    first.env("BATCHSCRIBE_CRASH", "create.answered:1");
    assert!(!live(first, None).expect("it ends").success());
    lose_ledger(&sandbox);
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("1 in doubt"), "{said}");
    ends_well(&sandbox, 4);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1);
}

#[test]
fn lost_after_everything_was_done_and_a_person_had_edited() {
    for more in [&[][..], &["--from-account"]] {
        let sandbox = Sandbox::new(6);
        run(&sandbox);
        let edited = sandbox.corpus().join("tray_0/page0002.png.txt");
        std::fs::write(&edited, "as a person reads it\n").expect("an edit");
        std::fs::remove_file(sandbox.corpus().join("tray_1/page0001.png.txt")).expect("a text");
        lose_ledger(&sandbox);
        let said = recovered(&sandbox, more);
        assert!(said.contains("2 shards, 6 images that wait") && said.contains("2 with answers on disk"), "{said}");
        ends_well(&sandbox, 6);
        assert_eq!(std::fs::read_to_string(&edited).expect("text"), "as a person reads it\n");
        assert!(sandbox.text("tray_1/page0001.png").is_some(), "made again from its answer, for nothing");
        let ledger = rusqlite::Connection::open(in_batch(&sandbox, "ledger.sqlite")).expect("ledger");
        let kept: i64 =
            ledger.query_row("SELECT count(*) FROM image WHERE text = 'kept'", [], |row| row.get(0)).expect("count");
        assert_eq!(kept, 1, "all others are ours");
    }
}

#[test]
fn lost_with_every_trace_of_it() {
    let sandbox = half_way();
    lose_traces(&sandbox);
    let (exit, said) = recover(&sandbox, &["--from-account"]);
    assert_eq!(exit, Some(2), "{said}");
    let named = said.split("run ").find_map(|rest| rest.split_once(": 2 batches")).expect("it names the run").0;
    recovered(&sandbox, &["--from-account", "--run", named]);
    ends_well(&sandbox, 8);
}

#[test]
fn lost_with_every_trace_but_the_answers() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    lose_traces(&sandbox);
    let said = recovered(&sandbox, &[]);
    assert!(said.contains("2 shards, 6 images that wait"), "{said}");
    ends_well(&sandbox, 6);
}

#[test]
fn whatever_tells_of_a_batch_keeps_a_new_ledger_from_being_begun() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    lose_ledger(&sandbox);
    let journal = in_batch(&sandbox, "batches.jsonl");
    let begins = || {
        let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
        let lost = matches!(&outcome.fault, Some(Fault::Ledger(LedgerError::Damaged { .. })));
        assert!(lost, "{:?}", outcome.fault);
    };
    std::fs::write(&journal, "what was here is gone\n").expect("garbage");
    begins();
    std::fs::remove_file(&journal).expect("a journal");
    begins();
    std::fs::remove_dir_all(in_batch(&sandbox, "completed")).expect("notices");
    begins();
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "nothing was bought again");
    recovered(&sandbox, &[]);
    ends_well(&sandbox, 6);
}

#[test]
fn a_ledger_whose_first_pages_are_blank_is_damaged() {
    let sandbox = half_way();
    let path = in_batch(&sandbox, "ledger.sqlite");
    let mut bytes = std::fs::read(&path).expect("ledger");
    bytes[5_000..13_000].fill(0);
    std::fs::write(&path, &bytes).expect("spoiled");
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(matches!(&outcome.fault, Some(Fault::Ledger(LedgerError::Damaged { .. }))), "{:?}", outcome.fault);
}

#[test]
fn answers_on_disk_belong_to_whoever_has_them() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    lose_ledger(&sandbox);
    recovered(&sandbox, &["--set", "provider.organization=somebody-else"]);
    ends_well(&sandbox, 6);
}

#[test]
fn lost_with_the_journal_while_the_notices_are_there() {
    let sandbox = half_way();
    lose_ledger(&sandbox);
    std::fs::remove_file(in_batch(&sandbox, "batches.jsonl")).expect("a journal");
    recovered(&sandbox, &["--from-account"]);
    ends_well(&sandbox, 8);
}

#[test]
fn lost_with_the_raw_files_while_single_answers_are_there() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    lose_ledger(&sandbox);
    std::fs::remove_dir_all(sandbox.workspace().join("batch_return")).expect("raw files");
    recovered(&sandbox, &[]);
    ends_well(&sandbox, 6);
}

#[test]
fn answers_that_are_nowhere_any_more_hold_nobody_up() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    lose_ledger(&sandbox);
    for folder in ["batch_return", "batch_json_results"] {
        std::fs::remove_dir_all(sandbox.workspace().join(folder)).expect("answers");
    }
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("Nothing left  of 2 shards (6 images)"), "{said}");
    let outcome = run(&sandbox);
    assert_eq!((outcome.standing.skipped, outcome.standing.found), (6, 6), "their texts stand");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2);
}

#[test]
fn spoiled_in_its_middle_and_in_its_head() {
    for (from, many) in [(0, 200), (8 * 4096, 6 * 4096)] {
        let sandbox = half_way();
        let path = in_batch(&sandbox, "ledger.sqlite");
        let mut bytes = std::fs::read(&path).expect("ledger");
        bytes[from..from + many].fill(0x5a);
        std::fs::write(&path, &bytes).expect("spoiled");
        let said = recovered(&sandbox, &["--from-account"]);
        assert!(said.contains("The ledger was damaged: ") && said.contains(".damaged-"), "{said}");
        let kept = oracle::all_files(&in_batch(&sandbox, ""));
        let is_kept = |name: &&String| name.starts_with("ledger.sqlite.damaged-") && name.ends_with(char::is_numeric);
        let kept = kept.iter().find(is_kept).expect("it is kept");
        assert!(std::fs::read(in_batch(&sandbox, kept)).expect("kept") == bytes, "as it was");
        ends_well(&sandbox, 8);
    }
}

#[test]
fn built_upon_the_newest_backup_that_is_sound() {
    let sandbox = Sandbox::with(4, slow());
    run(&sandbox);
    let ledger = in_batch(&sandbox, "ledger.sqlite");
    std::fs::create_dir(in_batch(&sandbox, "backup")).expect("folder");
    std::fs::copy(&ledger, in_batch(&sandbox, "backup/ledger-1.sqlite")).expect("a backup");
    std::fs::write(in_batch(&sandbox, "backup/ledger-2.sqlite"), "half of it").expect("a bad backup");
    (4..8).for_each(|n| sandbox.image(&format!("tray_2/page{n:04}.png"), n));
    sandbox.work(Mode::Upload);
    std::fs::write(&ledger, "nothing of use").expect("spoiled");
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("ledger-1.sqlite") && said.contains("1 shard, 4 images that wait"), "{said}");
    ends_well(&sandbox, 8);
}

#[test]
fn an_older_copy_of_the_ledger_catches_up() {
    let sandbox = Sandbox::with(4, slow());
    run(&sandbox);
    let ledger = in_batch(&sandbox, "ledger.sqlite");
    let before = std::fs::read(&ledger).expect("ledger");
    // One image is another picture by now, so that it is asked for again.
    sandbox.image("tray_0/page0000.png", 77);
    (4..7).for_each(|n| sandbox.image(&format!("tray_2/page{n:04}.png"), n));
    run(&sandbox);
    std::fs::write(&ledger, before).expect("restored");
    let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_some(), "it lacks paid work");
    recovered(&sandbox, &[]);
    run(&sandbox);
    oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 7, 8);
}

#[test]
fn an_image_of_several_shards_belongs_to_the_newest() {
    let sandbox = Sandbox::new(6);
    run(&sandbox);
    sandbox.image("tray_0/page0000.png", 77);
    run(&sandbox);
    let text = sandbox.text("tray_0/page0000.png");
    for more in [&[][..], &["--from-account"]] {
        lose_ledger(&sandbox);
        recovered(&sandbox, more);
        run(&sandbox);
        oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 6, 7);
        assert_eq!(sandbox.text("tray_0/page0000.png"), text);
    }
}

#[test]
fn second_batches_are_brought_back_as_such() {
    let sandbox = Sandbox::with(4, slow());
    sandbox.work(Mode::Upload);
    double_the_batch(&sandbox, Duration::ZERO);
    sandbox.work(Mode::Upload);
    lose_ledger(&sandbox);
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("2 at the provider"), "{said}");
    run(&sandbox);
    oracle::finished_beside_strays(&sandbox.workspace(), 4);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "no third");
}

#[test]
fn what_expired_is_asked_again_and_nothing_else() {
    let scenario: Scenario =
        toml::from_str("[[batch]]\nexpire_after_lines = 2\nwhen = { times = 1 }\n").expect("a scenario");
    let sandbox = Sandbox::with(4, Weather { scenario, ..Weather::default() });
    sandbox.work(Mode::Upload);
    lose_ledger(&sandbox);
    recovered(&sandbox, &["--from-account"]);
    run(&sandbox);
    oracle::done_once(&sandbox.workspace(), &sandbox.bill(), 4);
}

#[test]
fn a_whole_ledger_is_left_alone() {
    let sandbox = half_way();
    let path = in_batch(&sandbox, "ledger.sqlite");
    let before = std::fs::read(&path).expect("ledger");
    for more in [&[][..], &["--from-account"]] {
        let said = recovered(&sandbox, more);
        assert!(said.starts_with("The ledger is whole: nothing is to be recovered.\n"), "{said}");
        assert_eq!(std::fs::read(&path).expect("ledger"), before);
    }
    ends_well(&sandbox, 8);
}

#[test]
fn nothing_to_build_from_is_said() {
    let sandbox = Sandbox::new(2);
    let said = recovered(&sandbox, &[]);
    assert!(said.starts_with("There is no ledger, and nothing that one could be built from.\n"), "{said}");
    assert!(!in_batch(&sandbox, "ledger.sqlite").exists());
}

#[test]
fn another_folder_of_images_brings_nothing_back_and_changes_nothing() {
    let sandbox = half_way();
    lose_ledger(&sandbox);
    std::fs::create_dir(sandbox.workspace().join("elsewhere")).expect("folder");
    let (exit, said) = recover(&sandbox, &["elsewhere", "--from-account"]);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("none of its images lies in the image folder"), "{said}");
    recovered(&sandbox, &["--from-account"]);
    ends_well(&sandbox, 8);
}

#[test]
fn somebody_else_at_work_is_named() {
    let sandbox = Sandbox::with(2, Weather { line_delay: Duration::from_secs(3600), ..Weather::default() });
    let mut first = command_of(&sandbox, "run").spawn().expect("the program starts");
    sandbox.await_batches(1);
    let (exit, said) = recover(&sandbox, &[]);
    first.kill().expect("it is still there");
    first.wait().expect("it ends");
    assert_eq!(exit, Some(11), "{said}");
    assert!(said.contains("error[E401]: another batchscribe works here"), "{said}");
}

#[test]
fn a_provider_that_is_not_there_changes_nothing() {
    let mut sandbox = half_way();
    lose_ledger(&sandbox);
    let files = || {
        let mut files = oracle::all_files(&in_batch(&sandbox, ""));
        files.retain(|name| name != "ledger.lock");
        files
    };
    let before = files();
    let (exit, said) =
        recover(&sandbox, &["--from-account", "--set", "api_url=http://127.0.0.1:9/v1/chat/completions"]);
    assert_eq!(exit, Some(5), "{said}");
    assert_eq!(files(), before);
    // Other verbs say what has to be done first.
    for verb in ["run", "download", "status", "audit"] {
        let output = command_of(&sandbox, verb).stderr(Stdio::piped()).output().expect("the program starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(
            output.status.code() == Some(2) && said.contains("batchscribe recover IMAGE_DIR  builds it again"),
            "{verb}: {said}"
        );
    }
    sandbox.set("max_images_per_batch", "2");
    recovered(&sandbox, &["--from-account"]);
    ends_well(&sandbox, 8);
}

#[test]
fn an_older_copy_waits_for_what_was_fetched_since() {
    let sandbox = Sandbox::with(4, slow());
    sandbox.work(Mode::Upload);
    let ledger = in_batch(&sandbox, "ledger.sqlite");
    let before = std::fs::read(&ledger).expect("ledger");
    run(&sandbox);
    for (keep_answers, nothing_to_do) in [(true, false), (false, true)] {
        std::fs::write(&ledger, &before).expect("restored");
        if !keep_answers {
            for folder in ["batch_return", "batch_json_results"] {
                std::fs::remove_dir_all(sandbox.workspace().join(folder)).expect("answers");
            }
        }
        let outcome = in_time(sandbox.mission(Mode::Run { once: false }).0);
        assert!(outcome.fault.is_some(), "its files are gone at the provider");
        recovered(&sandbox, &[]);
        if nothing_to_do {
            let said = recovered(&sandbox, &[]);
            assert!(said.starts_with("The ledger is whole"), "{said}");
        } else {
            ends_well(&sandbox, 4);
        }
    }
}

#[test]
fn lost_at_moments_of_a_run_of_120_pages() {
    for moment in [40, 120, 260, 420] {
        let mut sandbox = Sandbox::with(120, Weather { line_delay: Duration::from_millis(10), ..Weather::default() });
        sandbox.set("max_images_per_batch", "10");
        let _ended = live(command_of(&sandbox, "run"), Some(Duration::from_millis(moment)));
        if in_batch(&sandbox, "ledger.sqlite").exists() {
            lose_ledger(&sandbox);
        }
        recovered(&sandbox, &["--from-account"]);
        ends_well(&sandbox, 120);
    }
}

#[test]
fn what_was_asked_otherwise_is_judged_as_it_was_asked() {
    for point in ["create.answered:1", "create.before:1"] {
        let mut sandbox = Sandbox::with(4, slow());
        let mut first = command_of(&sandbox, "upload");
        first.env("BATCHSCRIBE_CRASH", point);
        assert!(!live(first, None).expect("it ends").success(), "{point}");
        lose_ledger(&sandbox);
        // Meanwhile another model and another form of answer were set.
        sandbox.set("request.model", "another");
        sandbox.set("request.answer_format", "json");
        recovered(&sandbox, &["--from-account"]);
        let ledger = rusqlite::Connection::open(in_batch(&sandbox, "ledger.sqlite")).expect("ledger");
        let sql = "SELECT r.model FROM shard s JOIN recipe r ON r.id = s.recipe_id";
        let model: String = ledger.query_row(sql, [], |row| row.get(0)).expect("a shard");
        assert_ne!(model, "another", "it was asked before that");
        drop(ledger);
        ends_well(&sandbox, 4);
    }
}

#[test]
fn copied_every_hour_of_work() {
    let sandbox = Sandbox::with(8, Weather { line_delay: Duration::from_millis(500), ..Weather::default() });
    let outcome = crate::sweep::in_fast_time(sandbox.mission(Mode::Run { once: false }).0);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    std::fs::write(in_batch(&sandbox, "ledger.sqlite"), "spoiled").expect("spoiled");
    let said = recovered(&sandbox, &[]);
    assert!(said.contains(" Built upon    ") && said.contains("/batch/backup/ledger-"), "{said}");
    ends_well(&sandbox, 8);
}

/// The newest batch at the provider, once `wanted`; `delete`: its input file is deleted.
fn newest_batch(sandbox: &Sandbox, delete: bool, wanted: impl Fn(&Batch) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let provider = client(sandbox);
        loop {
            let batch = provider.list_batches(None).await.expect("a list").batches.remove(0);
            if wanted(&batch) {
                let input = batch.input_file.expect("an input file");
                return if delete {
                    provider.delete_file(&input).await.map(drop).expect("deleted")
                };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_batch_whose_input_file_is_gone_tells_by_its_answers_whom_it_asked() {
    // The service's clock stands still until it is told: however slow this machine, the batch has not ended before.
    let clock = Clock::manual(1_800_000_000_000);
    let weather = Weather { line_delay: Duration::from_secs(60), clock: clock.clone(), ..Weather::default() };
    let sandbox = Sandbox::with(4, weather);
    sandbox.work(Mode::Upload);
    let tick = |by: u64| clock.advance(Duration::from_secs(by));
    newest_batch(&sandbox, true, |batch| {
        tick(1);
        batch.status == "in_progress"
    });
    lose_ledger(&sandbox);
    let (exit, said) = recover(&sandbox, &["--from-account"]);
    assert!(exit == Some(2) && said.contains("its input file is gone, and it has not ended yet"), "{said}");
    assert!(said.contains("the same command again once they have ended"), "{said}");
    newest_batch(&sandbox, false, |batch| {
        tick(600);
        batch.status == "completed"
    });
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("1 with answers on disk"), "{said}");
    ends_well(&sandbox, 4);
}

/// A line of the journal with another time.
fn with_time(line: &str, at: i64) -> String {
    let mut entry: serde_json::Value = serde_json::from_str(line).expect("a line");
    entry["at"] = at.into();
    entry.to_string()
}

#[test]
fn an_intent_whose_input_file_is_gone_comes_to_nothing() {
    let sandbox = Sandbox::with(4, slow());
    let mut first = command_of(&sandbox, "upload");
    first.env("BATCHSCRIBE_CRASH", "create.before:1");
    assert!(!live(first, None).expect("it ends").success());
    let journal = std::fs::read_to_string(in_batch(&sandbox, "batches.jsonl")).expect("a journal");
    let file = journal.split("\"file\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a file");
    let file = batchscribe::domain::ids::FileId(file.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { client(&sandbox).delete_file(&file).await.expect("deleted") });
    lose_ledger(&sandbox);
    // The list shows nothing of the run: so would the list of another project's key.
    let (exit, said) = recover(&sandbox, &["--from-account"]);
    assert!(exit == Some(2) && said.contains("the provider does not know it with this key"), "{exit:?} {said}");
    // What is as old as that is gone, whoever's key it is.
    let path = in_batch(&sandbox, "batches.jsonl");
    let journal = std::fs::read_to_string(&path).expect("a journal");
    let old: Vec<String> = journal.lines().map(|line| with_time(line, 1_000)).collect();
    std::fs::write(&path, old.join("\n") + "\n").expect("a journal");
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("Nothing left  of 1 shard (4 images)") && said.contains("4 owed"), "{said}");
    ends_well(&sandbox, 4);
}

#[test]
fn ids_that_tell_no_path_are_looked_up_all_the_same() {
    let mut sandbox = Sandbox::with(4, slow());
    sandbox.set("text.custom_id", "opaque");
    sandbox.image("tray_0/a|b.png", 91);
    run(&sandbox);
    sandbox.image("tray_0/late.png", 92);
    sandbox.work(Mode::Upload);
    lose_ledger(&sandbox);
    let said = recovered(&sandbox, &["--from-account"]);
    assert!(said.contains("6 images that wait"), "{said}");
    ends_well(&sandbox, 6);
}
