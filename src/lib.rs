//! Transcribes trees of page images through a batch API.

pub mod emulator;
