//! The headless server as its neighbours meet it: whoever copies files in, monitors, asks over HTTP, or sends signals.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kill::command_of;
use crate::oracle;
use crate::sandbox::{Sandbox, Weather, png};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(90);
/// Whoever stops a service loses patience after so long.
const DRAIN: Duration = Duration::from_secs(30);

/// A running server; ended hard if the test forgets to.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        Self::of(command_of(sandbox, "serve"))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}"));
        Self { child, address: address.to_owned(), _stdout: stdout }
    }

    /// Asks with these header lines; gives the status and the body.
    pub(crate) fn ask(&self, path: &str, headers: &[&str]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let headers = headers.join("\r\n");
        write!(stream, "GET {path} HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// Asks by our own name with these header lines and a body; gives the whole answer, head and all.
    pub(crate) fn head(&self, what: &str, headers: &[&str], body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = format!("content-length: {}", body.len());
        let host = format!("host: {}", self.address);
        let named = headers.iter().copied().chain([length.as_str(), "connection: close"]);
        let head = std::iter::once(host.as_str()).chain(named).collect::<Vec<_>>().join("\r\n");
        write!(stream, "{what} HTTP/1.1\r\n{head}\r\n\r\n{body}").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask(path, &[&format!("host: {}", self.address)])
    }

    /// The metrics without labels, and those with one by its value: `images.done`.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        parsed(&text)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// The exit code after SIGTERM, and how long it took.
    pub(crate) fn stop(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        self.signal("TERM");
        let status = self.child.wait().expect("a child");
        (status.code(), begun.elapsed())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Fails where it has ended, which is the rule.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a parser of Prometheus reads; every name has to be documented and typed.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    use prometheus_parse::Value::{Counter, Gauge, Histogram, Untyped};
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("metrics");
    let mut values = BTreeMap::new();
    for sample in scrape.samples {
        let name = sample.metric.strip_prefix("batchscribe_").expect("our name");
        // The parser keeps sum and count of a histogram by themselves.
        let base = sample.metric.strip_suffix("_sum").or_else(|| sample.metric.strip_suffix("_count"));
        let is_documented = |name: &str| scrape.docs.contains_key(name);
        assert!(is_documented(&sample.metric) || base.is_some_and(is_documented), "{name} has no help");
        for label in sample.labels.keys() {
            const KNOWN: [&str; 11] = [
                "state",
                "status",
                "direction",
                "model",
                "edge",
                "version",
                "verdict",
                "reason",
                "op",
                "code",
                "budget",
            ];
            assert!(KNOWN.contains(&label.as_str()), "{label}");
        }
        let mut labels: Vec<&String> = sample.labels.values().filter(|value| !value.is_empty()).collect();
        labels.sort();
        let label = labels.iter().map(|value| format!(".{value}")).collect::<String>();
        let value = match sample.value {
            Counter(value) | Gauge(value) => value,
            // How many there are: those below the last bound.
            Histogram(bounds) => bounds.iter().find(|bound| bound.less_than.is_infinite()).expect("a last bound").count,
            Untyped(value) if base.is_some() => value,
            other => panic!("{name} has no type: {other:?}"),
        };
        assert!(values.insert(format!("{name}{label}"), value).is_none(), "{name}{label} stands there twice");
    }
    values
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whoever asks the server of this workspace has to know `long-random-word`.
pub(crate) fn with_a_token(sandbox: &mut Sandbox) {
    with_the_token(sandbox, "long-random-word");
}

pub(crate) fn with_the_token(sandbox: &mut Sandbox, token: &str) {
    let file = sandbox.workspace().join("token.txt");
    std::fs::write(&file, format!("{token}\n")).expect("token");
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    sandbox.set("serve.token_file", "token.txt");
}

pub(crate) fn served(images: usize, weather: Weather) -> Sandbox {
    let mut sandbox = Sandbox::with(images, weather);
    for (key, value) in [("serve.listen", "127.0.0.1:0"), ("run.rescan_interval", "300ms"), ("show.stats", "1s")] {
        sandbox.set(key, value);
    }
    sandbox
}

pub(crate) fn weather(scenario: &str) -> Weather {
    Weather { scenario: toml::from_str(scenario).expect("a scenario"), ..Weather::default() }
}

/// Every image was paid for so many times at most.
fn paid_at_most(sandbox: &Sandbox, times: u32) {
    let billed = oracle::billed(&sandbox.bill());
    assert!(billed.values().all(|paid| *paid <= times), "{billed:?}");
}

#[test]
fn a_file_that_is_copied_slowly_is_read_once_it_is_whole() {
    let mut sandbox = served(2, Weather::default());
    // Longer than the writer is ever held up between two pieces.
    sandbox.set("run.rescan_interval", "3s");
    let server = Served::start(&sandbox);
    until("both texts", || {
        sandbox.text("tray_0/page0000.png").is_some() && sandbox.text("tray_1/page0001.png").is_some()
    });
    // A text chunk of a PNG may be as long as it likes, and comes first: half of such a file looks like an image.
    let path = sandbox.corpus().join("tray_0/slow.png");
    let mut file = OpenOptions::new().append(true).create(true).open(&path).expect("a file");
    let (bytes, mut arriving) = (png(77), false);
    file.write_all(&bytes[..bytes.len() / 2]).expect("half");
    until("a listing that saw it grow", || {
        file.write_all(b"x").expect("more");
        arriving |= server.metrics().get("images_arriving") == Some(&1.0);
        arriving
    });
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 2)].into());
    std::fs::write(&path, &bytes).expect("the whole");
    until("its text", || sandbox.text("tray_0/slow.png").is_some());
    let (code, took) = server.stop();
    assert_eq!(code, Some(0));
    assert!(took < DRAIN, "{took:?}");
    assert_eq!(oracle::states(&sandbox.workspace()), [("done".to_owned(), 3)].into());
    paid_at_most(&sandbox, 1);
}

