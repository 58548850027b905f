//! A scenario at work: counts the visits of each rule and says which of them strikes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bad::Way;
use super::habits::Habits;
use super::scenario::{Act, BatchRule, Door, DoorRule, Outcome, Scenario, When};
use crate::kit::hash::{self, Short};

/// A scenario and the visits of its rules so far.
#[derive(Debug)]
pub(crate) struct Faults {
    scenario: Scenario,
    doors: Vec<AtomicU32>,
    batches: Vec<AtomicU32>,
    lines: Vec<AtomicU32>,
    /// Answers so far of each image that a rule of bad answers means.
    bad: Mutex<HashMap<Short, u32>>,
    has_habits: bool,
    calm: AtomicBool,
}

impl Faults {
    /// A scenario whose rules nobody has met yet.
    pub(crate) fn new(scenario: Scenario) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU32::new(0)).collect();
        let (doors, batches, lines) =
            (zeros(scenario.door.len()), zeros(scenario.batch.len()), zeros(scenario.line.len()));
        let has_habits = scenario.habits != Habits::default();
        let bad = Mutex::default();
        Self { scenario, doors, batches, lines, bad, has_habits, calm: AtomicBool::new(false) }
    }

    /// No rule strikes from now on; habits stay.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// What this server always does otherwise.
    pub(crate) fn habits(&self) -> &Habits {
        &self.scenario.habits
    }

    /// Whether it does anything otherwise.
    pub(crate) fn has_habits(&self) -> bool {
        self.has_habits
    }

    /// Whether connections may have to be closed by hand.
    pub(crate) fn closes_connections(&self) -> bool {
        let drops = |rule: &DoorRule| matches!(rule.act, Act::Drop | Act::ActThenDrop | Act::ActTwiceThenDrop);
        self.scenario.habits.closes_after_errors || self.scenario.door.iter().any(drops)
    }

    /// The fault that this visit of `door` meets.
    pub(crate) fn at(&self, door: Door) -> Option<&DoorRule> {
        self.first("door", &self.scenario.door, &self.doors, |rule| (rule.at == door).then_some(rule.when))
    }

    /// The fault that the next new batch has.
    pub(crate) fn of_batch(&self) -> Option<&BatchRule> {
        self.first("batch", &self.scenario.batch, &self.batches, |rule| Some(rule.when))
    }

    /// How the line `custom_id` is forced to end this time.
    pub(crate) fn of_line(&self, custom_id: &str) -> Option<Outcome> {
        let meant =
            |rule: &super::scenario::LineRule| custom_id.contains(&rule.custom_id_contains).then_some(rule.when);
        self.first("line", &self.scenario.line, &self.lines, meant).map(|rule| rule.outcome)
    }

    /// How the next answer of the image behind `custom_id` is bad: to its page, or to its rough text (`deep`).
    pub(crate) fn of_image(&self, custom_id: &str, deep: bool) -> Option<Way> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        let seed = self.scenario.seed;
        let mut rules = self.scenario.bad.iter().enumerate();
        let (way, times) = rules.find_map(|(number, rule)| {
            let way = rule.way_of(seed, number, custom_id).filter(|way| way.is_deep() == deep)?;
            Some((way, rule.times))
        })?;
        let image = hash::short(format!("{deep}/{custom_id}").as_bytes());
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = bad.entry(image).or_default();
        *answers = answers.saturating_add(1);
        (*answers <= times).then_some(way)
    }

    fn first<'a, R>(
        &self,
        kind: &str,
        rules: &'a [R],
        visits: &[AtomicU32],
        meant: impl Fn(&R) -> Option<When>,
    ) -> Option<&'a R> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        rules.iter().zip(visits).enumerate().find_map(|(number, (rule, visits))| {
            let when = meant(rule)?;
            let visit = visits.fetch_add(1, Ordering::Relaxed);
            let in_turn = visit >= when.skip && visit - when.skip < when.times;
            (in_turn && self.chance(kind, number, visit) < when.chance).then_some(rule)
        })
    }

    /// A number in 0..1 that depends on seed, rule and visit alone.
    fn chance(&self, kind: &str, rule: usize, visit: u32) -> f64 {
        let print = hash::short(format!("{}/{kind}/{rule}/{visit}", self.scenario.seed).as_bytes());
        f64::from(u32::from_le_bytes([print[0], print[1], print[2], print[3]])) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_strike_in_their_turn_and_by_their_chance() {
        let text = r#"
            seed = 7
            [[door]]
            at = "create_batch"
            act = "act_then_drop"
            when = { skip = 1, times = 1 }
            [[door]]
            at = "create_batch"
            act = "refuse"
            status = 429
            when = { skip = 2 }
            [[line]]
            custom_id_contains = "7"
            outcome = "refusal"
            [[line]]
            outcome = "missing"
            when = { chance = 0.25 }
        "#;
        let faults = Faults::new(Scenario::read(text).expect("scenario"));
        let acts: Vec<_> = (0..5).map(|_| faults.at(Door::CreateBatch).map(|rule| rule.act)).collect();
        let refuse = Some(Act::Refuse);
        assert_eq!(acts, [None, Some(Act::ActThenDrop), None, refuse, refuse]);
        assert!(faults.at(Door::GetBatch).is_none() && faults.of_batch().is_none());
        assert_eq!(faults.of_line("page7"), Some(Outcome::Refusal));
        let missing = (0..1000).filter(|_| faults.of_line("page").is_some()).count();
        assert!((200..300).contains(&missing), "{missing}");
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert!(Scenario::read("[[door]]\nat = \"nowhere\"\nact = \"drop\"").is_err());
        assert!(Scenario::read("speed = 3").is_err());
    }
}
