//! A scripted account at a batch service: files, batches and lists as they should be, result files as a case wants them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::server::{self, Request, send};

/// A stretch of a result file; long ones are made while they are sent.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// One byte, so many times.
    Fill(u8, u64),
}

/// A result file.
pub(crate) type Content = Vec<Part>;

/// Output and error file of a batch, from the ids of its lines.
pub(crate) type Script = Box<dyn Fn(&[String]) -> [Content; 2] + Send + Sync>;

/// What becomes of the first create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstCreate {
    /// It is answered.
    Answered,
    /// It is done, and answered with 500.
    Lost,
    /// It is not done, and answered with 500.
    Refused,
}

/// A page of the list of batches: from the number of the request, all batches (newest first) and the cursor, a status and
/// a body.
pub(crate) type ListScript = Box<dyn Fn(usize, &[Value], Option<&str>) -> (&'static str, String) + Send + Sync>;

/// One batch, from the number of the request and the batch as it should be: a status and a body.
pub(crate) type OneScript = Box<dyn Fn(usize, &Value) -> (&'static str, String) + Send + Sync>;

/// How an account behaves, and what was asked of it.
pub(crate) struct Account {
    script: Script,
    list: ListScript,
    one: OneScript,
    first: FirstCreate,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Method and last part of the path of every request that changes something.
    asked: Vec<String>,
    listed: usize,
    looked: usize,
    /// Lines' ids of each input file, and its length.
    inputs: BTreeMap<String, (Vec<String>, usize)>,
    /// Batch objects, oldest first.
    batches: Vec<Value>,
    results: BTreeMap<String, Arc<Content>>,
}

/// Opens an account; its base URL.
pub(crate) fn open(script: Script) -> String {
    Account::listing(script, Box::new(|_, all, after| honest(all, after)), FirstCreate::Answered).1
}

/// A page of at most a hundred batches, as it should be.
pub(crate) fn honest(all: &[Value], after: Option<&str>) -> (&'static str, String) {
    let begin = after.map_or(0, |id| all.iter().position(|batch| batch["id"] == *id).map_or(all.len(), |at| at + 1));
    let rest = &all[begin..];
    let page = &rest[..rest.len().min(100)];
    ("200 OK", json!({"object": "list", "data": page, "has_more": rest.len() > page.len()}).to_string())
}

impl Account {
    /// An account whose list is scripted, and its base URL.
    pub(crate) fn listing(script: Script, list: ListScript, first: FirstCreate) -> (Arc<Self>, String) {
        Self::new(script, list, Box::new(|_, batch| ("200 OK", batch.to_string())), first)
    }

    /// An account and its base URL.
    pub(crate) fn new(script: Script, list: ListScript, one: OneScript, first: FirstCreate) -> (Arc<Self>, String) {
        let account = Arc::new(Self { script, list, one, first, books: Mutex::default() });
        let behind = Arc::clone(&account);
        let base = server::serve(move |request, stream| behind.answer(&request, stream));
        (account, base)
    }

    /// Creates and deletions in their order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.books.lock().expect("books").asked.clone()
    }

    /// Pages of the list that were read.
    pub(crate) fn listed(&self) -> usize {
        self.books.lock().expect("books").listed
    }

    fn answer(&self, request: &Request, stream: &mut TcpStream) -> io::Result<()> {
        let parts = request.parts();
        let method = request.method.as_str();
        if let ("GET", ["files", id, "content"]) = (method, parts.as_slice()) {
            let content = self.books.lock().expect("books").results.get(*id).cloned();
            let Some(content) = content else { return send(stream, "404 Not Found", "", b"{\"error\":{}}") };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", length(&content));
            stream.write_all(head.as_bytes())?;
            return stream_out(&content, stream);
        }
        if let ("GET", ["batches"]) = (method, parts.as_slice()) {
            let (nth, newest) = self.books.lock().expect("books").look();
            let (status, body) = (self.list)(nth, &newest, request.query("after"));
            return send(stream, status, "", body.as_bytes());
        }
        if let ("GET", ["batches", id]) = (method, parts.as_slice()) {
            let told = self.books.lock().expect("books").look_at(id);
            let (status, body) = told.map_or(("404 Not Found", String::new()), |(nth, batch)| (self.one)(nth, &batch));
            return send(stream, status, "", body.as_bytes());
        }
        let is_create = method == "POST" && parts == ["batches"];
        let is_first = is_create && self.books.lock().expect("books").is_untouched();
        let told = match self.first {
            FirstCreate::Refused if is_first => None,
            _ => self.books.lock().expect("books").told(&self.script, request, &parts),
        };
        self.books.lock().expect("books").note(request, &parts);
        match told {
            _ if is_first && self.first != FirstCreate::Answered => send(stream, "500 Oops", "", b""),
            Some(value) => send(stream, "200 OK", "", value.to_string().as_bytes()),
            None => send(stream, "404 Not Found", "", b"{\"error\":{\"message\":\"no such thing\"}}"),
        }
    }
}

fn length(content: &Content) -> u64 {
    let lengths = content.iter().map(|part| match part {
        Part::Bytes(bytes) => bytes.len() as u64,
        Part::Fill(_, count) => *count,
    });
    lengths.sum()
}

fn stream_out(content: &Content, out: &mut impl Write) -> io::Result<()> {
    for part in content {
        match part {
            Part::Bytes(bytes) => out.write_all(bytes)?,
            Part::Fill(byte, count) => {
                let block = [*byte; 64 * 1024];
                let mut left = *count;
                while left > 0 {
                    let now = left.min(block.len() as u64);
                    out.write_all(&block[..usize::try_from(now).expect("a block")])?;
                    left -= now;
                }
            }
        }
    }
    Ok(())
}

impl Books {
    fn look(&mut self) -> (usize, Vec<Value>) {
        self.listed += 1;
        (self.listed - 1, self.batches.iter().rev().cloned().collect())
    }

    fn look_at(&mut self, id: &str) -> Option<(usize, Value)> {
        self.looked += 1;
        let batch = self.batches.iter().find(|batch| batch["id"] == *id)?;
        Some((self.looked - 1, batch.clone()))
    }

    fn is_untouched(&self) -> bool {
        !self.asked.iter().any(|asked| asked.starts_with("create"))
    }

    fn note(&mut self, request: &Request, parts: &[&str]) {
        match (request.method.as_str(), parts) {
            ("POST", ["batches"]) => {
                let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
                self.asked.push(format!("create {}", asked["input_file_id"].as_str().expect("an input file")));
            }
            ("DELETE", ["files", id]) => self.asked.push(format!("delete {id}")),
            _ => {}
        }
    }

    fn told(&mut self, script: &Script, request: &Request, parts: &[&str]) -> Option<Value> {
        match (request.method.as_str(), parts) {
            ("POST", ["files"]) => Some(self.take_file(&request.body)),
            ("GET", ["files"]) => Some(json!({"object": "list", "data": [], "has_more": false})),
            ("GET", ["files", id]) => self.file(id),
            ("DELETE", ["files", id]) => Some(json!({"id": id, "object": "file", "deleted": true})),
            ("POST", ["batches"]) => self.create(script, &request.body),
            ("POST", ["batches", id, "cancel"]) | ("GET", ["batches", id]) => {
                self.batches.iter().find(|batch| batch["id"] == **id).cloned()
            }
            _ => None,
        }
    }

    fn take_file(&mut self, form: &[u8]) -> Value {
        let begin = form.windows(2).position(|window| window == b"{\"").expect("a line of JSON");
        let end = form.windows(4).rposition(|window| window == b"\r\n--").expect("the end of the form");
        let lines = &form[begin..end];
        let id_of = |line: &[u8]| -> Option<String> {
            let line: Value = serde_json::from_slice(line).ok()?;
            Some(line["custom_id"].as_str()?.to_owned())
        };
        let ids: Vec<String> = lines.split(|byte| *byte == b'\n').filter_map(id_of).collect();
        assert!(!ids.is_empty(), "a body without lines");
        let id = format!("file-in{}", self.inputs.len());
        self.inputs.insert(id.clone(), (ids, lines.len()));
        self.file(&id).expect("just taken")
    }

    fn file(&self, id: &str) -> Option<Value> {
        let input = self.inputs.get(id).map(|(_, length)| *length as u64);
        let bytes = input.or_else(|| self.results.get(id).map(|content| length(content)))?;
        let created_at = 1_800_000_000;
        Some(json!({"id": id, "object": "file", "bytes": bytes, "created_at": created_at, "filename": "x.jsonl",
            "purpose": "batch", "status": "processed"}))
    }

    fn create(&mut self, script: &Script, body: &[u8]) -> Option<Value> {
        let asked: Value = serde_json::from_slice(body).ok()?;
        let input = asked["input_file_id"].as_str()?;
        let ids = &self.inputs.get(input)?.0;
        let no = self.batches.len();
        let (output, errors) = (format!("file-out{no}"), format!("file-err{no}"));
        let [good, bad] = script(ids);
        self.results.insert(output.clone(), Arc::new(good));
        self.results.insert(errors.clone(), Arc::new(bad));
        let batch = json!({"id": format!("batch_{no}"), "object": "batch", "endpoint": asked["endpoint"],
            "input_file_id": input, "completion_window": "24h", "created_at": 1_800_000_000, "status": "completed",
            "output_file_id": output, "error_file_id": errors, "metadata": asked["metadata"]});
        self.batches.push(batch.clone());
        Some(batch)
    }
}