#[test]
fn sigterm_leaves_open_batches_and_the_next_start_pays_nothing_twice() {
    let sandbox = served(6, Weather { line_delay: Duration::from_millis(400), ..Weather::default() });
    let server = Served::start(&sandbox);
    sandbox.await_batches(2);
    let (code, took) = server.stop();
    assert_eq!(code, Some(0), "{}", std::fs::read_to_string(sandbox.words()).expect("words"));
    assert!(took < DRAIN, "{took:?}");
    let server = Served::start(&sandbox);
    until("all texts", || (0..6).all(|n| sandbox.text(&format!("tray_{}/page{n:04}.png", n % 2)).is_some()));
    until("the books are closed", || server.metrics().get("batches.settled") == Some(&2.0));
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(oracle::count(&sandbox.bill(), "create"), 2);
    paid_at_most(&sandbox, 1);
}

#[test]
fn monitors_read_metrics_health_and_status() {
    let mut sandbox = served(5, Weather::default());
    let file = sandbox.workspace().join("metrics.prom");
    sandbox.set("serve.metrics_file", &file.to_string_lossy());
    sandbox.set("run.max_cost", "0");
    let server = Served::start(&sandbox);
    until("readiness", || server.get("/health/readyz").0 == 200);
    assert_eq!(server.get("/health/livez"), (200, "ok\n".to_owned()));
    until("the counts", || {
        let metrics = server.metrics();
        metrics.get("images.done") == Some(&5.0) && metrics.get("batches.settled") == Some(&2.0)
    });
    let metrics = server.metrics();
    assert_eq!([metrics["answers_total"], metrics["batches_opened_total"], metrics["ready"]], [5.0, 2.0, 1.0]);
    assert_eq!([metrics["images.owed"], metrics["images.failed"], metrics["oldest_batch_age_seconds"]], [0.0; 3]);
    assert!(metrics["upload_bytes_total"] > 500.0 && metrics["last_poll_timestamp_seconds"] > 1.7e9);
    assert!(!metrics.contains_key("cost_limit_usd"), "no limit is set");
    assert_eq!(metrics["image_outcomes_total.accept"], 5.0);
    assert_eq!(
        [metrics["provider_requests_total.200.upload_file"], metrics["provider_request_seconds.upload_file"]],
        [2.0; 2]
    );
    assert_eq!([metrics["provider_requests_total.200.create_batch"], metrics["batch_duration_seconds"]], [2.0; 2]);
    assert!(metrics["provider_requests_total.200.read_file"] >= 2.0 && metrics["download_bytes_total"] > 500.0);
    assert_eq!([metrics["lease_used.open_batches"], metrics["lease_used.bodies"]], [0.0; 2], "all came back");
    assert_eq!(metrics["cost_unknown_images"], 0.0);
    let (_, status) = server.get("/api/v1/status");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!([&status["schema"], &status["images"]["done"], &status["images"]["found"]], [1, 5, 5]);
    assert_eq!(
        server.get("/nowhere").0,
        401,
        "what is no address of the server is one of its pages, for all a stranger learns"
    );
    assert_eq!(server.stop().0, Some(0));
    let last = parsed(&std::fs::read_to_string(file).expect("a file of metrics"));
    assert_eq!(last["images.done"], 5.0);
}

