//! The verbs that need no actors.
//!
//! *Job*: audit, doctor. *In*: settings, the ledger, the user's files. *Out*: findings. *Owns*: nothing.
//! *Bound*: reads by page. *If it crashes here*: nothing was changed.

pub mod audit;
pub mod doctor;
mod raw_files;
pub mod refusal;
