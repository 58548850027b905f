//! `review` over HTTP: one visitor is let in and nobody else; what a person writes stands.

use batchscribe::emulator::scenario::Scenario;
use batchscribe::ledger::lock::WorkspaceLock;
use batchscribe::pipeline::mission::Mode;
use serde_json::{Value, json};

use crate::cancel::call;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::visitor::Visitor;

/// Where a text that is being saved has its bytes, and not its name.
pub(crate) const KILLED_AT: &str = "review.filled";

fn done(images: usize) -> Sandbox {
    let sandbox = Sandbox::new(images);
    assert!(sandbox.run().fault.is_none());
    sandbox
}

/// Verdict, and whether it was edited, of each image that has a note.
fn notes(sandbox: &Sandbox) -> Vec<(String, Option<String>, bool)> {
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let sql =
        "SELECT CAST(name AS TEXT), review, edited_at IS NOT NULL FROM note JOIN image ON id = image_id ORDER BY 1";
    let mut rows = ledger.prepare(sql).expect("query");
    let told = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    told.map(|row| row.expect("a row")).collect()
}

#[test]
fn one_visitor_is_let_in_and_nobody_else() {
    let sandbox = done(2);
    let mut visitor = Visitor::new(&sandbox, &[]);
    let link = visitor.link();
    assert!(link.starts_with("/review?token="), "{link}");
    for target in ["/", "/review", "/style.css", "/api/v1/status", "/picture/1", "/review?token=guess"] {
        let answer = visitor.ask("GET", target, &[], "");
        assert!([401, 403].contains(&answer.status), "{target}: {}", answer.text());
        assert_eq!(answer.header("set-cookie"), None);
    }
    // A name of somebody else that leads here does not use the token up.
    assert_eq!(visitor.ask("GET", &link, &[("host", "evil.example")], "").status, 421);
    let answer = visitor.ask("GET", &link, &[], "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/review")));
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    assert_eq!(visitor.ask("GET", &link, &[], "").status, 403, "once");
    visitor.cookie = cookie.split(';').next().expect("its value").to_owned();
    let page = visitor.get("/review");
    assert_eq!(page.status, 200, "{}", page.text());
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(!page.text().contains("http://") && !page.text().contains("style="), "it loads nothing from elsewhere");
    for host in ["evil.example", "127.0.0.1", "localhost"] {
        let answer = visitor.ask("GET", "/review", &[("cookie", &visitor.cookie), ("host", host)], "");
        assert_eq!(answer.status, 421, "{host}");
    }
    let local = visitor.host.replace("127.0.0.1", "localhost");
    assert_eq!(visitor.ask("GET", "/review", &[("cookie", &visitor.cookie), ("host", &local)], "").status, 200);
}

#[test]
fn only_our_own_pages_can_change_something() {
    let sandbox = done(2);
    let visitor = Visitor::entered(&sandbox, &[]);
    let image = visitor.image("tray_0/page0000.png");
    let body = json!({"image": image["id"], "review": "good"}).to_string();
    let ours = format!("http://{}", visitor.host);
    for (headers, status) in [
        (vec![("cookie", visitor.cookie.as_str())], 403),
        (vec![("cookie", visitor.cookie.as_str()), ("origin", "http://evil.example")], 403),
        (vec![("cookie", visitor.cookie.as_str()), ("origin", "null")], 403),
        (vec![("origin", ours.as_str())], 401),
    ] {
        let answer = visitor.ask("POST", "/api/v1/review", &headers, &body);
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
    }
    assert_eq!(notes(&sandbox), []);
    assert_eq!(visitor.post("/api/v1/review", &json!({"image": image["id"], "review": "good"})).status, 200);
    drop(visitor);
    let looking = Visitor::entered(&sandbox, &["--read-only"]);
    for (target, body) in [
        ("/api/v1/review", json!({"image": image["id"], "review": "unreadable"})),
        ("/api/v1/text", json!({"image": image["id"], "text": "mine", "hash": image["hash"]})),
        ("/api/v1/retry", json!({"image": image["id"]})),
    ] {
        let answer = looking.post(target, &body);
        assert_eq!(answer.status, 403, "{target}: {}", answer.text());
    }
    assert_eq!(looking.get("/review").status, 200);
    assert_eq!(notes(&sandbox), [("page0000.png".to_owned(), Some("good".to_owned()), false)]);
}

