//! The contract with the batch service: every documented shape is read as documented, what we send and what the emulator
//! answers fits the service's own schemas, and the tables of the documents are the tables of the code.

#![expect(clippy::disallowed_methods, reason = "tests set the scene themselves")]

mod examples;
mod openapi;
mod refusals;
mod samples;
mod schema;
mod site;
