//! Pauses between tries: doubling, capped, jittered. Pure: the caller brings the randomness and the sleeper.

use std::time::Duration;

/// How pauses grow.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Pause after the first failure.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Backoff {
    /// Pause after failure number `failures` (from 1), spread by ± 20 % with `unit` in `0.0..1.0`.
    #[must_use]
    pub fn pause(&self, failures: u32, unit: f64) -> Duration {
        let doubled = self.first.saturating_mul(1u32 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(0.8 + 0.4 * unit.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let pauses: Vec<u64> = [1, 2, 3, 7, 40].iter().map(|n| backoff.pause(*n, 0.5).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 60, 60]);
    }
}
