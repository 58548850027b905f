//! Wait for batches at a polite pace.
//!
//! *Job*: look at open batches, record how each ended. *In*: `BatchOpened`, `NoMoreBatches`, and the ledger's open batches.
//! *Out*: `BatchEnded` with its slot, `NoMoreEnds`. *Owns*: the time of the next look. *Bound*: open batches are counted by
//! slots; one page of the list in memory. *If it crashes here*: the provider gives the same answer again.

mod notice;
pub mod pace;
pub mod poller;
pub mod status;
