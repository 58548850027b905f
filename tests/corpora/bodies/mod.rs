//! B1: hostile bodies of an API. Tables of cases, each with its generator and what has to come of it.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]
#![expect(clippy::print_stdout, reason = "the counts are what these tests are run for")]

pub(crate) mod account;
mod batches;
pub(crate) mod desk;
mod errors;
mod line_cases;
mod lines;
mod lists;
pub(crate) mod report;
pub(crate) mod server;
mod singles;
mod transfer_cases;
mod transfers;
