//! The pages within a server: who gets in, and what a person writes while a pipeline is at work beside.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dashboard::grow;
use crate::kill::command_of;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};
use crate::serve::{Served, served, until, weather, with_a_token, with_its_file, with_the_token};

/// The link that was printed for people, the `nth` of them from 0.
fn link(sandbox: &Sandbox, server: &Served, nth: usize) -> String {
    let begun = Instant::now();
    loop {
        let words = std::fs::read_to_string(sandbox.words()).expect("words");
        let mut links = words.lines().filter_map(|line| line.strip_prefix("Pages: http://"));
        if let Some(link) = links.nth(nth) {
            let link = link.split_whitespace().next().expect("an address");
            return link.strip_prefix(&server.address).expect("our address").to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no link: {words}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The session that a link opens.
fn entered(server: &Served, link: &str) -> String {
    let head = server.head(&format!("GET {link}"), &[], "");
    assert!(head.starts_with("HTTP/1.1 303") && head.contains("location: /\r\n"), "{head}");
    cookie(&head)
}

fn cookie(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{line}");
    format!("cookie: {}", line.split(';').next().expect("its value"))
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// What the page at an address says to somebody with a session.
fn page(server: &Served, path: &str, cookie: &str) -> (u16, String) {
    server.ask(path, &[&format!("host: {}", server.address), cookie])
}

fn post(server: &Served, path: &str, cookie: &str, body: &Value) -> (u16, Value) {
    let origin = format!("origin: http://{}", server.address);
    let answer =
        server.head(&format!("POST {path}"), &[cookie, &origin, "content-type: application/json"], &body.to_string());
    let told = answer.split_once("\r\n\r\n").expect("a body").1;
    (status(&answer), serde_json::from_str(told).unwrap_or(Value::Null))
}

/// The row of an image in the list of those to be looked at, and what is told of it.
fn image(server: &Served, cookie: &str, path: &str) -> Value {
    let (_, list) = page(server, "/api/v1/images", cookie);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let images = list["images"].as_array().expect("images");
    let id = &images.iter().find(|image| image["path"] == path).unwrap_or_else(|| panic!("{path} in {list}"))["id"];
    serde_json::from_str(&page(server, &format!("/api/v1/images/{id}"), cookie).1).expect("JSON")
}

#[test]
fn a_link_opens_the_pages_once_and_a_signal_gives_another() {
    let sandbox = served(2, Weather::default());
    let server = Served::start(&sandbox);
    let first = link(&sandbox, &server, 0);
    for path in
        ["/", "/failures", "/review", "/api/v1/images", "/api/v1/batches", "/picture/1", "/?token=guess", "/login"]
    {
        assert!([401, 403].contains(&server.get(path).0), "{path}");
    }
    server.signal("USR1");
    assert_eq!(link(&sandbox, &server, 1), first, "nobody has used it");
    let cookie = entered(&server, &first);
    assert_eq!(server.get(&first).0, 403, "it works once");
    until("the texts", || server.metrics().get("images.done") == Some(&2.0));
    let open = ["/health/livez", "/metrics", "/api/v1/status"];
    assert_eq!(open.map(|path| server.get(path).0), [200; 3], "as ever, without a session");
    for path in ["/", "/failures", "/batches", "/cost", "/review", "/api/v1/batches", "/style.css"] {
        let (status, text) = page(&server, path, &cookie);
        assert_eq!(status, 200, "{path}: {text}");
    }
    assert_eq!(page(&server, "/nowhere", &cookie).0, 404);
    server.signal("USR1");
    let second = link(&sandbox, &server, 2);
    assert_ne!(first, second);
    assert_eq!(entered(&server, &second), cookie, "the session is one");
    let other = ["host: evil.example", cookie.as_str()];
    assert_eq!(server.ask("/failures", &other).0, 421, "a name that somebody else points here");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn where_there_is_a_token_it_is_typed_or_borne() {
    let mut sandbox = served(1, Weather::default());
    with_a_token(&mut sandbox);
    let server = Served::start(&sandbox);
    assert_eq!(link(&sandbox, &server, 0), "/", "no link");
    let asked = server.head("GET /failures", &[], "");
    assert!(asked.starts_with("HTTP/1.1 303") && asked.contains("location: /login\r\n"), "{asked}");
    let form = server.head("GET /login", &[], "");
    assert!(status(&form) == 200 && form.contains("type=\"password\""), "{form}");
    let kind = "content-type: application/x-www-form-urlencoded";
    let ours = format!("origin: http://{}", server.address);
    let wrong = server.head("POST /login", &[kind, &ours], "token=another-word");
    assert!(status(&wrong) == 403 && wrong.contains("not the token") && !wrong.contains("set-cookie"), "{wrong}");
    assert_eq!(status(&server.head("POST /login", &[kind], "token=long-random-word")), 401, "from no page of ours");
    let entered = server.head("POST /login", &[kind, &ours], "token=long-random-word");
    assert!(status(&entered) == 303 && entered.contains("location: /\r\n"), "{entered}");
    let cookie = cookie(&entered);
    until("the text", || sandbox.text("tray_0/page0000.png").is_some());
    assert_eq!(page(&server, "/failures", &cookie).0, 200);
    let bearer = "authorization: Bearer long-random-word";
    assert_eq!(page(&server, "/api/v1/batches", bearer).0, 200);
    assert_eq!(page(&server, "/api/v1/batches", "authorization: Bearer another-word").0, 401);
    // A program needs no origin; it has to know the token.
    until("the books", || page(&server, "/api/v1/batches", bearer).1.contains("settled"));
    let id = image(&server, bearer, "tray_0/page0000.png")["id"].clone();
    let body = json!({"image": id, "review": "good"}).to_string();
    let kind = "content-type: application/json";
    assert_eq!(status(&server.head("POST /api/v1/review", &[kind, bearer], &body)), 200);
    assert_eq!(status(&server.head("POST /api/v1/review", &[kind], &body)), 401);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn wrong_tokens_have_to_wait_and_a_right_one_has_to_if_it_could_be_guessed() {
    for (token, is_heard) in [("long-random-word", false), ("a-token-that-is-too-long-to-be-guessed", true)] {
        let mut sandbox = served(1, Weather::default());
        with_the_token(&mut sandbox, token);
        let server = Served::start(&sandbox);
        let kind = "content-type: application/x-www-form-urlencoded";
        let ours = format!("origin: http://{}", server.address);
        let types = |token: &str| server.head("POST /login", &[kind, &ours], &format!("token={token}"));
        let bears = |path: &str, token: &str| server.head(path, &[&format!("authorization: Bearer {token}")], "");
        let cookie = cookie(&types(token));
        for _ in 0..3 {
            assert_eq!(status(&types("another-word")), 403);
        }
        for _ in 0..2 {
            assert_eq!(status(&bears("GET /metrics", "another-word")), 401);
        }
        let sixth = types("another-word");
        assert!(status(&sixth) == 429 && sixth.contains("retry-after: ") && !sixth.contains("set-cookie"), "{sixth}");
        assert!(sixth.contains("Too many wrong tokens"), "{sixth}");
        for path in ["GET /failures", "GET /metrics"] {
            let wrong = bears(path, "another-word");
            assert!(status(&wrong) == 429 && wrong.contains("retry-after: "), "however it is told: {wrong}");
            assert_eq!(status(&bears(path, token)) != 429, is_heard, "{path} {token}");
        }
        assert_eq!(types(token).contains("set-cookie"), is_heard);
        assert_ne!(page(&server, "/api/v1/batches", &cookie).0, 429, "who is in stays in");
        assert_eq!(server.get("/health/livez").0, 200);
        assert_eq!(server.stop().0, Some(0));
        let words = std::fs::read_to_string(sandbox.words()).expect("words");
        assert_eq!(words.contains("the token has fewer than 32 characters"), !is_heard, "{words}");
    }
}

#[test]
fn a_quiet_server_tells_its_link_to_whoever_asks() {
    let sandbox = served(1, Weather::default());
    let mut command = command_of(&sandbox, "serve");
    command.arg("--quiet");
    let server = Served::of(command);
    let (status, words) = server.get("/");
    assert!(status == 401 && words.contains("SIGUSR1"), "{status} {words}");
    until("the text", || sandbox.text("tray_0/page0000.png").is_some());
    assert!(!std::fs::read_to_string(sandbox.words()).expect("words").contains("Pages: "), "not before");
    server.signal("USR1");
    let cookie = entered(&server, &link(&sandbox, &server, 0));
    let words = std::fs::read_to_string(sandbox.words()).expect("words");
    assert!(words.contains(" found ") && words.contains(" in flight "), "and how it stands: {words}");
    assert_eq!(page(&server, "/failures", &cookie).0, 200);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_limit_that_is_shown_is_the_one_in_force() {
    let mut sandbox = served(1, Weather::default());
    sandbox.set("request.model", "gpt-5.6-luna");
    let file = sandbox.workspace().join("batchscribe.toml");
    let settings = |limit: u32| std::fs::write(&file, format!("[run]\nmax_cost = {limit}\n")).expect("settings");
    settings(5);
    let server = Served::of(with_its_file(&command_of(&sandbox, "serve"), &sandbox));
    let cookie = entered(&server, &link(&sandbox, &server, 0));
    until("the text", || sandbox.text("tray_0/page0000.png").is_some());
    let shown = || (page(&server, "/cost", &cookie).1, server.get("/api/v1/status").1);
    let (cost, document) = shown();
    assert!(cost.contains("<b>$5.00</b>limit") && document.contains("\"limit\":5.0"), "{cost} {document}");
    settings(9);
    server.signal("HUP");
    let words = || std::fs::read_to_string(sandbox.words()).expect("words");
    until("the new settings", || words().contains("Settings read again; changed: run.max_cost."));
    until("the new limit", || shown().0.contains("<b>$9.00</b>limit"));
    assert!(shown().1.contains("\"limit\":9.0"), "{}", shown().1);
    server.signal("USR1");
    until("the line", || words().contains("$9.00"));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_person_writes_while_the_pipeline_is_at_work() {
    let scenario = "[[line]]\ncustom_id_contains = \"page0001\"\noutcome = \"content_filter\"\nwhen = { times = 1 }\n";
    let sandbox = served(2, weather(scenario));
    let server = Served::start(&sandbox);
    let cookie = entered(&server, &link(&sandbox, &server, 0));
    until("both ends", || {
        let metrics = server.metrics();
        metrics.get("images.done") == Some(&1.0) && metrics.get("images.failed") == Some(&1.0)
    });
    let shown = image(&server, &cookie, "tray_0/page0000.png");
    let (status, told) =
        post(&server, "/api/v1/review", &cookie, &json!({"image": shown["id"], "review": "needs_work"}));
    assert_eq!(status, 200, "{told}");
    let edit = json!({"image": shown["id"], "text": "mended", "hash": shown["hash"]});
    let (status, told) = post(&server, "/api/v1/text", &cookie, &edit);
    assert_eq!((status, &told["noted"]), (200, &json!(true)), "the keeper at work has noted it: {told}");
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mended\n"));
    let (status, told) =
        post(&server, "/api/v1/retry", &cookie, &json!({"state": "failed", "reason": "content_filter"}));
    assert_eq!((status, &told["images"]), (200, &json!(1)), "{told}");
    until("the text that was asked again", || sandbox.text("tray_1/page0001.png").is_some());
    assert_eq!(image(&server, &cookie, "tray_0/page0000.png")["review"], "needs_work");
    let foreign = ["origin: http://evil.example", "content-type: application/json", cookie.as_str()];
    let body = json!({"image": shown["id"], "review": "good"}).to_string();
    assert!(server.head("POST /api/v1/review", &foreign, &body).starts_with("HTTP/1.1 403"));
    let neighbour = ["origin: http://localhost:1", "content-type: application/json", cookie.as_str()];
    assert!(
        server.head("POST /api/v1/review", &neighbour, &body).starts_with("HTTP/1.1 403"),
        "another port is no page of ours"
    );
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 2)].into());
    assert_eq!(sandbox.text("tray_0/page0000.png").as_deref(), Some("mended\n"));
}

#[test]
fn a_person_writes_while_the_server_is_held() {
    let sandbox = served(
        2,
        weather(
            "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"\nwhen = { times = 9 }\n",
        ),
    );
    let server = Served::start(&sandbox);
    let cookie = entered(&server, &link(&sandbox, &server, 0));
    until("that it is held", || server.get("/health/readyz").1.contains("rejected"));
    let (_, overview) = page(&server, "/", &cookie);
    let rejected = "<strong>Nothing new is sent: the key was rejected by";
    for part in [rejected, "it came from", "It is tried again at 20", "SIGHUP"] {
        assert!(overview.contains(part), "{part}: {overview}");
    }
    // No image has ended yet; the ledger has them all the same.
    let (status, told) = post(&server, "/api/v1/review", &cookie, &json!({"image": 1, "review": "unreadable"}));
    assert_eq!(status, 200, "{told}");
    let (_, shown) = page(&server, "/api/v1/images/1", &cookie);
    assert!(shown.contains("\"review\":\"unreadable\""), "{shown}");
    // What was written between two pipelines is in nobody's way.
    server.signal("HUP");
    until("the next try", || {
        std::fs::read_to_string(sandbox.words()).is_ok_and(|words| words.matches("Held:").count() > 1)
    });
    assert_eq!(post(&server, "/api/v1/review", &cookie, &json!({"image": 1, "review": "good"})).0, 200);
    let (code, _) = server.stop();
    assert!(code.is_some(), "it ends by itself");
}

#[test]
fn who_only_watches_changes_nothing() {
    let sandbox = served(1, Weather::default());
    assert!(sandbox.run().fault.is_none());
    let mut command = command_of(&sandbox, "serve");
    command.arg("--read-only");
    let server = Served::of(command);
    let cookie = entered(&server, &link(&sandbox, &server, 0));
    let shown = image(&server, &cookie, "tray_0/page0000.png");
    let (status, told) = post(&server, "/api/v1/review", &cookie, &json!({"image": shown["id"], "review": "good"}));
    assert_eq!(status, 403, "{told}");
    assert_eq!(page(&server, "/failures", &cookie).0, 200);
    server.signal("USR1");
    entered(&server, &link(&sandbox, &server, 1));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_monitor_that_asks_often_has_the_flags_of_many_images_counted_seldom() {
    let sandbox = served(1, Weather::default());
    assert!(sandbox.run().fault.is_none());
    grow(&sandbox, 10_000);
    let mut command = command_of(&sandbox, "serve");
    command.arg("--read-only");
    let server = Served::of(command);
    let status = || serde_json::from_str::<Value>(&server.get("/api/v1/status").1).expect("JSON");
    let first = status();
    assert!(first["images"]["flagged"] == 0 && first["flags_counted_at"].is_string(), "{first}");
    let ledger = rusqlite::Connection::open(sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    assert_eq!(ledger.execute("UPDATE line SET flags = '[\"loop\"]'", []).expect("a row"), 1);
    grow(&sandbox, 1);
    let second = status();
    assert_eq!([&second["images"]["flagged"], &second["images"]["found"]], [0, 10_002], "{second}");
    assert_eq!(first["flags_counted_at"], second["flags_counted_at"]);
    assert_eq!(server.stop().0, Some(0));
}
