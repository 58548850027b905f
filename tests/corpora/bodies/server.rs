//! A server on a real socket that answers whatever a case wants, one request a connection.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path with its query.
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The parts of the path below `/v1/`, without the query.
    pub(crate) fn parts(&self) -> Vec<&str> {
        let path = self.path.split('?').next().unwrap_or_default();
        path.trim_start_matches('/').split('/').skip(1).collect()
    }

    /// The value of a query parameter, as it stands.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.path.split_once('?')?.1.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Serves for the rest of the process; the base URL.
pub(crate) fn serve(answer: impl Fn(Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    serve_connections(move |stream| {
        let (head, mut body) = read_head(stream)?;
        let length = content_length(&head);
        let rest = length.saturating_sub(body.len() as u64);
        stream.take(rest).read_to_end(&mut body)?;
        if (body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        answer(Request { method, path, head, body }, stream)
    })
}

/// The same for those who answer before they have read the body.
pub(crate) fn serve_heads(answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    serve_connections(move |stream| {
        let (head, _begin) = read_head(stream)?;
        answer(&head, stream)
    })
}

fn serve_connections(serve: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), serve) = (stream, Arc::clone(&serve)) else { return };
            // A client that has gone away is part of the game.
            std::thread::spawn(move || drop(serve(&mut stream)));
        }
    });
    base
}

/// The head of a request, and what came of its body.
fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(at + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), body));
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The length of a body, from its head.
pub(crate) fn content_length(head: &str) -> u64 {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(key, _)| key.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// Reads up to so many bytes into nothing, until no more come.
pub(crate) fn swallow(stream: &mut TcpStream, most: u64) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    match io::copy(&mut stream.take(most), &mut io::sink()) {
        Err(cause) if !matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(cause),
        _ => Ok(()),
    }
}

/// Sends a whole answer; `more` are further header lines, each with its line end.
pub(crate) fn send(stream: &mut TcpStream, status: &str, more: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