#[test]
fn verdicts_are_noted_and_can_be_taken_back() {
    let sandbox = done(3);
    let visitor = Visitor::entered(&sandbox, &[]);
    let id = visitor.image("tray_1/page0001.png")["id"].clone();
    for review in ["good", "needs_work", "unreadable"] {
        let answer = visitor.post("/api/v1/review", &json!({"image": id, "review": review}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(visitor.image("tray_1/page0001.png")["review"], review);
        assert_eq!(notes(&sandbox), [("page0001.png".to_owned(), Some(review.to_owned()), false)]);
    }
    assert_eq!(visitor.get("/api/v1/status").json()["reviews"], json!({"unreadable": 1}));
    assert_eq!(visitor.post("/api/v1/review", &json!({"image": id, "review": "unreviewed"})).status, 200);
    assert_eq!(notes(&sandbox), [("page0001.png".to_owned(), None, false)]);
    for (body, status) in [
        (json!({"image": id, "review": "fine"}), 400),
        (json!({"image": id}), 400),
        (json!({"image": 999, "review": "good"}), 404),
        (json!({"image": -1, "review": "good"}), 404),
        (json!({"image": i64::MIN, "review": "good"}), 404),
    ] {
        let answer = visitor.post("/api/v1/review", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
}

#[test]
fn an_edit_stands_whatever_later_runs_read() {
    let sandbox = done(4);
    let visitor = Visitor::entered(&sandbox, &[]);
    let image = visitor.image("tray_0/page0002.png");
    assert_eq!((&image["edited"], &image["rough"]), (&json!(false), &json!(false)));
    let edit = |text: &str, hash: &Value| {
        visitor.post("/api/v1/text", &json!({"image": image["id"], "text": text, "hash": hash}))
    };
    let told = edit("read by a person\r\n  second line", &image["hash"]);
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!((&told["noted"], &told["edited"]), (&json!(true), &json!(true)), "{told}");
    assert_eq!(sandbox.text("tray_0/page0002.png").as_deref(), Some("read by a person\n  second line\n"));
    assert_eq!(notes(&sandbox), [("page0002.png".to_owned(), None, true)]);
    // Somebody who looked before that knows nothing of it, and must not undo it.
    let stale = edit("older", &image["hash"]);
    assert_eq!(stale.status, 409, "{}", stale.text());
    assert_eq!(edit("older", &Value::Null).status, 409);
    assert_eq!(edit("older", &json!("no hash")).status, 400);
    assert_eq!(sandbox.text("tray_0/page0002.png").as_deref(), Some("read by a person\n  second line\n"));
    // By its exact name it can be put back; what comes is another reading, and the text stays.
    let (exit, _, err) = call(&sandbox, "retry --path in/tray_0/page0002.png");
    assert_eq!(exit, Some(0), "{err}");
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "status --list edited");
    assert_eq!((exit, out.as_str()), (Some(0), "done\ttray_0/page0002.png\n"), "{err}");
    assert_eq!(sandbox.text("tray_0/page0002.png").as_deref(), Some("read by a person\n  second line\n"));
    assert_eq!(call(&sandbox, "audit").0, Some(0));
    // A blank page is a file of no bytes.
    let hash = visitor.image("tray_0/page0002.png")["hash"].clone();
    assert_eq!(edit(" \n", &hash).status, 200);
    assert_eq!(sandbox.text("tray_0/page0002.png").as_deref(), Some(""));
}

#[test]
fn while_a_run_is_at_work_texts_can_be_mended_and_nothing_noted() {
    let sandbox = done(2);
    let visitor = Visitor::entered(&sandbox, &[]);
    let image = visitor.image("tray_0/page0000.png");
    let lock = WorkspaceLock::take(&sandbox.workspace().join("batch/ledger.lock"), "run").expect("free");
    for (target, body) in [
        ("/api/v1/review", json!({"image": image["id"], "review": "good"})),
        ("/api/v1/retry", json!({"image": image["id"]})),
    ] {
        let answer = visitor.post(target, &body);
        let words = answer.json()["error"].to_string();
        assert!(answer.status == 423 && words.contains("`run` is at work here"), "{target}: {words}");
    }
    let told = visitor.post("/api/v1/text", &json!({"image": image["id"], "text": "mine", "hash": image["hash"]}));
    assert_eq!((told.status, &told.json()["noted"]), (200, &json!(false)), "{}", told.text());
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mine\n"));
    assert_eq!(notes(&sandbox), []);
    drop(lock);
    let (exit, _, err) = call(&sandbox, "retry --where state=done");
    assert!(exit == Some(0) && err.contains("1 image left: a person's text stands beside them"), "{err}");
    assert!(sandbox.run().fault.is_none());
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mine\n"));
}

#[test]
fn what_is_doubtful_comes_first_and_can_be_asked_for_again() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0003\"\noutcome = \"content_filter\"\nwhen = { times = 1 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(6, Weather { scenario, ..Weather::default() });
    assert!(sandbox.run().fault.is_none());
    let visitor = Visitor::entered(&sandbox, &["--sample", "3"]);
    let list = visitor.get("/api/v1/images?limit=2").json();
    assert_eq!((&list["total"], &list["images"][0]["why"]), (&json!(4), &json!("failed")), "{list}");
    let rest = visitor.get(&format!("/api/v1/images?after={}", list["next"])).json();
    assert_eq!((rest["images"].as_array().map(Vec::len), &rest["next"]), (Some(2), &Value::Null), "{rest}");
    let failed = visitor.image("tray_1/page0003.png");
    assert_eq!((&failed["reason"], &failed["hash"]), (&json!("content_filter"), &Value::Null), "{failed}");
    let overview = visitor.get("/").text();
    assert!(
        overview.contains("failed: stopped by the provider") && overview.contains("tray_1&#x2f;page0003.png"),
        "{overview}"
    );
    assert_eq!(visitor.post("/api/v1/retry", &json!({"image": failed["id"]})).status, 200);
    assert_eq!(oracle::states(&sandbox.workspace())["owed"], 1);
    let twice = visitor.post("/api/v1/retry", &json!({"image": failed["id"]}));
    assert_eq!(twice.status, 409, "{}", twice.text());
    assert!(sandbox.run().fault.is_none());
    assert_eq!(oracle::states(&sandbox.workspace())["done"], 6);
}

#[test]
fn a_rough_text_is_mended_and_never_sent_to_be_cleaned() {
    let scenario = Scenario::read("[[bad]]\nhow = [\"model_voice\"]\ntimes = 1\n").expect("a scenario");
    let sandbox = Sandbox::with(2, Weather { scenario, ..Weather::default() });
    assert_eq!(sandbox.run().standing.rough, 2);
    let visitor = Visitor::entered(&sandbox, &[]);
    let image = visitor.image("tray_0/page0000.png");
    assert_eq!((&image["rough"], &image["state"]), (&json!(true), &json!("rough")), "{image}");
    assert!(image["text"].as_str().is_some_and(|text| text.contains("As an AI")), "{image}");
    let told = visitor.post("/api/v1/text", &json!({"image": image["id"], "text": "mended", "hash": image["hash"]}));
    let told = told.json();
    assert_eq!(
        (&told["rough"], &told["state"], &told["edited"]),
        (&json!(false), &json!("done"), &json!(true)),
        "{told}"
    );
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mended\n"));
    assert!(!sandbox.corpus().join("tray_0/page0000.png.txt.api").exists(), "nothing is left to be cleaned");
    drop(visitor);
    let lines = oracle::count(&sandbox.bill(), "line");
    let (exit, _, err) = call(&sandbox, "clean --deep");
    assert_eq!(exit, Some(0), "{err}");
    let outcome = sandbox.run();
    assert_eq!((outcome.standing.done, outcome.standing.rough), (2, 0), "{:?}", outcome.standing);
    assert_eq!(oracle::count(&sandbox.bill(), "line"), lines + 1, "the other one alone was asked for");
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mended\n"));
    assert_eq!(call(&sandbox, "audit").0, Some(0));
}

#[test]
fn names_and_texts_of_others_are_shown_and_not_obeyed() {
    let sandbox = Sandbox::new(0);
    let name = "<img src=x onerror=alert(1)>\"'&.png";
    sandbox.image(&format!("box/{name}"), 7);
    assert!(sandbox.run().fault.is_none());
    let hostile = "</textarea><script>alert('x')</script> {{ name }} & end\n";
    std::fs::write(sandbox.corpus().join(format!("box/{name}.txt")), hostile).expect("a text");
    let visitor = Visitor::entered(&sandbox, &[]);
    for target in ["/review", "/"] {
        let page = visitor.get(target).text();
        assert!(!page.contains("<img src=x") && !page.contains("<script>"), "{target}: {page}");
    }
    let page = visitor.get("/review").text();
    assert!(page.contains("&lt;script&gt;") && page.contains("{{ name }} &amp;"), "{page}");
    let image = visitor.image(&format!("box/{name}"));
    assert_eq!((&image["text"], &image["edited"]), (&json!(hostile), &json!(true)));
    for target in [format!("/picture/{}", image["id"]), format!("/picture/{}/original", image["id"])] {
        let picture = visitor.get(&target);
        assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/png")), "{}", picture.text());
        assert_eq!(picture.body[..8], *b"\x89PNG\r\n\x1a\n");
    }
    assert_eq!(visitor.get("/picture/99").status, 404);
    std::fs::remove_file(sandbox.corpus().join(format!("box/{name}"))).expect("the page goes");
    assert_eq!(visitor.get(&format!("/picture/{}", image["id"])).status, 409);
}

#[test]
fn of_a_pilot_its_own_pages_alone_are_shown() {
    let scenario = "[[line]]\ncustom_id_contains = \"tray_1\"\noutcome = \"content_filter\"\nwhen = { times = 1 }\n";
    let scenario = Scenario::read(scenario).expect("a scenario");
    let sandbox = Sandbox::with(12, Weather { scenario, ..Weather::default() });
    let outcome = sandbox.work(Mode::Pilot(4));
    assert_eq!((outcome.standing.done, outcome.standing.failed), (3, 1), "{:?}", outcome.standing);
    // The rest is read, too, and is none of the pilot's affair.
    assert!(sandbox.run().fault.is_none());
    let visitor = Visitor::entered(&sandbox, &["--pilot"]);
    let list = visitor.get("/api/v1/images").json();
    assert_eq!((&list["total"], &list["images"][0]["why"]), (&json!(4), &json!("failed")), "{list}");
    assert_eq!(visitor.get("/api/v1/images?limit=3").json()["next"], list["images"][2]["id"]);
    drop(visitor);
    let all = Visitor::entered(&sandbox, &[]);
    assert_eq!(all.get("/api/v1/images").json()["total"], 12);
}

#[test]
fn it_says_what_it_cannot_do() {
    let sandbox = Sandbox::new(1);
    let (exit, out, err) = call(&sandbox, "review");
    assert!(exit == Some(0) && out.is_empty() && err.contains("Nothing was begun"), "{err}");
    let (exit, _, err) = call(&sandbox, "review --listen 0.0.0.0:0");
    assert!(exit == Some(2) && err.contains("can be reached from other computers"), "{err}");
    assert!(sandbox.run().fault.is_none());
    let (exit, out, err) = call(&sandbox, "review --pilot");
    assert!(
        exit == Some(2) && out.is_empty() && err.contains("there was no pilot") && err.contains("run --pilot"),
        "{err}"
    );
}

/// Hidden files beside the images.
fn drafts(sandbox: &Sandbox) -> usize {
    sandbox.tree().iter().filter(|name| name.starts_with("in/") && name.ends_with(".tmp")).count()
}

/// A server that is killed while it saves a text.
fn kill_one_that_saves(sandbox: &Sandbox) {
    let mut visitor = Visitor::with(sandbox, &[], &[("BATCHSCRIBE_CRASH", &format!("{KILLED_AT}:1"))]);
    visitor.enter();
    let image = visitor.image("tray_0/page0000.png");
    visitor.save_and_die(&json!({"image": image["id"], "text": "by hand", "hash": image["hash"]}));
    assert_eq!(drafts(sandbox), 1, "it has left a draft");
}

#[test]
fn what_a_killed_server_has_left_goes_with_the_next_review_and_with_the_next_run() {
    let sandbox = done(2);
    let text = sandbox.text("tray_0/page0000.png");
    kill_one_that_saves(&sandbox);
    drop(Visitor::entered(&sandbox, &["--read-only"]));
    assert_eq!(drafts(&sandbox), 1, "who only looks removes nothing");
    drop(Visitor::entered(&sandbox, &[]));
    assert_eq!(drafts(&sandbox), 0);
    kill_one_that_saves(&sandbox);
    assert!(sandbox.run().fault.is_none());
    assert_eq!(drafts(&sandbox), 0);
    assert_eq!(sandbox.text("tray_0/page0000.png"), text, "the edit was never there");
    let notes = std::fs::read_dir(sandbox.workspace().join("batch/drafts")).expect("a folder").count();
    assert_eq!(notes, 0);
}
