//! The money limit: what was billed never exceeds it, whatever happens on the way; and with more of it the same command goes on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::kill::{command, live};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::engine::{Answered, ChatRequest, Engine};
use batchscribe::ledger::records::Standing;
use batchscribe::pipeline::mission::{Fault, Mode, Outcome};

/// Millionths of a USD: gpt-4.1's price through Batch, a prompt token and one of output.
const INPUT: f64 = 1.0;
const OUTPUT: f64 = 4.0;
/// Most output tokens of a page.
const MOST: &str = "200";

/// Echoes; every third prompt comes from a cache for the most part, and none costs less for that as far as anybody knows.
struct Remembering(Echo);

impl Engine for Remembering {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn answer(&self, request: &ChatRequest<'_>) -> Answered {
        let mut said = self.0.answer(request)?;
        let image =
            request.images.first().map_or(0, |image| image.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        if image.is_multiple_of(3) {
            said.cached_tokens = said.prompt_tokens / 2;
        }
        Ok(said)
    }
}

fn priced(pages: usize, weather: Weather) -> Sandbox {
    let mut sandbox = Sandbox::with(pages, Weather { engine: Arc::new(Remembering(Echo::new())), ..weather });
    for (key, value) in
        [("request.model", "gpt-4.1"), ("request.max_output_tokens", MOST), ("max_images_per_batch", "400")]
    {
        sandbox.set(key, value);
    }
    sandbox
}

fn scenario(text: &str) -> Weather {
    Weather { scenario: toml::from_str(text).expect("a scenario"), ..Weather::default() }
}

/// What the auditor's bill comes to at the full price, in millionths of a USD: whatever was billed, answers that never came
/// included. A direct question costs twice as much.
fn billed(bill: &Path) -> f64 {
    let [batches, directly] = oracle::tokens(bill);
    let cost = |(prompt, output): (u64, u64)| prompt as f64 * INPUT + output as f64 * OUTPUT;
    cost(batches) + 2.0 * cost(directly)
}

/// What one page costs, from a run of its own.
fn of_one_page() -> f64 {
    let sandbox = priced(1, Weather::default());
    let outcome = sandbox.run();
    assert_eq!(outcome.standing.done, 1, "{:?}", outcome.fault);
    billed(&sandbox.bill())
}

/// Pages that money for a third of them is there for; a batch answers for long enough that all could be open at once.
pub(crate) fn scarce() -> Sandbox {
    let mut sandbox = priced(60, Weather { line_delay: Duration::from_millis(400), ..Weather::default() });
    sandbox.set("run.max_cost", &usd(SCARCE));
    sandbox
}

/// Some twenty pages, in millionths of a USD.
const SCARCE: f64 = 10_000.0;

pub(crate) fn within_the_limit(sandbox: &Sandbox) {
    let spent = billed(&sandbox.bill());
    assert!(spent > SCARCE / 2.0 && spent <= SCARCE, "{spent} of {SCARCE}");
}

fn usd(micros: f64) -> String {
    format!("{:.6}", micros / 1e6)
}

/// Whether it ended for want of money, with everything finished that was paid for.
fn ran_out(outcome: &Outcome) -> bool {
    let standing = &outcome.standing;
    assert_eq!((standing.batches_open, standing.batches_ended), (0, 0), "{standing:?}");
    matches!(outcome.fault, Some(Fault::NoMoney(_)))
}

#[test]
fn the_limit_is_never_crossed_and_more_of_it_goes_on() {
    let pages = 3_000;
    // A page in twenty is cut and asked again with more room, and batches expire in their middle.
    let weather = scenario(
        "seed = 3\n[[line]]\noutcome = \"length_cut\"\nwhen = { chance = 0.05 }\n\
         [[batch]]\nexpire_after_lines = 9\nwhen = { chance = 0.3 }\n",
    );
    let mut sandbox = priced(pages, weather);
    let limit = of_one_page() * 1_000.0;
    sandbox.set("run.max_cost", &usd(limit));
    let outcome = sandbox.run();
    assert!(ran_out(&outcome), "{outcome:?}");
    let (spent, done) = (billed(&sandbox.bill()), outcome.standing.done);
    assert!(spent <= limit, "{spent} of {limit}");
    assert!(spent > limit * 0.9 && done > 500, "{done} pages for {spent} of {limit}");

    sandbox.set("run.max_cost", &usd(limit * 10.0));
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.standing.done, pages as u64, "{:?}", outcome.standing);
    assert!(billed(&sandbox.bill()) <= limit * 10.0);
}

