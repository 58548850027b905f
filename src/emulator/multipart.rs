//! Reads `multipart/form-data` as it comes: bytes in, pieces out, never more than one chunk and one boundary in memory.
//!
//! A reader of our own because it is a page long, does no I/O, and so is tested at every cut of its input; the packages
//! for it bring temporary files, limits and derives that a server of one form does not need.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem::Finder;

/// Longest head of a part in bytes.
const MOST_HEAD: usize = 16 * 1024;
/// Longest boundary that the standard allows, with some room.
const MOST_BOUNDARY: usize = 200;

/// The form is not what it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(&'static str);

/// The body ended before the form did.
pub(crate) const CUT_SHORT: Malformed = Malformed("the form is cut short");

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A part begins.
    Part {
        /// Name of the field.
        name: String,
        /// Name of the file, if it is one.
        filename: Option<String>,
    },
    /// Bytes of the part that began last.
    Data(Bytes),
    /// The form is complete.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Preamble,
    Delimiter,
    Head,
    Body,
    End,
}

/// A form being read.
#[derive(Debug)]
pub(crate) struct Multipart {
    delimiter: Finder<'static>,
    waiting: BytesMut,
    at: At,
}

impl Multipart {
    /// A reader for a request of this content type.
    pub(crate) fn new(content_type: &str) -> Result<Self, Malformed> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(Malformed("the content type is not multipart/form-data"));
        }
        let boundary = parameter(parameters, "boundary").filter(|text| (1..=MOST_BOUNDARY).contains(&text.len()));
        let boundary = boundary.ok_or(Malformed("the content type names no boundary"))?;
        let delimiter = Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        // The first delimiter stands at the beginning, without the line end that belongs to all others.
        Ok(Self { delimiter, waiting: BytesMut::from(&b"\r\n"[..]), at: At::Preamble })
    }

    /// Takes bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.at != At::End {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// The next piece; `None` until more bytes are pushed.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.at {
                At::Preamble => {
                    if !self.skip_to_delimiter() {
                        return Ok(None);
                    }
                }
                At::Delimiter => match self.waiting.get(..2) {
                    None => return Ok(None),
                    Some(b"--") => {
                        self.at = At::End;
                        self.waiting.clear();
                        return Ok(Some(Piece::End));
                    }
                    Some(b"\r\n") => self.at = At::Head,
                    Some([b' ' | b'\t', _]) => self.waiting.advance(1),
                    Some(_) => return Err(Malformed("a boundary is followed by neither a line end nor two hyphens")),
                },
                At::Head => return self.head(),
                At::Body => {
                    let piece = self.body();
                    if piece.is_some() || self.at == At::Body {
                        return Ok(piece);
                    }
                }
                At::End => return Ok(None),
            }
        }
    }

    fn skip_to_delimiter(&mut self) -> bool {
        let length = self.delimiter.needle().len();
        if let Some(place) = self.delimiter.find(&self.waiting) {
            self.waiting.advance(place + length);
            self.at = At::Delimiter;
            return true;
        }
        let done = self.waiting.len().saturating_sub(length - 1);
        self.waiting.advance(done);
        false
    }

    /// The head of a part: it begins with the boundary's line end, so a part without headers ends at once.
    fn head(&mut self) -> Result<Option<Piece>, Malformed> {
        let Some(end) = memchr::memmem::find(&self.waiting, b"\r\n\r\n") else {
            if self.waiting.len() > MOST_HEAD {
                return Err(Malformed("the head of a part is too long"));
            }
            return Ok(None);
        };
        let head = self.waiting.split_to(end + 4);
        let head = std::str::from_utf8(&head).map_err(|_| Malformed("the head of a part is not UTF-8"))?;
        self.at = At::Body;
        // The body's delimiter may follow at once: its line end is then the head's last.
        part(head).map(Some)
    }

    fn body(&mut self) -> Option<Piece> {
        let length = self.delimiter.needle().len();
        let (data, found) = match self.delimiter.find(&self.waiting) {
            Some(place) => (place, true),
            None => (self.waiting.len().saturating_sub(length - 1), false),
        };
        let data = self.waiting.split_to(data).freeze();
        if found {
            self.waiting.advance(length);
            self.at = At::Delimiter;
        }
        (!data.is_empty()).then_some(Piece::Data(data))
    }
}

fn part(head: &str) -> Result<Piece, Malformed> {
    let disposition = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("content-disposition").then_some(value));
    let disposition = disposition.ok_or(Malformed("a part has no Content-Disposition"))?;
    let (_, parameters) = disposition.split_once(';').unwrap_or((disposition, ""));
    let name = parameter(parameters, "name").ok_or(Malformed("a part has no name"))?;
    Ok(Piece::Part { name, filename: parameter(parameters, "filename") })
}

/// The value of a header parameter: `wanted*=UTF-8''…` before `wanted="…"`.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut plain = None;
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches(|letter: char| letter == ';' || letter.is_whitespace()).trim_end();
        let (value, left) = value(after);
        if name.strip_suffix('*').is_some_and(|name| name.eq_ignore_ascii_case(wanted)) {
            if let Some((_, encoded)) = value.split_once("''") {
                return Some(percent_decoded(encoded));
            }
        } else if name.eq_ignore_ascii_case(wanted) {
            plain = Some(value);
        }
        rest = left;
    }
    plain
}

/// A quoted or bare value at the beginning of `text`, and what follows it.
fn value(text: &str) -> (String, &str) {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim_end().to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (place, letter) in quoted.char_indices() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[place + 1..]),
            _ => {
                if escaped && letter != '"' && letter != '\\' {
                    value.push('\\');
                }
                value.push(letter);
                escaped = false;
            }
        }
    }
    (value, "")
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = (first == b'%').then(|| after.get(..2)).flatten();
        let decoded = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[path = "tests/multipart.rs"]
mod tests;