#[test]
fn each_look_at_open_batches_is_a_heartbeat() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let mut sandbox = served(2, Weather::default());
    sandbox.set("notify.heartbeat", &format!("http://{}/ping", listener.local_addr().expect("an address")));
    let server = Served::start(&sandbox);
    // The first is never answered: it holds nothing up.
    let (held, _) = listener.accept().expect("a heartbeat");
    until("the texts", || server.metrics().get("images.done") == Some(&2.0));
    assert!(server.metrics()["last_poll_timestamp_seconds"] > 0.0);
    drop(held);
    sandbox.image("late.png", 5);
    let (second, _) = listener.accept().expect("another one");
    let mut line = String::new();
    BufReader::new(second).read_line(&mut line).expect("a line");
    assert_eq!(line, "GET /ping HTTP/1.1\r\n");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn other_names_and_pages_of_other_sites_are_refused() {
    let sandbox = served(0, Weather::default());
    let server = Served::start(&sandbox);
    let ask = |headers: &[&str]| server.ask("/api/v1/status", headers).0;
    assert_eq!(ask(&["host: evil.example"]), 421);
    assert_eq!(ask(&[&format!("host: {}.evil.example", server.address)]), 421);
    assert_eq!(ask(&["host: localhost", "origin: https://evil.example"]), 403);
    assert_eq!(server.ask("/health/livez", &["host: evil.example"]).0, 421);
    assert_eq!(server.ask("/health/livez", &["host: localhost", "origin: http://localhost"]).0, 200);
}

#[test]
fn a_token_is_asked_for_and_health_tells_without() {
    let mut sandbox = served(0, Weather::default());
    with_a_token(&mut sandbox);
    let server = Served::start(&sandbox);
    let ask = |path, authorization: &str| server.ask(path, &["host: localhost", authorization]).0;
    assert_eq!(server.ask("/metrics", &["host: localhost"]).0, 401);
    // However its address is written.
    for path in ["/metri%63s", "/%65vents", "/api/v1/statu%73"] {
        assert_eq!(server.ask(path, &["host: localhost"]).0, 401, "{path}");
    }
    assert_eq!(ask("/metrics", "authorization: Bearer another-word"), 401);
    assert_eq!(ask("/metrics", "authorization: Bearer long-random-word"), 200);
    assert_eq!(server.ask("/health/livez", &["host: localhost"]).0, 200);
}

#[test]
fn events_are_told_as_they_happen() {
    let sandbox = served(0, Weather::default());
    let server = Served::start(&sandbox);
    let listen = |address: &str| {
        let mut stream = TcpStream::connect(&server.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        write!(stream, "GET {address} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("asked");
        let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        assert!(lines.next().expect("a status").contains("200"), "{address}");
        assert!(lines.any(|line| line == "content-type: text/event-stream"));
        lines.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned)).take(200)
    };
    let listeners = ["/events", "/api/v1/events"].map(listen);
    sandbox.image("late.png", 5);
    for listener in listeners {
        let mut events = listener.map(|line| serde_json::from_str::<serde_json::Value>(&line).expect("JSON"));
        assert!(
            events.any(|event| event["type"] == "image" && event["path"] == "late.png" && event["run"].is_string())
        );
        assert!(events.any(|event| event["type"] == "batch" && event["to"] == "settled" && event["lines"] == 1));
    }
    // A listener holds nothing up.
    let (code, took) = server.stop();
    assert!(code == Some(0) && took < DRAIN, "{code:?} {took:?}");
}

/// The same command with a file of settings that may change.
pub(crate) fn with_its_file(command: &Command, sandbox: &Sandbox) -> Command {
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).filter(|word| word != "--no-config").collect();
    let mut again = Command::new(command.get_program());
    again.args(arguments).env_clear().current_dir(sandbox.workspace()).stdin(Stdio::null());
    again.stderr(std::fs::File::create(sandbox.words()).expect("a file for its words"));
    again
}

