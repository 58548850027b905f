//! The real program, killed where it hurts, then started again with the same command until it ends. The emulator outlives it,
//! and its bill says whether anything was paid twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batchscribe::domain::ids::ImageId;
use batchscribe::kit::clock::Clock;
use batchscribe::ledger::records::Allowed;
use batchscribe::ledger::sqlite::SqliteStore;
use batchscribe::ledger::store::{Frame as _, Store as _};
use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// A walk of the program, and what has to hold at its end.
struct Story {
    name: &'static str,
    /// The command.
    line: &'static [&'static str],
    /// A workspace just before the command.
    prepare: fn() -> Sandbox,
    /// How many times as fast the program's clock goes.
    haste: u32,
    ends: fn(&Sandbox),
}

const RUN: &[&str] = &["run"];

const STORIES: [Story; 19] = [
    Story { name: "straight", line: RUN, prepare: || Sandbox::new(6), haste: 1, ends: six },
    Story { name: "asked again", line: RUN, prepare: asked_again, haste: 1, ends: six_and_one_more },
    Story { name: "adopted", line: RUN, prepare: || stormy(CREATED_AND_LOST), haste: 1, ends: six },
    Story { name: "voided", line: RUN, prepare: || stormy(NEVER_CREATED), haste: 1, ends: six },
    Story { name: "refused", line: RUN, prepare: || hurried(NOT_NOW, None), haste: 50, ends: six },
    Story { name: "turned away", line: RUN, prepare: || hurried(QUEUE_FULL, None), haste: 50, ends: six },
    Story { name: "too large", line: RUN, prepare: || hurried("", Some(700)), haste: 50, ends: six },
    Story {
        name: "made ready",
        line: RUN,
        prepare: crate::prepared::archive,
        haste: 1,
        ends: crate::prepared::six_of_five,
    },
    Story { name: "copies", line: RUN, prepare: crate::copies::archive, haste: 1, ends: crate::copies::five_of_three },
    Story { name: "spooled", line: RUN, prepare: spooled, haste: 1, ends: six },
    Story { name: "changed", line: RUN, prepare: changed, haste: 1, ends: six },
    Story { name: "another account", line: RUN, prepare: crate::unsent::for_another_account, haste: 1, ends: six },
    Story { name: "other settings", line: RUN, prepare: crate::unsent::with_other_settings, haste: 1, ends: six },
    Story {
        name: "stray",
        line: RUN,
        prepare: || crate::paid::in_doubt("", Duration::from_millis(50)),
        haste: 1,
        ends: four,
    },
    Story {
        name: "recovered",
        line: &["recover", "--from-account"],
        prepare: spoiled,
        haste: 1,
        ends: six_after_a_run,
    },
    Story {
        name: "validated",
        line: &["validate", "--format", "json"],
        prepare: unusable,
        haste: 1,
        ends: four_and_two,
    },
    Story {
        name: "cleaned tree",
        line: &["clean", "old"],
        prepare: crate::clean_tree::unclean,
        haste: 1,
        ends: crate::clean_tree::is_cleaned,
    },
    Story { name: "cleaned deeply", line: RUN, prepare: rough, haste: 1, ends: six_without_chatter },
    Story { name: "read anew", line: RUN, prepare: rough_and_ordered, haste: 1, ends: six_without_chatter },
];

/// A remark of the machine in the middle of every first answer.
const ROUGH: &str = "[[bad]]\nhow = [\"model_voice\"]\ntimes = 1\n";

const CREATED_AND_LOST: &str = "[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n";
const NEVER_CREATED: &str = "[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n";
const NOT_NOW: &str = "[[door]]\nat = \"create_batch\"\nact = \"refuse\"\nstatus = 429\nwhen = { times = 1 }\n";
const QUEUE_FULL: &str =
    "[[batch]]\nfail = { code = \"token_limit_exceeded\", message = \"Enqueued token limit reached\" }
    when = { times = 1 }\n";

fn weather(scenario: &str) -> Weather {
    Weather { scenario: toml::from_str(scenario).expect("a scenario"), ..Weather::default() }
}

fn stormy(scenario: &str) -> Sandbox {
    Sandbox::with(6, weather(scenario))
}

/// For a clock that runs ahead: it looks as often as the others do in real time.
fn hurried(scenario: &str, enqueued_tokens: Option<u64>) -> Sandbox {
    let mut sandbox = Sandbox::with(6, Weather { enqueued_tokens, ..weather(scenario) });
    for (key, value) in [("batch.poll_interval", "3s"), ("batch.max_poll_interval", "5s"), ("provider.settle", "10s")] {
        sandbox.set(key, value);
    }
    sandbox
}

fn asked_again() -> Sandbox {
    let sandbox = Sandbox::new(6);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    sandbox.image("tray_0/page0000.png", 77);
    sandbox
}

