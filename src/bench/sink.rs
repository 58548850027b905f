//! A server that takes uploads and drops their bytes, so that it is never what is measured: it keeps what a client asks for
//! again, and of what it was sent the custom ids at most.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::ids::Ids;
use super::pages;
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
/// Names of input files and of the result files that answer them; a number follows.
const INPUT: &str = "file-in-";
const OUTPUT: &str = "file-out-";
/// What the answers are drawn from.
const SEED: u64 = 1;

/// What a sink has for whoever asks for a result file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Nothing; batches never end.
    None,
    /// This file, whatever was asked; batches never end.
    File(PathBuf),
    /// A made-up line for each request, of about the length that a page of print has; a batch is completed at the first look.
    Each,
}

/// A sink on a port of this computer; it lives as long as its process.
#[derive(Debug)]
pub struct Sink {
    base_url: String,
}

impl Sink {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The operating system's, if it gives no port or no thread.
    pub fn start(answers: Answers) -> io::Result<Self> {
        Self::start_wrapped(answers, "http", Ok)
    }

    /// Listens on a free port for URLs of this scheme; each connection is what `wrap` makes of it, for example one with TLS.
    ///
    /// # Errors
    /// The operating system's, if it gives no port or no thread.
    pub fn start_wrapped<S: Read + Write>(
        answers: Answers,
        scheme: &str,
        wrap: impl Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let base_url = format!("{scheme}://{}/v1", listener.local_addr()?);
        let shared = Arc::new((Books::new(answers), wrap));
        let _detached = thread::spawn("sink", ExitGuard::unheard("sink"), move |guard| {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away, or a thread that is refused, costs that connection alone.
                let _detached = thread::spawn("connection", ExitGuard::unheard("connection"), move |guard| {
                    let (books, wrap) = &*shared;
                    drop(stream.set_nodelay(true).and_then(|()| serve(wrap(stream)?, books)));
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
    answers: Answers,
    /// The custom ids of each input file, in the order of their names; none are looked for unless each is answered.
    inputs: Mutex<Vec<Vec<String>>>,
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
fn serve(stream: impl Read + Write, books: &Books) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(READ, stream);
    while let Some(head) = head(&mut stream)? {
        let mut body = (&mut stream).take(head.length);
        let path: Vec<&str> = head.path.split('/').filter(|part| !part.is_empty()).collect();
        let answer = match (head.method.as_str(), path.as_slice()) {
            ("POST", ["files"]) => file(&books.take_file(&mut body)?, None),
            ("GET", ["files", id, "content"]) => {
                books.send_results(id, stream.get_mut())?;
                continue;
            }
            ("GET", ["files"]) => json!({"object": "list", "data": [], "has_more": false}),
            ("GET", ["files", id]) => file(id, books.length(id)?),
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
        send(stream.get_mut(), answer.get("error").map_or(200, |_| 404), &answer)?;
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

fn send(writer: &mut impl Write, status: u16, answer: &Value) -> io::Result<()> {
    let body = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    writer.write_all((head + &body).as_bytes())?;
    writer.flush()
}

/// Sends a result file of `length` bytes.
fn send_file(writer: &mut impl Write, mut file: impl Read, length: u64) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n");
    writer.write_all(head.as_bytes())?;
    io::copy(&mut file, writer)?;
    writer.flush()
}

impl Books {
    fn new(answers: Answers) -> Self {
        Self { answers, inputs: Mutex::default(), batches: Mutex::default() }
    }

    /// Drops the bytes of an upload as they come; the file has a name of its own, or two shards would pass for one.
    fn take_file(&self, body: &mut io::Take<impl BufRead>) -> io::Result<String> {
        let mut ids = Ids::default();
        loop {
            let bytes = body.fill_buf()?;
            let count = bytes.len();
            if count == 0 {
                break;
            }
            if self.answers == Answers::Each {
                ids.take(bytes);
            }
            body.consume(count);
        }
        if body.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.push(ids.into_found());
        Ok(format!("{INPUT}{}", inputs.len()))
    }

    /// The lines that answer an input file, if this is the name of its result file.
    fn lines(&self, id: &str) -> Option<Vec<u8>> {
        let number: usize = id.strip_prefix(OUTPUT)?.parse().ok()?;
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (number as u64) << 32;
        let lines = (first..).zip(inputs.get(number.checked_sub(1)?)?).map(|(at, id)| pages::answer(at, id, SEED));
        Some(lines.collect::<String>().into_bytes())
    }

    fn length(&self, id: &str) -> io::Result<Option<u64>> {
        match &self.answers {
            Answers::None => Ok(None),
            Answers::File(path) => super::ground::length(path).map(Some),
            Answers::Each => Ok(self.lines(id).map(|lines| lines.len() as u64)),
        }
    }

    fn send_results(&self, id: &str, writer: &mut impl Write) -> io::Result<()> {
        match &self.answers {
            Answers::File(path) => {
                let file = fs_err::File::open(path)?;
                let length = file.metadata()?.len();
                send_file(writer, file, length)
            }
            Answers::None | Answers::Each => match self.lines(id) {
                Some(lines) => send_file(writer, lines.as_slice(), lines.len() as u64),
                None => send(writer, 404, &json!({"error": {"message": "no results", "code": null}})),
            },
        }
    }

    fn create(&self, request: &Value) -> Value {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = json!({
            "id": format!("batch_{}", batches.len() + 1), "object": "batch", "endpoint": request["endpoint"],
            "input_file_id": request["input_file_id"], "completion_window": "24h", "status": "in_progress",
            "created_at": 1, "expires_at": 4_000_000_000_u32, "metadata": request["metadata"],
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
        });
        batches.push_front(self.ended(&batch).unwrap_or_else(|| batch.clone()));
        batch
    }

    /// What a batch is at the first look, if it is answered.
    fn ended(&self, batch: &Value) -> Option<Value> {
        let number = batch["input_file_id"].as_str()?.strip_prefix(INPUT)?.to_owned();
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inputs.get(number.parse::<usize>().ok()?.checked_sub(1)?)?.len();
        (self.answers == Answers::Each).then(|| {
            let mut batch = batch.clone();
            batch["status"] = json!("completed");
            batch["output_file_id"] = json!(format!("{OUTPUT}{number}"));
            batch["request_counts"] = json!({"total": count, "completed": count, "failed": 0});
            batch
        })
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
        let books = Books::new(Answers::None);
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

    /// What a connection that sends `request` is answered.
    fn told(books: &Books, request: &str) -> String {
        let mut both = Both { from: io::Cursor::new(request.as_bytes().to_vec()), to: Vec::new() };
        serve(&mut both, books).expect("memory");
        String::from_utf8(both.to).expect("text")
    }

    struct Both {
        from: io::Cursor<Vec<u8>>,
        to: Vec<u8>,
    }

    impl Read for Both {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.from.read(buffer)
        }
    }

    impl Write for Both {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.to.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn post(path: &str, body: &str) -> String {
        format!("POST /v1/{path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn each_request_is_answered_by_its_id_in_a_batch_that_is_completed_at_the_first_look() {
        let books = Books::new(Answers::Each);
        let lines = "{\"custom_id\": \"a|1.png\", \"body\": {}}\n{\"custom_id\":\"a|2.png\",\"body\":{}}\n";
        let created = post("batches", "{\"input_file_id\": \"file-in-2\"}");
        let told_of = told(&books, &(post("files", "") + &post("files", lines) + &created));
        assert!(told_of.contains("\"file-in-2\"") && told_of.contains("\"in_progress\""), "{told_of}");
        let batch = books.batch("batch_1");
        let expected = json!({"total": 2, "completed": 2, "failed": 0});
        assert_eq!((&batch["status"], &batch["request_counts"]), (&json!("completed"), &expected));
        let content = told(&books, "GET /v1/files/file-out-2/content HTTP/1.1\r\n\r\n");
        let (_, content) = content.split_once("\r\n\r\n").expect("a body");
        assert_eq!(books.length("file-out-2").expect("memory"), Some(content.len() as u64));
        let ids: Vec<Value> = content
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a result line")["custom_id"].clone())
            .collect();
        assert_eq!(ids, ["a|1.png", "a|2.png"]);
        assert!(told(&books, "GET /v1/files/file-out-9/content HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn an_upload_that_breaks_off_is_no_file() {
        let books = Books::new(Answers::Each);
        let mut short: &[u8] = b"{\"custom_id\":\"a\"}";
        assert!(books.take_file(&mut (&mut short).take(100)).is_err());
        assert!(books.inputs.lock().expect("whole").is_empty());
    }
}
