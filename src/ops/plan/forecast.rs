//! From earlier batches to the next ones: the correction of the estimate, the pace of uploads, the time that answers take.

use crate::ledger::reader::{Delivery, EstimateRow};

/// Nobody's estimate is trusted to be further off than this, in thousandths: then something else is wrong.
const FACTOR: std::ops::RangeInclusive<u64> = 500..=3000;
/// Thousandths that an estimate may be off before it is said.
const OFF: u64 = 100;
/// Bytes a second that are taken for granted before anything was sent.
const PRESUMED: u64 = 1_000_000;
/// Bytes that have to have gone out before their pace says anything.
const TELLING: u64 = 1_000_000;

/// How much more tokens the provider counted than we had estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Counted by estimated, in thousandths; from 500 to 3,000.
    pub thousandths: u64,
    /// Batches that it is known from.
    pub batches: u64,
}

impl Correction {
    /// The correction for `model`, once a batch of it has told its tokens.
    #[must_use]
    pub fn of(model: &str, rows: &[EstimateRow]) -> Option<Self> {
        let row = rows.iter().find(|row| row.model == model && row.estimated > 0)?;
        let thousandths = (u128::from(row.told) * 1000 + u128::from(row.estimated) / 2) / u128::from(row.estimated);
        let thousandths = u64::try_from(thousandths).unwrap_or(u64::MAX).clamp(*FACTOR.start(), *FACTOR.end());
        Some(Self { thousandths, batches: row.batches })
    }

    /// `tokens` as the provider will count them, if it counts as before.
    #[must_use]
    pub fn apply(self, tokens: u64) -> u64 {
        u64::try_from(u128::from(tokens) * u128::from(self.thousandths) / 1000).unwrap_or(u64::MAX)
    }

    /// How far the estimate was off, in percent, rounded; below zero: less was counted than estimated.
    #[must_use]
    pub fn percent(self) -> i64 {
        let off = self.thousandths.cast_signed() - 1000;
        (off + 5 * off.signum()) / 10
    }

    /// Whether it is off so far that people have to hear of it.
    #[must_use]
    pub fn is_far_off(self) -> bool {
        self.thousandths.abs_diff(1000) > OFF
    }
}

/// What a run will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Bytes a second of the uploads.
    pub bytes_per_second: u64,
    /// Whether earlier uploads went at that pace; otherwise it is an assumption.
    pub measured: bool,
    /// Seconds of all uploads.
    pub upload_seconds: u64,
    /// Of the batches that have ended: their number, what half of them took at most, and the longest, in seconds.
    pub answers: Option<[u64; 3]>,
}

impl Time {
    /// The forecast for `bytes`, after `deliveries` and batches that took `times` milliseconds.
    #[must_use]
    pub fn of(bytes: u64, deliveries: &[Delivery], mut times: Vec<u64>) -> Self {
        let pace = pace(deliveries);
        let bytes_per_second = pace.unwrap_or(PRESUMED);
        times.sort_unstable();
        let seconds = |at: usize| times.get(at).map(|ms| ms.div_ceil(1000));
        let answers = seconds(times.len().saturating_sub(1) / 2).zip(seconds(times.len().saturating_sub(1)));
        Self {
            bytes_per_second,
            measured: pace.is_some(),
            upload_seconds: bytes.div_ceil(bytes_per_second),
            answers: answers.map(|(half, longest)| [times.len() as u64, half, longest]),
        }
    }
}

/// Bytes a second while anything was going out; uploads at the same time share the line, so their times count once.
fn pace(deliveries: &[Delivery]) -> Option<u64> {
    let mut sorted = deliveries.to_vec();
    sorted.sort_unstable_by_key(|one| one.from);
    let bytes: u64 = sorted.iter().map(|one| one.bytes).sum();
    let (mut busy, mut until) = (0, i64::MIN);
    for one in &sorted {
        busy += u64::try_from(one.until.saturating_sub(one.from.max(until))).unwrap_or(0);
        until = until.max(one.until);
    }
    (bytes >= TELLING && busy > 0)
        .then(|| u64::try_from(u128::from(bytes) * 1000 / u128::from(busy)).unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(estimated: u64, told: u64) -> EstimateRow {
        EstimateRow { model: "m".to_owned(), batches: 12, estimated, told }
    }

    #[test]
    fn the_correction_is_bounded_and_told_in_percent() {
        for (estimated, told, thousandths, percent, far) in [
            (1000, 1040, 1040, 4, false),
            (1000, 960, 960, -4, false),
            (1000, 1100, 1100, 10, false),
            (1000, 1101, 1101, 10, true),
            (1000, 899, 899, -10, true),
            (1000, 9000, 3000, 200, true),
            (1000, 1, 500, -50, true),
        ] {
            let correction = Correction::of("m", &[row(estimated, told)]).expect("a correction");
            assert_eq!((correction.thousandths, correction.percent()), (thousandths, percent), "{estimated} {told}");
            assert_eq!(correction.is_far_off(), far, "{estimated} {told}");
        }
        assert_eq!(Correction::of("other", &[row(1, 1)]), None);
        assert_eq!(Correction::of("m", &[row(0, 7)]), None);
        assert_eq!(Correction { thousandths: 1040, batches: 1 }.apply(1_300_000), 1_352_000);
    }

    #[test]
    fn uploads_at_the_same_time_share_the_line() {
        let one = |bytes, from, until| Delivery { bytes, from, until };
        assert_eq!(pace(&[one(3_000_000, 0, 1000), one(1_000_000, 500, 2000)]), Some(2_000_000));
        assert_eq!(
            pace(&[one(1_000_000, 90_000, 91_000), one(1_000_000, 0, 1000)]),
            Some(1_000_000),
            "a pause between"
        );
        assert_eq!(pace(&[one(999_999, 0, 1000)]), None, "too little to tell");
        assert_eq!(pace(&[one(9_000_000, 1000, 1000)]), None);
    }

    #[test]
    fn a_time_says_what_it_rests_on() {
        let nothing = Time::of(1_500_000_001, &[], Vec::new());
        assert_eq!((nothing.measured, nothing.upload_seconds, nothing.answers), (false, 1501, None));
        let known = Time::of(0, &[], vec![9_000, 1_000, 2_500]);
        assert_eq!((known.upload_seconds, known.answers), (0, Some([3, 3, 9])));
    }
}
