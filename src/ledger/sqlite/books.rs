//! The counts, kept as deltas beside the tables they count. A plain copy, so that taking a command back is an assignment.

use super::fault::Fault;
use crate::domain::money::Money;
use crate::ledger::LedgerError;
use crate::ledger::moves::{BatchFacts, BatchState, ImageState, Move, ShardState, legal};
use crate::ledger::records::Standing;

/// What the keeper carries in memory; everything in it can be derived from the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) standing: Standing,
    /// Last place in the feed that was given.
    pub(super) owed_seq: i64,
    /// What is spent for good: settled batches, and questions asked directly.
    pub(super) spent: Money,
}

impl Books {
    /// The next place in the feed.
    pub(super) fn next_seq(&mut self) -> i64 {
        self.owed_seq += 1;
        self.owed_seq
    }

    /// `many` images moved.
    pub(super) fn images(&mut self, from: Option<ImageState>, to: ImageState, many: u64) -> Result<(), Fault> {
        allowed(Move::Image(from, to))?;
        let standing = &mut self.standing;
        match from {
            None => standing.found += many,
            Some(from) => {
                let count = images_in(standing, from);
                *count = count.saturating_sub(many);
            }
        }
        *images_in(standing, to) += many;
        Ok(())
    }

    /// A shard moved.
    pub(super) fn shard(&mut self, from: Option<ShardState>, to: ShardState) -> Result<(), Fault> {
        use ShardState::{Opening, Sealed, Uploaded};
        allowed(Move::Shard(from, to))?;
        let waits = |state| matches!(state, Sealed | Uploaded | Opening);
        let standing = &mut self.standing;
        standing.shards_waiting = stepped(standing.shards_waiting, from.is_some_and(waits), waits(to));
        standing.sealed = stepped(standing.sealed, from == Some(Sealed), to == Sealed);
        standing.uploaded = stepped(standing.uploaded, from == Some(Uploaded), to == Uploaded);
        standing.opening = stepped(standing.opening, from == Some(Opening), to == Opening);
        let returned = matches!((from, to), (Some(Opening), Uploaded | Sealed) | (Some(ShardState::Spent), Uploaded));
        standing.shards_returned += u64::from(returned);
        Ok(())
    }

    /// A batch moved.
    pub(super) fn batch(&mut self, from: Option<BatchState>, to: BatchState, facts: BatchFacts) -> Result<(), Fault> {
        allowed(Move::Batch(from, to, facts))?;
        let open = |state| state == BatchState::Open;
        let ended = |state| matches!(state, BatchState::Ended | BatchState::Fetched);
        let standing = &mut self.standing;
        let queued = |state| matches!(state, BatchState::Opening | BatchState::Open);
        standing.queue_left += u64::from(from.is_some_and(queued) && !queued(to));
        standing.batches_open = stepped(standing.batches_open, from.is_some_and(open), open(to));
        standing.batches_ended = stepped(standing.batches_ended, from.is_some_and(ended), ended(to));
        let fetched = |state| state == BatchState::Fetched;
        standing.batches_fetched = stepped(standing.batches_fetched, from.is_some_and(fetched), fetched(to));
        Ok(())
    }
}

fn allowed(step: Move) -> Result<(), Fault> {
    if legal(step) { Ok(()) } else { Err(Fault::Ledger(LedgerError::Stale(format!("no such move: {step:?}")))) }
}

fn images_in(standing: &mut Standing, state: ImageState) -> &mut u64 {
    match state {
        ImageState::Owed => &mut standing.owed,
        ImageState::Packed => &mut standing.packed,
        ImageState::Done => &mut standing.done,
        ImageState::Rough => &mut standing.rough,
        ImageState::Failed => &mut standing.failed,
        ImageState::Skipped => &mut standing.skipped,
    }
}

fn stepped(count: u64, leaves: bool, enters: bool) -> u64 {
    (count + u64::from(enters)).saturating_sub(u64::from(leaves))
}