fn spooled() -> Sandbox {
    let mut sandbox = Sandbox::new(6);
    sandbox.set("shard.spool", "true");
    sandbox
}

/// Every first answer is rough, and goes back at once.
fn rough() -> Sandbox {
    let mut sandbox = stormy(ROUGH);
    sandbox.set("clean.deep_clean", "true");
    sandbox
}

/// Six rough texts that a person has put back to be read anew.
fn rough_and_ordered() -> Sandbox {
    let sandbox = stormy(ROUGH);
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.rough, outcome.fault.is_none()), (6, true), "{:?}", outcome.standing);
    let allowed = Allowed { attempts: 3, returns: 10, deep_clean: false, enqueued_tokens: None, max_cost: None };
    let path = sandbox.settings().layout().ledger();
    let mut store = SqliteStore::open(&path, Clock::wall(), allowed).expect("the ledger");
    store.begin().expect("begun");
    assert_eq!(store.ask_again(&(1..=6).map(ImageId).collect::<Vec<_>>(), None).expect("put back"), 6);
    store.commit().expect("committed");
    store.close().expect("closed");
    sandbox
}

/// Six texts, and none of the machine's words in them or beside them.
fn six_without_chatter(sandbox: &Sandbox) {
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (6, 0), "{:?}", outcome.standing);
    for n in 0..6 {
        let image = format!("tray_{}/page{n:04}.png", n % 2);
        let text = sandbox.text(&image).unwrap_or_else(|| panic!("{image} has a text"));
        assert!(!text.contains("As an AI"), "{image}: {text}");
        assert!(!sandbox.corpus().join(format!("{image}.txt.api")).exists(), "{image} is rough no more");
    }
}

/// Every shard is sealed, then an image changes.
fn changed() -> Sandbox {
    let sandbox = Sandbox::new(6);
    let outcome = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    sandbox.image("tray_1/page0001.png", 7_777);
    sandbox
}

/// Four images done, two at the provider, and the ledger spoiled.
fn spoiled() -> Sandbox {
    let sandbox = Sandbox::new(4);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    (4..6).for_each(|n| sandbox.image(&format!("tray_2/page{n:04}.png"), n));
    sandbox.work(Mode::Upload);
    std::fs::write(sandbox.workspace().join("batch/ledger.sqlite"), "spoiled").expect("spoiled");
    sandbox
}

/// Six images done whose texts are no JSON; of two of them every answer is gone.
fn unusable() -> Sandbox {
    let sandbox = Sandbox::new(6);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    for name in sandbox.tree().iter().filter(|name| name.starts_with("batch_return/")) {
        let raw = sandbox.workspace().join(name);
        if std::fs::read_to_string(&raw).expect("raw").lines().count() == 2 {
            let batch = raw.file_stem().expect("a name").to_owned();
            std::fs::remove_file(raw).expect("raw");
            std::fs::remove_dir_all(sandbox.workspace().join("batch_json_results").join(batch)).expect("answers");
        }
    }
    sandbox
}

/// Four are owed again without a text, two have kept theirs as rough ones.
fn four_and_two(sandbox: &Sandbox) {
    let states = [("owed".to_owned(), 4), ("rough".to_owned(), 2)].into();
    assert_eq!(oracle::states(&sandbox.workspace()), states);
    let ends = |ending: &str| sandbox.tree().iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!((ends(".png.txt"), ends(".png.txt.api"), ends(".tmp")), (0, 2, 0));
}

fn six_after_a_run(sandbox: &Sandbox) {
    ends_well(sandbox, "recovered");
    six(sandbox);
}

fn six(sandbox: &Sandbox) {
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 6);
}

fn six_and_one_more(sandbox: &Sandbox) {
    oracle::finished_with(&sandbox.workspace(), &sandbox.bill(), 6, 7);
}

fn four(sandbox: &Sandbox) {
    oracle::finished_beside_strays(&sandbox.workspace(), 4);
}

/// Longest that one life may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn command(sandbox: &Sandbox) -> Command {
    command_of(sandbox, "run")
}

pub(crate) fn command_of(sandbox: &Sandbox, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.arg("--workspace").arg(sandbox.workspace()).args(["--no-config", "--yes", "--plain"]);
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let words = std::fs::File::create(sandbox.words()).expect("a file for its words");
    command.arg(verb).env_clear().current_dir(sandbox.workspace());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
    command
}

