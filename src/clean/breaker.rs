//! The breaker: whether what a batch came to would come to every further batch, so that the run stops before it burns all
//! images. Decides by what the lines say, without actor, clock or disk.

use std::collections::BTreeMap;

use super::judge::{RunRefused, against_the_run};
use crate::domain::answer::{LinesRead, Outcome};
use crate::domain::batch::Answered;
use crate::domain::ids::BatchId;
use crate::domain::image::Reason;
use crate::domain::verdict::Verdict;

/// Refused lines in a row that stop a run whose settings were good before: a model may go in the middle of a run, but one
/// image that is refused again and again must not stop all others.
const MOST_IN_A_ROW: u64 = 50;

/// What the lines of one batch say against the run.
#[derive(Debug, Default)]
pub struct Hearing {
    refused: u64,
    ok: u32,
    failed: u32,
    answered: bool,
    first: Option<RunRefused>,
    account: Option<RunRefused>,
}

/// What is known of a batch beside its lines.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Whether it was asked with the settings of this run.
    pub our_recipe: bool,
    /// Whether this process opened it.
    pub our_life: bool,
    /// Whether its recipe ever brought an accepted answer.
    pub proven: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing: what a line lacks is counted as ever.
    Clear,
    /// The images are owed again and nothing is counted; the run goes on, because the cause may be gone by now.
    Past(RunRefused),
    /// The same, and the run stops.
    Stop(RunRefused),
}

impl Hearing {
    /// Hears one line.
    pub fn hear(&mut self, outcome: &Outcome) {
        self.answered |= matches!(outcome, Outcome::Answered { .. });
        match outcome {
            Outcome::Answered { .. } => self.ok += 1,
            Outcome::Error { .. } => self.failed += 1,
            Outcome::NeverRan { .. } => {}
        }
        let Some(refusal) = against_the_run(outcome) else { return };
        self.refused += 1;
        if refusal.is_about_account() {
            self.account.get_or_insert(refusal);
        } else {
            self.first.get_or_insert(refusal);
        }
    }

    /// What came back for a batch of so many lines.
    #[must_use]
    pub fn counted(&self, lines: u32) -> Answered {
        let Self { ok, failed, .. } = *self;
        Answered { ok, failed, missing: lines.saturating_sub(ok.saturating_add(failed)) }
    }

    /// Whether a line named a setting and none was answered: only then is it worth asking whether the recipe is proven.
    #[must_use]
    pub fn is_about_settings(&self) -> bool {
        self.account.is_none() && self.first.is_some() && !self.answered
    }

    /// Decides; `in_a_row` counts the lines refused since the last batch with an answer, over all batches.
    pub fn decide(self, case: Case, in_a_row: &mut u64) -> Finding {
        if self.answered {
            *in_a_row = 0;
        }
        if let Some(refusal) = self.account {
            // Credit may have come since an earlier process opened it; the next batch of this one will tell.
            return if case.our_life { Finding::Stop(refusal) } else { Finding::Past(refusal) };
        }
        let Some(refusal) = self.first.filter(|_| !self.answered) else { return Finding::Clear };
        if !case.our_recipe {
            return Finding::Past(refusal);
        }
        *in_a_row += self.refused;
        if case.proven && *in_a_row < MOST_IN_A_ROW { Finding::Clear } else { Finding::Stop(refusal) }
    }
}

/// Answers from which on their rejections are taken for a rule.
const ENOUGH: u64 = 50;

/// Answers to first tries in this life, and how many of them came to nothing for each reason. Second tries are those that were bad
/// before, and tell nothing of the others.
#[derive(Debug, Default)]
pub struct Rejections {
    answers: u64,
    by_reason: BTreeMap<Reason, u64>,
}

/// More answers are rejected for one reason than the settings bear: something is wrong with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rejected} of {answers} answers were rejected for {}", reason.word())]
pub struct TooManyRejected {
    /// The reason.
    pub reason: Reason,
    /// Answers that it holds for.
    pub rejected: u64,
    /// Answers to first tries.
    pub answers: u64,
}

impl Rejections {
    /// Counts the answer to a first try.
    pub fn count(&mut self, verdict: &Verdict) {
        let reason = match verdict {
            Verdict::AskAgain { counted: false, .. } => return,
            Verdict::AskAgain { reason, counted: true } | Verdict::Reject(reason) => Some(*reason),
            Verdict::Accept | Verdict::Blank | Verdict::DeepClean => None,
        };
        self.answers += 1;
        if let Some(reason) = reason {
            *self.by_reason.entry(reason).or_default() += 1;
        }
    }

    /// Whether one reason holds for more than `percent` of them, once there are enough.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn too_many(&self, percent: f64) -> Option<TooManyRejected> {
        let (reason, rejected) = self.by_reason.iter().max_by_key(|(_, many)| **many)?;
        let too_many = self.answers >= ENOUGH && *rejected as f64 * 100.0 > percent * self.answers as f64;
        too_many.then_some(TooManyRejected { reason: *reason, rejected: *rejected, answers: self.answers })
    }
}

