//! Providers that differ from OpenAI: what their profiles say reaches the wire.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use batchscribe::emulator::scenario::Scenario;
use batchscribe::kit::clock::Clock;
use batchscribe::kit::stop::StopLevel;
use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::relay::{hand_on, serve};
use crate::sandbox::{Sandbox, Weather};

/// What a request said: method, path with query, lines of its head in lower case.
#[derive(Clone)]
struct Heard {
    method: String,
    target: String,
    head: String,
}

impl Heard {
    fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.target.split('?').next().is_some_and(|target| target.starts_with(path))
    }
}

/// An Azure-like front: its own path and query, and files that are `pending` for the first look at each.
fn azure(emulator: &str) -> (String, Arc<Mutex<Vec<Heard>>>) {
    let target = emulator.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let all = Arc::clone(&heard);
    let address = serve(move |mut stream, head, rest| {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let told = Heard { method: method.to_owned(), target: path.to_owned(), head: head.to_lowercase() };
        let before = {
            let mut heard = all.lock().expect("heard");
            heard.push(told.clone());
            heard.iter().filter(|one| one.method == "GET" && one.target == path).count()
        };
        let id = path.strip_prefix("/openai/v1/files/file-").filter(|rest| !rest.contains("/content"));
        if let Some(rest) = id.filter(|_| method == "GET" && before == 1) {
            let id = rest.split('?').next().unwrap_or_default();
            let body = format!(r#"{{"id":"file-{id}","object":"file","status":"pending"}}"#);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()));
            return;
        }
        let plain = head.replacen("/openai/v1/", "/v1/", 1).replacen("?api-version=2024-10-21", "", 1);
        let plain = plain.replacen("api-version=2024-10-21&", "", 1);
        drop(hand_on(stream, &plain, &rest, &target));
    });
    (format!("http://{address}/openai/v1"), heard)
}

#[test]
fn azure_gets_its_header_its_query_and_the_time_to_look_through_a_file() {
    let mut sandbox = Sandbox::new(3);
    let (base, heard) = azure(&sandbox.base_url());
    for (key, value) in [
        ("provider.name", "azure"),
        ("provider.query", "api-version=2024-10-21"),
        ("request.model", "batch-deployment"),
    ] {
        sandbox.set(key, value);
    }
    let (mut mission, _stop) = sandbox.mission(Mode::Run { once: false });
    mission.base_url = base;
    mission.key = Some("azure-key-0123456789".to_owned().into());
    let outcome = std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 3);

    let heard = heard.lock().expect("heard").clone();
    for request in &heard {
        assert!(request.target.contains("api-version=2024-10-21"), "{}", request.target);
        assert!(request.head.contains("\r\napi-key: azure-key-0123456789\r\n"), "{}", request.head);
        assert!(!request.head.contains("\r\nauthorization:"), "{}", request.head);
    }
    let at = |method: &str, path: &str| heard.iter().position(|request| request.is(method, path));
    let (upload, create) = (at("POST", "/openai/v1/files"), at("POST", "/openai/v1/batches"));
    let looks =
        heard.iter().take(create.expect("a create")).filter(|one| one.is("GET", "/openai/v1/files/file-")).count();
    assert!(upload < create && looks >= 2, "the file was pending, then processed, then the batch was created");
}

#[test]
fn where_no_fence_is_trusted_a_lost_create_is_waited_for_and_its_file_stays() {
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"act_then_drop\"\nwhen = { times = 1 }\n
        [[batch]]\nwhen = { times = 1 }\nhide_from_lists = 3\n
        [[door]]\nat = \"delete_file\"\nact = \"refuse\"\nstatus = 405\n";
    let weather = Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() };
    let mut sandbox = Sandbox::with(4, weather);
    sandbox.set("provider.fence", "wait");
    let outcome = sandbox.run();
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1, "the fourth listing shows the batch: it is adopted");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 4);
}

