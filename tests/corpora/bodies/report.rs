//! What a group of cases came to: its count, and the failures by name.

use std::fmt::Debug;

/// A group of cases.
pub(crate) struct Report {
    group: &'static str,
    cases: usize,
    panics: usize,
    escapes: usize,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(group: &'static str) -> Self {
        Self { group, cases: 0, panics: 0, escapes: 0, failures: Vec::new() }
    }

    /// One case: what came of it, and what the table says.
    pub(crate) fn case<T: PartialEq + Debug>(&mut self, name: &str, got: &T, expected: &T) {
        self.cases += 1;
        if got != expected {
            self.failures.push(format!("{name}: {got:?}, but the table says {expected:?}"));
        }
    }

    /// Something that must hold beside the cases.
    pub(crate) fn holds(&mut self, name: &str, holds: bool) {
        if !holds {
            self.failures.push(name.to_owned());
        }
    }

    pub(crate) fn panicked(&mut self, times: usize) {
        self.panics += times;
    }

    pub(crate) fn escaped(&mut self, files: &[String]) {
        self.escapes += files.len();
        self.failures.extend(files.iter().map(|file| format!("outside: {file}")));
    }

    /// Prints the count; fails by name, and if the table has shrunk.
    pub(crate) fn close(self, at_least: usize) {
        let Self { group, cases, panics, escapes, failures } = self;
        println!("{group}: {cases} cases, {panics} panics, {escapes} escapes, {} failures", failures.len());
        for failure in &failures {
            println!("  {failure}");
        }
        assert!(cases >= at_least, "{group}: {cases} cases, at least {at_least} belong there");
        assert!(panics == 0 && escapes == 0 && failures.is_empty(), "{group}:\n{}", failures.join("\n"));
    }
}
