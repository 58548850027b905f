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

// Their names and links are those of Unix.
#[cfg(unix)]
mod images;
#[cfg(unix)]
mod modes;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod scene;
// It swaps with a call that only Linux has.
#[cfg(target_os = "linux")]
mod swaps;
mod bodies;
mod texts;
