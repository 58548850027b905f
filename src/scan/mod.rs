//! Enrol what the walk finds, feed what is owed.
//!
//! *Job*: pages of the walk into the ledger; owed images out of it, in order, but for copies of others (the life of a copy stands
//! in [`crate::ledger::copies`]). *In*: the walk, the ledger's standing.
//! *Out*: `ImageFound`, `NoMoreImages`. *Owns*: the feed's cursor. *Bound*: two pages of 1,024 files from the walk; one
//! image at a time to the Encoder. *If it crashes here*: the walk finds everything again, enrolling is idempotent.

pub mod copies;
pub mod feed;
pub mod lots;
pub mod scanner;
