//! The rooms together: a sandbox with tiny images, its own workspace and its own emulator, per test.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]

#[path = "../oracle/mod.rs"]
mod oracle;
mod sandbox;

mod bench;
mod bill;
mod bodies;
mod breaker;
// Its pipes are Linux ones.
#[cfg(target_os = "linux")]
mod browser;
mod budget;
mod cancel;
// It looks into /proc.
#[cfg(target_os = "linux")]
mod canary;
mod clean_tree;
mod cli_words;
mod compare;
mod controls;
mod copies;
mod dashboard;
mod data_frame;
mod docs;
mod elsewhere;
mod ends;
mod expiry;
mod export;
mod faults;
mod first_question;
mod first_run;
mod front;
mod hints;
mod import;
mod journal;
mod json_lines;
mod judged_again;
mod keys;
mod kill;
mod known;
mod matrix;
mod modes;
mod origin;
mod paid;
mod plan;
mod prepared;
mod projects;
mod providers;
mod queue;
mod recover;
mod redo;
mod relay;
mod report;
mod responses;
mod resume;
mod retry;
mod review;
// It sends signals.
#[cfg(unix)]
mod second_signal;
mod secure;
// It sends signals.
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod serve_pages;
mod stale;
mod sweep;
// It leaves a run by a signal, and tells the kind of the disk.
#[cfg(target_os = "linux")]
mod transcripts;
// It opens pseudo-terminals, and lets util-linux make one the terminal of a process.
#[cfg(target_os = "linux")]
mod terminal;
mod trust;
mod unsent;
mod validate;
mod visitor;
