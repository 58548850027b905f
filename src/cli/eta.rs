//! When a run will be over, and what that is known from: never a number without its basis.

use std::time::Duration;

use crate::domain::forecast::quantile;
use crate::kit::clock::Millis;
use crate::ledger::records::Standing;

use super::words;

/// Batches that have to have ended before their times say anything.
const ENOUGH: usize = 3;
/// The same of answers of an engine on this computer.
const ENOUGH_ANSWERS: u64 = 3;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// Counts of the ledger.
    pub(super) standing: &'a Standing,
    /// How long batches of the provider took, in milliseconds.
    pub(super) batch_times: &'a [u64],
    /// When the youngest open batch was opened.
    pub(super) youngest: Option<Millis>,
    /// Whether the provider lets only so many tokens wait: then what is owed goes in rounds.
    pub(super) is_limited: bool,
    /// The provider's window.
    pub(super) window: Duration,
    /// Answers judged by this process.
    pub(super) answers: u64,
    /// How long it has been working.
    pub(super) elapsed: Duration,
    /// Whether the pages are read on this computer.
    pub(super) is_local: bool,
    /// The time.
    pub(super) now: Millis,
}

/// What an expectation stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The window of the provider: no batch has told yet how long it takes.
    Window,
    /// So many batches that ended.
    Batches(u64),
    /// So many answers of this process.
    Answers(u64),
}

/// When it will be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Eta {
    /// Seconds from now; of a window, at most.
    pub(super) seconds: u64,
    /// How far that may be off, as the middle half of what it stands on lies apart; none of a window.
    pub(super) spread: Option<u64>,
    /// What it stands on.
    pub(super) basis: Basis,
}

/// When it will be over; none where nothing is left, or nothing is known yet.
pub(super) fn eta(known: &Known<'_>) -> Option<Eta> {
    let standing = known.standing;
    if standing.owed + standing.packed == 0 {
        return None;
    }
    if known.is_local { of_answers(known) } else { Some(of_batches(known)) }
}

/// Pages are read one after the other: the rest takes as long as those before, and an answer more or less is one part in
/// their root.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an expectation"
)]
fn of_answers(known: &Known<'_>) -> Option<Eta> {
    if known.answers < ENOUGH_ANSWERS {
        return None;
    }
    let left = known.standing.owed + known.standing.packed;
    let seconds = known.elapsed.as_secs_f64() * left as f64 / known.answers as f64;
    let spread = seconds / (known.answers as f64).sqrt();
    let basis = Basis::Answers(known.answers);
    Some(Eta { seconds: seconds.ceil() as u64, spread: Some(spread.ceil() as u64), basis })
}

/// The youngest batch takes as long as others did. What has no batch yet goes at once, or in rounds of what is in flight now
/// where the queue is limited.
fn of_batches(known: &Known<'_>) -> Eta {
    let standing = known.standing;
    let mut age = known.youngest.map_or(0, |at| u64::try_from(known.now - at).unwrap_or(0)) / 1000;
    let mut rounds = 1;
    if standing.owed > 0 {
        if known.is_limited && standing.packed > 0 {
            rounds += standing.owed.div_ceil(standing.packed);
        } else {
            age = 0;
        }
    }
    let part = |percent| quantile(known.batch_times, percent).unwrap_or(0) / 1000;
    let usual = part(50);
    // A batch that is older than others became tells that this one is no usual one.
    if known.batch_times.len() < ENOUGH || age >= usual {
        let seconds = (known.window.as_secs() * rounds).saturating_sub(age);
        return Eta { seconds, spread: None, basis: Basis::Window };
    }
    let spread = (part(75) - part(25)) / 2 * rounds;
    let basis = Basis::Batches(known.batch_times.len() as u64);
    Eta { seconds: usual * rounds - age, spread: Some(spread), basis }
}

/// The expectation in words: `about 3 h ± 1 h, from 5 batches`, `at most 24 h`.
pub(super) fn told(eta: &Eta) -> String {
    let seconds = coarse(eta.seconds);
    let from = match eta.basis {
        Basis::Window => return format!("at most {seconds}"),
        Basis::Batches(batches) => words::count(batches, "batch", "batches"),
        Basis::Answers(answers) => words::count(answers, "answer", "answers"),
    };
    format!("about {seconds} ± {}, from {from}", coarse(eta.spread.unwrap_or(0)))
}

/// To the minute from one on: seconds of an expectation are noise.
pub(super) fn coarse(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes:02}"),
    }
}

impl Basis {
    /// The word of the lines of `--json`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Batches(_) => "batches",
            Self::Answers(_) => "answers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn known<'a>(standing: &'a Standing, batch_times: &'a [u64]) -> Known<'a> {
        Known {
            standing,
            batch_times,
            youngest: Some(0),
            is_limited: false,
            window: Duration::from_secs(24 * 3600),
            answers: 0,
            elapsed: Duration::from_secs(60),
            is_local: false,
            now: i64::try_from(HOUR).expect("small"),
        }
    }

    #[test]
    fn before_three_batches_have_ended_the_window_is_all_that_is_known() {
        let standing = Standing { packed: 10, ..Standing::default() };
        let eta = eta(&known(&standing, &[HOUR, HOUR])).expect("something is left");
        assert_eq!(told(&eta), "at most 23 h");
    }

    #[test]
    fn then_their_times_are_told_with_number_and_spread() {
        let standing = Standing { packed: 10, ..Standing::default() };
        let times = [2 * HOUR, 4 * HOUR, 5 * HOUR, 8 * HOUR];
        let one = eta(&known(&standing, &times)).expect("something is left");
        assert_eq!(told(&one), "about 3 h ± 1 h 30, from 4 batches");
        let standing = Standing { packed: 10, owed: 15, ..Standing::default() };
        let at_once = eta(&known(&standing, &times)).expect("something is left");
        assert_eq!(at_once.seconds, 4 * 3600, "the rest goes now");
        let limited = eta(&Known { is_limited: true, ..known(&standing, &times) }).expect("something is left");
        assert_eq!((limited.seconds, limited.spread), (11 * 3600, Some(3 * 5400)), "two rounds more");
    }

    #[test]
    fn a_batch_that_is_older_than_others_became_is_bound_by_the_window_alone() {
        let standing = Standing { packed: 10, ..Standing::default() };
        let times = [HOUR / 2, HOUR / 2, HOUR / 2];
        assert_eq!(eta(&known(&standing, &times)).map(|eta| eta.basis), Some(Basis::Window));
    }

    #[test]
    fn an_engine_on_this_computer_goes_on_as_it_went() {
        let standing = Standing { packed: 10, ..Standing::default() };
        let local = |answers| Known { is_local: true, answers, ..known(&standing, &[]) };
        assert_eq!(eta(&local(2)), None);
        assert_eq!(told(&eta(&local(4)).expect("enough")), "about 2 min ± 1 min, from 4 answers");
        assert_eq!(eta(&Known { standing: &Standing::default(), ..local(4) }), None, "nothing is left");
    }
}
