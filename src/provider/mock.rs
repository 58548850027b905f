//! A server of a hundred lines on a real socket, for the odd answers that the emulator should not learn.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use super::http::Options;

/// What the server does with one connection.
pub(super) enum Act {
    /// Reads the request, sends this answer, closes.
    Answer(String),
    /// Reads the head alone, sends this answer, then reads on until the client closes.
    Early(String),
    /// Reads the head alone, sends this answer and closes with the rest unread, which resets the connection.
    Abrupt(String),
    /// Reads the request and closes without a word.
    Cut,
    /// Reads the request, sends this, and holds the connection open without another byte.
    Hang(&'static str),
    /// Reads the request, sends this, then one byte after the other, slowly, until the client closes.
    Drip(&'static str),
    /// Reads the request, sends this, then the same again as fast as it goes, until the client closes.
    Endless(&'static str),
    /// Reads the head and then nothing, with the connection open.
    Deaf,
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

pub(super) struct Mock {
    pub(super) url: String,
    seen: mpsc::Receiver<Seen>,
}

impl Mock {
    /// Serves `acts` in order, one a connection.
    #[expect(clippy::disallowed_methods, reason = "a test's thread that ends with its listener")]
    pub(super) fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let url = format!("http://{}/v1", listener.local_addr().expect("address"));
        let (sender, seen) = mpsc::channel();
        std::thread::spawn(move || {
            for act in acts {
                let Ok((stream, _)) = listener.accept() else { return };
                drop(serve(stream, act, &sender));
            }
        });
        Self { url, seen }
    }

    /// The requests so far; waits a moment for one under way.
    pub(super) fn requests(&self) -> Vec<Seen> {
        let mut all: Vec<Seen> = self.seen.recv_timeout(Duration::from_secs(5)).into_iter().collect();
        all.extend(std::iter::from_fn(|| self.seen.recv_timeout(Duration::from_millis(50)).ok()));
        all
    }
}

fn serve(mut stream: TcpStream, act: Act, sender: &mpsc::Sender<Seen>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return Ok(());
        }
    };
    let body = bytes.split_off(end);
    let mut seen = Seen { head: String::from_utf8_lossy(&bytes).into_owned(), body };
    let length: usize = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let whole = matches!(act, Act::Answer(_) | Act::Cut | Act::Hang(_) | Act::Drip(_) | Act::Endless(_));
    while whole && seen.body.len() < length {
        let count = stream.read(&mut buffer).unwrap_or(0);
        seen.body.extend_from_slice(&buffer[..count]);
        if count == 0 {
            break;
        }
    }
    drop(sender.send(seen));
    match act {
        Act::Answer(text) | Act::Abrupt(text) => stream.write_all(text.as_bytes()),
        Act::Early(text) => {
            stream.write_all(text.as_bytes())?;
            while stream.read(&mut buffer)? > 0 {}
            Ok(())
        }
        Act::Cut => Ok(()),
        Act::Hang(text) => {
            stream.write_all(text.as_bytes())?;
            stream.read(&mut buffer).map(drop)
        }
        Act::Drip(text) => {
            stream.write_all(text.as_bytes())?;
            loop {
                stream.write_all(b"x")?;
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        Act::Endless(text) => {
            stream.write_all(text.as_bytes())?;
            let more = "x-more: and more\r\n".repeat(4096);
            loop {
                stream.write_all(more.as_bytes())?;
            }
        }
        // A full socket buffer is what a dead network looks like.
        Act::Deaf => {
            std::thread::park_timeout(Duration::from_secs(2));
            Ok(())
        }
    }
}

/// An answer with a JSON body.
pub(super) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Options for a server at `url`.
pub(super) fn options(url: &str) -> Options {
    Options {
        base_url: url.to_owned(),
        key: Some("sk-test-key".to_owned().into()),
        key_header: "Authorization: Bearer".to_owned(),
        organization: None,
        project: None,
        stall_timeout: Duration::from_millis(300),
        user_agent: "batchscribe-test".to_owned(),
    }
}
