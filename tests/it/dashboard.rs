//! The pages that look at the work from outside: what came to nothing and why, the batches, the money.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::ledger::lock::WorkspaceLock;
use serde_json::{Value, json};

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::visitor::{Answer, Visitor};

/// Three of eight images are refused once.
const WEATHER: &str = r#"
[[line]]
custom_id_contains = "tray_1|page000"
outcome = "content_filter"
when = { times = 3 }
"#;

/// A workspace in which some images have failed.
pub(crate) fn with_failures() -> Sandbox {
    let scenario = Scenario::read(WEATHER).expect("a scenario");
    let sandbox = Sandbox::with(8, Weather { scenario, ..Weather::default() });
    assert_eq!(sandbox.run().standing.failed, 3);
    sandbox
}

/// A form is sent as a browser sends it.
pub(crate) fn form(visitor: &Visitor, target: &str, body: &str) -> Answer {
    let origin = format!("http://{}", visitor.host);
    let headers = [
        ("cookie", visitor.cookie.as_str()),
        ("origin", origin.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    visitor.ask("POST", target, &headers, body)
}

#[test]
fn failures_tell_what_to_do_and_one_button_asks_again() {
    let sandbox = with_failures();
    let visitor = Visitor::entered(&sandbox, &[]);
    let page = visitor.get("/failures");
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    for part in ["stopped by the provider", "E502", "3 images", "/review?image=", "Ask again for all 3"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = visitor.get("/failures?state=failed&reason=content_filter").text();
    assert_eq!(list.matches("/review?image=").count(), 3, "{list}");
    let behind = visitor.get("/failures?state=failed&reason=content_filter&after=9999").text();
    assert_eq!(behind.matches("/review?image=").count(), 0, "{behind}");
    assert_eq!(visitor.get("/failures?state=done").status, 400);
    assert!(visitor.get("/failures?state=failed&reason=%3Cb%3E").text().contains("any more"));
    // A person typed one of the texts: it is no failure any more.
    let first = visitor.get("/api/v1/images").json()["images"][0].clone();
    let told = visitor.post("/api/v1/text", &json!({"image": first["id"], "text": "typed", "hash": null}));
    assert_eq!(told.status, 200, "{}", told.text());
    let told = form(&visitor, "/failures/again", "state=failed&reason=content_filter");
    assert_eq!((told.status, told.header("location")), (303, Some("/failures?asked=2")), "{}", told.text());
    let shown = visitor.get("/failures?asked=2").text();
    assert!(shown.contains("2 images are") && shown.contains("Nothing has failed."), "{shown}");
    assert_eq!(oracle::states(&sandbox.workspace())["owed"], 2);
    let again = form(&visitor, "/failures/again", "state=failed&reason=content_filter");
    assert_eq!(again.header("location"), Some("/failures?asked=0"), "twice does no harm");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 8)].into());
}

#[test]
fn of_many_failures_a_few_are_shown_and_the_others_have_a_page() {
    let scenario = Scenario::read(&WEATHER.replace("times = 3", "times = 8").replace("page000", "page00"));
    let sandbox = Sandbox::with(16, Weather { scenario: scenario.expect("a scenario"), ..Weather::default() });
    assert_eq!(sandbox.run().standing.failed, 8);
    let visitor = Visitor::entered(&sandbox, &[]);
    let page = visitor.get("/failures").text();
    assert_eq!(page.matches("/review?image=").count(), 5, "{page}");
    let link = "/failures?state=failed&amp;reason=content_filter";
    assert!(page.contains(&format!("<a href=\"{link}\">All 8 images</a>")), "{page}");
    let all = visitor.get(&link.replace("&amp;", "&")).text();
    assert_eq!(all.matches("/review?image=").count(), 8, "{all}");
}

