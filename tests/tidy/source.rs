//! Source files as the checks see them: code without comments, texts and tests.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A file of `src/`.
pub(crate) struct Source {
    /// Path below `src/`, with `/`.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
    /// The file with comments, texts and test items blanked; lines and columns are kept.
    pub(crate) code: String,
    /// Lines of test items.
    test_lines: usize,
}

/// A function and its length.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, test_lines) = without_tests(without_comments(&text));
        Self { path, text, code, test_lines }
    }

    /// The top-level module that the file belongs to.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Folders and files between the crate and this module.
    pub(crate) fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").split('/').count()
    }

    pub(crate) fn production_lines(&self) -> usize {
        self.text.lines().count() - self.test_lines
    }

    /// Documentation lines, and production lines that are not blank.
    pub(crate) fn doc_lines(&self) -> (usize, usize) {
        let is_doc = |line: &&str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
        let filled = self.text.lines().filter(|line| !line.trim().is_empty()).count();
        (self.text.lines().filter(is_doc).count(), filled.saturating_sub(self.test_lines))
    }

    /// Whether it is a page that holds a room's place until the room is built.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.text.trim() == "//! (room)"
    }

    /// `path:line`, for an editor to jump to.
    pub(crate) fn at(&self, offset: usize) -> String {
        format!("src/{}:{}", self.path, line_of(&self.code, offset))
    }

    /// Where `word` stands in the code as a word of its own.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let is_free = move |at: usize| {
            let before = at.checked_sub(1).map(|n| bytes[n]);
            let after = bytes.get(at + word.len());
            !before.is_some_and(is_letter) && !after.copied().is_some_and(is_letter)
        };
        self.code.match_indices(word).map(|(at, _)| at).filter(move |at| is_free(*at))
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let named = self.words("fn").filter_map(|at| {
            let name: String =
                self.code[at + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let (open, close) = body(&self.code, at)?;
            (!name.is_empty() && close > open).then(|| {
                let line = line_of(&self.code, at);
                Function { name, line, lines: line_of(&self.code, close) - line + 1 }
            })
        });
        named.collect()
    }
}

/// Every file of `src/` that is no test, in order; read once.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &SOURCES
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let name = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let all: Vec<(String, String)> = paths.iter().map(|path| (name(path), read(path))).collect();
    let tests: Vec<String> = all.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    all.into_iter().filter(|(path, _)| !tests.contains(path)).map(|(path, text)| Source::new(path, text)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            paths.push(path);
        }
    }
}

/// Files that `path` declares as modules of tests: `mod name;` under `#[cfg(test)]`, with or without a path of its own.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let folder = match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        None => String::new(),
    };
    let own_folder = match path.strip_suffix("mod.rs").or(path.strip_suffix("lib.rs")) {
        Some(folder) => folder.to_owned(),
        None => format!("{}/", path.trim_end_matches(".rs")),
    };
    let is_test = |line: &str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
    let declared = lines.iter().enumerate().filter(|(_, line)| is_test(line)).filter_map(|(at, _)| {
        let next = lines.get(at + 1)?;
        if let Some(named) = next.strip_prefix("#[path = \"") {
            return Some(format!("{folder}{}", named.trim_end_matches("\"]")));
        }
        let module = next.trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';')?;
        Some(format!("{own_folder}{module}.rs"))
    });
    declared.collect()
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The braces of the item that begins at `at`; equal offsets for an item that ends with a semicolon.
fn body(code: &str, at: usize) -> Option<(usize, usize)> {
    let mut brackets = 0usize;
    let mut braces = 0usize;
    let mut open = None;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' if open.is_none() => brackets += 1,
            b')' | b']' if open.is_none() => brackets = brackets.saturating_sub(1),
            b';' if open.is_none() && brackets == 0 => return Some((offset, offset)),
            b'{' => {
                open.get_or_insert(offset);
                braces += 1;
            }
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 {
                    return Some((open?, offset));
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks every item under `#[cfg(test)]`, and tells how many lines that were.
fn without_tests(mut code: String) -> (String, usize) {
    let mut lines = 0;
    for mark in ["#[cfg(test)]", "#[cfg(all(test"] {
        while let Some(at) = code.find(mark) {
            let end = body(&code, at + mark.len()).map_or(code.len() - 1, |(_, close)| close);
            let blank = blanked(&code[at..=end]);
            lines += blank.lines().count();
            code.replace_range(at..=end, &blank);
        }
    }
    (code, lines)
}

fn blanked(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Blanks comments, and the insides of texts and of characters.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_letter = out.bytes().last().is_some_and(is_letter);
        let token = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => quoted(rest),
            'r' | 'b' if !after_letter => raw(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if token == 0 {
            out.push(if first.is_ascii() { first } else { ' ' });
            rest = &rest[first.len_utf8()..];
        } else {
            out.push_str(&blanked(&rest[..token]));
            rest = &rest[token..];
        }
    }
    out
}

fn comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`; 0 for anything else that begins so.
fn raw(rest: &str) -> usize {
    let plain = rest.trim_start_matches('b');
    let prefix = rest.len() - plain.len();
    if prefix > 1 {
        return 0;
    }
    if prefix == 1 && plain.starts_with('"') {
        return 1 + quoted(plain);
    }
    if prefix == 1 && plain.starts_with('\'') {
        return 1 + character(plain);
    }
    let Some(hashes) = plain.strip_prefix('r') else { return 0 };
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    let Some(inside) = hashes[count..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(count));
    let start = rest.len() - inside.len();
    inside.find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// A character; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), Some(escaped)) => {
            let skip = 2 + escaped.len_utf8();
            rest[skip..].find('\'').map_or(0, |at| skip + at + 1)
        }
        (Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 0,
    }
}
