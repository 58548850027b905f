//! A row of the table: what was measured, against what, with which command.

use batchscribe::bench::figures::Spread;

use crate::verdict::{Target, Verdict};

/// One row.
pub(crate) struct Row {
    /// `P1`.
    pub(crate) id: &'static str,
    /// What the figure is.
    pub(crate) what: &'static str,
    /// Its unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// What it has to be.
    pub(crate) target: Target,
    /// What it was, or why nobody knows.
    pub(crate) figure: Result<Spread, String>,
    /// Absolute figures, for looking at.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(
        id: &'static str,
        what: &'static str,
        unit: &'static str,
        target: Target,
        figure: Option<Spread>,
    ) -> Self {
        Self { id, what, unit, target, figure: figure.ok_or_else(|| "no figure came".to_owned()), note: String::new() }
    }

    pub(crate) fn missing(id: &'static str, what: &'static str, target: Target, why: &str) -> Self {
        Self { id, what, unit: "", target, figure: Err(why.to_owned()), note: String::new() }
    }

    /// With absolute figures under it.
    pub(crate) fn noted(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match &self.figure {
            Ok(spread) => self.target.judge(spread.median),
            Err(why) => Verdict::NotMeasured(why.clone()),
        }
    }

    /// One line of the table.
    pub(crate) fn line(&self) -> String {
        let figure = match &self.figure {
            Ok(Spread { median, least, most }) => {
                format!("{} {} ({} to {})", short(*median), self.unit, short(*least), short(*most)).replace("  ", " ")
            }
            Err(_) => "–".to_owned(),
        };
        format!("{:<4} {:<66} {figure:<34} {:<24} {}", self.id, self.what, self.target.words(), self.verdict().words())
    }
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.5}"),
    }
}
