//! Owed images become sealed plans; a sealed plan becomes its bytes, whenever somebody opens it.
//!
//! *Job*: make pictures ready where they cannot go as they are, frame lines, pack and seal plans, make bodies. *In*: `ImageFound`, `NoMoreImages`. *Out*: `ShardSealed`,
//! `NoMoreShards`, and bodies through `kit::bodies`. *Owns*: the open plan (worthless until sealed), prepared and spool files.
//! *Bound*: one image at a time from the feed; pictures on the pool by memory, their files by `max_prepared`; open bodies × (lane of 4 + 2) chunks of 168 KiB.
//! *If it crashes here*: images are still owed and planned again; a half-sent body is no file anywhere.

pub mod bodies;
pub mod body;
pub mod encoder;
pub mod line;
pub mod pack;
mod plans;
pub mod prepare;
pub mod prepared;
pub mod spool;
pub mod workshop;
