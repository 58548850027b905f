//! Into how many batches the lines go, and what fills them: the encoder's rule without its images.

/// What bounds a batch, in the order in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Lines.
    Lines,
    /// Bytes of the file.
    Bytes,
    /// Estimated prompt tokens.
    Tokens,
}

impl Bound {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lines, Self::Bytes, Self::Tokens];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }
}

/// Lines, bytes and tokens, in the order of [`Bound::ALL`].
pub(super) type Load = [u64; 3];

/// Batches under way.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    bounds: Load,
    held: Load,
    batches: u64,
    /// Batches that each bound has closed.
    closed: Load,
}

impl Packing {
    pub(super) fn new(bounds: Load) -> Self {
        Self { bounds, held: [0; 3], batches: 0, closed: [0; 3] }
    }

    /// One more line. A line that is larger than a bound has a batch of its own.
    pub(super) fn add(&mut self, line: Load) {
        let over = |place: &usize| self.held[*place] + line[*place] > self.bounds[*place];
        let full = (0..line.len()).find(over).filter(|_| self.held[0] > 0);
        if let Some(place) = full {
            self.closed[place] += 1;
        }
        if full.is_some() || self.batches == 0 {
            self.batches += 1;
            self.held = [0; 3];
        }
        for (held, more) in self.held.iter_mut().zip(line) {
            *held += more;
        }
    }

    pub(super) fn batches(&self) -> u64 {
        self.batches
    }

    /// What closed most batches; `None` while one batch holds everything.
    pub(super) fn binds(&self) -> Option<Bound> {
        let mut binding = None;
        for (bound, closed) in Bound::ALL.into_iter().zip(self.closed) {
            if closed > binding.map_or(0, |(_, most)| most) {
                binding = Some((bound, closed));
            }
        }
        binding.map(|(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bounds: Load, lines: &[Load]) -> (u64, Option<Bound>) {
        let mut packing = Packing::new(bounds);
        for line in lines {
            packing.add(*line);
        }
        (packing.batches(), packing.binds())
    }

    #[test]
    fn what_fills_a_batch() {
        let line = [1, 40, 30];
        assert_eq!(packed([9, 100, 100], &[]), (0, None));
        assert_eq!(packed([9, 100, 100], &[line; 2]), (1, None));
        assert_eq!(packed([9, 100, 100], &[line; 5]), (3, Some(Bound::Bytes)));
        assert_eq!(packed([2, 999, 999], &[line; 5]), (3, Some(Bound::Lines)));
        assert_eq!(packed([9, 999, 70], &[line; 5]), (3, Some(Bound::Tokens)));
        assert_eq!(packed([9, 30, 999], &[line; 3]), (3, Some(Bound::Bytes)), "each is too large, and has its own");
    }
}
