//! The verbs that need no actors.
//!
//! *Job*: audit, bill, bundle, doctor, cancel, export, plan, recover, report, retry, review, validate, what is known of an image.
//! *In*: settings, the ledger, the user's
//! files. *Out*: findings, requests to cancel; images put back; a ledger built again. *Owns*: nothing. *Bound*: reads by page; of
//! one shard at a time its lines. *If it crashes here*: nothing was changed, or the same command goes on.

pub mod audit;
pub mod bill;
pub mod bundle;
pub mod cancel;
pub mod compare;
pub mod conditions;
pub mod desk;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod import;
pub mod keys;
pub mod known;
pub mod notify;
pub mod plan;
pub mod raw_answer;
mod raw_files;
pub mod recover;
pub mod redo;
pub mod refusal;
pub mod remote;
pub mod report;
pub mod retry;
pub mod review;
mod text_file;
pub mod trial;
pub mod validate;