/// Runs to the end, or to the kill; `None` if it had to be killed because time ran out.
pub(crate) fn live(mut command: Command, killed_after: Option<Duration>) -> Option<ExitStatus> {
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

/// Whether a life came to its end; `validate` tells by its exit code what it found.
fn ended(story: &Story, status: ExitStatus) -> bool {
    status.success() || story.name == "validated" && status.code() == Some(3)
}

fn ends_well(sandbox: &Sandbox, story: &str) {
    let status = live(command(sandbox), None).unwrap_or_else(|| panic!("{story}: it does not end"));
    assert!(status.success(), "{story}: {status}\n{}", words(sandbox));
}

/// Visits of each point in one undisturbed life.
fn visits(story: &Story) -> BTreeMap<String, u32> {
    let sandbox = (story.prepare)();
    let noted = sandbox.workspace().join("visits.txt");
    let mut command = hasty(&sandbox, story);
    command.env("BATCHSCRIBE_VISITS", &noted);
    let status = live(command, None).unwrap_or_else(|| panic!("{}: it does not end", story.name));
    assert!(ended(story, status), "{}: {status}\n{}", story.name, words(&sandbox));
    (story.ends)(&sandbox);
    let mut visits = BTreeMap::new();
    for name in std::fs::read_to_string(&noted).expect("visits").lines() {
        *visits.entry(name.to_owned()).or_default() += 1;
    }
    visits
}

fn hasty(sandbox: &Sandbox, story: &Story) -> Command {
    let mut command = command_of(sandbox, story.line[0]);
    command.args(&story.line[1..]).env("BATCHSCRIBE_HASTE", story.haste.to_string());
    command
}

fn words(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.words()).unwrap_or_default()
}

/// Killed at one visit of a point, then started until it ends. Tells whether the kill came.
fn killed(story: &Story, point: &str, visit: u32) -> bool {
    let sandbox = (story.prepare)();
    let title = format!("{}, {point}:{visit}", story.name);
    let mut first = hasty(&sandbox, story);
    first.env("BATCHSCRIBE_CRASH", format!("{point}:{visit}"));
    let came = !ended(story, live(first, None).unwrap_or_else(|| panic!("{title}: it does not end")));
    let status = live(hasty(&sandbox, story), None).unwrap_or_else(|| panic!("{title}: the next life does not end"));
    assert!(ended(story, status), "{title}: {status}\n{}", words(&sandbox));
    (story.ends)(&sandbox);
    came
}

/// Names of all points, read from the source.
fn points_of_the_source() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in oracle::all_files(&source).into_iter().filter(|name| name.ends_with(".rs")) {
        let text = std::fs::read_to_string(source.join(file)).expect("source");
        let calls = text.split("crash::point(\"").skip(1);
        names.extend(calls.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()));
    }
    names
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of the proof")]
fn killed_at_each_named_point_nothing_is_lost_and_nothing_paid_twice() {
    let mut kills: Vec<(usize, String, u32, bool)> = Vec::new();
    let mut reached = BTreeSet::new();
    for (number, story) in STORIES.iter().enumerate() {
        for (point, visits) in visits(story) {
            if reached.insert(point.clone()) {
                kills.push((number, point.clone(), 1, true));
                // How often the last ones are visited depends on threads: that kill may come to nothing.
                kills.extend((visits > 1).then_some((number, point, visits, false)));
            }
        }
    }
    let mut all = points_of_the_source();
    // A server ends by no command of a story; it is killed where its own stories are told.
    assert!(all.remove(crate::review::KILLED_AT), "a point of the source");
    assert_eq!(all.difference(&reached).collect::<Vec<_>>(), Vec::<&String>::new(), "points that no story reaches");
    assert!(all.len() >= 40, "{} points", all.len());
    println!("{} points in {} stories, {} kills", all.len(), STORIES.len(), kills.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((story, point, visit, surely)) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let came = killed(&STORIES[*story], point, *visit);
                    assert!(came || !surely, "{point}:{visit} was not reached");
                }
            });
        }
    });
}

/// As [`live`], killed once the life has visited so many points of the program: a moment that no slow machine moves.
fn live_for(sandbox: &Sandbox, points: usize) -> ExitStatus {
    let noted = sandbox.workspace().join("visits.txt");
    drop(std::fs::remove_file(&noted));
    let mut command = command(sandbox);
    let mut child = command.env("BATCHSCRIBE_VISITS", &noted).spawn().expect("the program starts");
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        let visited = std::fs::read_to_string(&noted).map_or(0, |visits| visits.lines().count());
        if visited >= points || begun.elapsed() >= PATIENCE {
            child.kill().expect("killed");
            return child.wait().expect("a child");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_ten_moments_of_a_run_of_400_pages() {
    // No batch ends within its first second: the kills meet every stage.
    let mut sandbox = Sandbox::with(400, Weather { line_delay: Duration::from_millis(50), ..Weather::default() });
    sandbox.set("max_images_per_batch", "25");
    let mut killed = 0;
    // Moments spread over the whole run; each life goes on where the last one was cut off.
    for points in [6, 14, 4, 20, 9, 40, 16, 5, 60, 12, 90, 7] {
        killed += u32::from(!live_for(&sandbox, points).success());
    }
    assert!(killed >= 10, "only {killed} of the kills hit a living program");
    ends_well(&sandbox, "the last life");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 400);
}
