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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, Arc::clone(&answer)) else { return };
            // A client that has gone away is part of the game.
            std::thread::spawn(move || {
                drop(read(&mut stream).and_then(|request| answer(request, &mut stream)));
            });
        }
    });
    base
}

fn read(stream: &mut TcpStream) -> io::Result<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, head, body };
    let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while request.body.len() < length {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => request.body.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(request)
}

/// Sends a whole answer; `more` are further header lines, each with its line end.
pub(crate) fn send(stream: &mut TcpStream, status: &str, more: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
