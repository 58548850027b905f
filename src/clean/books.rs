//! A batch that was read, on its way to being settled.

use crate::domain::answer::LinesRead;
use crate::domain::batch::{Answered, BatchEnd, EndedBatch};
use crate::kit::budget::Lease;
use crate::kit::crash;
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::Settled;

/// What is counted against images that no line has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// A return: nobody is at fault.
    Return,
    /// Nothing: the run was refused, not they.
    Nothing,
    /// A try: their answers may be among the lines that name no image, and those are paid for.
    Try,
}

impl Against {
    /// What follows from the lines of a batch, and from whether they were `refused` for the run's sake.
    pub(super) fn of(refused: bool, lines: LinesRead) -> Self {
        match (lines.unknown, refused) {
            (1.., _) => Self::Try,
            (0, true) => Self::Nothing,
            (0, false) => Self::Return,
        }
    }
}

/// A batch that was read and whose books are still open.
pub(super) struct Waiting {
    pub(super) batch: EndedBatch,
    /// Given back when the books are closed.
    _slot: Lease,
    against: Against,
    /// How its lines were answered.
    pub(super) answered: Answered,
}

impl Waiting {
    pub(super) fn new(batch: EndedBatch, slot: Lease, against: Against, answered: Answered) -> Self {
        Self { batch, _slot: slot, against, answered }
    }

    /// Closes the books; `None` if they wait for a stray of the same shard.
    pub(super) async fn settle(&self, ledger: &Ledger) -> Result<Option<Settled>, LedgerError> {
        let batch = &self.batch;
        if batch.end == BatchEnd::Vanished && (batch.output.is_some() || batch.errors.is_some()) {
            // After the verdicts of whatever was still there, so that these stand.
            ledger.results_gone(batch.no).await?;
        }
        crash::point("settle.before");
        let closed = match self.against {
            Against::Return => ledger.settle(batch.no).await,
            Against::Nothing => ledger.settle_uncounted(batch.no).await,
            Against::Try => ledger.settle_asked(batch.no).await,
        };
        match closed {
            Err(LedgerError::Stale(why)) => {
                tracing::debug!(batch = %batch.id, why, "the books wait for a stray of the same shard");
                Ok(None)
            }
            closed => closed.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_answered_under_another_name_counts_as_asked() {
        let against = |refused, unknown| Against::of(refused, LinesRead { ours: 3, unknown });
        assert_eq!([against(false, 0), against(true, 0)], [Against::Return, Against::Nothing]);
        assert_eq!([against(false, 1), against(true, 1)], [Against::Try; 2]);
    }
}
