//! The table of hostile transfers: how each answer to a request for content behaves.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::server::{Request, send};

/// What a stream without an end comes to before this server gives up.
const ENDLESS: usize = 256 * 1024 * 1024;
/// Whether somebody took all of it.
pub(crate) static SWALLOWED: AtomicBool = AtomicBool::new(false);

/// How one answer behaves.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// As it should: ranges are honoured.
    Good,
    /// The whole file, whatever range was asked for.
    Whole,
    /// With a true length, and cut after so many bytes of what was asked for.
    Cut(usize),
    /// A length that is so many bytes off, and then everything.
    Off(i64),
    /// No length; closed after so many bytes of the whole.
    Unmeasured(usize),
    /// In chunks; the last one is missing if it is cut.
    Chunked { cut: bool },
    /// The whole as a part that begins elsewhere, or says nothing of where.
    Part(&'static str),
    /// This status line with further header lines, and this body.
    Answer(&'static str, String, Vec<u8>),
    /// Bytes as they are, and the end.
    Raw(Vec<u8>),
    /// Bytes as they are, and then silence for a while.
    Silent(Vec<u8>),
    /// The true header, and then a byte now and then.
    Drip,
    /// Much more than there is, without an end of its own.
    Endless,
}

/// What the file object tells of the length.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    True,
    /// This as `bytes`.
    Bytes(serde_json::Value),
    /// No object at all, but this.
    Instead(&'static str, &'static str),
}

/// What came in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The whole file, byte for byte.
    Whole,
    /// Something of so many bytes, kept aside.
    Aside(u64),
    /// Nothing: the file is gone at the provider.
    Gone,
    /// Nothing yet: the provider is given up for this life.
    Unreachable,
    /// Nothing: the provider rejects us, in the word of the failure.
    Rejected(&'static str),
}

/// Its acts in order, the last one for ever.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) acts: Vec<Act>,
    pub(crate) told: Told,
    pub(crate) came: Came,
}

/// The file.
pub(crate) fn content() -> Vec<u8> {
    (0..3_000).flat_map(|n| format!("{{\"custom_id\":\"{n}\",\"text\":\"line {n}\"}}\n").into_bytes()).collect()
}

