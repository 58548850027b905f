//! The open plan, and the one predicate that closes it. Totals in, verdict out: no clock, no disk, no ledger.

use super::workshop::Ready;
use crate::domain::ids::ImageId;
use crate::domain::money::Money;
use crate::domain::shard::{NewLine, SealReason};
use crate::kit::clock::Millis;

/// Upper bounds of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lines.
    pub lines: usize,
    /// Bytes of the body.
    pub bytes: u64,
    /// Estimated prompt tokens; 0 = no limit.
    pub tokens: u64,
    /// What it costs at most.
    pub money: Option<Money>,
    /// Longest wait of a trickle of second tries, in milliseconds.
    pub age_ms: Millis,
}

/// Tokens of a shard: what the settings say, and half of the queue's limit, so that two shards fit. 0 = no limit.
#[must_use]
pub fn token_limit(settings: u64, queue: Option<u64>) -> u64 {
    let half = queue.map(|limit| (limit / 2).max(1));
    [Some(settings).filter(|limit| *limit > 0), half].into_iter().flatten().min().unwrap_or(0)
}

/// What one image adds to a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The image.
    pub image: ImageId,
    /// Exact length of its line in bytes.
    pub bytes: u64,
    /// Estimated prompt tokens of its line.
    pub tokens: u64,
    /// What its line costs at most; nothing where no price is known.
    pub worst: Money,
    /// Whether it was never packed before.
    pub first: bool,
}

/// How things stand outside the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Whether the corpus is still being listed.
    pub walking: bool,
    /// Images to be asked, those of open plans included; copies are none of them.
    pub owed: u64,
    /// Lines of all open plans.
    pub planned: u64,
    /// Images in flight.
    pub packed: u64,
    /// Whether a plan of second tries is sealed as soon as it is dry, without waiting for what is in flight.
    pub eager: bool,
}

/// A plan that is not sealed yet.
#[derive(Clone, Debug, Default)]
pub struct OpenPlan {
    lines: Vec<NewLine>,
    bytes: u64,
    tokens: u64,
    worst: Money,
    has_first: bool,
    oldest: Option<Millis>,
}

/// A plan whose turn has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Its lines in feed order.
    pub lines: Vec<NewLine>,
    /// Estimated prompt tokens, at least 1.
    pub tokens: u64,
    /// Why it was closed.
    pub seal: SealReason,
}

impl OpenPlan {
    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Why `next` does not fit any more, if it does not. An empty plan takes any line: what is too large for every
    /// plan was refused when it was enrolled.
    #[must_use]
    pub fn full_for(&self, next: &Candidate, limits: &Limits) -> Option<SealReason> {
        if self.is_empty() {
            None
        } else if self.lines.len() >= limits.lines {
            Some(SealReason::Lines)
        } else if self.bytes + next.bytes > limits.bytes {
            Some(SealReason::Bytes)
        } else if limits.tokens > 0 && self.tokens + next.tokens > limits.tokens {
            Some(SealReason::Tokens)
        } else if limits.money.is_some_and(|money| self.worst + next.worst > money) {
            // Tokens are what money is paid for; the ledger has no other word.
            Some(SealReason::Tokens)
        } else {
            None
        }
    }

    /// Adds a line that fits; `ready` is what is sent in the place of the image's own file.
    pub fn push(&mut self, line: &Candidate, ready: Option<Ready>, now: Millis) {
        let (prepared, ink) = ready.map_or((None, None), |ready| (Some(ready.prepared), ready.ink));
        self.lines.push(NewLine { image: line.image, bytes: line.bytes, prepared, ink });
        self.bytes += line.bytes;
        self.tokens += line.tokens;
        self.worst += line.worst;
        self.has_first |= line.first;
        self.oldest.get_or_insert(now);
    }

    /// Whether nothing else is to come (*Dry*), or a trickle has waited long enough (*Age*).
    ///
    /// Dry: the walk is over, every owed image already lies in an open plan, and this one holds a first reading or nothing is in
    /// flight whose return could still join it.
    #[must_use]
    pub fn due(&self, outside: &Outside, limits: &Limits, now: Millis) -> Option<SealReason> {
        let oldest = self.oldest?;
        let complete = !outside.walking && outside.owed == outside.planned;
        if complete && (self.has_first || outside.packed == 0 || outside.eager) {
            Some(SealReason::Dry)
        } else if now - oldest >= limits.age_ms {
            Some(SealReason::Age)
        } else {
            None
        }
    }

    /// When this plan is sealed for its age at the latest (unix milliseconds).
    #[must_use]
    pub fn age_deadline(&self, limits: &Limits) -> Option<Millis> {
        self.oldest.map(|oldest| oldest.saturating_add(limits.age_ms))
    }

