//! Result files: raw on disk first, read afterwards.
//!
//! *Job*: fetch output and error file byte for byte, split them into lines, one JSON file a line, answers tied to images.
//! *In*: `BatchEnded`, `NoMoreEnds`, and the ledger's ended and fetched batches. *Out*: `AnswersRead`, `BatchRead` with its
//! slot, `NoMoreAnswers`. *Owns*: `batch_return/`, `batch_json_results/`. *Bound*: two batches; a line of at most 32 MiB;
//! chunks of 512 answers. *If it crashes here*: a `.part` is fetched again, everything else is derived from the raw file.

pub mod book;
pub mod extractor;
pub mod fetch;
mod gone;
pub mod parse;
mod plain;
pub mod write;