impl Act {
    /// Behaves so; `other` is the base URL of another host.
    pub(crate) fn play(&self, request: &Request, stream: &mut TcpStream, other: &str) -> io::Result<()> {
        let whole = content();
        let from =
            request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = from.unwrap_or(0).min(whole.len());
        let (rest, length) = (&whole[from..], whole.len());
        let begin = if from == 0 {
            "HTTP/1.1 200 OK\r\n".to_owned()
        } else {
            format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{length}\r\n", length - 1)
        };
        let measured = |length: usize| format!("{begin}content-length: {length}\r\nconnection: close\r\n\r\n");
        let mut say = |head: &str, body: &[u8]| {
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)
        };
        match self {
            Self::Good => say(&measured(rest.len()), rest),
            Self::Whole => send(stream, "200 OK", "", &whole),
            Self::Cut(bytes) => say(&measured(rest.len()), &rest[..(*bytes).min(rest.len())]),
            Self::Off(by) => {
                say(&measured(rest.len().saturating_add_signed(isize::try_from(*by).expect("small"))), rest)
            }
            Self::Unmeasured(bytes) => say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &whole[..*bytes]),
            Self::Chunked { cut } => {
                say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", b"")?;
                for chunk in whole.chunks(10_000) {
                    say(&format!("{:x}\r\n", chunk.len()), &[chunk, b"\r\n"].concat())?;
                }
                if *cut { Ok(()) } else { say("0\r\n\r\n", b"") }
            }
            Self::Part(range) => send(stream, "206 Partial Content", range, &whole),
            Self::Answer(status, more, body) => send(stream, status, &more.replace("OTHER", other), body),
            Self::Raw(bytes) => say("", bytes),
            Self::Silent(bytes) => {
                say("", bytes)?;
                std::thread::sleep(Duration::from_millis(1500));
                Ok(())
            }
            Self::Drip => {
                say(&measured(rest.len()), b"")?;
                rest.iter().try_for_each(|byte| {
                    std::thread::sleep(Duration::from_millis(20));
                    say("", &[*byte])
                })
            }
            Self::Endless => {
                say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"")?;
                // No disk is to fill up here, should nobody stop it.
                (0..ENDLESS / length).try_for_each(|_| say("", &whole))?;
                SWALLOWED.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

fn case(name: &'static str, acts: Vec<Act>, came: Came) -> Case {
    Case { name, acts, told: Told::True, came }
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    [cuts(), lengths(), ranges(), strangers(), redirects(), slow(), refusals(), facts()].into_iter().flatten().collect()
}

fn cuts() -> Vec<Case> {
    let length = content().len();
    let once = |name, act| case(name, vec![act, Act::Good], Came::Whole);
    vec![
        once("good", Act::Good),
        once("cut before the first byte", Act::Cut(0)),
        once("cut after 1 byte", Act::Cut(1)),
        once("cut at half", Act::Cut(length / 2)),
        once("cut before the last byte", Act::Cut(length - 1)),
        once("no answer at all", Act::Raw(Vec::new())),
        case("cut at half, and no ranges", vec![Act::Cut(length / 2), Act::Whole], Came::Whole),
        case("cut five times", [vec![Act::Cut(10_000); 5], vec![Act::Good]].concat(), Came::Whole),
        case("cut for ever", vec![Act::Cut(0)], Came::Unreachable),
        once("in chunks", Act::Chunked { cut: false }),
        once("in chunks, the last one missing", Act::Chunked { cut: true }),
        once("chunks of no size", Act::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n".to_vec())),
    ]
}

fn lengths() -> Vec<Case> {
    let length = content().len();
    let once = |name, act| case(name, vec![act, Act::Good], Came::Whole);
    let told =
        |name, bytes: serde_json::Value, came| Case { told: Told::Bytes(bytes), ..case(name, vec![Act::Good], came) };
    vec![
        once("length too small", Act::Off(-1)),
        once("length much too small", Act::Off(-100_000)),
        once("length too large", Act::Off(1)),
        once("no length", Act::Unmeasured(length)),
        once("no length, and half of it", Act::Unmeasured(length / 2)),
        once("no length, and nothing", Act::Unmeasured(0)),
        once("nothing under 200", Act::Answer("200 OK", String::new(), Vec::new())),
        once(
            "two lengths",
            Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_vec()),
        ),
        once("length -1", Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nabcd".to_vec())),
        once("length 2^64", Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\nabcd".to_vec())),
        once("without an end", Act::Endless),
        case("half for ever", vec![Act::Unmeasured(length / 2)], Came::Aside(length as u64 / 2)),
        told("bytes too small", serde_json::json!(length - 1), Came::Aside(length as u64)),
        told("bytes too large", serde_json::json!(length + 1), Came::Aside(length as u64)),
        told("bytes 0", serde_json::json!(0), Came::Aside(length as u64)),
        told("bytes null", serde_json::json!(null), Came::Whole),
        told("bytes negative", serde_json::json!(-5), Came::Whole),
        told("bytes as text", serde_json::json!(length.to_string()), Came::Whole),
    ]
}

fn ranges() -> Vec<Case> {
    let half = content().len() / 2;
    let after_a_cut = |name, act| case(name, vec![Act::Cut(half), act, Act::Whole], Came::Whole);
    let head = "HTTP/1.1 206 Partial Content\r\nconnection: close\r\n";
    let longer = format!("{head}content-range: bytes {half}-9999999/9999999\r\ncontent-length: 500000\r\n\r\n");
    vec![
        after_a_cut("a part that begins elsewhere", Act::Part("content-range: bytes 7-9/10\r\n")),
        after_a_cut("a part that does not say where", Act::Part("")),
        after_a_cut("a part of stars", Act::Part("content-range: bytes */10\r\n")),
        after_a_cut("a part in other units", Act::Part("content-range: lines 5-9/10\r\n")),
        after_a_cut("a part beyond the end", Act::Raw([longer.into_bytes(), vec![b'x'; 500_000]].concat())),
        after_a_cut("no such range", Act::Answer("416 Range Not Satisfiable", String::new(), Vec::new())),
        after_a_cut("404 for a range", Act::Answer("404 Not Found", String::new(), b"{\"error\":{}}".to_vec())),
        case(
            "a part that nobody asked for",
            vec![Act::Part("content-range: bytes 0-9/10\r\n"), Act::Good],
            Came::Whole,
        ),
    ]
}

/// 1 GiB of zeros packed into about 1 MB would come of such a stream; here only its beginning is sent.
fn bomb() -> Vec<u8> {
    [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"[..], &[0xed, 0xc1, 0x01, 0x0d], &[0; 100_000]].concat()
}

fn strangers() -> Vec<Case> {
    let html =
        || Act::Answer("200 OK", "content-type: text/html\r\n".into(), b"<html>Sign in to this WLAN</html>".to_vec());
    let gzip = || Act::Answer("200 OK", "content-encoding: gzip\r\n".into(), bomb());
    let lines = (0..20_000).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    vec![
        case("a page of HTML, once", vec![html(), Act::Good], Came::Whole),
        case("a page of HTML for ever", vec![html()], Came::Aside(33)),
        case("a gzip bomb, once", vec![gzip(), Act::Good], Came::Whole),
        case("a gzip bomb for ever", vec![gzip()], Came::Aside(bomb().len() as u64)),
        case(
            "1 MB in one header",
            vec![Act::Answer("200 OK", format!("x: {}\r\n", "y".repeat(1_000_000)), Vec::new()), Act::Good],
            Came::Whole,
        ),
        case("20,000 headers", vec![Act::Answer("200 OK", lines, Vec::new()), Act::Good], Came::Whole),
        case("no HTTP", vec![Act::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Act::Good], Came::Whole),
        case("an odd status", vec![Act::Raw(b"HTTP/1.1 1000 What\r\n\r\n".to_vec()), Act::Good], Came::Whole),
        case("no content", vec![Act::Answer("204 No Content", String::new(), Vec::new()), Act::Good], Came::Whole),
    ]
}

fn redirects() -> Vec<Case> {
    let to = |status, target: &str| Act::Answer(status, format!("location: {target}\r\n"), Vec::new());
    let elsewhere = |status| to(status, "OTHER/blob");
    let led = |name, status| case(name, vec![elsewhere(status)], Came::Whole);
    let astray = |name, target: &str| case(name, vec![to("302 Found", target)], Came::Unreachable);
    vec![
        led("301 to another host", "301 Moved Permanently"),
        led("302 to another host", "302 Found"),
        led("303 to another host", "303 See Other"),
        led("307 to another host", "307 Temporary Redirect"),
        led("308 to another host", "308 Permanent Redirect"),
        case("302 to another host and back", vec![to("302 Found", "OTHER/back"), Act::Good], Came::Whole),
        astray("302 to http abroad", "http://example.com/x"),
        astray("302 to a look-alike", "http://127.0.0.1.example.com/x"),
        astray("302 with a password", "http://user:pw@example.com/x"),
        astray("302 to a file", "file:///etc/passwd"),
        astray("302 to a script", "javascript:alert(1)"),
        astray("302 to nothing", ""),
        astray("302 to no address", "http://"),
        astray("302 in a ring", "/v1/files/file-1/content"),
        astray("302 in a ring of two hosts", "OTHER/back"),
        case("302 without a place", vec![Act::Answer("302 Found", String::new(), Vec::new())], Came::Unreachable),
        case("300", vec![Act::Answer("300 Multiple Choices", String::new(), Vec::new()), Act::Good], Came::Whole),
        case("304", vec![Act::Raw(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()), Act::Good], Came::Whole),
    ]
}

fn slow() -> Vec<Case> {
    let header = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_vec();
    vec![
        case("silence before the header", vec![Act::Silent(Vec::new()), Act::Good], Came::Whole),
        case(
            "silence in the header",
            vec![Act::Silent(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Act::Good],
            Came::Whole,
        ),
        case("silence behind the header", vec![Act::Silent(header), Act::Good], Came::Whole),
        case("a byte now and then", vec![Act::Drip, Act::Good], Came::Whole),
    ]
}

fn refusals() -> Vec<Case> {
    let no = |status: &'static str, body: &str| Act::Answer(status, String::new(), body.into());
    let gone = || no("404 Not Found", r#"{"error":{"message":"No such File object"}}"#);
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(5_000_000));
    vec![
        case("404 three times, then good", vec![gone(), gone(), gone(), Act::Good], Came::Whole),
        case("404 for good", vec![gone()], Came::Gone),
        case("404 in HTML for good", vec![no("404 Not Found", "<html>")], Came::Unreachable),
        case("410 for good", vec![no("410 Gone", "")], Came::Gone),
        case("401", vec![no("401 Unauthorized", "")], Came::Rejected("Key")),
        case("403 explained", vec![no("403 Forbidden", r#"{"error":{"message":"no"}}"#)], Came::Rejected("Forbidden")),
        case("403 of a proxy", vec![no("403 Forbidden", "<html>"), Act::Good], Came::Whole),
        case("402 explained", vec![no("402 Pay", r#"{"error":{"message":"pay"}}"#)], Came::Rejected("Money")),
        case(
            "429 with a pause of an hour",
            vec![Act::Answer("429 Slow", "retry-after: 999999\r\n".into(), Vec::new()), Act::Good],
            Came::Whole,
        ),
        case("429 for ever", vec![no("429 Slow", "")], Came::Unreachable),
        case("500, then good", vec![no("500 Oops", "{}"), Act::Good], Came::Whole),
        case("502 in HTML for ever", vec![no("502 Bad Gateway", "<html>")], Came::Unreachable),
        case("a refusal of 5 MB", vec![no("500 Oops", &long), Act::Good], Came::Whole),
    ]
}

/// The content is good, and what is told of it is not.
fn facts() -> Vec<Case> {
    let told =
        |name, status, body, came| Case { told: Told::Instead(status, body), ..case(name, vec![Act::Good], came) };
    vec![
        told("no file object", "404 Not Found", r#"{"error":{}}"#, Came::Whole),
        told("a file object without id", "200 OK", "{}", Came::Unreachable),
        told("a file object in HTML", "200 OK", "<html>", Came::Unreachable),
        told(
            "a file object of another file",
            "200 OK",
            r#"{"id":"file-2","bytes":3}"#,
            Came::Aside(content().len() as u64),
        ),
        told("a file object under 500", "500 Oops", "", Came::Unreachable),
        told("a file object under 401", "401 No", "", Came::Rejected("Key")),
    ]
}
