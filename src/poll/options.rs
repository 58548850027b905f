//! What a Poller is made with, and why it gives up.

use std::time::Duration;

use super::pace::Pace;
use crate::domain::ids::BatchNo;
use crate::domain::layout::Layout;
use crate::kit::budget::Budget;
use crate::kit::clock::Clock;
use crate::kit::news::News;
use crate::kit::stop::Stop;
use crate::ledger::keeper::Ledger;
use crate::provider::SharedProvider;

/// How long the Poller stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Until no batch is open.
    UntilNoneIsOpen,
    /// Until each open batch was looked at once.
    Once,
}

/// What looks are made with.
#[derive(Clone, Copy, Debug)]
pub struct PollerOptions {
    /// How often.
    pub pace: Pace,
    /// How long.
    pub looks: Looks,
    /// The one batch that is looked at; every open one where there is none.
    pub only: Option<BatchNo>,
    /// Unreachable for so long: the run ends.
    pub give_up_after: Duration,
}

/// None of our batches is known at the provider with this key, nor any of their files.
#[derive(Debug, thiserror::Error)]
#[error("none of {batches} open batches is known at {host} with this key")]
pub struct NoneKnown {
    /// The provider.
    pub host: String,
    /// How many it should know.
    pub batches: usize,
}

/// Seams of a Poller beside its neighbours.
#[derive(Clone)]
pub struct PollerSeams {
    /// The service.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Ends the waiting.
    pub stop: Stop,
    /// News for people.
    pub news: News,
    /// Open batches.
    pub slots: Budget,
    /// Names of files.
    pub layout: Layout,
}