/// A front that hands everything on but uploads: of these `answer` gets the number, from 1, and the request.
fn front(emulator: &str, answer: impl Fn(usize, &[u8]) -> String + Send + Sync + 'static) -> (String, Requests) {
    let target = emulator.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let asked = Requests::default();
    let all = Arc::clone(&asked);
    let address = serve(move |mut stream, head, rest| {
        let request = head.split(" HTTP").next().unwrap_or_default().to_owned();
        let number = {
            let mut all = all.lock().expect("asked");
            all.push(request.clone());
            all.iter().filter(|one| **one == request).count()
        };
        if request != "POST /v1/files" {
            drop(hand_on(stream, &head, &rest, &target));
            return;
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
        let left = length.trim().parse::<u64>().expect("a number").saturating_sub(rest.len() as u64);
        let mut whole = [head.replacen("\r\n", "\r\nConnection: close\r\n", 1).into_bytes(), rest].concat();
        std::io::Read::by_ref(&mut stream).take(left).read_to_end(&mut whole).expect("the body");
        drop(stream.write_all(answer(number, &whole).as_bytes()));
    });
    (format!("http://{address}/v1"), asked)
}

/// Requests by their first words.
type Requests = Arc<Mutex<Vec<String>>>;

/// What `upload` says of such a front.
fn uploaded_to(sandbox: &mut Sandbox, base: String) -> String {
    sandbox.set("max_images_per_batch", "2");
    sandbox.set("shard.max_bodies", "1");
    let (mut mission, _stop) = sandbox.mission(Mode::Upload);
    mission.base_url = base;
    let outcome = std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("it comes back");
    format!("{:?}", outcome.fault.expect("the run cannot go on"))
}

fn count(asked: &Requests, start: &str) -> usize {
    asked.lock().expect("asked").iter().filter(|one| one.starts_with(start)).count()
}

#[test]
fn a_server_that_has_one_id_for_two_files_is_left_and_the_first_file_stays() {
    let mut sandbox = Sandbox::new(4);
    let (first, target) = (Mutex::new(String::new()), sandbox.base_url());
    let target = target.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let (base, asked) = front(&sandbox.base_url(), move |number, request| {
        let mut first = first.lock().expect("the first answer");
        if number == 1 {
            let mut server = std::net::TcpStream::connect(&target).expect("the emulator");
            server.write_all(request).expect("sent");
            server.read_to_string(&mut first).expect("an answer");
        }
        first.clone()
    });
    let fault = uploaded_to(&mut sandbox, base);
    assert!(fault.contains("two uploads the same id"), "{fault}");
    assert_eq!((count(&asked, "POST /v1/files"), count(&asked, "DELETE /v1/files")), (2, 0));
    let created = oracle::count(&sandbox.bill(), "create");
    assert!(created <= 1, "nothing is asked of a file that may be another's: {created}");
}

#[test]
fn uploads_that_never_arrive_whole_are_given_up_by_name() {
    let mut sandbox = Sandbox::new(2);
    let (base, asked) = front(&sandbox.base_url(), |number, _| {
        let body = format!(r#"{{"id":"file-{number}","object":"file","bytes":7,"status":"processed"}}"#);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    });
    let fault = uploaded_to(&mut sandbox, base);
    assert!(fault.contains("7 bytes of an upload of") && fault.contains("5 times"), "{fault}");
    assert_eq!((count(&asked, "POST /v1/files"), count(&asked, "DELETE /v1/files")), (5, 5));
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 0);
}

/// Doubts that the ledger knows of.
fn doubts(sandbox: &Sandbox) -> i64 {
    let ledger = sandbox.workspace().join("batch/ledger.sqlite");
    let read = rusqlite::Connection::open_with_flags(ledger, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = |db: rusqlite::Connection| {
        db.query_row("SELECT count(*) FROM batch WHERE doubt_at IS NOT NULL", [], |row| row.get(0))
    };
    read.and_then(count).unwrap_or_default()
}

#[test]
fn where_no_fence_is_trusted_a_new_start_goes_on_with_the_wait() {
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n";
    let weather = Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() };
    let mut sandbox = Sandbox::with(2, weather);
    sandbox.set("provider.fence", "wait");
    sandbox.set("provider.settle", "10m");
    let clock = Clock::manual(1_800_000_000_000);
    let start = |sandbox: &Sandbox| {
        let (mut mission, stop) = sandbox.mission(Mode::Run { once: false });
        mission.clock = clock.clone();
        (std::thread::spawn(move || batchscribe::pipeline::run(mission)), stop)
    };
    let (first, stop) = start(&sandbox);
    let begun = Instant::now();
    while doubts(&sandbox) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no create was lost");
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.raise(StopLevel::Drain);
    let outcome = first.join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 0);
    // Two days later: all of the wait but an hour is over, even if a day of them was none.
    clock.advance(Duration::from_secs(48 * 3600));
    let (second, _stop) = start(&sandbox);
    let (step, mut passed) = (Duration::from_secs(60), Duration::ZERO);
    while !second.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        clock.advance(step);
        passed += step;
        std::thread::sleep(Duration::from_millis(2));
    }
    let outcome = second.join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!((Duration::from_secs(3600)..Duration::from_secs(20 * 3600)).contains(&passed), "{passed:?}");
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 2);
}

#[test]
fn where_no_fence_is_trusted_a_second_create_comes_only_after_the_window() {
    // The request is lost on its way: nothing was created, and nobody can know.
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"drop\"\nwhen = { times = 1 }\n";
    let weather = Weather { scenario: Scenario::read(scenario).expect("a scenario"), ..Weather::default() };
    let mut sandbox = Sandbox::with(2, weather);
    sandbox.set("provider.fence", "wait");
    sandbox.set("provider.settle", "10m");
    let clock = Clock::manual(1_800_000_000_000);
    let (mut mission, _stop) = sandbox.mission(Mode::Run { once: false });
    mission.clock = clock.clone();
    let work = std::thread::spawn(move || batchscribe::pipeline::run(mission));
    let (step, mut passed, mut created) = (Duration::from_secs(300), Duration::ZERO, None);
    let begun = Instant::now();
    while !work.is_finished() {
        if created.is_none() && oracle::count(&sandbox.bill(), "create") > 0 {
            created = Some(passed);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end; created after {created:?}");
        clock.advance(step);
        passed += step;
        std::thread::sleep(Duration::from_millis(2));
    }
    let outcome = work.join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert!(created.is_none_or(|created| created >= Duration::from_secs(25 * 3600)), "{created:?}");
    assert!(passed >= Duration::from_secs(25 * 3600), "{passed:?}");
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 1);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 2);
}
