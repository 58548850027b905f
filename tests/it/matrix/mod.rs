//! The proof matrix: every behaviour that the provider may show, one by one and together, each over a corpus of its own. Bill,
//! ledger and disk must agree at the end of every row, nothing may be paid twice, no paid answer lost, every image ended.
//!
//! `cargo test --test it matrix -- --nocapture` prints the table.

mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use batchscribe::emulator::Pace;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::{Clock, millis};
use batchscribe::kit::stop::StopLevel;
use batchscribe::pipeline::mission::{Mode, Outcome};

use crate::oracle::{self, Agreement};
use crate::sandbox::{Sandbox, Weather};

/// Images of a row.
const IMAGES: usize = 200;
/// Rows that run at a time; most of a row is waiting.
const AT_A_TIME: usize = 4;
/// A run that takes longer in real time hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// One row.
#[derive(Clone, Debug)]
struct Row {
    /// What the provider does.
    name: String,
    /// The scenario.
    scenario: toml::Table,
    /// Images that have to fail, by reason; all others have to end with a text.
    failed: &'static [(&'static str, usize)],
    /// How often the run may stop with a message, to be started again by a person; once at least, if any.
    stops: usize,
    /// The scenario lets results vanish at the provider.
    gone: bool,
    /// How long batches stay in each status.
    pace: Pace,
    /// Virtual milliseconds that pass in a real one.
    haste: u64,
}

impl Row {
    fn new(name: &str, scenario: &str) -> Self {
        Self {
            name: name.to_owned(),
            scenario: scenario.parse().unwrap_or_else(|cause| panic!("{name}: {cause}")),
            failed: &[],
            stops: 0,
            gone: false,
            pace: Pace::default(),
            haste: 1000,
        }
    }

    /// The same with what another row does, too.
    fn and(mut self, other: &Self) -> Self {
        merge(&mut self.scenario, other.scenario.clone());
        self
    }

    fn failing(self, failed: &'static [(&'static str, usize)]) -> Self {
        Self { failed, ..self }
    }

    fn stopping(self, stops: usize) -> Self {
        Self { stops, ..self }
    }

    fn gone(self) -> Self {
        Self { gone: true, ..self }
    }

    fn slow(self) -> Self {
        Self { pace: Pace::real(), ..self }
    }

    /// Batches are validated for so many seconds, and then done at once.
    fn validated_in(self, seconds: u64) -> Self {
        Self { pace: Pace { validating: Duration::from_secs(seconds), ..Pace::default() }, ..self }
    }

    fn haste(self, haste: u64) -> Self {
        Self { haste, ..self }
    }
}

/// Tables are joined member by member, lists are put one behind the other.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(toml::Value::Table(table)), toml::Value::Table(more)) => merge(table, more),
            (Some(toml::Value::Array(list)), toml::Value::Array(more)) => list.extend(more),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// Time that passes faster than anybody can wait.
struct Haste {
    clock: Clock,
    over: Arc<AtomicBool>,
}

impl Haste {
    fn new(times: u64) -> Self {
        let clock = Clock::manual(millis(Duration::from_secs(1_800_000_000)));
        let over = Arc::new(AtomicBool::new(false));
        let (ticking, until) = (clock.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                ticking.advance(Duration::from_millis(2 * times));
            }
        });
        Self { clock, over }
    }
}

impl Drop for Haste {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What came of a row.
struct Played {
    agreement: Agreement,
    complaints: Vec<String>,
}

fn play(row: &Row) -> Result<Played, String> {
    let scenario: Scenario = row.scenario.clone().try_into().map_err(|cause| format!("no scenario: {cause}"))?;
    let haste = Haste::new(row.haste);
    let plain = Weather::default();
    // Memory where there is such a disk: thousands of small files come and go, and their safety is not what is shown here.
    let disk = Some(PathBuf::from("/dev/shm")).filter(|memory| memory.is_dir()).unwrap_or(plain.disk.clone());
    let weather = Weather { scenario, pace: row.pace.clone(), clock: haste.clock.clone(), disk, ..plain };
    let mut sandbox = Sandbox::with(IMAGES, weather);
    // The rows are about the service's ways; some of them are bad for most images.
    sandbox.set("run.max_failures_percent", "unset");
    for (key, value) in [
        ("max_images_per_batch", "20"),
        ("provider.settle", "30m"),
        ("batch.poll_interval", "30s"),
        ("batch.max_poll_interval", "60s"),
    ] {
        sandbox.set(key, value);
    }
    let mut faults = Vec::new();
    loop {
        let outcome = in_time(&sandbox)?;
        let standing = outcome.standing;
        let Some(fault) = outcome.fault else {
            let complaints = complaints(row, faults.len(), standing.owed + standing.packed);
            let agreement = oracle::agreement(&sandbox.workspace(), &sandbox.bill(), row.gone);
            return Ok(Played { agreement, complaints });
        };
        faults.push(format!("{fault:?}"));
        if faults.len() > row.stops {
            return Err(format!("stopped {} times: {faults:?} {standing:?}", faults.len()));
        }
    }
}

fn complaints(row: &Row, stops: usize, open: u64) -> Vec<String> {
    let mut complaints = Vec::new();
    if (stops == 0) != (row.stops == 0) {
        complaints.push(format!("stopped {stops} times"));
    }
    if open > 0 {
        complaints.push(format!("{open} images have not ended"));
    }
    complaints
}

/// One run, which must come back by itself.
fn in_time(sandbox: &Sandbox) -> Result<Outcome, String> {
    let (mission, stop) = sandbox.mission(Mode::Run { once: false });
    let (sender, outcome) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(batchscribe::pipeline::run(mission))));
    outcome.recv_timeout(PATIENCE).map_err(|_| {
        stop.raise(StopLevel::Now);
        let left = outcome.recv_timeout(PATIENCE);
        format!("the run does not end: {:?}", left.map(|outcome| outcome.standing))
    })
}

