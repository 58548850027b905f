//! Hundreds of pages whose answers go wrong in every known way: each ends in a text, a rough text or a reason, none is tried more
//! often than it may be, and what was charged is what the ledger says, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use batchscribe::emulator::bad::{BadRule, Way};
use batchscribe::emulator::engine::echo::Echo;
use batchscribe::emulator::scenario::Scenario;
use batchscribe::pipeline::mission::Outcome;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// Every so manieth page bears nothing.
const BLANK_EVERY: u32 = 10;

/// A page of strokes, or a blank one; which page it is stands in its corner, where ink is not looked for.
fn page(seed: u32) -> Vec<u8> {
    let mark = seed.to_le_bytes();
    let is_blank = seed.is_multiple_of(BLANK_EVERY);
    let image = image::GrayImage::from_fn(80, 80, |x, y| {
        let in_corner = y == 0 && x < 4;
        let is_ink = !is_blank && (10..70).contains(&x) && (10..70).contains(&y) && y % 8 < 4 && x % 4 < 2;
        image::Luma([if in_corner {
            mark[x as usize]
        } else if is_ink {
            30
        } else {
            230
        }])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}

fn rule(of: &str, share: f64, how: &[Way], times: u32) -> BadRule {
    BadRule { custom_id_contains: of.to_owned(), share, how: how.to_vec(), times }
}

/// Half of the blank pages and a fifth of all go wrong once, some for ever, and half of the deep cleanings once.
fn sandbox(pages: u32, seed: u64, ways: &[Way], settings: &[(&str, &str)]) -> Sandbox {
    let deep = [Way::LosesWord, Way::AddsWord, Way::ChangesNumber];
    let bad = vec![
        rule("0.png", 0.5, &[Way::SaysBlank, Way::Invented, Way::Empty], 1),
        rule("", 0.06, ways, 99),
        rule("", 0.15, ways, 1),
        rule("", 0.1, &deep, 99),
        rule("", 0.5, &deep, 1),
    ];
    let scenario = Scenario { seed, bad, ..Scenario::default() };
    let mut sandbox = Sandbox::with(0, Weather { scenario, ..Weather::default() });
    for number in 0..pages {
        let path = sandbox.corpus().join(format!("tray_{}/page{number:04}.png", number % 5));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, page(number)).expect("image");
    }
    sandbox.set("max_images_per_batch", "100");
    sandbox.set("clean.deep_clean", "true");
    for (key, value) in settings {
        sandbox.set(key, value);
    }
    sandbox
}

/// A line of the bill, or of the ledger.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Charged {
    batch: String,
    custom_id: String,
    tokens: (u64, u64),
}

fn of_the_bill(sandbox: &Sandbox) -> (BTreeSet<Charged>, BTreeMap<String, Vec<String>>) {
    let (mut charged, mut forced) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
    for line in oracle::entries(&sandbox.bill()).iter().filter(|entry| entry["what"] == "line") {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let count = |name: &str| line[name].as_u64().unwrap_or_default();
        forced.entry(text("custom_id")).or_default().push(text("forced"));
        let tokens = (count("prompt_tokens"), count("output_tokens"));
        assert!(
            charged.insert(Charged { batch: text("batch"), custom_id: text("custom_id"), tokens }),
            "twice: {line}"
        );
    }
    (charged, forced)
}

/// Every line with usage, and what became of each image.
fn of_the_ledger(sandbox: &Sandbox) -> (BTreeSet<Charged>, BTreeMap<String, String>) {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "SELECT b.batch_id, 'in|' || CAST(d.path AS TEXT) || '|' || CAST(i.name AS TEXT), l.prompt_tokens,
        l.output_tokens, i.state || coalesce(' ' || i.reason, '')
        FROM line l JOIN image i ON i.id = l.image_id JOIN directory d ON d.id = i.directory_id
        JOIN batch b ON b.shard_id = l.shard_id AND b.state = 'settled' WHERE l.prompt_tokens IS NOT NULL";
    let mut rows = ledger.prepare(sql).expect("query");
    let read = rows.query_map([], |row| {
        let count = |n: usize| row.get::<_, i64>(n).map(|count| u64::try_from(count).expect("a count"));
        let charged = Charged { batch: row.get(0)?, custom_id: row.get(1)?, tokens: (count(2)?, count(3)?) };
        Ok((charged, row.get::<_, String>(4)?))
    });
    let (mut charged, mut ends) = (BTreeSet::new(), BTreeMap::new());
    for row in read.expect("rows") {
        let (line, end) = row.expect("a row");
        ends.insert(line.custom_id.clone(), end);
        charged.insert(line);
    }
    (charged, ends)
}

