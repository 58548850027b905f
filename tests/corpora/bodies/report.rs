//! What a group of cases came to: its count, and the failures by name.

use std::fmt::Debug;

/// A group of cases.
pub(crate) struct Report {
    group: &'static str,
    cases: usize,
    /// Where they were looked for.
    panics: Option<usize>,
    escapes: Option<usize>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(group: &'static str) -> Self {
        Self { group, cases: 0, panics: None, escapes: None, failures: Vec::new() }
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

    /// The log of a run was searched, and tells of so many panics.
    pub(crate) fn panicked(&mut self, times: usize) {
        *self.panics.get_or_insert(0) += times;
    }

    /// The folders of a run were searched, and these files have no business there.
    pub(crate) fn escaped(&mut self, files: &[String]) {
        *self.escapes.get_or_insert(0) += files.len();
        self.failures.extend(files.iter().map(|file| format!("outside: {file}")));
    }

    /// Prints the count; fails by name, and if the table has shrunk.
    pub(crate) fn close(self, at_least: usize) {
        let Self { group, cases, panics, escapes, failures } = self;
        let looked_for = [("panics", panics), ("escapes", escapes)];
        let told = looked_for.into_iter().filter_map(|(what, count)| count.map(|count| format!(", {count} {what}")));
        println!("{group}: {cases} cases{}, {} failures", told.collect::<String>(), failures.len());
        for failure in &failures {
            println!("  {failure}");
        }
        assert!(cases >= at_least, "{group}: {cases} cases, at least {at_least} belong there");
        assert!(panics.unwrap_or(0) == 0 && failures.is_empty(), "{group}:\n{}", failures.join("\n"));
    }
}
