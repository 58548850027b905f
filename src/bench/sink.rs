//! A server that takes uploads and drops their bytes, so that it is never what is measured: it keeps what a client asks for
//! again, and nothing of what it was sent. Batches never end.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;

/// Bytes read from a socket at once: with less, the reading would show.
const READ: usize = 256 * 1024;
/// Batches of a page, unless the client asks for fewer.
const A_PAGE: usize = 100;
/// What a head may be long.
const HEAD: u64 = 64 * 1024;
/// What a request beside an upload may be long.
const SMALL: u64 = 1024 * 1024;

/// A sink on a port of this computer; it lives as long as its process.
#[derive(Debug)]
pub struct Sink {
    base_url: String,
}

impl Sink {
    /// Listens on a free port; `results` is what every output file is.
    ///
    /// # Errors
    /// The operating system's, if it gives no port or no thread.
    pub fn start(results: Option<PathBuf>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let books = Arc::new(Books { results, files: AtomicU64::default(), batches: Mutex::default() });
        let _detached = thread::spawn("sink", ExitGuard::unheard("sink"), move |guard| {
            for stream in listener.incoming().flatten() {
                let books = Arc::clone(&books);
                // A client that goes away, or a thread that is refused, costs that connection alone.
                let _detached = thread::spawn("connection", ExitGuard::unheard("connection"), move |guard| {
                    drop(serve(&stream, &books));
                    guard.drained();
                });
            }
            guard.drained();
        })?;
        Ok(Self { base_url })
    }

    /// Where it listens, up to `/v1`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

#[derive(Debug)]
struct Books {
    results: Option<PathBuf>,
    /// Input files so far: each has a name of its own, or two shards would pass for one.
    files: AtomicU64,
    /// Newest first, as the list is.
    batches: Mutex<VecDeque<Value>>,
}

/// What a head says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    method: String,
    /// Path below the base, without its query.
    path: String,
    query: String,
    length: u64,
}

/// Answers the requests of one connection, one after the other.
fn serve(stream: &TcpStream, books: &Books) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(READ, stream.try_clone()?);
    let mut writer = stream;
    while let Some(head) = head(&mut reader)? {
        let mut body = (&mut reader).take(head.length);
        let path: Vec<&str> = head.path.split('/').filter(|part| !part.is_empty()).collect();
        let answer = match (head.method.as_str(), path.as_slice()) {
            ("POST", ["files"]) => {
                io::copy(&mut body, &mut io::sink())?;
                file(&books.new_file(), None)
            }
            ("GET", ["files", _, "content"]) => {
                send_results(&mut writer, books)?;
                continue;
            }
            ("GET", ["files"]) => json!({"object": "list", "data": [], "has_more": false}),
            ("GET", ["files", id]) => {
                let length = books.results.as_deref().map(super::ground::length).transpose()?;
                file(id, length)
            }
            ("DELETE", ["files", id]) => json!({"id": id, "object": "file", "deleted": true}),
            ("POST", ["batches"]) => {
                let mut request = Vec::new();
                body.take(SMALL).read_to_end(&mut request)?;
                books.create(&serde_json::from_slice(&request)?)
            }
            ("GET", ["batches"]) => books.page(&head.query),
            ("GET", ["batches", id]) => books.batch(id),
            _ => json!({"error": {"message": "the sink has no such thing", "code": null}}),
        };
        send(&mut writer, answer.get("error").map_or(200, |_| 404), &answer)?;
    }
    Ok(())
}

/// The next head of a connection; `None` once the client has closed it.
fn head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut head = Head::default();
    let mut lines = reader.take(HEAD);
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    head.method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (head.path, head.query) = (path.strip_prefix("/v1").unwrap_or(path).to_owned(), query.to_owned());
    loop {
        line.clear();
        if lines.read_line(&mut line)? <= 2 {
            return Ok(Some(head));
        }
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            head.length = length.trim().parse().map_err(io::Error::other)?;
        }
    }
}

fn file(id: &str, length: Option<u64>) -> Value {
    let mut file =
        json!({"id": id, "object": "file", "created_at": 1, "filename": "bench.jsonl", "status": "processed"});
    if let Some(length) = length {
        file["bytes"] = json!(length);
    }
    file
}

fn send(writer: &mut impl io::Write, status: u16, answer: &Value) -> io::Result<()> {
    let body = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    writer.write_all((head + &body).as_bytes())
}

fn send_results(writer: &mut impl io::Write, books: &Books) -> io::Result<()> {
    let Some(path) = &books.results else { return send(writer, 404, &json!({"error": {"message": "no results"}})) };
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n");
    writer.write_all(head.as_bytes())?;
    io::copy(&mut file, writer).map(drop)
}

impl Books {
    fn new_file(&self) -> String {
        format!("file-in-{}", self.files.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn create(&self, request: &Value) -> Value {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = json!({
            "id": format!("batch_{}", batches.len() + 1), "object": "batch", "endpoint": request["endpoint"],
            "input_file_id": request["input_file_id"], "completion_window": "24h", "status": "in_progress",
            "created_at": 1, "expires_at": 4_000_000_000_u32, "metadata": request["metadata"],
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
        });
        batches.push_front(batch.clone());
        batch
    }

    fn batch(&self, id: &str) -> Value {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let none = || json!({"error": {"message": "no such batch", "code": null}});
        batches.iter().find(|batch| batch["id"] == id).cloned().unwrap_or_else(none)
    }

    fn page(&self, query: &str) -> Value {
        let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(A_PAGE).min(A_PAGE);
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let after = asked("after").and_then(|id| batches.iter().position(|batch| batch["id"] == id));
        let rest = batches.iter().skip(after.map_or(0, |at| at + 1));
        let data: Vec<&Value> = rest.take(limit + 1).collect();
        json!({"object": "list", "data": data.iter().take(limit).collect::<Vec<_>>(), "has_more": data.len() > limit})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_to_its_end_and_no_further() {
        let mut bytes: &[u8] = b"GET /v1/batches?limit=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
        let read = head(&mut bytes).expect("memory").expect("a head");
        let expected = Head { method: "GET".into(), path: "/batches".into(), query: "limit=2".into(), length: 5 };
        assert_eq!((read, bytes), (expected, &b"hello"[..]));
        assert_eq!(head(&mut &b""[..]).expect("memory"), None);
    }

    #[test]
    fn batches_are_listed_page_by_page_newest_first() {
        let books = Books { results: None, files: AtomicU64::default(), batches: Mutex::default() };
        assert_ne!(books.new_file(), books.new_file());
        for n in 0..5 {
            books.create(&json!({"input_file_id": format!("file-{n}"), "metadata": {"n": n}}));
        }
        let ids = |query| {
            let page = books.page(query);
            let ids: Vec<Value> = page["data"].as_array().expect("a list").iter().map(|b| b["id"].clone()).collect();
            (ids, page["has_more"] == true)
        };
        assert_eq!(ids("limit=2"), (vec![json!("batch_5"), json!("batch_4")], true));
        assert_eq!(ids("limit=2&after=batch_2"), (vec![json!("batch_1")], false));
        assert_eq!(ids("limit=3&after=batch_4"), (vec![json!("batch_3"), json!("batch_2"), json!("batch_1")], false));
        assert_eq!(books.batch("batch_3")["input_file_id"], "file-2");
        assert!(books.batch("batch_9").get("error").is_some());
    }
}
