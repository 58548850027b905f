//! An input file while it streams by: whom each line asks for, and how long it is. Of a line only its beginning is kept.

use super::request::FirstLine;
use crate::kit::hash::BodyHasher;

/// Bytes of a line that are kept: every custom id fits, whatever is escaped in it.
const HEAD: usize = 16 * 1024;
/// What each line of ours begins with.
const BEGINNING: &[u8] = b"{\"custom_id\":";

/// What an input file holds.
#[derive(Debug)]
pub(super) struct Input {
    /// Custom id and exact length of each line; a line of somebody else has no id.
    pub(super) lines: Vec<(Option<String>, u64)>,
    /// Length in bytes.
    pub(super) bytes: u64,
    /// XXH3-128 of all of it.
    pub(super) hash: [u8; 16],
    /// Its first line, which tells how all of them ask.
    pub(super) first: FirstLine,
}

/// Reads it chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct InputReader {
    lines: Vec<(Option<String>, u64)>,
    head: Vec<u8>,
    /// Bytes of the line that is being read.
    length: u64,
    bytes: u64,
    hasher: BodyHasher,
    first: FirstLine,
}

impl InputReader {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.first.push(chunk);
        self.bytes += chunk.len() as u64;
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = HEAD.saturating_sub(self.head.len());
            self.head.extend_from_slice(&part[..part.len().min(room)]);
            self.length += part.len() as u64;
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// What there was.
    pub(super) fn finish(mut self) -> Input {
        if self.length > 0 {
            self.end_line();
        }
        Input { lines: self.lines, bytes: self.bytes, hash: self.hasher.finish(), first: self.first }
    }

    fn end_line(&mut self) {
        self.lines.push((custom_id(&self.head), self.length));
        self.head.clear();
        self.length = 0;
    }
}

/// The custom id that a line begins with.
fn custom_id(head: &[u8]) -> Option<String> {
    let value = head.strip_prefix(BEGINNING)?;
    serde_json::Deserializer::from_slice(value).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(id: &str, rest: usize) -> String {
        format!("{{\"custom_id\":{},\"body\":\"{}\"}}\n", serde_json::Value::from(id), "x".repeat(rest))
    }

    #[test]
    fn ids_and_lengths_of_lines_however_they_are_cut() {
        let lines = [line("in|a.png", 5), line("\"\\\n|ö", HEAD * 3), "{\"x\":1}\n".to_owned(), line("last", 0)];
        let text = lines.concat();
        let ids = [Some("in|a.png"), Some("\"\\\n|ö"), None, Some("last")];
        let expected: Vec<_> =
            ids.iter().zip(&lines).map(|(id, line)| (id.map(str::to_owned), line.len() as u64)).collect();
        for size in [1, 7, 4096, text.len()] {
            let mut reader = InputReader::default();
            text.as_bytes().chunks(size).for_each(|chunk| reader.push(chunk));
            let input = reader.finish();
            assert_eq!(input.lines, expected, "{size}");
            assert_eq!(input.bytes, text.len() as u64);
        }
        let mut cut = InputReader::default();
        cut.push(&text.as_bytes()[..text.len() - 1]);
        assert_eq!(cut.finish().lines.len(), 4, "a last line without its end");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = InputReader::default();
            reader.push(&bytes);
            prop_assert_eq!(reader.finish().bytes, bytes.len() as u64);
        }
    }
}
