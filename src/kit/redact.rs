//! Keys in words that were not meant to hold any: cut out, whoever wrote them.

use std::io;

use crate::domain::image::commands;

const MARK: &str = "sk-";
/// Letters and digits in a row, of all three kinds, that no name has and every key has.
const RANDOM: usize = 12;

/// `text` with everything that begins like a secret key (`sk-…`) cut to its first letters: for the words of servers.
#[must_use]
pub fn redacted(text: &str) -> String {
    cut(text, |_| true)
}

/// `text` without what is surely a key: for words that hold names of files, which may begin like one.
#[must_use]
pub fn without_sure_keys(text: &str) -> String {
    cut(text, |tail| tail.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random))
}

fn is_random(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.bytes().any(|byte| kind(&byte));
    run.len() >= RANDOM && has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)
}

fn cut(text: &str, is_key: impl Fn(&str) -> bool) -> String {
    let is_key_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, from_mark) = rest.split_at(at);
        let tail = &from_mark[MARK.len()..];
        let secret = tail.len() - tail.trim_start_matches(is_key_letter).len();
        let starts_a_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        out.push_str(MARK);
        // "task-force" and "risk-free" are no keys.
        out.push_str(if starts_a_word && secret > 0 && is_key(&tail[..secret]) { "…" } else { &tail[..secret] });
        rest = &tail[secret..];
    }
    out.push_str(rest);
    out
}

/// A writer for lines of a log, each given whole: the last net under what other packages log, too. No key comes through,
/// and no order to a terminal or line of its own from the words of a server or the name of a file.
#[derive(Debug)]
pub struct Net<W>(pub W);

impl<W: io::Write> io::Write for Net<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let body = text.strip_suffix('\n').unwrap_or(text);
        if body.contains(MARK) || body.contains(commands) {
            // In one piece, so that no other thread's line comes between.
            let end = &text[body.len()..];
            let text = without_sure_keys(body).replace(commands, " ") + end;
            self.0.write_all(text.as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_begins_like_a_key_is_cut() {
        assert_eq!(redacted("sk-sk-abc sk-"), "sk-… sk-");
        assert_eq!(redacted("risk-free, sk-proj-abc123_XYZ."), "risk-free, sk-…");
    }

    #[test]
    fn names_of_files_are_no_keys() {
        for name in ["sk-letters-1890-volume-0001.jpg", "in/sk-page12.png", "sk-", "task-Abcdefgh1234567"] {
            assert_eq!(without_sure_keys(name), name);
        }
        let mut net = Net(Vec::new());
        net.write_all(b"key=sk-proj-aB3dE5gH7jK9mN_x \"sk-0001.png\"").expect("memory");
        assert_eq!(String::from_utf8(net.0).expect("text"), "key=sk-… \"sk-0001.png\"");
    }

    #[test]
    fn a_log_gives_no_orders_to_a_terminal() {
        let mut net = Net(Vec::new());
        for line in ["plain é\n", "told \u{1b}]0;x\u{7}\nERROR faked\u{202e}\n", "\n"] {
            net.write_all(line.as_bytes()).expect("memory");
        }
        assert_eq!(String::from_utf8(net.0).expect("text"), "plain é\ntold  ]0;x  ERROR faked \n\n");
    }
}
