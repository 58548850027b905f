//! The breaker: whether what a batch came to would come to every further batch, so that the run stops before it burns all
//! images. Decides by what the lines say, without actor, clock or disk.

use super::judge::{RunRefused, against_the_run};
use crate::domain::answer::Outcome;

/// Refused lines in a row that stop a run whose settings were good before: a model may go in the middle of a run, but one
/// image that is refused again and again must not stop all others.
const MOST_IN_A_ROW: u64 = 50;

/// What the lines of one batch say against the run.
#[derive(Debug, Default)]
pub struct Hearing {
    refused: u64,
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
        let Some(refusal) = against_the_run(outcome) else { return };
        self.refused += 1;
        if refusal.is_about_account() {
            self.account.get_or_insert(refusal);
        } else {
            self.first.get_or_insert(refusal);
        }
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
}
