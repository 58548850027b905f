//! Hostile transfers of result files and of input files, over a real socket and on a clock that runs fast.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use batchscribe::domain::ids::FileId;
use batchscribe::extract::fetch::{FetchError, Fetcher};
use batchscribe::kit::clock::Clock;
use batchscribe::kit::pool::Pool;
use batchscribe::kit::stop::stop_switch;
use batchscribe::provider::failure::Kind;
use batchscribe::provider::http::Options;
use batchscribe::provider::openai::OpenAi;
use batchscribe::provider::{Provider as _, UploadBody};
use bytes::Bytes;
use serde_json::json;

use super::report::Report;
use super::server::{self, send};
use super::transfer_cases::{Act, Came, Case, SWALLOWED, Told, cases, content};

/// Cases at a time.
const AT_A_TIME: usize = 4;

fn options(base: &str) -> Options {
    Options {
        base_url: base.to_owned(),
        key: Some("a-key-that-is-long-enough".to_owned().into()),
        key_header: "Authorization: Bearer".to_owned(),
        organization: None,
        project: None,
        stall_timeout: Duration::from_millis(400),
        user_agent: "test".to_owned(),
    }
}

/// A clock that runs by the hour while anybody waits; slower where real time passes on the socket.
fn fast_clock(case: &Case) -> Clock {
    let is_slow = case.acts.iter().any(|act| matches!(act, Act::Silent(_) | Act::Drip | Act::Endless));
    let step = Duration::from_secs(if is_slow { 1 } else { 30 });
    let clock = Clock::manual(1_800_000_000_000);
    let moved = clock.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            moved.advance(step);
        }
    });
    clock
}

/// A service that plays `case`, and another host beside it; whether the key ever came to the other host.
fn stage(case: &Case) -> (String, Arc<AtomicBool>) {
    let (key_followed, home) = (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::OnceLock::<String>::new()));
    let (leaked, back) = (Arc::clone(&key_followed), Arc::clone(&home));
    let other = server::serve(move |request, stream| {
        leaked.fetch_or(request.header("authorization").is_some(), Ordering::Relaxed);
        match (request.parts().as_slice(), back.get()) {
            (["back"], Some(home)) => {
                send(stream, "302 Found", &format!("location: {home}/files/file-1/content\r\n"), b"")
            }
            _ => Act::Good.play(&request, stream, ""),
        }
    });
    let (acts, told, asked) = (case.acts.clone(), case.told.clone(), AtomicUsize::new(0));
    let base = server::serve(move |request, stream| {
        if request.parts().last() == Some(&"content") {
            let act = acts[asked.fetch_add(1, Ordering::Relaxed).min(acts.len() - 1)].clone();
            return act.play(&request, stream, &other);
        }
        let object = |bytes: serde_json::Value| json!({"id": "file-1", "object": "file", "bytes": bytes}).to_string();
        match &told {
            Told::True => send(stream, "200 OK", "", object(json!(content().len())).as_bytes()),
            Told::Bytes(bytes) => send(stream, "200 OK", "", object(bytes.clone()).as_bytes()),
            Told::Instead(status, body) => send(stream, status, "", body.as_bytes()),
        }
    });
    home.set(base.clone()).expect("set once");
    (base, key_followed)
}

/// Fetches the file of a case; what came, and which files lie in the folder.
fn fetched(case: &Case, base: &str, folder: &Path) -> (Came, Vec<String>) {
    let (_switch, stop) = stop_switch();
    let fetcher = Fetcher {
        provider: Arc::new(OpenAi::new(&options(base)).expect("a client")),
        pool: Pool::new("fetch", 1).expect("a thread"),
        clock: fast_clock(case),
        stop,
        give_up_after: Duration::from_secs(3 * 3600),
        gone_after: Duration::from_secs(600),
    };
    let target = folder.join("raw/batch_1.jsonl");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let came = match runtime.block_on(fetcher.fetch(&FileId("file-1".into()), &target)) {
        Ok(raw) => {
            let bytes = std::fs::read(&target).expect("the file");
            assert_eq!(raw.bytes, bytes.len() as u64);
            if bytes == content() { Came::Whole } else { panic!("{} other bytes", bytes.len()) }
        }
        Err(FetchError::NotThere(_)) => Came::Gone,
        Err(FetchError::Unreachable(_)) => Came::Unreachable,
        Err(FetchError::NeverWhole { got, .. }) => Came::Aside(got),
        Err(FetchError::Provider(failure)) => match failure.kind {
            Kind::Key => Came::Rejected("Key"),
            Kind::Forbidden => Came::Rejected("Forbidden"),
            Kind::Money => Came::Rejected("Money"),
            other => panic!("{other:?}"),
        },
        Err(other) => panic!("{other}"),
    };
    let names = std::fs::read_dir(folder.join("raw")).expect("the folder");
    (came, names.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect())
}