/// What is wrong with a row; empty if nothing is.
fn verdict(row: &Row, played: &Played) -> Vec<String> {
    let found = &played.agreement;
    let mut wrong = played.complaints.clone();
    let expected: BTreeMap<String, usize> = row.failed.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect();
    if found.failed != expected {
        wrong.push(format!("failed {:?} instead of {expected:?}", found.failed));
    }
    if found.done + expected.values().sum::<usize>() != IMAGES || found.images != IMAGES {
        wrong.push(format!("{} of {} images have a text", found.done, found.images));
    }
    if found.paid_twice + found.lost > 0 {
        wrong.push(format!("{} paid twice, {} lost", found.paid_twice, found.lost));
    }
    wrong.extend(found.odd.iter().take(3).cloned());
    wrong
}

/// A line of the table.
fn told(row: &Row, played: &Result<Played, String>) -> (String, bool) {
    let mut line = format!("{:<52}", row.name);
    let wrong = match played {
        Ok(played) => {
            let Agreement { images, batches, billed, done, failed, paid_twice, lost, .. } = &played.agreement;
            let reasons: Vec<String> = failed.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
            let reasons = if reasons.is_empty() { "–".to_owned() } else { reasons.join(", ") };
            let _ = write!(line, "{images:>7}{batches:>8}{billed:>7}{done:>6}{paid_twice:>6}{lost:>5}  {reasons:<24}");
            verdict(row, played)
        }
        Err(why) => vec![why.clone()],
    };
    let good = wrong.is_empty();
    line.push_str(&if good { " holds".to_owned() } else { format!(" BROKEN: {}", wrong.join("; ")) });
    (line, good)
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn the_matrix_holds() {
    let wanted = std::env::var("MATRIX_ROW").unwrap_or_default();
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| row.name.contains(&wanted)).collect();
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, row)) = rows.get(next.load(Ordering::Relaxed)).and_then(|_| {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    Some((number, rows.get(number)?))
                }) {
                    let line = told(row, &play(row));
                    lines.lock().expect("no row panics with it").insert(number, line);
                }
            });
        }
    });
    let lines = lines.into_inner().expect("no row panics with it");
    println!(
        "{:<52}{:>7}{:>8}{:>7}{:>6}{:>6}{:>5}  {:<24} verdict",
        "scenario", "images", "batches", "billed", "done", "twice", "lost", "failed"
    );
    lines.values().for_each(|(line, _)| println!("{line}"));
    let broken = lines.values().filter(|(_, good)| !good).count();
    assert_eq!((lines.len(), broken), (rows.len(), 0), "rows that do not hold stand in the table");
}

/// A finished row of few images, whose evidence `forge` changes before the oracle looks.
fn forged(forge: impl Fn(&Sandbox)) -> Agreement {
    let sandbox = Sandbox::new(4);
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    forge(&sandbox);
    oracle::agreement(&sandbox.workspace(), &sandbox.bill(), false)
}

/// Appends a line of the bill anew, changed by `change`.
fn bill_again(sandbox: &Sandbox, change: impl Fn(&mut serde_json::Value)) {
    let bill = std::fs::read_to_string(sandbox.bill()).expect("bill");
    let line = bill.lines().find(|line| line.contains("\"what\":\"line\"")).expect("a charged line");
    let mut entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
    change(&mut entry);
    std::fs::write(sandbox.bill(), format!("{bill}{entry}\n")).expect("bill");
}

#[test]
fn the_oracle_of_the_matrix_has_teeth() {
    let clean = forged(|_| {});
    assert_eq!((clean.images, clean.done, clean.billed, clean.paid_twice, clean.lost), (4, 4, 4, 0, 0));
    assert!(clean.odd.is_empty(), "{:?}", clean.odd);
    let twice = forged(|sandbox| bill_again(sandbox, |entry| entry["batch"] = "batch_second".into()));
    assert_eq!((twice.paid_twice, twice.lost), (1, 1), "bought again, and nobody read it: {twice:?}");
    assert!(twice.odd.iter().any(|odd| odd.contains("batch_second")), "{twice:?}");
    let excused = forged(|sandbox| bill_again(sandbox, |entry| entry["withheld"] = true.into()));
    assert_eq!((excused.paid_twice, excused.lost, excused.billed), (0, 0, 5), "{excused:?}");
    let raw = forged(|sandbox| std::fs::remove_dir_all(sandbox.workspace().join("batch_return")).expect("raw"));
    assert_eq!((raw.paid_twice, raw.lost), (0, 4), "{raw:?}");
    let text = forged(|sandbox| std::fs::remove_file(sandbox.corpus().join("tray_0/page0000.png.txt")).expect("text"));
    assert_eq!(text.odd.len(), 1, "{text:?}");
    let unpaid = forged(|sandbox| std::fs::write(sandbox.bill(), "").expect("bill"));
    assert_eq!(unpaid.odd.len(), 4, "{unpaid:?}");
}
