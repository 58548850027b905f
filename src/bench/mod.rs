//! What this machine takes for each stage, measured with the program's own parts on files of the user's own disk.
//!
//! *Job*: a seeded corpus, each stage by itself and the whole pipeline, figures of several rounds, a comparison with earlier
//! ones. *In*: a folder of its own, a number of images. *Out*: [`figures::Sample`] of one stage in one process; a
//! [`figures::Report`] of all rounds. *Owns*: the folder it is given. *Bound*: one result line, one page of the walk or the
//! lanes of four bodies; plans are held whole, as the ledger would. *If it crashes here*: a folder of made-up pages is left.
//!
//! Each stage runs in a process of its own, so that memory and processor time are its own, too; the server that takes
//! uploads is another process.

mod back;
mod books;
pub mod compare;
pub mod figures;
mod front;
pub mod ground;
mod ids;
pub mod machine;
pub mod meter;
pub mod pages;
pub mod sink;
pub mod stage;
pub mod whole;
