//! The verbs that need no actors.
//!
//! *Job*: audit, doctor, cancel. *In*: settings, the ledger, the user's files. *Out*: findings, requests to cancel. *Owns*: nothing.
//! *Bound*: reads by page. *If it crashes here*: nothing was changed.

pub mod audit;
pub mod cancel;
pub mod doctor;
mod raw_files;
pub mod refusal;
pub mod remote;