    /// Takes the plan out, closed; nothing if there is no line.
    #[must_use]
    pub fn close(&mut self, seal: SealReason) -> Option<Closed> {
        let plan = std::mem::take(self);
        let tokens = plan.tokens.max(1);
        (!plan.lines.is_empty()).then_some(Closed { lines: plan.lines, tokens, seal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { lines: 3, bytes: 100, tokens: 50, money: None, age_ms: 600_000 };

    fn candidate(id: i64, bytes: u64, tokens: u64) -> Candidate {
        Candidate { image: ImageId(id), bytes, tokens, worst: Money::from_picos(tokens), first: true }
    }

    fn plan(lines: &[Candidate]) -> OpenPlan {
        let mut plan = OpenPlan::default();
        for line in lines {
            plan.push(line, None, 1000);
        }
        plan
    }

    #[test]
    fn the_next_line_closes_the_plan_it_does_not_fit_into() {
        let cases = [
            (plan(&[]), candidate(9, 1000, 1000), None),
            (plan(&[candidate(1, 60, 1)]), candidate(2, 40, 1), None),
            (plan(&[candidate(1, 60, 1)]), candidate(2, 41, 1), Some(SealReason::Bytes)),
            (plan(&[candidate(1, 1, 30)]), candidate(2, 1, 21), Some(SealReason::Tokens)),
            (
                plan(&[candidate(1, 1, 1), candidate(2, 1, 1), candidate(3, 1, 1)]),
                candidate(4, 1, 1),
                Some(SealReason::Lines),
            ),
        ];
        for (plan, next, expected) in cases {
            assert_eq!(plan.full_for(&next, &LIMITS), expected, "{next:?}");
        }
    }

    #[test]
    fn two_shards_fit_into_the_queue() {
        let cases = [((0, None), 0), ((70, None), 70), ((0, Some(90)), 45), ((30, Some(90)), 30), ((0, Some(1)), 1)];
        for ((settings, queue), expected) in cases {
            assert_eq!(token_limit(settings, queue), expected, "{settings} {queue:?}");
        }
    }

    #[test]
    fn dry_and_age() {
        let first = plan(&[candidate(1, 1, 1)]);
        let second = plan(&[Candidate { first: false, ..candidate(1, 1, 1) }]);
        let quiet = Outside { walking: false, owed: 1, planned: 1, packed: 0, eager: false };
        let busy = Outside { packed: 7, ..quiet };
        assert_eq!(first.due(&quiet, &LIMITS, 1000), Some(SealReason::Dry));
        assert_eq!(first.due(&busy, &LIMITS, 1000), Some(SealReason::Dry));
        assert_eq!(first.due(&Outside { walking: true, ..quiet }, &LIMITS, 1000), None);
        assert_eq!(first.due(&Outside { owed: 2, ..quiet }, &LIMITS, 1000), None);
        let beside = Outside { owed: 2, planned: 2, ..quiet };
        assert_eq!(first.due(&beside, &LIMITS, 1000), Some(SealReason::Dry), "the other one lies in another plan");
        assert_eq!(second.due(&quiet, &LIMITS, 1000), Some(SealReason::Dry));
        assert_eq!(second.due(&busy, &LIMITS, 1000), None);
        assert_eq!(second.due(&Outside { eager: true, ..busy }, &LIMITS, 1000), Some(SealReason::Dry));
        assert_eq!(second.due(&busy, &LIMITS, 601_000), Some(SealReason::Age));
        assert_eq!(OpenPlan::default().due(&quiet, &LIMITS, 601_000), None);
    }

    proptest! {
        #[test]
        fn no_plan_exceeds_its_limits(sizes in proptest::collection::vec((1u64..120, 0u64..60), 1..200)) {
            let mut open = OpenPlan::default();
            let mut closed = Vec::new();
            for (n, (bytes, tokens)) in sizes.iter().enumerate() {
                let next = candidate(n as i64, *bytes, *tokens);
                if let Some(seal) = open.full_for(&next, &LIMITS) {
                    closed.extend(open.close(seal));
                }
                open.push(&next, None, 0);
            }
            closed.extend(open.close(SealReason::Drain));
            let order: Vec<i64> = closed.iter().flat_map(|plan| plan.lines.iter().map(|line| line.image.0)).collect();
            prop_assert_eq!(order, (0..sizes.len() as i64).collect::<Vec<_>>());
            for plan in closed {
                let bytes: u64 = plan.lines.iter().map(|line| line.bytes).sum();
                prop_assert!(plan.lines.len() == 1 || bytes <= LIMITS.bytes);
                prop_assert!(plan.lines.len() == 1 || plan.tokens <= LIMITS.tokens);
                prop_assert!(plan.lines.len() <= LIMITS.lines);
            }
        }
    }
}