/// Unknown lines of a batch from which on they are taken for a rule.
const UNKNOWN: u64 = 8;

/// Most result lines of a batch name no image that it was asked about, as behind a gateway that gives ids of its own: whatever
/// is asked would be paid for in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{unknown} of {lines} result lines of batch {batch} cannot be read, or name no image that it was asked about")]
pub struct MostlyUnknown {
    /// The batch.
    pub batch: BatchId,
    /// Lines that name none.
    pub unknown: u64,
    /// All its lines.
    pub lines: u64,
}

impl MostlyUnknown {
    /// Whether that holds for the lines of `batch`.
    #[must_use]
    pub fn of(batch: &BatchId, read: LinesRead) -> Option<Self> {
        let LinesRead { ours, unknown } = read;
        let is_rule = unknown >= UNKNOWN && unknown > ours;
        is_rule.then(|| Self { batch: batch.clone(), unknown, lines: ours + unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Finish;

    const NEW: Case = Case { our_recipe: true, our_life: true, proven: false };

    fn error(status: u16, code: &str) -> Outcome {
        Outcome::Error { status, code: code.into(), param: String::new(), message: "no".into() }
    }

    fn answer() -> Outcome {
        Outcome::Answered { content: Some("text".into()), refusal: None, finish: Finish::Stop }
    }

    fn decide(lines: &[Outcome], case: Case, in_a_row: &mut u64) -> &'static str {
        let mut hearing = Hearing::default();
        lines.iter().for_each(|line| hearing.hear(line));
        match hearing.decide(case, in_a_row) {
            Finding::Clear => "clear",
            Finding::Past(_) => "past",
            Finding::Stop(_) => "stop",
        }
    }

    #[test]
    fn a_batch_without_an_answer_stops_the_run_and_others_do_not() {
        let (setting, server) = (error(400, "unsupported_value"), error(500, ""));
        let quota = error(429, "insufficient_quota");
        let old = Case { our_life: false, ..NEW };
        let other = Case { our_recipe: false, ..NEW };
        let proven = Case { proven: true, ..NEW };
        let cases: [(&[Outcome], Case, &str); 9] = [
            (&[setting.clone(), setting.clone()], NEW, "stop"),
            (&[server.clone(), setting.clone()], old, "stop"),
            (&[server.clone(), server], NEW, "clear"),
            (&[setting.clone(), answer()], NEW, "clear"),
            (std::slice::from_ref(&setting), other, "past"),
            (std::slice::from_ref(&setting), proven, "clear"),
            (&[quota.clone(), answer()], NEW, "stop"),
            (std::slice::from_ref(&quota), old, "past"),
            (&[], NEW, "clear"),
        ];
        for (lines, case, expected) in cases {
            assert_eq!(decide(lines, case, &mut 0), expected, "{lines:?} {case:?}");
        }
    }

    #[test]
    fn lines_that_name_no_image_are_a_rule_where_they_are_most_of_many() {
        for (ours, unknown, expected) in
            [(0, 8, true), (7, 8, true), (8, 8, false), (0, 7, false), (399, 1, false), (100, 300, true), (0, 0, false)]
        {
            let told = MostlyUnknown::of(&BatchId("b".into()), LinesRead { ours, unknown });
            assert_eq!(told.is_some(), expected, "{ours} {unknown}");
        }
    }

    #[test]
    fn settings_that_were_good_are_given_up_after_many_refusals_in_a_row() {
        let proven = Case { proven: true, ..NEW };
        let refused = vec![error(404, "model_not_found"); 20];
        let mut in_a_row = 0;
        assert_eq!(decide(&refused, proven, &mut in_a_row), "clear");
        assert_eq!(decide(&[answer()], proven, &mut in_a_row), "clear");
        assert_eq!(decide(&refused, proven, &mut in_a_row), "clear");
        assert_eq!(decide(&refused, proven, &mut in_a_row), "clear");
        assert_eq!(decide(&refused, proven, &mut in_a_row), "stop");
    }

    #[test]
    fn one_reason_for_too_many_answers_stops_and_many_reasons_do_not() {
        let counted = |accepted: u64, rejected: &[(Reason, u64)]| {
            let mut rejections = Rejections::default();
            (0..accepted).for_each(|_| rejections.count(&Verdict::Accept));
            for (reason, many) in rejected {
                (0..*many).for_each(|_| rejections.count(&Verdict::Reject(*reason)));
            }
            rejections.count(&Verdict::AskAgain { reason: Reason::NeverRan, counted: false });
            rejections.too_many(20.0).map(|told| told.to_string())
        };
        assert_eq!(counted(9, &[(Reason::Refused, 40)]), None, "too few to tell");
        assert_eq!(counted(80, &[(Reason::Refused, 20)]), None, "as many as may be");
        assert_eq!(counted(60, &[(Reason::Refused, 20), (Reason::Truncated, 20)]), None, "two reasons");
        let told = Some("21 of 100 answers were rejected for refused".to_owned());
        assert_eq!(counted(79, &[(Reason::Refused, 21)]), told);
    }
}