/// Kind of badness, what came of it, charged answers of one image; and how many images.
fn table(forced: &BTreeMap<String, Vec<String>>, ends: &BTreeMap<String, String>) -> String {
    let mut rows = BTreeMap::<(&str, &str, usize), usize>::new();
    for (id, answers) in forced {
        let end = ends.get(id).map_or("?", String::as_str);
        let kind = answers.iter().find(|kind| !kind.is_empty()).map_or("(good)", String::as_str);
        *rows.entry((kind, end, answers.len())).or_default() += 1;
    }
    let mut text = format!("{:<22} {:<30} {:>8} {:>8}\n", "badness", "outcome", "answers", "images");
    for ((kind, end, answers), images) in rows {
        writeln!(text, "{kind:<22} {end:<30} {answers:>8} {images:>8}").expect("memory");
    }
    text
}

fn holds(sandbox: &Sandbox, outcome: &Outcome, pages: u32) -> String {
    let (charged, forced) = of_the_bill(sandbox);
    let (known, ends) = of_the_ledger(sandbox);
    let table = table(&forced, &ends);
    assert!(outcome.fault.is_none() && outcome.standing.closes(), "{outcome:?}\n{table}");
    let found = oracle::agreement(&sandbox.workspace(), &sandbox.bill(), false);
    assert_eq!((found.paid_twice, found.lost, &found.odd), (0, 0, &Vec::new()), "{table}");
    let failed: usize = found.failed.values().sum();
    assert_eq!(found.done + found.rough + failed, pages as usize, "{found:?}\n{table}");
    assert!(!found.failed.contains_key(""), "each has its reason: {:?}", found.failed);
    let unknown: Vec<_> = charged.symmetric_difference(&known).take(5).collect();
    assert!(unknown.is_empty(), "bill and ledger differ: {unknown:?}\n{table}");
    table
}

/// What went wrong around a text, or within it by a line, is not in the text that was written, and no word of the page is lost.
fn what_was_around_a_text_is_gone(sandbox: &Sandbox) {
    let (_, forced) = of_the_bill(sandbox);
    let (_, ends) = of_the_ledger(sandbox);
    let mended = [
        "chatter_before",
        "chatter_after",
        "fenced_json",
        "literal_escapes",
        "prompt_echo",
        "model_voice",
        "two_fences",
    ];
    let mut looked_at = 0;
    for (id, _) in forced.iter().filter(|(_, answers)| mended.contains(&answers[0].as_str())) {
        if ends.get(id).is_some_and(|end| end == "done") {
            let image = id.trim_start_matches("in|").replace('|', "/");
            let bytes = std::fs::read(sandbox.corpus().join(&image)).expect("image");
            let (text, page) = (sandbox.text(&image).unwrap_or_default(), Echo::text_of(&bytes));
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&text), words(&page), "{image}: {:?}", forced[id]);
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[test]
fn every_page_ends_whatever_its_answers_are() {
    let pages = 500;
    let sandbox = sandbox(pages, 11, &Way::READING, &[("request.escalate_model", "gpt-4.1")]);
    let outcome = sandbox.run();
    let table = holds(&sandbox, &outcome, pages);
    for way in ["loop_stop", "refusal_words", "content_filter", "model_voice", "says_blank", "invented", "length_cut"] {
        assert!(table.contains(way), "{way} was met:\n{table}");
    }
    what_was_around_a_text_is_gone(&sandbox);
    // Shown with --nocapture.
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes()).expect("stdout");
    // Nothing is asked again by itself.
    let before = oracle::count(&sandbox.bill(), "line");
    let again = sandbox.run();
    assert!(again.fault.is_none(), "{:?}", again.fault);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), before);
}

#[test]
fn every_page_ends_where_json_is_asked_for() {
    let pages = 200;
    // Words around JSON make it invalid, and that is among them.
    let is_meant = |way: &Way| !matches!(way, Way::ChatterBefore | Way::ChatterAfter);
    let ways: Vec<Way> = Way::READING.into_iter().filter(is_meant).collect();
    let sandbox = sandbox(pages, 5, &ways, &[("request.answer_format", "json")]);
    let outcome = sandbox.run();
    let table = holds(&sandbox, &outcome, pages);
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes()).expect("stdout");
}
