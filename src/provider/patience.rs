//! How long a provider that gives no answer is borne, in the one way that holds for all who ask it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use crate::kit::clock::{Clock, Millis, millis};

/// The provider has given no answer for too long. Nothing is lost: whatever was under way stays in the ledger.
#[derive(Clone, Debug, thiserror::Error)]
#[error("unreachable for too long: {0}")]
pub struct Unreachable(pub Failure);

/// Bears failures until there was no answer for `run.give_up_after`. Copies share what they have borne.
#[derive(Clone, Debug)]
pub struct Patience {
    clock: Clock,
    give_up_after: Duration,
    failing_since: Arc<Mutex<Option<Millis>>>,
}

impl Patience {
    /// Nothing has been borne yet.
    #[must_use]
    pub fn new(clock: Clock, give_up_after: Duration) -> Self {
        Self { clock, give_up_after, failing_since: Arc::default() }
    }

    /// There was an answer: whatever was borne before is forgotten.
    pub fn answered(&self) {
        *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Bears one more failure.
    ///
    /// # Errors
    /// [`Unreachable`] if it was one too many.
    pub fn bear(&self, failure: &Failure) -> Result<(), Unreachable> {
        let now = self.clock.now();
        let since = *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        if now - since >= millis(self.give_up_after) { Err(Unreachable(failure.clone())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::failure::Kind;

    #[test]
    fn it_ends_after_its_time_and_begins_anew_with_an_answer() {
        let clock = Clock::manual(0);
        let patience = Patience::new(clock.clone(), Duration::from_secs(60));
        let shared = patience.clone();
        let failure = Failure::new(Kind::Doubt, "host", "no");
        assert!(patience.bear(&failure).is_ok());
        clock.advance(Duration::from_secs(59));
        assert!(shared.bear(&failure).is_ok());
        patience.answered();
        clock.advance(Duration::from_secs(1));
        assert!(patience.bear(&failure).is_ok(), "an answer came between");
        clock.advance(Duration::from_secs(60));
        let told = shared.bear(&failure).map_err(|error| error.to_string());
        assert_eq!(told, Err("unreachable for too long: host: no".to_owned()));
    }
}
