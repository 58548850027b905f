//! What a Cleaner is given.

use std::sync::{Arc, Mutex};

use super::close::Sweeper;
use super::rules::Rules;
use crate::corpus::Corpus;
use crate::kit::atomic_file::Mark;
use crate::kit::clock::Millis;
use crate::kit::news::News;
use crate::kit::pool::Pool;
use crate::kit::stop::Stop;
use crate::ledger::keeper::Ledger;
use crate::ledger::ours::OurRecipes;
use crate::ledger::records::Rejudged;

/// Seams of a Cleaner beside its neighbours.
#[derive(Clone)]
pub struct CleanerSeams {
    /// The ledger.
    pub ledger: Ledger,
    /// Where the images lie.
    pub corpus: Arc<dyn Corpus>,
    /// Judges, polishes, writes.
    pub pool: Pool,
    /// Removes leftovers.
    pub sweeper: Sweeper,
    /// Leaves sweeping to the next start when the program drains.
    pub stop: Stop,
    /// News for people.
    pub news: News,
    /// How answers are judged and cleaned.
    pub rules: Arc<Rules>,
    /// Marks our temporary files among the user's.
    pub mark: Mark,
    /// What this life asks with.
    pub recipes: OurRecipes,
    /// When this process began (unix milliseconds).
    pub began: Millis,
    /// Percent of the answers to first tries that may be rejected for one reason; `None` where no money is spent.
    pub most_rejected: Option<f64>,
    /// Whether further pages are asked, so that a fault of all answers would be paid for again.
    pub asks: bool,
    /// Set if answers of settled batches are judged again: where it is counted what that came to.
    pub again: Option<Arc<Mutex<Rejudged>>>,
}
