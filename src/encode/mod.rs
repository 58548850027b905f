//! Owed images become sealed plans; a sealed plan becomes its bytes, whenever somebody opens it.
//!
//! *Job*: frame lines, pack and seal plans, make bodies. *In*: `ImageFound`, `NoMoreImages`. *Out*: `ShardSealed`,
//! `NoMoreShards`, and bodies through `kit::bodies`. *Owns*: the open plan (worthless until sealed), spool files.
//! *Bound*: one image at a time from the feed; open bodies × (lane of 4 + 2) chunks of 168 KiB.
//! *If it crashes here*: images are still owed and planned again; a half-sent body is no file anywhere.

pub mod bodies;
pub mod body;
pub mod encoder;
pub mod line;
pub mod pack;
mod plans;
pub mod spool;
