//! How long things took: counts by bounds, from which whoever watches makes shares of any length.

/// Times of one kind, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than there are bounds: the last is of what took longer than all of them.
    counts: Vec<u64>,
    sum: u64,
}

impl Histogram {
    /// No times yet; `bounds` in milliseconds, rising, each belonging to the times below it.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Counts one time.
    pub fn note(&mut self, ms: u64) {
        let place = self.bounds.partition_point(|bound| *bound < ms);
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(ms);
    }

    /// Adds the times of another one with the same bounds.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Times that were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in milliseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Each bound with how many times are not above it.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().copied().zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_every_bound_that_it_does_not_exceed() {
        let mut times = Histogram::new(&[10, 100]);
        for ms in [0, 10, 11, 100, 101, 5_000] {
            times.note(ms);
        }
        assert_eq!(times.up_to().collect::<Vec<_>>(), [(10, 2), (100, 4)]);
        assert_eq!((times.count(), times.sum()), (6, 5_222));
        times.add(&times.clone());
        assert_eq!(times.up_to().collect::<Vec<_>>(), [(10, 4), (100, 8)]);
        assert_eq!((times.count(), times.sum()), (12, 10_444));
    }
}
