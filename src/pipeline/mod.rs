//! Builds the six actors, connects them, listens, stops; the only room that knows everybody.
//!
//! *Job*: one mission from start to closing balance. *In*: [`mission::Mission`]. *Out*: [`mission::Outcome`].
//! *Owns*: the actix system, the budgets, the stop switch. *Bound*: the edge table. *If it crashes here*: the next
//! start takes up every backlog from the ledger.

mod backup;
mod beside;
mod books;
pub mod clean_tree;
pub mod edges;
pub mod faulted;
mod heartbeat;
mod listing;
mod means;
pub mod mission;
mod raise;
mod runner;
mod terminus;
mod world;

pub use means::{Means, account, means};
pub use runner::{run, run_at, work};
