//! A Batch API server that really reads pages: the provider where there is no key and no network, and the stand-in of tests.
//!
//! *Job*: Files, Batches, chat completions and responses as the real service answers them. *In*: HTTP. *Out*: answers of an engine;
//! a bill of what would be charged. *Owns*: its state folder. *Bound*: file bytes lie on disk; a worker holds one line
//! (≤ 64 MiB), an upload one chunk; engine jobs are as many as its workers. *If it crashes here*: the journal in its
//! state folder is replayed and open batches go on; answered lines are not asked again.
//!
//! ```text
//!  HTTP ─► routes ─► desk ─► books ─► core      what would change, without I/O and clock
//!             ▲ faults  │ └─► journal, bill, folder
//!             ▲ habits  ▼
//!                    runner ─► answer ─► engine      one line a worker
//! ```

mod answer;
pub mod bad;
mod bill;
mod books;
mod core;
mod desk;
pub mod direct;
mod disguise;
pub mod endpoint;
pub mod engine;
mod faults;
mod folder;
pub mod habits;
mod journal;
mod lines;
mod multipart;
mod parse;
mod record;
mod refusal;
mod response;
mod routes;
mod runner;
pub mod scenario;
mod server;
mod validate;
mod wire;

pub use refusal::Refusal;
pub use server::{Pace, Server, ServerOptions, start};
pub use validate::Limits;
