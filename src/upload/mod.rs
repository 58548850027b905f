//! A sealed shard becomes exactly one open batch.
//!
//! *Job*: find out whether the limit pays for it and the model takes the settings, upload a body, write the intent, create the batch once, resolve doubt. *In*: `ShardSealed`, `NoMoreShards`, and
//! the ledger's sealed, uploaded and opening shards. *Out*: `BatchOpened` with its slot, `NoMoreBatches`.
//! *Owns*: shards in its places, their open bodies, `batch/<id>.txt`.
//! *Bound*: 8 shards in hand; slots, then bodies. *If it crashes here*: an intent without an answer is doubt, and doubt is
//! resolved before anything is paid again.

mod admit;
pub mod adopt;
pub mod afford;
pub mod canary;
mod deliver;
mod outfit;
mod resolve;
pub mod send;
pub mod uploader;
mod witness;
