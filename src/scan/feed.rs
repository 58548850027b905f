//! When the feed is over: one pure question about the ledger's standing.

use crate::ledger::records::Standing;

/// What a mode waits for before it says that no more images come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEnd {
    /// Nothing owed and nothing in flight: what is in flight may still come back.
    Settled,
    /// Every owed image is in a shard, and no body could still give one back.
    Opened,
    /// Every owed image is in a plan.
    Planned,
    /// Somebody stops it: whatever comes later is handed on as well.
    Stopped,
}

impl FeedEnd {
    /// Whether no image can become owed any more that this mode would still send.
    #[must_use]
    pub fn is_reached(self, standing: &Standing) -> bool {
        // A copy is owed as long as its original is on its way.
        let nothing_to_ask = !standing.walking && standing.to_ask() == 0;
        match self {
            Self::Settled => nothing_to_ask && standing.owed == 0 && standing.packed == 0,
            Self::Opened => nothing_to_ask && standing.sealed == 0,
            Self::Planned => nothing_to_ask,
            Self::Stopped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_waits_for_its_own_end() {
        let done = Standing { found: 3, done: 3, ..Standing::default() };
        let sealed = Standing { packed: 3, sealed: 1, ..Standing::default() };
        let open = Standing { packed: 3, batches_open: 1, ..Standing::default() };
        let owed = Standing { owed: 1, ..Standing::default() };
        let walking = Standing { walking: true, ..done };
        let ends = [FeedEnd::Settled, FeedEnd::Opened, FeedEnd::Planned, FeedEnd::Stopped];
        let reached = |standing: Standing| ends.map(|end| end.is_reached(&standing));
        assert_eq!(reached(done), [true, true, true, false]);
        assert_eq!(reached(sealed), [false, false, true, false]);
        assert_eq!(reached(open), [false, true, true, false]);
        assert_eq!(reached(owed), [false; 4]);
        assert_eq!(reached(walking), [false; 4]);
        let copies = Standing { found: 3, done: 1, owed: 2, copies: 2, ..Standing::default() };
        assert_eq!(reached(copies), [false, true, true, false], "who waits for answers waits for those of copies, too");
    }
}