#[test]
fn killed_lives_in_between_change_nothing() {
    let mut sandbox = priced(120, Weather::default());
    let limit = of_one_page() * 60.0;
    sandbox.set("run.max_cost", &usd(limit));
    for point in
        ["seal.recorded:3", "intent.journalled:2", "create.answered:2", "ended.recorded:1", "settle.recorded:2"]
    {
        let mut life = command(&sandbox);
        life.env("BATCHSCRIBE_CRASH", point);
        let status = live(life, None).expect("it ends");
        assert!(billed(&sandbox.bill()) <= limit, "{point}: {status}");
    }
    let status = live(command(&sandbox), None).expect("it ends");
    let words = std::fs::read_to_string(sandbox.words()).expect("words");
    assert_eq!(status.code(), Some(8), "{words}");
    assert!(words.contains("error[E306]: money limit reached: $") && words.contains("\n Money     $0.0"), "{words}");
    let spent = billed(&sandbox.bill());
    assert!(spent <= limit && spent > limit * 0.8, "{spent} of {limit}");

    sandbox.set("run.max_cost", &usd(limit * 3.0));
    let status = live(command(&sandbox), None).expect("it ends");
    assert!(status.success(), "{}", std::fs::read_to_string(sandbox.words()).expect("words"));
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 120);
}

#[test]
fn where_no_answers_are_waited_for_as_much_is_sent_as_the_worst_case_allows() {
    for mode in [Mode::Upload, Mode::Run { once: true }] {
        let pace = Duration::from_millis(120);
        let mut sandbox = priced(60, Weather { line_delay: pace, ..Weather::default() });
        let limit = of_one_page() * 40.0;
        sandbox.set("run.max_cost", &usd(limit));
        let outcome = sandbox.work(mode.clone());
        assert!(matches!(outcome.fault, Some(Fault::NoMoney(_))), "{mode:?} {outcome:?}");
        // Whether the rest is planned already is a matter of pace.
        let Standing { batches_open, owed, sealed, .. } = outcome.standing;
        assert!(batches_open > 0 && owed + sealed > 0, "{mode:?} {:?}", outcome.standing);
        assert_eq!(oracle::count(&sandbox.bill(), "upload"), oracle::count(&sandbox.bill(), "create"), "{mode:?}");
        let outcome = sandbox.run();
        assert!(ran_out(&outcome) && billed(&sandbox.bill()) <= limit, "{mode:?} {outcome:?}");
    }
}

#[test]
fn nothing_is_sent_that_cannot_be_paid_for_or_has_no_price() {
    let mut sandbox = priced(3, Weather::default());
    sandbox.set("run.max_cost", "0.0001");
    let outcome = sandbox.run();
    let Some(Fault::NoMoney(shortage)) = outcome.fault else { panic!("{outcome:?}") };
    assert!(shortage.need > shortage.limit, "not even one page: {shortage:?}");
    assert_eq!(oracle::entries(&sandbox.bill()).len(), 0, "nothing left this computer");

    let mut sandbox = priced(3, Weather::default());
    sandbox.set("run.max_cost", "5");
    sandbox.set("request.model", "nobody-knows-what-it-costs");
    let outcome = sandbox.run();
    assert!(matches!(&outcome.fault, Some(Fault::NoPrice(model)) if model.starts_with("nobody")), "{outcome:?}");
    assert_eq!(oracle::entries(&sandbox.bill()).len(), 0, "nothing left this computer");

    sandbox.set("run.max_cost", "0");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.fault.is_none()), (3, true), "no limit, no price needed");
}