#[test]
fn programs_ask_again_by_reason_too() {
    let sandbox = with_failures();
    let visitor = Visitor::entered(&sandbox, &[]);
    let told = visitor.post("/api/v1/retry", &json!({"state": "failed", "reason": "content_filter"}));
    let expected = json!({"schema": 1, "images": 3, "edited": 0, "unmeasured": 0, "moved_on": 0, "more": false});
    assert_eq!(told.json(), expected);
    for (body, status) in [
        (json!({"state": "done", "reason": ""}), 400),
        (json!({"state": "skipped", "reason": "excluded"}), 400),
        (json!({"reason": "empty"}), 400),
        (json!({"image": 1, "state": "failed"}), 400),
    ] {
        let answer = visitor.post("/api/v1/retry", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
}

#[test]
fn who_only_looks_has_no_buttons_and_other_sites_have_none_either() {
    let sandbox = with_failures();
    let looking = Visitor::entered(&sandbox, &["--read-only"]);
    assert!(!looking.get("/failures").text().contains("<form"));
    assert_eq!(form(&looking, "/failures/again", "state=failed&reason=content_filter").status, 403);
    drop(looking);
    let visitor = Visitor::entered(&sandbox, &[]);
    let policy = visitor.get("/failures");
    assert_eq!(policy.header("referrer-policy"), Some("same-origin"), "else a form could not name its origin");
    let headers = [
        ("cookie", visitor.cookie.as_str()),
        ("origin", "http://evil.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let foreign = visitor.ask("POST", "/failures/again", &headers, "state=failed&reason=content_filter");
    assert_eq!(foreign.status, 403, "{}", foreign.text());
    assert_eq!(oracle::states(&sandbox.workspace())["failed"], 3);
}

#[test]
fn what_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_a_document() {
    let sandbox = with_failures();
    let visitor = Visitor::entered(&sandbox, &[]);
    for (page, status) in [("/nowhere", 404), ("/failures?state=done", 400)] {
        let told = visitor.get(page);
        let text = told.text();
        assert_eq!((told.status, told.header("content-type")), (status, Some("text/html; charset=utf-8")), "{text}");
        assert!(text.contains("role=\"alert\"") && text.contains("<a href=\"/\">"), "{text}");
    }
    let told = visitor.get("/api/v1/nowhere");
    assert_eq!((told.status, &told.json()["schema"]), (404, &json!(1)), "{}", told.text());
    assert!(visitor.get("/").text().contains("images, completed, less than 0.1 h"));
}

#[test]
fn batches_are_told_newest_first() {
    let sandbox = with_failures();
    let visitor = Visitor::entered(&sandbox, &[]);
    let told = visitor.get("/api/v1/batches").json();
    let batches = told["batches"].as_array().expect("batches").clone();
    assert_eq!((batches.len(), &told["next"]), (2, &Value::Null), "{told}");
    assert!(batches[0]["no"].as_i64() > batches[1]["no"].as_i64(), "{told}");
    for batch in &batches {
        assert_eq!(
            [&batch["state"], &batch["ending"], &batch["lines"]],
            [&json!("settled"), &json!("completed"), &json!(4)]
        );
    }
    let before = visitor.get(&format!("/api/v1/batches?before={}", batches[0]["no"])).json();
    assert_eq!(before["batches"], json!([batches[1]]));
    let page = visitor.get("/batches").text();
    for batch in &batches {
        assert!(page.contains(batch["id"].as_str().expect("a name")), "{page}");
    }
    assert!(page.contains("2 settled") && page.contains("4 images"), "{page}");
}

#[test]
fn an_open_batch_tells_how_much_of_its_day_is_gone() {
    let sandbox = Sandbox::with(2, Weather { line_delay: std::time::Duration::from_secs(3_600), ..Weather::default() });
    let (exit, _, err) = call(&sandbox, "upload --yes");
    assert_eq!(exit, Some(0), "{err}");
    let visitor = Visitor::entered(&sandbox, &[]);
    let page = visitor.get("/batches").text();
    assert!(page.contains("<meter") && page.contains("of 24 h") && page.contains("1 open"), "{page}");
    let cost = visitor.get("/cost").text();
    assert!(cost.contains("1 batch has not ended"), "{cost}");
}

#[test]
fn the_cost_page_adds_up_as_the_bill_does() {
    let mut sandbox = with_failures();
    sandbox.set("run.max_cost", "5");
    let visitor = Visitor::entered(&sandbox, &[]);
    let page = visitor.get("/cost").text();
    for part in ["tray_0", "tray_1", "attempt 1", "spent", "of the limit"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let bill = call(&sandbox, "report --json");
    assert_eq!(bill.0, Some(0), "{}", bill.2);
    let document: Value =
        serde_json::from_slice(&std::fs::read(sandbox.workspace().join("report.json")).expect("a report"))
            .expect("JSON");
    let answers = document["cost"]["answers"].as_u64().expect("a number");
    let cells: u64 = ["tray_0", "tray_1"].iter().map(|folder| answers_of(&page, folder)).sum();
    assert_eq!(cells, answers, "{page}");
}

/// The cell of a folder's answers: the fourth of its row.
fn answers_of(page: &str, folder: &str) -> u64 {
    let row = page.split(&format!("<tr><td>{folder}</td>")).nth(1).expect("its row");
    let cell = row.split("<td class=\"n\">").nth(2).expect("its cell");
    cell.split('<').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn names_of_others_are_shown_and_not_obeyed() {
    let sandbox = Sandbox::new(0);
    std::fs::create_dir_all(sandbox.corpus().join("<script>alert(1)")).expect("a folder");
    std::fs::write(sandbox.corpus().join("<script>alert(1)/<b>.png"), b"no image").expect("a file");
    sandbox.image("<script>alert(1)/good.png", 3);
    let _ends_with_a_failure = sandbox.run();
    let visitor = Visitor::entered(&sandbox, &[]);
    for target in ["/failures", "/cost", "/batches", "/"] {
        let page = visitor.get(target);
        assert_eq!(page.status, 200, "{target}: {}", page.text());
        assert!(!page.text().contains("<script>alert") && !page.text().contains("<b>.png"), "{target}");
    }
    assert!(visitor.get("/failures").text().contains("&lt;script&gt;"));
}

/// So many more images that were never to be asked, written past the program: enough for a ledger that is not walked each time.
pub(crate) fn grow(sandbox: &Sandbox, images: u32) {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT INTO image (directory_id, name, bytes, mtime_ms, state, reason)
        SELECT (SELECT min(directory_id) FROM image), CAST('more' || (SELECT max(id) FROM image) || '_' || n AS BLOB), 1, 1,
            'skipped', 'excluded' FROM n";
    assert_eq!(ledger.execute(sql, [images]).expect("rows"), images as usize);
}

/// Asks for a page until it tells something: it is being counted meanwhile.
fn until(visitor: &Visitor, page: &str, part: &str) {
    let begun = std::time::Instant::now();
    loop {
        let text = visitor.get(page).text();
        if text.contains(part) {
            return;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{part} not in {text}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn of_many_images_the_counts_are_new_and_what_is_walked_for_is_kept() {
    let sandbox = with_failures();
    grow(&sandbox, 10_000);
    let visitor = Visitor::entered(&sandbox, &[]);
    let pages = ["/", "/failures"];
    for page in pages.map(|page| visitor.get(page).text()) {
        assert!(page.contains("excluded") && page.contains("10\u{202f}000 images"), "{page}");
        assert!(page.contains("counted once a minute"), "{page}");
    }
    assert!(visitor.get("/cost").text().contains("added up once a minute"));
    let first = visitor.get("/").text();
    assert!(first.contains("<b>10\u{202f}008</b>found"), "{first}");
    grow(&sandbox, 1);
    let image = visitor.image("tray_0/page0000.png");
    assert_eq!(visitor.post("/api/v1/review", &json!({"image": image["id"], "review": "good"})).status, 200);
    for page in pages.map(|page| visitor.get(page).text()) {
        assert!(page.contains("10\u{202f}000 images"), "no walk because of a verdict: {page}");
    }
    let now = visitor.get("/").text();
    assert!(now.contains("<b>10\u{202f}009</b>found"), "what takes no walk is of now: {now}");
    assert!(now.contains("; 1 of them seen"), "and so is what a person did: {now}");
    assert_eq!(visitor.image("tray_0/page0000.png")["review"], "good");
    let list = visitor.get("/api/v1/images").json();
    assert!(list["images"].as_array().is_some_and(|list| list.iter().any(|image| image["review"] == "good")), "{list}");
}

#[test]
fn of_many_images_what_a_person_puts_back_is_told_at_once_and_counted_soon() {
    let sandbox = with_failures();
    grow(&sandbox, 10_000);
    let visitor = Visitor::entered(&sandbox, &[]);
    assert!(visitor.get("/failures").text().contains("10\u{202f}000 images"));
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "UPDATE image SET reason = 'loop' WHERE id = (SELECT max(id) FROM image WHERE state = 'failed')";
    assert_eq!(ledger.execute(sql, []).expect("a row"), 1);
    drop(ledger);
    let page = visitor.get("/failures").text();
    assert!(page.contains("1 image since the count") && page.contains("2 images"), "{page}");
    let told = form(&visitor, "/failures/again", "state=failed&reason=content_filter&at_most=1");
    assert_eq!(told.header("location"), Some("/failures?asked=1&more=true"), "no more than were seen");
    let page = visitor.get("/failures?asked=1&more=true").text();
    assert!(page.contains("1 image is owed again") && page.contains("they were left"), "{page}");
    grow(&sandbox, 1);
    let told = form(&visitor, "/failures/again", "state=failed&reason=content_filter&at_most=2");
    assert_eq!(told.header("location"), Some("/failures?asked=1"));
    let page = visitor.get("/failures").text();
    assert!(!page.contains("content filter"), "none is left: {page}");
    until(&visitor, "/failures", "10\u{202f}001 images");
}

#[test]
fn while_a_run_holds_the_ledger_the_page_says_that_nothing_was_put_back() {
    let sandbox = with_failures();
    let visitor = Visitor::entered(&sandbox, &[]);
    let _held = WorkspaceLock::take(&sandbox.workspace().join("batch/ledger.lock"), "run").expect("free");
    let told = form(&visitor, "/failures/again", "state=failed&reason=content_filter&at_most=3");
    assert_eq!(told.header("location"), Some("/failures?asked=0&stopped=held"));
    let page = visitor.get("/failures?asked=0&stopped=held").text();
    assert!(page.contains("Nothing was put back.") && page.contains("A run is at work here"), "{page}");
    let told = visitor.post("/api/v1/retry", &json!({"state": "failed", "reason": "content_filter"}));
    assert_eq!((told.status, &told.json()["images"]), (423, &json!(0)), "{}", told.text());
}

#[test]
fn many_failures_are_put_back_page_by_page() {
    let mut sandbox = with_failures();
    sandbox.set("run.max_cost", "5");
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200)
        INSERT INTO image (directory_id, name, bytes, mtime_ms, width, height, format, state, reason)
        SELECT (SELECT min(directory_id) FROM image), CAST('more' || n AS BLOB), 1, 1, 9, 9,
            CASE WHEN n % 3 THEN 'png' END, 'failed', 'content_filter' FROM n";
    assert_eq!(ledger.execute(sql, []).expect("rows"), 1_200);
    drop(ledger);
    let visitor = Visitor::entered(&sandbox, &[]);
    let told = visitor.post("/api/v1/retry", &json!({"state": "failed", "reason": "content_filter"})).json();
    assert_eq!((&told["images"], &told["unmeasured"]), (&json!(803), &json!(400)), "{told}");
    assert_eq!(oracle::states(&sandbox.workspace())["owed"], 803);
}
