//! A batch that was turned away: nothing ran, and the same input file is opened again later.

use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::domain::batch::Refusal;
use crate::domain::ids::BatchId;
use crate::domain::layout::Layout;
use crate::kit::backoff::Backoff;
use crate::kit::clock::{Millis, millis};
use crate::ledger::records::Hold;

/// Pauses before a shard whose file is not visible yet is opened again.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };

/// How long its shard is held back, when `times` batches were turned away in a row; `spread` is a random number from 0 to 1.
pub(super) fn hold(refusal: Option<&Refusal>, times: u32, now: Millis, spread: f64) -> Hold {
    match refusal.filter(|refusal| refusal.is_queue_full()) {
        Some(refusal) => Hold::Queue { limit: refusal.queue_limit(), spread },
        None => Hold::Until(now + millis(PAUSES.pause(times, spread))),
    }
}

/// Removes its notice. To be done before the ledger forgets it: otherwise the notice of a batch that is no more would lie
/// there for ever.
///
/// # Errors
/// The operating system's.
pub(super) fn forget_notice(layout: &Layout, batch: &BatchId) -> io::Result<()> {
    match std::fs::remove_file(layout.notice(batch.as_str())) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_holds_its_model_and_anything_else_the_shard() {
        let refusal = |message: &str| Refusal { code: String::new(), message: message.into(), line: None };
        let full = refusal("Enqueued token limit reached for m. Limit: 90,000 enqueued tokens.");
        assert_eq!(hold(Some(&full), 3, 5, 0.5), Hold::Queue { limit: Some(90_000), spread: 0.5 });
        assert_eq!(hold(Some(&refusal("Cannot find file")), 1, 5, 0.5), Hold::Until(60_005));
        assert_eq!(hold(None, 2, 5, 0.5), Hold::Until(120_005));
    }
}
