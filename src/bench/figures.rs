//! Figures: what one round of a stage took, and what its rounds come to. Plain arithmetic.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::stage::Stage;

/// Version of the document that `--json` prints.
pub const SCHEMA: u32 = 1;

/// One stage, measured once in a process of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was measured.
    pub stage: Stage,
    /// Images, or lines about them.
    pub items: u64,
    /// Bytes that went through; 0 where only facts do.
    pub bytes: u64,
    /// Seconds by the wall.
    pub wall_s: f64,
    /// Processor seconds of the process, user and system; none where the system does not tell.
    pub cpu_s: Option<f64>,
    /// Largest resident memory of the process; none where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// Time waited on each edge that the stage has.
    pub waits: Vec<Wait>,
}

/// Time waited on one edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The edge, as the README's table counts it.
    pub edge: String,
    /// Seconds.
    pub seconds: f64,
}

/// The middle of several rounds, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the rounds lie on either side.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of these values; none of no values, or where one is no number.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), least, most })
    }

    /// Whether no round of one came near a round of the other: what differs so is no noise.
    #[must_use]
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.most < other.least || other.most < self.least
    }
}

/// One stage over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub stage: Stage,
    /// How often.
    pub rounds: usize,
    /// Images, or lines about them, of one round.
    pub items: u64,
    /// Bytes of one round.
    pub bytes: u64,
    /// Items a second by the wall.
    pub items_per_s: Spread,
    /// Millions of bytes a second by the wall; none where only facts go through.
    pub mb_per_s: Option<Spread>,
    /// Processor seconds for 10^9 bytes.
    pub cpu_s_per_gb: Option<Spread>,
    /// Processor time of one item, in microseconds.
    pub cpu_us_per_item: Option<Spread>,
    /// Largest resident memory of any round.
    pub peak_bytes: Option<u64>,
    /// Median of the time waited on each edge, the longest first.
    pub waits: Vec<Wait>,
}

impl Row {
    /// The rounds of one stage; none of no rounds, or of rounds in which nothing happened.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let first = samples.first()?;
        let over = |figure: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(figure).collect();
            (values.len() == samples.len()).then(|| Spread::of(values)).flatten()
        };
        Some(Self {
            stage: first.stage,
            rounds: samples.len(),
            items: first.items,
            bytes: first.bytes,
            items_per_s: over(&|sample| ratio(count(sample.items), sample.wall_s))?,
            mb_per_s: over(&|sample| ratio(count(sample.bytes) / 1e6, sample.wall_s).filter(|_| sample.bytes > 0)),
            cpu_s_per_gb: over(&|sample| ratio(sample.cpu_s?, count(sample.bytes) / 1e9)),
            cpu_us_per_item: over(&|sample| ratio(sample.cpu_s? * 1e6, count(sample.items))),
            peak_bytes: samples.iter().filter_map(|sample| sample.peak_bytes).max(),
            waits: waits(samples),
        })
    }

    /// The edge that was waited for longest, if anything was.
    #[must_use]
    pub fn bottleneck(&self) -> Option<&Wait> {
        self.waits.first().filter(|wait| wait.seconds > 0.0)
    }
}

/// Median per edge, the longest first; equal ones by name, so that the same rounds are the same document.
fn waits(samples: &[Sample]) -> Vec<Wait> {
    let mut edges: Vec<&str> = samples.iter().flat_map(|sample| &sample.waits).map(|wait| wait.edge.as_str()).collect();
    edges.sort_unstable();
    edges.dedup();
    let of = |edge: &str| {
        let all = samples.iter().flat_map(|sample| &sample.waits).filter(|wait| wait.edge == edge);
        Spread::of(all.map(|wait| wait.seconds)).map(|spread| Wait { edge: edge.to_owned(), seconds: spread.median })
    };
    let mut waits: Vec<Wait> = edges.into_iter().filter_map(of).collect();
    waits.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    waits
}

/// What is divided by nothing is no figure.
fn ratio(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

/// A count as a figure: exact up to 2^53, which no corpus reaches.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

/// Everything that one call has measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this document.
    pub schema: u32,
    /// Where it was measured.
    pub machine: Machine,
    /// Images of the corpus.
    pub images: u64,
    /// Bytes of each.
    pub image_bytes: u64,
    /// What the corpus was made from.
    pub seed: u64,
    /// Where uploads went, if not to a server that drops them.
    pub sink: Option<String>,
    /// One row a stage.
    pub stages: Vec<Row>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_s: f64, cpu_s: Option<f64>, waits: &[(&str, f64)]) -> Sample {
        let waits = waits.iter().map(|(edge, seconds)| Wait { edge: (*edge).to_owned(), seconds: *seconds }).collect();
        Sample { stage: Stage::Encode, items: 1_000, bytes: 2_000_000_000, wall_s, cpu_s, peak_bytes: Some(7), waits }
    }

    #[test]
    fn the_median_is_the_middle_and_of_two_their_mean() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, most: 4.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1.0, f64::NAN]), None);
    }

    #[test]
    fn rounds_that_overlap_are_noise() {
        let spread = |least, most| Spread { median: f64::midpoint(least, most), least, most };
        assert!(spread(1.0, 2.0).is_apart_from(&spread(2.1, 3.0)) && spread(2.1, 3.0).is_apart_from(&spread(1.0, 2.0)));
        assert!(!spread(1.0, 2.0).is_apart_from(&spread(2.0, 3.0)));
    }

    #[test]
    fn a_row_divides_by_the_right_thing() {
        let rounds = [sample(2.0, Some(1.0), &[]), sample(4.0, Some(3.0), &[]), sample(1.0, Some(2.0), &[])];
        let row = Row::of(&rounds).expect("rounds");
        assert_eq!((row.rounds, row.items_per_s.median), (3, 500.0));
        assert_eq!(row.mb_per_s.map(|spread| spread.median), Some(1_000.0));
        assert_eq!(row.cpu_s_per_gb, Some(Spread { median: 1.0, least: 0.5, most: 1.5 }));
        assert_eq!(row.cpu_us_per_item.map(|spread| spread.median), Some(2_000.0));
        assert_eq!(row.peak_bytes, Some(7));
        assert_eq!(Row::of(&[]), None);
    }

    #[test]
    fn what_one_round_does_not_know_nobody_tells() {
        let row = Row::of(&[sample(2.0, Some(1.0), &[]), sample(2.0, None, &[])]).expect("rounds");
        assert_eq!((row.cpu_s_per_gb, row.cpu_us_per_item), (None, None));
        let facts = Sample { bytes: 0, ..sample(1.0, Some(1.0), &[]) };
        let row = Row::of(&[facts]).expect("a round");
        assert_eq!((row.mb_per_s, row.cpu_s_per_gb), (None, None));
        assert!(row.cpu_us_per_item.is_some());
    }

    #[test]
    fn the_longest_wait_is_the_bottleneck() {
        let rounds = [
            sample(1.0, None, &[("body_wait", 1.0), ("slot_wait", 9.0), ("clean_wait", 0.0)]),
            sample(1.0, None, &[("body_wait", 3.0), ("slot_wait", 1.0), ("clean_wait", 0.0)]),
            sample(1.0, None, &[("body_wait", 2.0), ("slot_wait", 1.0), ("clean_wait", 0.0)]),
        ];
        let row = Row::of(&rounds).expect("rounds");
        assert_eq!(row.bottleneck(), Some(&Wait { edge: "body_wait".into(), seconds: 2.0 }));
        let idle = Row::of(&[sample(1.0, None, &[("clean_wait", 0.0)])]).expect("a round");
        assert_eq!(idle.bottleneck(), None);
    }
}
