//! The headless server's window: health, metrics, the status as JSON and the events as they happen, over HTTP and in a file.
//!
//! *Job*: tell other programs how the work stands. *In*: a tally, readings of the ledger, lines of events. *Out*: HTTP answers,
//! a metrics file, words for systemd. *Owns*: one HTTP thread. *Bound*: one reading of the ledger at a time and one every few seconds,
//! 2,048 lines of events, 16 listeners to them. *If it crashes here*: the pipeline does not notice; its guard tells.

pub mod board;
pub mod door;
pub mod events;
pub mod health;
pub mod metrics;
pub mod reading;
mod routes;
pub mod server;
pub mod supervisor;
pub mod units;

pub use board::Board;
pub use server::{Flagged, Mount, Server, ServerOptions, start};
