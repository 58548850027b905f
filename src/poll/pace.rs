//! When to look next: often at first, politely later.

use crate::kit::clock::Millis;

/// A batch older than this is looked at with the longest pause.
const SETTLED_IN: Millis = 2 * 3600 * 1000;

/// Pauses between looks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For young batches.
    pub first_ms: Millis,
    /// For batches older than two hours.
    pub longest_ms: Millis,
}

impl Pace {
    /// No pause is longer.
    #[must_use]
    pub fn longest(&self) -> Millis {
        self.pause(SETTLED_IN, 1.0).max(self.pause(0, 1.0))
    }

    /// Pause before the next look at a batch of this age, spread by ± 10 % with `unit` in `0.0..1.0`.
    #[must_use]
    pub fn pause(&self, age_ms: Millis, unit: f64) -> Millis {
        let part = (age_ms.clamp(0, SETTLED_IN) as f64) / (SETTLED_IN as f64);
        let pause = self.first_ms as f64 + part * (self.longest_ms - self.first_ms) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the longest pause")]
        let spread = (pause * (0.9 + 0.2 * unit.clamp(0.0, 1.0))) as Millis;
        spread.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_age() {
        let pace = Pace { first_ms: 60_000, longest_ms: 300_000 };
        let at = |age: Millis| pace.pause(age, 0.5);
        assert_eq!(
            [at(0), at(SETTLED_IN / 2), at(SETTLED_IN), at(SETTLED_IN * 9)],
            [60_000, 180_000, 300_000, 300_000]
        );
        assert_eq!((pace.pause(0, 0.0), pace.pause(0, 1.0)), (54_000, 66_000));
        assert_eq!(pace.longest(), 330_000);
    }
}
