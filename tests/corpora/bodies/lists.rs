//! Hostile lists of batches, where they matter most: while it is unknown whether a create came through, and while batches
//! are waited for. Whatever a list says, nothing is created a second time before the first create surely failed, and
//! everything ends once the list is as it should be.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::account::{Account, FirstCreate, ListScript, Part, honest};
use super::desk::Desk;
use super::line_cases::answer;
use super::report::Report;

/// Cases at a time.
const AT_A_TIME: usize = 8;
const NOW: i64 = 1_800_000_000;
/// Listings that are hostile before the list becomes honest, where a case says nothing else.
const HOSTILE: usize = 3;

struct Case {
    name: &'static str,
    /// Makes the list anew for each run.
    list: Box<dyn Fn() -> ListScript + Send + Sync>,
}

type Page = (&'static str, String);

fn case(name: &'static str, page: fn(usize, &[Value], Option<&str>) -> Page) -> Case {
    Case { name, list: Box::new(move || Box::new(page)) }
}

/// Hostile for some listings, then honest.
fn at_first(name: &'static str, page: fn(&[Value], Option<&str>) -> Page) -> Case {
    let script = move || -> ListScript {
        Box::new(move |nth, all, after| if nth < HOSTILE { page(all, after) } else { honest(all, after) })
    };
    Case { name, list: Box::new(script) }
}

fn fixed(name: &'static str, status: &'static str, body: impl Into<String>) -> Case {
    let body = body.into();
    let script = move || -> ListScript {
        let body = body.clone();
        Box::new(move |nth, all, after| if nth < HOSTILE { (status, body.clone()) } else { honest(all, after) })
    };
    Case { name, list: Box::new(script) }
}

fn page(data: &[Value], has_more: &Value) -> Page {
    ("200 OK", json!({"object": "list", "data": data, "has_more": has_more}).to_string())
}

/// A batch of somebody else.
fn foreign(n: usize, created_at: i64) -> Value {
    json!({"id": format!("batch_f{n:05}"), "object": "batch", "status": "in_progress", "created_at": created_at,
        "input_file_id": format!("file-f{n}"), "metadata": {"project": "theirs"}})
}

fn foreigners(count: usize, created_at: i64) -> Vec<Value> {
    (0..count).map(|n| foreign(n, created_at)).collect()
}

/// Each of our batches with some members replaced.
fn with(all: &[Value], members: &Value) -> Vec<Value> {
    let changed = |batch: &Value| {
        let mut batch = batch.clone();
        for (key, value) in members.as_object().expect("members") {
            batch[key] = value.clone();
        }
        batch
    };
    all.iter().map(changed).collect()
}

fn cases() -> Vec<Case> {
    [unreadable(), entries(), cursors(), orders(), members()].into_iter().flatten().collect()
}

fn unreadable() -> Vec<Case> {
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        case("honest", |_, all, after| honest(all, after)),
        fixed("500", "500 Oops", ""),
        fixed("404", "404 Not Found", ""),
        fixed("429 for a year", "429 Slow\r\nretry-after: 31536000", ""),
        fixed("HTML", "200 OK", "<html>Bad Gateway</html>"),
        fixed("nothing", "200 OK", ""),
        fixed("half a list", "200 OK", r#"{"object":"list","data":[{"id":"bat"#),
        fixed("two lists", "200 OK", r#"{"data":[]}{"data":[]}"#),
        fixed("depth 10,000", "200 OK", deep),
        fixed("5 MB", "200 OK", json!({"data": [], "pad": "x".repeat(5_000_000)}).to_string()),
        fixed("an object", "200 OK", "{}"),
        fixed("an array", "200 OK", "[]"),
        fixed("null", "200 OK", "null"),
        fixed("data null", "200 OK", r#"{"data":null}"#),
        fixed("data a string", "200 OK", r#"{"data":"none"}"#),
        fixed("data an object", "200 OK", r#"{"data":{}}"#),
        fixed("an error under 200", "200 OK", r#"{"error":{"message":"no"}}"#),
        fixed("an entry without id", "200 OK", r#"{"data":[{"object":"batch"}]}"#),
        fixed("an entry that is null", "200 OK", r#"{"data":[null]}"#),
        fixed("an entry that is a list", "200 OK", r#"{"data":[[]]}"#),
        fixed("an id that is a number", "200 OK", r#"{"data":[{"id":7}]}"#),
    ]
}

fn entries() -> Vec<Case> {
    vec![
        case("objects of another type between", |_, all, _| {
            let others = [json!({"id": "file-1", "object": "file"}), json!({"object": "upload"})];
            page(&[&others[..], all, &others[..]].concat(), &json!(false))
        }),
        case("ours twice", |_, all, _| page(&[all, all].concat(), &json!(false))),
        case("1,000 foreign ones before ours", |_, all, after| {
            honest(&[&foreigners(1_000, NOW + 60)[..], all].concat(), after)
        }),
        case("1,000 foreign ones behind ours", |_, all, after| {
            honest(&[all, &foreigners(1_000, NOW - 60)[..]].concat(), after)
        }),
        case("an impostor with our tags", |_, all, after| {
            let impostor = |batch: &Value| {
                json!({"id": "batch_x", "object": "batch", "status": "in_progress", "created_at": NOW + 9,
                    "input_file_id": "file-x", "metadata": batch["metadata"]})
            };
            let impostors: Vec<Value> = all.first().map(impostor).into_iter().collect();
            // It ends without an answer when it is cancelled; nobody else knows it.
            let ended = with(&impostors, &json!({"status": "cancelled"}));
            honest(&[all, &ended[..]].concat(), after)
        }),
        case("a failed one of another try", |_, all, after| {
            let failed = with(all, &json!({"id": "batch_x", "status": "failed", "metadata": {"attempt": "99"}}));
            honest(&[&failed[..], all].concat(), after)
        }),
    ]
}

/// Two pages that name each other as the next one, until somebody has begun anew twice.
fn ring() -> Case {
    let script = || -> ListScript {
        let begun = AtomicUsize::new(0);
        Box::new(move |_, all, after| {
            let begun = begun.fetch_add(usize::from(after.is_none()), Ordering::Relaxed);
            let which = usize::from(after == Some("batch_f00000"));
            if begun > 2 { honest(all, after) } else { page(&[foreign(which, NOW + 60)], &json!(true)) }
        })
    };
    Case { name: "a ring of two pages", list: Box::new(script) }
}

fn cursors() -> Vec<Case> {
    vec![
        at_first("more to come of nothing", |_, _| page(&[], &json!(true))),
        ring(),
        at_first("the same page again and again", |_, _| page(&foreigners(3, NOW + 60), &json!(true))),
        case("the same page for ever, with ours", |_, all, _| page(all, &json!(!all.is_empty()))),
        case("pages that shift", |nth, all, after| {
            // At each request a new one has come on top.
            let news: Vec<Value> = (0..150 + nth % 100).rev().map(|n| foreign(n, NOW + 60)).collect();
            honest(&[&news[..], all].concat(), after)
        }),
        case("a cursor that is gone", |nth, all, after| {
            let news: Vec<Value> = (0..150).map(|n| foreign(n + nth % 2 * 500, NOW + 60)).collect();
            if nth < 2 { honest(&[&news[..], all].concat(), after) } else { honest(all, after) }
        }),
        case("150 pages", |_, all, after| {
            let all = [&foreigners(150, NOW + 60)[..], all].concat();
            let begin =
                after.map_or(0, |id| all.iter().position(|batch| batch["id"] == *id).map_or(all.len(), |at| at + 1));
            let rest = &all[begin..];
            page(&rest[..rest.len().min(1)], &json!(rest.len() > 1))
        }),
        case("has_more missing", |_, all, _| ("200 OK", json!({"data": all}).to_string())),
        case("has_more a word", |_, all, _| page(all, &json!("yes"))),
        case("has_more null, on full pages", |_, all, after| {
            let all = [&foreigners(250, NOW + 60)[..], all].concat();
            let (status, body) = honest(&all, after);
            (status, body.replace("\"has_more\":true", "\"has_more\":null"))
        }),
        case("first and last id foreign", |_, all, after| {
            let (status, body) = honest(all, after);
            (status, body.replacen('{', r#"{"first_id":"../x","last_id":null,"#, 1))
        }),
    ]
}

fn orders() -> Vec<Case> {
    vec![
        case("oldest first", |_, all, after| {
            // Three full pages that are all much older than our input file.
            let old: Vec<Value> = (0..300).map(|n| foreign(n, NOW - 900_000 + n as i64)).collect();
            honest(&[&old[..], all].concat(), after)
        }),
        case("oldest first, one a page", |_, all, after| {
            let old: Vec<Value> = (0..5).map(|n| foreign(n, NOW - 900_000 + n as i64)).collect();
            let all = [&old[..], all].concat();
            let begin =
                after.map_or(0, |id| all.iter().position(|batch| batch["id"] == *id).map_or(all.len(), |at| at + 1));
            let rest = &all[begin..];
            page(&rest[..rest.len().min(1)], &json!(rest.len() > 1))
        }),
        case("in no order", |_, all, after| {
            let mixed: Vec<Value> = (0..300_usize).map(|n| foreign(n, NOW - 900_000 + (n * 7 % 300) as i64)).collect();
            honest(&[&mixed[..], all].concat(), after)
        }),
        case("without times", |_, all, after| honest(&[&foreigners(150, 0)[..], all].concat(), after)),
        case("hidden at first", |nth, all, after| if nth == 0 { page(&[], &json!(false)) } else { honest(all, after) }),
    ]
}

fn members() -> Vec<Case> {
    vec![
        case("times in milliseconds", |_, all, after| honest(&with(all, &json!({"created_at": NOW * 1000})), after)),
        case("times ISO", |_, all, after| honest(&with(all, &json!({"created_at": "2027-01-15T08:00:00Z"})), after)),
        case("times negative", |_, all, after| honest(&with(all, &json!({"created_at": i64::MIN})), after)),
        case("times beyond all", |_, all, after| honest(&with(all, &json!({"created_at": u64::MAX})), after)),
        case("no metadata", |_, all, after| honest(&with(all, &json!({"metadata": null})), after)),
        case("metadata a list", |_, all, after| honest(&with(all, &json!({"metadata": ["run"]})), after)),
        case("no input file", |_, all, after| honest(&with(all, &json!({"input_file_id": null})), after)),
        case("status in upper case", |_, all, after| honest(&with(all, &json!({"status": "COMPLETED"})), after)),
        case("errors of 10,000", |_, all, after| {
            let errors: Vec<Value> = (0..10_000).map(|line| json!({"code": "x", "line": line})).collect();
            honest(&with(all, &json!({"errors": {"data": errors}})), after)
        }),
    ]
}

/// How a run ended: images done, creates, and whether one was sent again while the first might still have come through.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    done: u64,
    creates: usize,
    unfenced: Vec<String>,
}

fn ended(case: &Case, first: FirstCreate, images: usize) -> (Result<Ended, String>, usize) {
    let desk = Desk::new((0..images).map(|n| format!("page{n}.png")));
    let lines = |ids: &[String]| ids.iter().flat_map(|id| (answer(id, "read") + "\n").into_bytes()).collect();
    let script = Box::new(move |ids: &[String]| [vec![Part::Bytes(lines(ids))], Vec::new()]);
    let (account, base) = Account::listing(script, (case.list)(), first);
    let outcome = desk.run_fast(&base, 2);
    let asked = account.asked();
    let creates: Vec<(usize, &String)> =
        asked.iter().enumerate().filter(|(_, what)| what.starts_with("create")).collect();
    let is_fenced = |at: usize, create: &str| asked[at..].contains(&create.replace("create", "delete"));
    // The first create of a doubt is followed by another one only behind the deletion of its input file.
    let unfenced = match (first, creates.as_slice()) {
        (FirstCreate::Answered, _) | (_, [] | [_]) => Vec::new(),
        (_, [(one, input), (other, _), ..]) if is_fenced(*one, input) && *other > *one => Vec::new(),
        _ => asked.clone(),
    };
    let ended = outcome.and_then(|outcome| match outcome.fault {
        None if !desk.outside().is_empty() => Err(format!("outside: {:?}", desk.outside())),
        None => Ok(Ended { done: outcome.standing.done, creates: creates.len(), unfenced }),
        Some(fault) => Err(format!("{fault:?}")),
    });
    (ended, account.listed())
}

/// Cases in one situation; so many creates are right.
fn all(report: &mut Report, cases: &[Case], first: FirstCreate, images: usize, creates: usize) {
    for some in cases.chunks(AT_A_TIME) {
        let ended: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|case| scope.spawn(move || ended(case, first, images))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it comes back")).collect()
        });
        for (case, (came, listed)) in some.iter().zip(ended) {
            let right = Ended { done: images as u64, creates, unfenced: Vec::new() };
            report.case(&format!("{}, {first:?}", case.name), &came, &Ok(right));
            report.holds(&format!("{}, {first:?}: {listed} pages were read", case.name), listed < 5_000);
        }
    }
}

/// Where nothing was created, the order and the cursors of a list matter.
fn of_nothing() -> Vec<Case> {
    [cursors(), orders()].into_iter().flatten().collect()
}

/// How many there are, in all situations.
pub(crate) fn size() -> usize {
    2 * cases().len() + of_nothing().len()
}

#[test]
fn hostile_lists_in_doubt() {
    let mut report = Report::new("B1 lists in doubt");
    all(&mut report, &cases(), FirstCreate::Lost, 2, 1);
    report.close(50);
}

#[test]
fn hostile_lists_while_batches_are_waited_for() {
    let mut report = Report::new("B1 lists while waiting");
    all(&mut report, &cases(), FirstCreate::Answered, 6, 3);
    report.close(50);
}

#[test]
fn hostile_lists_where_nothing_was_created() {
    let mut report = Report::new("B1 lists of nothing");
    all(&mut report, &of_nothing(), FirstCreate::Refused, 2, 2);
    report.close(16);
}