fn try_one(case: &Case) -> (Result<Came, String>, Vec<String>, bool) {
    let (base, key_followed) = stage(case);
    let folder = tempfile::tempdir().expect("temp dir");
    let tried = std::panic::catch_unwind(|| fetched(case, &base, folder.path()));
    let (came, left) = match tried {
        Ok((came, left)) => (Ok(came), left),
        Err(words) => (Err(format!("{:?}", words.downcast_ref::<String>())), Vec::new()),
    };
    (came, left, key_followed.load(Ordering::Relaxed))
}

#[test]
fn hostile_downloads() {
    let mut report = Report::new("B1 downloads");
    let cases = cases();
    for some in cases.chunks(AT_A_TIME) {
        let tried: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|case| scope.spawn(|| try_one(case))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it comes back")).collect()
        });
        for (case, (came, left, key_followed)) in some.iter().zip(tried) {
            report.case(case.name, &came, &Ok(case.came.clone()));
            report.holds(&format!("{}: the key came to another host", case.name), !key_followed);
            let expected = match case.came {
                Came::Whole => vec!["batch_1.jsonl"],
                Came::Aside(_) => vec!["batch_1.jsonl.incomplete"],
                _ => vec![],
            };
            report.holds(&format!("{}: left over {left:?}", case.name), left == expected);
        }
    }
    report.holds("a stream without an end is stopped", !SWALLOWED.load(Ordering::Relaxed));
    report.close(85);
}

/// What comes of an upload that is answered so; `early`: before its body was read.
fn upload(early: bool, status: &'static str, body: &'static str) -> Result<String, Kind> {
    let base = server::serve_heads(move |head, stream| {
        let length = server::content_length(head);
        if !early {
            server::swallow(stream, length)?;
        }
        send(stream, status, "", body.as_bytes())?;
        server::swallow(stream, length)
    });
    let client = OpenAi::new(&options(&base)).expect("a client");
    let (sender, lane) = tokio::sync::mpsc::channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let sent = client.upload_file("a.jsonl", UploadBody { length: 20_000_000, lane });
        let filled = async move {
            for _ in 0..200 {
                if sender.send(Bytes::from(vec![b'x'; 100_000])).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(sent, filled).0
    });
    answer.map(|file| file.id.as_str().to_owned()).map_err(|failure| failure.kind)
}

#[test]
fn hostile_answers_to_uploads() {
    let mut report = Report::new("B1 uploads");
    for (name, early, status, body, expected) in uploads() {
        report.case(name, &upload(early, status, body), &expected);
    }
    report.close(12);
}

type Upload = (&'static str, bool, &'static str, &'static str, Result<String, Kind>);

fn uploads() -> Vec<Upload> {
    let good = r#"{"id":"file-1","object":"file","bytes":20000000}"#;
    let explained = r#"{"error":{"message":"no"}}"#;
    let id = || Ok("file-1".to_owned());
    vec![
        ("good", false, "200 OK", good, id()),
        ("no JSON", false, "200 OK", "<html>", Err(Kind::Doubt)),
        ("no file", false, "200 OK", "{}", Err(Kind::Doubt)),
        ("a list", false, "200 OK", "[]", Err(Kind::Doubt)),
        ("nothing", false, "204 No Content", "", Err(Kind::Doubt)),
        ("refused", false, "400 Bad", explained, Err(Kind::Refused)),
        ("elsewhere", false, "307 There", "", Err(Kind::Doubt)),
        ("too large, early", true, "413 Too Large", "<html>", Err(Kind::TooLarge)),
        ("refused, early", true, "400 Bad", explained, Err(Kind::Refused)),
        ("no key, early", true, "401 No", "", Err(Kind::Key)),
        ("busy, early", true, "429 Slow", "", Err(Kind::Busy)),
        ("broken, early", true, "500 Oops", "", Err(Kind::Doubt)),
    ]
}

/// How many there are.
pub(crate) fn size() -> usize {
    cases().len() + uploads().len()
}
