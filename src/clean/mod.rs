//! Judge, polish, write each text; close the books of each batch.
//!
//! *Job*: answers become verdicts and texts. *In*: `AnswersRead`, `BatchRead`, `NoMoreAnswers`. *Out*: `<image>.txt`, verdicts in
//! the ledger, settled batches. *Owns*: the texts, `batch/completed/`. *Bound*: two messages wait; a chunk is judged on the
//! pool. *If it crashes here*: the same bytes are written again and recognised.

mod asked;
mod books;
pub mod breaker;
pub mod chatter;
mod chunk;
pub mod cleaner;
pub mod close;
pub mod content;
mod copies;
mod deep;
pub mod found_text;
pub mod guard;
pub mod judge;
mod late;
mod lengths;
mod letters;
pub mod pages;
mod placing;
pub mod polish;
pub mod refusal;
pub mod repetition;
pub mod rules;
mod seams;
pub mod text_file;
mod told;
pub mod tree;
#[cfg(test)]
mod truth_tests;
mod wanted;