#[test]
fn sighup_takes_limits_over_and_names_what_waits() {
    let sandbox = served(1, Weather::default());
    let file = sandbox.workspace().join("batchscribe.toml");
    std::fs::write(&file, "[batch]\nmax_open_batches = 7\n").expect("settings");
    let server = Served::of(with_its_file(&command_of(&sandbox, "serve"), &sandbox));
    let words = || std::fs::read_to_string(sandbox.words()).expect("words");
    until("the first text", || sandbox.text("tray_0/page0000.png").is_some());
    std::fs::write(&file, "[batch]\nmax_open_batches = 3\n[request]\ndetail = \"low\"\n").expect("settings");
    server.signal("HUP");
    until("the words", || words().contains("changed, and taken over by the next start alone: request.detail"));
    assert!(words().contains("Settings read again; changed: batch.max_open_batches."), "{}", words());
    std::fs::write(&file, "[batch]\nmax_open_batches = 0\n").expect("settings");
    server.signal("HUP");
    until("the refusal", || words().contains("the settings stay as they were"));
    assert!(words().contains("error[E102]"), "{}", words());
    sandbox.image("late.png", 9);
    until("a text after that", || sandbox.text("late.png").is_some());
    server.signal("USR1");
    until("the line", || words().lines().any(|line| line.contains(" found 2 ")));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn what_is_in_the_way_is_told_and_tried_again() {
    let mut sandbox = served(
        3,
        weather(
            "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"\nwhen = { times = 1 }\n",
        ),
    );
    let told = sandbox.workspace().join("told.txt");
    sandbox.set("notify.command", &format!("cp,/dev/stdin,{}", told.display()));
    let server = Served::start(&sandbox);
    until("that it is held", || server.get("/health/readyz").1.contains("rejected"));
    let (_, why) = server.get("/health/readyz");
    assert!(why.contains("rejected"), "{why}");
    assert_eq!(server.get("/health/livez").0, 200, "it lives all the same");
    assert_eq!(server.metrics()["ready"], 0.0);
    until("the notice", || std::fs::read_to_string(&told).is_ok_and(|text| text.ends_with('\n')));
    let notice: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&told).expect("told")).expect("JSON");
    assert_eq!(
        [&notice["event"], &notice["code"], &notice["exit"]],
        [&"needs_you".into(), &"E301".into(), &serde_json::json!(6)]
    );
    // The key was changed, and somebody says so.
    server.signal("HUP");
    until("all texts", || (0..3).all(|n| sandbox.text(&format!("tray_{}/page{n:04}.png", n % 2)).is_some()));
    until("readiness", || server.get("/health/readyz").0 == 200);
    assert_eq!(server.stop().0, Some(0));
    paid_at_most(&sandbox, 1);
}

#[test]
fn who_only_watches_leaves_the_work_to_another() {
    let sandbox = served(2, Weather::default());
    let server = Served::start(&sandbox);
    until("the texts", || server.metrics().get("images.done") == Some(&2.0));
    let mut command = command_of(&sandbox, "serve");
    command.arg("--read-only");
    let watcher = Served::of(command);
    assert_eq!(watcher.metrics()["images.done"], 2.0);
    assert_eq!(watcher.get("/health/readyz").0, 200);
    assert_eq!(watcher.stop().0, Some(0));
    let mut second = command_of(&sandbox, "serve");
    assert_eq!(second.status().expect("the program").code(), Some(11), "two do not work in one workspace");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn images_go_nowhere_without_a_yes() {
    let mut sandbox = served(1, Weather::default());
    sandbox.set("run.max_cost", "5");
    let command = command_of(&sandbox, "serve");
    let without: Vec<_> = command.get_args().filter(|word| *word != "--yes").map(ToOwned::to_owned).collect();
    let url = "api_url=https://api.openai.com/v1/chat/completions";
    let mut asked = Command::new(command.get_program());
    asked.args(without).arg("--set").arg(url).env_clear().env("OPENAI_API_KEY", "sk-none");
    asked.current_dir(sandbox.workspace()).stdin(Stdio::null());
    let output = asked.output().expect("the program");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("error[E109]") && words.contains("api.openai.com"), "{words}");
    assert!(!sandbox.workspace().join("batch/ledger.sqlite").exists());
}

#[test]
fn a_supervisor_hears_that_it_is_ready_lives_and_stops() {
    let sandbox = served(1, Weather::default());
    let path = sandbox.workspace().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let heard = || {
        let mut words = [0; 512];
        let read = socket.recv(&mut words).expect("a word");
        String::from_utf8_lossy(&words[..read]).into_owned()
    };
    let mut command = command_of(&sandbox, "serve");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let server = Served::of(command);
    assert_eq!(heard(), "READY=1");
    let until_heard = |what: &str| while !heard().starts_with(what) {};
    until_heard("WATCHDOG=1");
    until_heard("STATUS=found 1 ");
    server.signal("TERM");
    until_heard("STOPPING=1");
}
