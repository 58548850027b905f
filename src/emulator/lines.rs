//! Reads an input file from disk, one line at a time, and remembers where each line lies.

use std::io::{self, BufRead, Read as _};

use super::engine::ChatRequest;
use super::record::Verdict;
use super::validate::{Checker, Limits, question};

/// Where the lines of a file lie.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Offset of each line, and of the end.
    starts: Vec<u64>,
}

impl Index {
    /// Offset and length of line `line` (from 0), its line end included.
    pub(crate) fn span(&self, line: u32) -> Option<(u64, u64)> {
        let line = line as usize;
        let (start, end) = (*self.starts.get(line)?, *self.starts.get(line + 1)?);
        Some((start, end - start))
    }

    /// Lines of the file.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// Judges a whole input file; at most one line of it is in memory.
pub(crate) fn scan(reader: &mut impl BufRead, limits: &Limits, endpoint: &str) -> io::Result<(Verdict, Index)> {
    let mut checker = Checker::new(limits, endpoint);
    let mut index = Index { starts: vec![0] };
    let mut line = Vec::new();
    let mut offset = 0u64;
    while !checker.is_over() {
        line.clear();
        let mut length = reader.by_ref().take(limits.line_bytes).read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            break;
        }
        let too_long = length == limits.line_bytes && line.last() != Some(&b'\n');
        if too_long {
            length += reader.skip_until(b'\n')? as u64;
        }
        offset += length;
        index.starts.push(offset);
        if too_long {
            checker.line(None, 0);
        } else {
            checker.line(Some(&line), limits.enqueued_tokens.map_or(0, |_| prompt_tokens(&line)));
        }
    }
    Ok((checker.finish(offset), index))
}

fn prompt_tokens(line: &[u8]) -> u64 {
    let Some(question) = question(line) else { return 0 };
    ChatRequest::read(question.endpoint, question.body).map_or(0, |request| request.prompt_tokens())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again_and_a_long_one_is_skipped() {
        let limits = Limits { line_bytes: 8, ..Limits::default() };
        let text = b"{}\n{\"a\":12345678}\n{}";
        let (verdict, index) = scan(&mut text.as_slice(), &limits, "/v1/chat/completions").expect("memory");
        assert_eq!(
            (0..4).map(|line| index.span(line)).collect::<Vec<_>>(),
            [Some((0, 3)), Some((3, 15)), Some((18, 2)), None]
        );
        let codes: Vec<_> = verdict.errors.iter().map(|error| (error.line, error.code.as_str())).collect();
        assert_eq!(
            codes,
            [
                (Some(1), "missing_required_parameter"),
                (Some(2), "invalid_json_line"),
                (Some(3), "missing_required_parameter")
            ]
        );
    }
}
