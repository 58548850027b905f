//! What stands between the program and the emulator where a story needs another server than that.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// The head of a request, and what came of its body.
fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Hands a request on to the emulator, one a connection, and its answer back.
pub(crate) fn hand_on(mut stream: TcpStream, head: &str, rest: &[u8], target: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    server.write_all(rest)?;
    let (mut from, mut to) = (stream.try_clone()?, server.try_clone()?);
    let sending = std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(drop));
    std::io::copy(&mut server, &mut stream)?;
    stream.shutdown(Shutdown::Both)?;
    sending.join().expect("the sender ends")
}

/// A server of its own thread on a free port, gone with the process; one request a connection.
pub(crate) fn serve(answer: impl Fn(TcpStream, String, Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, Arc::clone(&answer)) else { return };
            std::thread::spawn(move || {
                if let Some((head, rest)) = head(&mut stream) {
                    answer(stream, head, rest);
                }
            });
        }
    });
    address
}
