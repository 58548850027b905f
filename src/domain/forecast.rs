//! What a sample says of the rest: quantiles, and a sum with the interval that it lies in 19 times out of 20.

/// Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom; beyond, the normal distribution's. Source: any table,
/// such as NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL: f64 = 1.960;

/// Mean of a sample; nothing for an empty one.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a statistic")]
pub fn mean(sample: &[u64]) -> Option<f64> {
    (!sample.is_empty()).then(|| sample.iter().map(|value| *value as f64).sum::<f64>() / sample.len() as f64)
}

/// The smallest value that at least `percent` of a hundred values do not exceed; nothing for an empty sample.
#[must_use]
pub fn quantile(sample: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

/// The sum over `rest` further values as a sample tells it: lower end, as expected, upper end. The interval of 95 % holds both
/// what the sample may be off and how much the rest itself varies; a sample of one has none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a statistic")]
pub fn sum_of_rest(sample: &[u64], rest: u64) -> Option<[f64; 3]> {
    let mean = mean(sample)?;
    let (size, rest) = (sample.len() as f64, rest as f64);
    let freedom = sample.len().checked_sub(2)?;
    let variance = sample.iter().map(|value| (*value as f64 - mean).powi(2)).sum::<f64>() / (size - 1.0);
    let half = T.get(freedom).unwrap_or(&NORMAL) * (variance * rest * (1.0 + rest / size)).sqrt();
    let expected = mean * rest;
    Some([(expected - half).max(0.0), expected, expected + half])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 100 to 699, as Knuth's MMIX throws them.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            100 + (self.0 >> 33) % 600
        }
    }

    #[test]
    fn quantiles_of_small_samples() {
        let sample = [30, 10, 20, 40];
        assert_eq!([50, 95, 100, 0].map(|percent| quantile(&sample, percent)), [20, 40, 40, 10].map(Some));
        assert_eq!((quantile(&[], 50), mean(&[])), (None, None));
        assert_eq!(mean(&sample), Some(25.0));
    }

    #[test]
    fn the_interval_holds_the_sum_19_times_out_of_20() {
        assert_eq!(sum_of_rest(&[5], 10), None, "one value says nothing of how they vary");
        assert_eq!(sum_of_rest(&[5, 5, 5], 10), Some([50.0; 3]));
        let mut dice = Dice(1);
        let mut held = 0;
        for _ in 0..1000 {
            let sample: Vec<u64> = (0..20).map(|_| dice.roll()).collect();
            let sum: u64 = (0..400).map(|_| dice.roll()).sum();
            let [low, _, high] = sum_of_rest(&sample, 400).expect("an interval");
            held += usize::from((low..=high).contains(&(sum as f64)));
        }
        assert!((930..=970).contains(&held), "{held} of 1000");
    }
}
