//! A result file line by line, with a bound on what one line may cost.

use std::io::{self, BufRead};

/// Longest line that is read, in bytes.
pub const LONGEST: usize = 32 * 1024 * 1024;

/// The next line without its newline, and whether it had to be cut at [`LONGEST`]; `None` at the end. Empty lines are
/// passed over.
///
/// # Errors
/// The reader's.
pub fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    loop {
        line.clear();
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

    #[test]
    fn a_line_without_end_costs_no_more_than_its_bound() {
        let mut bytes = vec![b'x'; LONGEST + 10];
        bytes.extend_from_slice(b"\nnext");
        let lines = all(&bytes);
        assert_eq!((lines[0].0.len(), lines[0].1), (LONGEST, true));
        assert_eq!(lines[1], ("next".to_owned(), false));
    }
}