#[test]
fn a_plan_from_a_time_of_lower_prices_is_paid_at_those_of_today() {
    let mut sandbox = priced(12, Weather::default());
    let outcome = sandbox.work(Mode::SpoolOnly(sandbox.workspace().join("jsonl")));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    // As it would lie there if everything had cost a hundredth on that day.
    let ledger = rusqlite::Connection::open(sandbox.settings().layout().ledger()).expect("the ledger");
    let cheap = "UPDATE price SET input_pusd = input_pusd / 100, cached_pusd = cached_pusd / 100, output_pusd = output_pusd / 100;
        UPDATE shard SET worst_musd = worst_musd / 100";
    ledger.execute_batch(cheap).expect("cheap");
    drop(ledger);
    let limit = of_one_page() * 6.0;
    sandbox.set("run.max_cost", &usd(limit));
    let outcome = sandbox.run();
    assert!(ran_out(&outcome), "{outcome:?}");
    let spent = billed(&sandbox.bill());
    assert!(spent > 0.0 && spent <= limit, "{spent} of {limit}");
}

#[test]
fn the_canary_is_paid_from_the_same_purse() {
    let mut sandbox = priced(4, Weather::default());
    sandbox.set("run.canary", "sync");
    let page = of_one_page();
    // For a page at its worst, but not for a question at twice its price.
    sandbox.set("run.max_cost", &usd(page * 8.0));
    let outcome = sandbox.run();
    assert!(matches!(outcome.fault, Some(Fault::NoMoney(_))), "{outcome:?}");
    assert_eq!(oracle::count(&sandbox.bill(), "chat"), 0, "not asked");

    let limit = page * 30.0;
    sandbox.set("run.max_cost", &usd(limit));
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.fault.is_none()), (4, true), "{outcome:?}");
    assert_eq!(oracle::count(&sandbox.bill(), "chat"), 1);
    let spent = billed(&sandbox.bill());
    let limit = spent + 1.0;
    sandbox.image("tray_0/late.png", 900);
    sandbox.set("run.max_cost", &usd(limit));
    let outcome = sandbox.run();
    let Some(Fault::NoMoney(shortage)) = outcome.fault else { panic!("{outcome:?}") };
    assert_eq!(shortage.spent.micros_up() as f64, spent, "the question was counted, at twice the price");
}

/// What the program says and how it ends where nobody can answer a question.
fn unanswered(sandbox: &Sandbox, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
    command.args(words).arg("--workspace").arg(sandbox.workspace()).arg("--no-config").stdin(Stdio::null());
    for (key, value) in sandbox.flags() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let told = command.env_clear().current_dir(sandbox.workspace()).output().expect("the program");
    (told.status.code(), String::from_utf8_lossy(&told.stderr).into_owned())
}

#[test]
fn what_is_sent_and_paid_for_is_asked_for_and_nothing_else() {
    let sandbox = priced(3, Weather::default());
    let (exit, words) = unanswered(&sandbox, &["run", "--budget", "2"]);
    assert_eq!(exit, Some(2), "{words}");
    let question = words.lines().find(|line| line.ends_with(" Go?")).unwrap_or_else(|| panic!("{words}"));
    assert!(
        question.starts_with("  3 images, about $0.") && question.contains(", limit $2.00, to 127.0.0.1:"),
        "{question}"
    );
    assert_eq!(oracle::entries(&sandbox.bill()).len(), 0, "nothing was sent");

    // What is at the provider already is fetched without a question, and so is nothing at all.
    let outcome = sandbox.work(Mode::Upload);
    assert!(outcome.fault.is_none(), "{outcome:?}");
    for _ in 0..2 {
        let (exit, words) = unanswered(&sandbox, &["run"]);
        assert_eq!(exit, Some(0), "{words}");
    }
    let status = Command::new(env!("CARGO_BIN_EXE_batchscribe"))
        .args(["status", "--no-config", "--set", "run.max_cost=2", "--workspace"])
        .arg(sandbox.workspace())
        .env_clear()
        .output()
        .expect("status");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.contains(" Money     $0.00") && status.contains(" spent - $0.00 reserved - limit $2.00"),
        "{status}"
    );
    let (exit, words) = unanswered(&sandbox, &["run", "--redo", "all"]);
    assert!(exit == Some(2) && words.contains("\n  3 images, about $0."), "{words}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 3);
}

