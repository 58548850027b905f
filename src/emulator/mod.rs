//! The emulator of the batch API.

pub mod engine;
