//! The bad-input corpora: every case made by code from one table, with its expected verdict or reason. Demanded of every
//! case: no panic, no file outside the roots, bounded memory, the reason of the table, and good neighbours still done.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]
#![expect(clippy::print_stdout, reason = "the counts are what these tests are run for")]

#[path = "../oracle/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests ask for more")]
mod oracle;
#[path = "../it/sandbox.rs"]
#[expect(dead_code, reason = "other tests ask for more")]
mod sandbox;

mod bodies;
mod texts;

// Names that are no text, pipes and devices, and the memory of a process are those of Linux.
#[cfg(target_os = "linux")]
mod images;
#[cfg(target_os = "linux")]
mod modes;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod swaps;
