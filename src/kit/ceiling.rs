//! A bound that a run learns: it only ever sinks, and whoever shares it sees that at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bound; cheap to clone, shared by who learns and who obeys.
#[derive(Clone, Debug)]
pub struct Ceiling(Arc<AtomicU64>);

impl Default for Ceiling {
    /// No bound yet.
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Ceiling {
    /// The bound, or `asked` if that is lower.
    #[must_use]
    pub fn over(&self, asked: u64) -> u64 {
        self.0.load(Ordering::Relaxed).min(asked)
    }

    /// Lowers the bound to `to`; a higher one changes nothing.
    pub fn lower(&self, to: u64) {
        self.0.fetch_min(to, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_sinks() {
        let (ceiling, seen) = {
            let one = Ceiling::default();
            (one.clone(), one)
        };
        assert_eq!(seen.over(100), 100);
        ceiling.lower(40);
        ceiling.lower(60);
        assert_eq!((seen.over(100), seen.over(30)), (40, 30));
    }
}