#[test]
fn a_limit_is_refused_where_it_cannot_be_kept() {
    let mut sandbox = priced(1, Weather::default());
    sandbox.set("request.escalate_model", "nobody-knows-what-it-costs");
    let (exit, words) = unanswered(&sandbox, &["run", "--yes", "--budget", "2"]);
    assert!(exit == Some(2) && words.contains("error[E110]: no price is known for nobody-knows"), "{words}");
    let sandbox = priced(1, Weather::default());
    let (exit, words) = unanswered(&sandbox, &["run", "--yes", "--budget", "0.0001"]);
    assert!(exit == Some(2) && words.contains("error[E111]: run.max_cost $0.00010 cannot pay"), "{words}");
    let (exit, words) = unanswered(&sandbox, &["upload", "--yes", "--budget", "cheap"]);
    assert!(exit == Some(2) && words.contains("error[E102]: `run.max_cost` is \"cheap\""), "{words}");
}

#[test]
fn a_pilot_asks_a_few_pages_of_every_folder_and_tells_what_the_rest_costs() {
    let sandbox = priced(60, Weather::default());
    sandbox.image("tray_9/lonely.png", 500);
    let (exit, words) = unanswered(&sandbox, &["run", "--yes", "--pilot", "12"]);
    assert_eq!(exit, Some(0), "{words}");
    assert!(words.contains("\nPilot of 12 pages, drawn with seed ") && words.contains(": 12 accepted\n"), "{words}");
    assert!(
        words.contains("\n Output tokens: median ") && words.contains("\n The other 49 pages: about $0.0"),
        "{words}"
    );
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "a batch of its own");
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 12);
    assert!(sandbox.text("tray_9/lonely.png").is_some(), "no folder is left out");

    let forecast: Vec<f64> = words
        .lines()
        .find(|line| line.starts_with(" The other 49 pages"))
        .expect("a forecast")
        .split('$')
        .skip(1)
        .map(|amount| {
            amount.trim_end_matches(|c: char| !c.is_ascii_digit()).split([' ', ',']).next().unwrap_or_default()
        })
        .map(|amount| amount.parse().expect("USD"))
        .collect();
    let so_far = billed(&sandbox.bill());
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{outcome:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 61);
    let rest = (billed(&sandbox.bill()) - so_far) / 1e6;
    assert!(forecast[1] * 0.97 <= rest && rest <= forecast[2] * 1.03, "{rest} of {forecast:?}");
    let (exit, words) = unanswered(&sandbox, &["run", "--yes", "--pilot"]);
    assert!(exit == Some(0) && words.contains("Pilot: no page is left that was never asked"), "{words}");
}

#[test]
fn a_pilot_leaves_plans_of_earlier_lives_where_they_are() {
    let mut sandbox = priced(30, Weather::default());
    sandbox.set("max_images_per_batch", "4");
    sandbox.set("batch.max_open_batches", "1");
    let outcome = sandbox.work(Mode::Upload);
    let before = outcome.standing;
    assert!(before.shards_waiting > 0 && before.batches_open == 1, "{before:?}");
    sandbox.set("batch.max_open_batches", "9");
    sandbox.image("tray_2/new.png", 700);
    let outcome = sandbox.work(Mode::Pilot(3));
    let after = outcome.standing;
    assert!(outcome.fault.is_none(), "{outcome:?}");
    assert_eq!((after.shards_waiting, after.batches_open), (before.shards_waiting, 0), "{after:?}");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2, "one batch, beside the one that was open");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{outcome:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 31);
}
