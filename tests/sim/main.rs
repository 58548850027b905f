//! The seeded simulation: the real actors, the real ledger, the emulator's core and the files of a run, on one thread and a
//! clock that skips from sleeper to sleeper. Everything that happens follows from a number: what the provider does, when
//! the process is killed, how the clock is put, how long nobody starts it again. After some days the faults stop, and then
//! everything has to come to its end; bill, ledger and disk are compared by the oracle, which knows nothing of the program.
//!
//! `cargo test --test sim -- --nocapture` plays a few hundred seeds; `SIM_SEEDS=20000` that many, best with `--release`.
//! A seed that fails prints itself; `SIM_FROM=17 SIM_SEEDS=1 SIM_LOG=1` plays it again and prints all that happened.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]

#[cfg(debug_assertions)]
mod controls;
mod fate;
#[path = "../oracle/mod.rs"]
#[expect(dead_code, reason = "the stories of other tests ask for more")]
mod oracle;
mod plan;
mod provider;
mod scene;
mod store;
mod stories;
mod turn;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use plan::Plan;
use scene::{Scene, Tale};

/// Seeds that are played where nobody says otherwise.
const SEEDS: u64 = 100;
/// Lines of what happened last that are printed of a seed that fails.
const LAST: usize = 25;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What all tales of one thread come to.
#[derive(Default)]
struct Sum {
    plays: u64,
    lives: u64,
    kills: u64,
    stops: u64,
    days: f64,
    batches: usize,
    billed: usize,
    done: usize,
    failed: usize,
}

impl Sum {
    fn add(&mut self, tale: &Tale) {
        self.plays += 1;
        self.lives += tale.lives;
        self.kills += tale.kills;
        self.stops += tale.stops;
        self.days += tale.days;
        self.batches += tale.found.batches;
        self.billed += tale.found.billed;
        self.done += tale.found.done;
        self.failed += tale.found.failed.values().sum::<usize>();
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what the command is for")]
fn every_seed_keeps_the_promises() {
    let (first, seeds) = (number("SIM_FROM", 0), number("SIM_SEEDS", SEEDS));
    let whole = std::env::var_os("SIM_LOG").is_some();
    if whole {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).without_time().with_ansi(false).init();
    }
    let most_failures = number("SIM_FAILURES", 5);
    let next = AtomicU64::new(first);
    let (sum, failures) = (Mutex::new(Sum::default()), Mutex::new(Vec::new()));
    let since = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(usize::try_from(seeds).unwrap_or(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let scene = Scene::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failures.lock().expect("failures").len() as u64 >= most_failures {
                        return;
                    }
                    match scene.play(&Plan::of(seed)) {
                        Ok(tale) => sum.lock().expect("sum").add(&tale),
                        Err((why, log)) => failures.lock().expect("failures").push((seed, why, log)),
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().expect("sum");
    let failures = failures.into_inner().expect("failures");
    let seconds = since.elapsed().as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s on {threads} threads, {:.0} a second: {} lives, {} killed, {} stopped by a \
         fault; {:.0} virtual days, {} batches, {} answers charged, {} texts, {} named failures",
        sum.plays,
        sum.plays as f64 / seconds,
        sum.lives,
        sum.kills,
        sum.stops,
        sum.days,
        sum.batches,
        sum.billed,
        sum.done,
        sum.failed,
    );
    for (seed, why, log) in &failures {
        println!("seed {seed}: {why}\n{}", Plan::of(*seed));
        let last = if whole { 0 } else { log.len().saturating_sub(LAST) };
        log[last..].iter().for_each(|line| println!("  {line}"));
        println!("again: SIM_FROM={seed} SIM_SEEDS=1 SIM_LOG=1 cargo test --test sim every -- --nocapture");
    }
    assert!(failures.is_empty(), "{} seeds break a promise, see above", failures.len());
}

#[test]
fn the_same_seed_is_the_same_day() {
    let seeds = if cfg!(debug_assertions) { 0..12 } else { 0..100 };
    let scene = Scene::new();
    for seed in seeds {
        let plan = Plan::of(seed);
        let first = scene.play(&plan).expect("a good seed");
        let again = scene.play(&plan).expect("a good seed");
        assert_eq!(first.log, again.log, "seed {seed}");
    }
}
