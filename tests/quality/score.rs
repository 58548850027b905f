//! Precision and recall: of what was said, how much is true; of what is true, how much was said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::labelled::Told;

/// Counts of one verdict or flag.
#[derive(Clone, Copy, Default)]
struct Counts {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Counts {
    fn precision(self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    fn recall(self) -> f64 {
        share(self.right, self.right + self.missed)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Counts of all verdicts and flags.
#[derive(Default)]
pub(crate) struct Score(BTreeMap<String, Counts>);

impl Score {
    /// Counts one answer.
    pub(crate) fn count(&mut self, expected: &Told, told: &Told) {
        let (expected, told) = (marks(expected), marks(told));
        for mark in expected.union(&told) {
            let counts = self.0.entry(mark.clone()).or_default();
            match (expected.contains(mark), told.contains(mark)) {
                (true, true) => counts.right += 1,
                (false, true) => counts.wrong += 1,
                _ => counts.missed += 1,
            }
        }
    }

    fn of(&self, mark: &str) -> Counts {
        self.0.get(mark).copied().unwrap_or_default()
    }
}

fn marks(told: &Told) -> BTreeSet<String> {
    told.flags.iter().map(|flag| format!("flag {flag}")).chain([format!("verdict {}", told.verdict)]).collect()
}

/// One row a verdict or flag: over all answers, and recall and precision of each half.
pub(crate) fn table(answers: usize, all: &Score, halves: &[Score; 2]) -> String {
    let mut table = format!(
        "{answers} labelled answers{:<27}{:>8}{:>11}{:>8}   {:<13}{:<13}\n",
        "", "support", "precision", "recall", "fit p/r", "held p/r"
    );
    for (mark, counts) in &all.0 {
        let [fit, held] = [0, 1].map(|half| halves[half].of(mark));
        let _ = writeln!(
            table,
            "{mark:<45}{:>8}{:>11.3}{:>8.3}   {:.2}/{:<8.2}{:.2}/{:.2}",
            counts.right + counts.missed,
            counts.precision(),
            counts.recall(),
            fit.precision(),
            fit.recall(),
            held.precision(),
            held.recall(),
        );
    }
    table
}
