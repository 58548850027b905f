//! A file line by line, with a bound on what one line may cost.

use std::io::{self, BufRead};
use std::path::Path;

use super::hash::Sha256;

/// Longest line that is read, in bytes.
pub const LONGEST: usize = 32 * 1024 * 1024;

/// The next line without its newline, and whether it had to be cut at [`LONGEST`]; `None` at the end. Empty lines are
/// passed over.
///
/// # Errors
/// The reader's.
pub fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    next_counted(reader, line, &mut 0)
}

/// A line as [`each`] hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the file, from 1; empty lines count.
    pub number: u64,
    /// Its bytes, without the newline.
    pub bytes: &'a [u8],
    /// Whether it is longer than [`LONGEST`], and was cut there.
    pub cut: bool,
}

/// Hands on every line of a file that is not empty; tells the length and the SHA-256 of the file.
///
/// # Errors
/// The operating system's, with the path, and those of `take`.
pub fn each<E: From<io::Error>>(
    path: &Path,
    mut take: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<(u64, [u8; 32]), E> {
    let mut reader = io::BufReader::with_capacity(BUFFER, Hashing::of(fs_err::File::open(path)?));
    let (mut bytes, mut number) = (Vec::new(), 0);
    while let Some(cut) = next_counted(&mut reader, &mut bytes, &mut number)? {
        take(Line { number, bytes: &bytes, cut })?;
    }
    let Hashing { hash, length, .. } = reader.into_inner();
    Ok((length, hash.finish()))
}

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// What is read through it is hashed and counted.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    length: u64,
}

impl<R> Hashing<R> {
    fn of(inner: R) -> Self {
        Self { inner, hash: Sha256::default(), length: 0 }
    }
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.hash.update(&to[..read]);
        self.length += read as u64;
        Ok(read)
    }
}

/// As [`next`]; `number` grows by the lines that were passed.
fn next_counted(reader: &mut impl BufRead, line: &mut Vec<u8>, number: &mut u64) -> io::Result<Option<bool>> {
    loop {
        line.clear();
        *number += 1;
        let mut cut = false;
        let mut any = false;
        loop {
            let available = reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            any = true;
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            let room = LONGEST.saturating_sub(line.len());
            cut |= part.len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if cut || line.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Ok(Some(cut));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(String, bool)> {
        let mut reader = io::BufReader::with_capacity(7, bytes);
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        while let Some(cut) = next(&mut reader, &mut line).expect("memory") {
            lines.push((String::from_utf8_lossy(&line).into_owned(), cut));
        }
        lines
    }

    #[test]
    fn lines_with_and_without_a_last_newline() {
        let expected = vec![("one".to_owned(), false), ("two, longer than the buffer".to_owned(), false)];
        for text in ["one\ntwo, longer than the buffer\n", "one\r\n\n  \ntwo, longer than the buffer"] {
            assert_eq!(all(text.as_bytes()), expected);
        }
        assert!(all(b"").is_empty());
    }

    #[expect(clippy::disallowed_methods, reason = "the test writes the file")]
    #[test]
    fn lines_of_a_file_have_their_numbers_and_the_file_its_hash() {
        let folder = tempfile::tempdir().expect("temp dir");
        let (path, text) = (folder.path().join("lines"), b"one\n\n\nfour\r\n  \nsix");
        std::fs::write(&path, text).expect("a file");
        let mut seen = Vec::new();
        let told = each(&path, |line| -> io::Result<()> {
            seen.push((line.number, String::from_utf8_lossy(line.bytes).into_owned(), line.cut));
            Ok(())
        });
        let expected = [(1, "one"), (4, "four"), (6, "six")].map(|(number, text)| (number, text.to_owned(), false));
        assert_eq!(seen, expected);
        let mut hash = Sha256::default();
        hash.update(text);
        assert_eq!(told.expect("read"), (text.len() as u64, hash.finish()));
        assert!(each(&folder.path().join("none"), |_| -> io::Result<()> { Ok(()) }).is_err());
    }

    #[test]
    fn a_line_without_end_costs_no_more_than_its_bound() {
        let mut bytes = vec![b'x'; LONGEST + 10];
        bytes.extend_from_slice(b"\nnext");
        let lines = all(&bytes);
        assert_eq!((lines[0].0.len(), lines[0].1), (LONGEST, true));
        assert_eq!(lines[1], ("next".to_owned(), false));
    }
}
