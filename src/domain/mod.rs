//! The nouns and their arithmetic: no I/O, no async, no clock.
//!
//! *Job*: what an image, a line, a shard, a batch, an answer and a verdict are. *In, Out*: values.
//! *Owns*: nothing. *Bound*: none needed. *If it crashes here*: nothing is lost, nothing was done.

pub mod answer;
pub mod batch;
pub mod forecast;
pub mod found;
pub mod ids;
pub mod image;
pub mod ladder;
pub mod layout;
pub mod metrics;
pub mod money;
pub mod reasons;
pub mod recipe;
pub mod review;
pub mod shard;
pub mod sight;
pub mod stale;
pub mod tokens;
pub mod verdict;
