//! A mistake in words: what is wrong, where, and what to do about it.

use std::fmt;

/// One mistake, as it is shown to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, such as `E101`; empty where the contracts have none.
    pub code: &'static str,
    /// One sentence without a full stop; names the path or the key.
    pub sentence: String,
    /// Causes and lists, one a line; shown indented.
    pub details: Vec<String>,
    /// What to do, one a line.
    pub hints: Vec<String>,
}

impl Problem {
    /// A mistake without details or hints yet.
    #[must_use]
    pub fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// Adds a line of detail.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds a line of advice.
    #[must_use]
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }
}

/// The system's words without the path, for sentences that name the path themselves.
#[must_use]
pub fn cause_alone(cause: &std::io::Error) -> String {
    let words = cause.to_string();
    // fs-err tells "failed to open file `path`: cause".
    let cause = words.strip_prefix("failed to ").and_then(|rest| rest.rsplit_once("`: "));
    cause.map_or(words.clone(), |(_, cause)| cause.to_owned())
}

/// The form of the contracts: `error[E107]: sentence`, indented details, `hint:` and its further lines.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            write!(f, "error: {}", self.sentence)?;
        } else {
            write!(f, "error[{}]: {}", self.code, self.sentence)?;
        }
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        for (index, line) in self.hints.iter().enumerate() {
            write!(f, "\n{} {line}", if index == 0 { "hint:" } else { "     " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_without_its_path() {
        let folder = tempfile::tempdir().expect("temp dir");
        let cause = fs_err::read_to_string(folder.path().join("gone")).expect_err("there is none");
        assert!(!cause_alone(&cause).contains("gone") && !cause_alone(&cause).is_empty(), "{cause}");
    }

    #[test]
    fn a_problem_reads_as_the_contracts_say() {
        let problem = Problem::new("E107", "3 images would write to the same text file")
            .detail("a.TIF and a.tif  ->  a.tif.txt")
            .hint("rename one of them")
            .hint("more: batchscribe help E107");
        let expected = "error[E107]: 3 images would write to the same text file\n  a.TIF and a.tif  ->  a.tif.txt\n\
                        hint: rename one of them\n      more: batchscribe help E107";
        assert_eq!(problem.to_string(), expected);
    }
}
