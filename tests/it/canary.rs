//! The key is in no log, error, argument list, child, ledger, raw file, notice or report: the real binary runs through
//! servers that repeat the key wherever they can, and then every byte that it left or said is searched.

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use batchscribe::emulator::scenario::Scenario;

use crate::oracle;
use crate::relay::{hand_on, serve};
use crate::sandbox::{Sandbox, Weather};

/// A key as the service makes them, and one that no pattern knows.
const USUAL: &str = "sk-proj-Canary7f3a9C51e0Wq8ZtUv2xKd4Lm6Nb_Rp0s";
const PLAIN: &str = "Canary4e1bGh77-other-service-Yt55Zz90aQwErT12";
/// What is searched: more than the ending that `doctor` shows on purpose.
const CORES: [&str; 2] = ["Canary7f3a9C51e0", "Canary4e1bGh77"];

/// Where the key lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Variable,
    File,
    Command,
}

/// Stands before the emulator: content is fetched from another host, everything else is handed on.
struct Relay {
    base: String,
    /// What the other host was asked.
    other: Arc<Mutex<String>>,
}

impl Relay {
    fn before(emulator: &str) -> Self {
        let target = emulator.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let other = Arc::new(Mutex::new(String::new()));
        let (heard, behind) = (Arc::clone(&other), target.clone());
        let elsewhere = serve(move |stream, head, rest| {
            heard.lock().expect("heard").push_str(&head);
            drop(hand_on(stream, &head, &rest, &behind));
        });
        let address = serve(move |mut stream, head, rest| {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if path.ends_with("/content") {
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                drop(stream.write_all(answer.as_bytes()));
            } else {
                drop(hand_on(stream, &head, &rest, &target));
            }
        });
        Self { base: format!("http://{address}/v1"), other }
    }
}

/// Every door repeats the key once, each in its own way.
fn weather(key: &str) -> Weather {
    let door = |at: &str, act: &str, status: u16, more: &str| {
        format!(
            "[[door]]\nat = \"{at}\"\nact = \"{act}\"\nstatus = {status}\n{more}\nmessage = \"Incorrect API key provided: {key}. See the page.\"\n"
        )
    };
    let text = [
        door("upload_file", "refuse", 401, "code = \"invalid_api_key\"\nwhen = { times = 1 }"),
        door("upload_file", "refuse", 500, "html = true\nwhen = { skip = 1, times = 1 }"),
        door("create_batch", "act_then_refuse", 500, "when = { times = 1 }"),
        door(
            "create_batch",
            "refuse",
            429,
            &format!("code = \"{key}\"\nparam = \"{key}\"\nretry_after_seconds = 0\nwhen = {{ skip = 1, times = 1 }}"),
        ),
        door("list_batches", "refuse", 503, "retry_after_seconds = 0\nwhen = { times = 1 }"),
        door("read_file", "refuse", 500, "retry_after_seconds = 0\nwhen = { times = 1 }"),
        door("delete_file", "refuse", 403, "when = { times = 2 }"),
        format!(
            "[[batch]]\nshow = [{{ members = {{ account = \"{key}\", errors = {{ object = \"list\", data = [{{ code = \"{key}\", message = \"{key}\" }}] }} }} }}]\n"
        ),
    ];
    Weather { scenario: Scenario::read(&text.concat()).expect("a scenario"), ..Weather::default() }
}

struct Story {
    sandbox: Sandbox,
    relay: Relay,
    place: Place,
    key: &'static str,
    /// Looks at a living process.
    looks: Cell<usize>,
}

impl Story {
    fn new(place: Place, key: &'static str) -> Self {
        let sandbox = Sandbox::with(6, weather(key));
        let relay = Relay::before(&sandbox.base_url());
        std::fs::write(sandbox.workspace().join("key"), format!("{key}\n")).expect("the key file");
        let private = Command::new("chmod").arg("600").arg(sandbox.workspace().join("key")).status().expect("chmod");
        assert!(private.success());
        Self { sandbox, relay, place, key, looks: Cell::new(0) }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batchscribe"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.sandbox.workspace());
        command.current_dir(self.sandbox.workspace()).stdin(Stdio::null()).args(words.split_whitespace());
        command.args(["--no-config", "--yes", "--set", "show.log_level=trace", "--log-file", "trace.log"]);
        for (key, value) in self.sandbox.flags() {
            let value = if key == "api_url" { format!("{}/chat/completions", self.relay.base) } else { value };
            command.arg("--set").arg(format!("{key}={value}"));
        }
        match self.place {
            Place::Variable => {
                command.env("OPENAI_API_KEY", self.key);
            }
            Place::File => {
                command.args(["--set", "api_key_file=key"]);
            }
            // The variable holds a key, too, which the command has no business with.
            Place::Command => {
                let line = "api_key_command=env > child.env; cat key";
                command.env("OPENAI_API_KEY", USUAL).args(["--set", line]);
            }
        }
        command
    }

    /// Runs to the end; what it said is searched, and so are its arguments and its children while it lives.
    fn call(&self, words: &str, exit: i32) {
        let said = self.sandbox.words();
        let file = |name: &str| std::fs::File::create(said.with_extension(name)).expect("a file");
        let mut child = self.command(words).stdout(file("out")).stderr(file("err")).spawn().expect("it starts");
        let begun = Instant::now();
        let status = loop {
            self.looks.update(|looks| looks + usize::from(self.looked_at(child.id())));
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{words}: it does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = |name: &str| std::fs::read_to_string(said.with_extension(name)).expect("text");
        let (out, err) = (text("out"), text("err"));
        assert_eq!(status.code(), Some(exit), "{words}\n{err}\n{out}");
        search(words, out.as_bytes());
        search(words, err.as_bytes());
    }

    /// Whether the process was there; the key is not among its arguments, and it has no children but the key's command.
    fn looked_at(&self, pid: u32) -> bool {
        let Ok(arguments) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        search("the argument list", &arguments);
        for child in children(pid) {
            assert!(self.place == Place::Command, "{child} is a child");
        }
        !arguments.is_empty()
    }
}

/// Processes whose parent is `pid`.
fn children(pid: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let is_child = |stat: &String| {
        let behind = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        behind.split(' ').nth(1) == Some(pid.to_string().as_str())
    };
    stats.filter(is_child).collect()
}

/// No part of a key is in `bytes`.
fn search(place: &str, bytes: &[u8]) {
    for core in CORES {
        if let Some(at) = bytes.windows(core.len()).position(|window| window == core.as_bytes()) {
            let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
            panic!("{place}: the key is at {at}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// Searches every file but the one that is the key's own place.
fn search_below(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files += search_below(&path);
        } else if path.file_name().is_some_and(|name| name != "key") {
            search(&path.display().to_string(), &std::fs::read(&path).expect("a file"));
            files += 1;
        }
    }
    files
}

fn tell(place: Place, key: &'static str) {
    let story = Story::new(place, key);
    story.call("config show --origin", 0);
    story.call("config show --json", 0);
    story.call("doctor --online", 0);
    // The first upload meets the 401, the second one the page of HTML.
    story.call("run --json -vv", 6);
    story.call("upload -vv --log-format json", 0);
    story.call("status", 0);
    story.call("status --json", 0);
    // The ledger's journal of writes is there while a reader holds it open.
    let ledger = rusqlite::Connection::open(story.sandbox.workspace().join("batch/ledger.sqlite")).expect("ledger");
    let open: i64 =
        ledger.query_row("SELECT count(*) FROM batch WHERE state = 'open'", [], |row| row.get(0)).expect("a count");
    assert_eq!(open, 2, "both batches are open, one of them found again");
    search_below(&story.sandbox.workspace());
    story.call("download --wait --json -v", 0);
    search_below(&story.sandbox.workspace());
    drop(ledger);
    story.call("run", 0);
    story.call("run --json", 0);
    story.call("audit", 0);
    story.call("audit --json", 0);
    story.call("status --list failed", 0);
    let root = story.sandbox.workspace();
    let files = search_below(root.parent().expect("the sandbox"));
    assert!(files > 20, "{files} files were searched");
    assert!(story.looks.get() > 0, "its arguments were never seen");
    let log = std::fs::read_to_string(root.join("trace.log")).expect("the log");
    assert!(log.contains("TRACE") && log.contains("ncorrect API key provided"), "the log holds what the servers said");
    let other = story.relay.other.lock().expect("heard").clone();
    assert!(other.contains("/content"), "the redirect was followed");
    search("the other host", other.as_bytes());
    assert!(!other.to_lowercase().contains("authorization"), "{other}");
    oracle::finished(&root, &story.sandbox.bill(), 6);
}

#[test]
fn a_key_in_the_environment_is_left_nowhere() {
    tell(Place::Variable, USUAL);
}

#[test]
fn a_key_in_a_file_is_left_nowhere() {
    tell(Place::File, PLAIN);
}

#[test]
fn a_key_of_a_command_is_left_nowhere_and_other_keys_are_not_handed_to_it() {
    tell(Place::Command, PLAIN);
}
