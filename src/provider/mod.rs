//! The batch service behind eleven verbs, lenient in what it reads.
//!
//! *Job*: HTTP to a Batch API, refusals sorted by what to do about them. *In*: names, ids, bodies. *Out*: objects of
//! [`wire`], byte streams, [`failure::Failure`]. *Owns*: connections. *Bound*: one answer in memory, 1 MiB (a list 4 MiB,
//! a refusal 64 KiB); bodies and result files stream. *If it crashes here*: a request's effect is unknown, which callers treat as doubt.

pub mod errors;
pub mod failure;
pub mod http;
#[cfg(test)]
mod mock;
pub mod notice;
pub mod openai;
pub mod patience;
pub mod policy;
pub mod result_line;
pub mod wire;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::domain::ids::{BatchId, FileId};
use crate::kit::bodies::{Body, BodyEnd};
use failure::Failure;
use wire::{Batch, BatchPage, NewBatch, RemoteFile};

type Result<T> = std::result::Result<T, Failure>;

/// A result file on its way.
pub struct Download {
    /// Length that the server announces for what follows, if it does.
    pub length: Option<u64>,
    /// Where the bytes begin in the file: 0 unless the server honoured a range.
    pub offset: u64,
    /// The bytes.
    pub bytes: BoxStream<'static, std::result::Result<Bytes, Failure>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("length", &self.length).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// A batch service. Every verb is one request; none retries, so that callers decide what may be repeated.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// Host name, for people.
    fn host(&self) -> &str;
    /// Uploads an input file of exactly `body.length` bytes.
    async fn upload_file(&self, name: &str, body: UploadBody) -> Result<RemoteFile>;
    /// Facts of a file.
    async fn file(&self, id: &FileId) -> Result<RemoteFile>;
    /// Input files bearing exactly this name (newest first).
    async fn find_files(&self, name: &str) -> Result<Vec<RemoteFile>>;
    /// Content of a file from `offset` on.
    async fn read_file(&self, id: &FileId, offset: u64) -> Result<Download>;
    /// Deletes a file; a file that is not there is no failure.
    async fn delete_file(&self, id: &FileId) -> Result<Deletion>;
    /// Creates a batch: costs money, is sent once, and is never repeated by any layer.
    async fn create_batch(&self, batch: &NewBatch) -> Result<Batch>;
    /// One batch.
    async fn batch(&self, id: &BatchId) -> Result<Batch>;
    /// One page of the batch list, newest first, at most 100 after `after`.
    async fn list_batches(&self, after: Option<&BatchId>) -> Result<BatchPage>;
    /// Asks to cancel a batch.
    async fn cancel_batch(&self, id: &BatchId) -> Result<Cancelled>;
    /// Asks one line directly: the `body` of a line whose url is `endpoint`. Costs what the answer costs.
    async fn ask(&self, endpoint: &str, body: Bytes) -> Result<Value>;
}

/// What a cancel came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The batch is being stopped.
    Asked,
    /// It has ended before.
    HasEnded,
}

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The file was there, and is deleted.
    Done,
    /// No such file is there for this key: it was deleted before, or belongs to another project.
    NotThere,
}

/// The bytes of an upload: the lane of a [`Body`] and its exact length.
#[derive(Debug)]
pub struct UploadBody {
    /// Exact number of bytes.
    pub length: u64,
    /// The chunks.
    pub lane: tokio::sync::mpsc::Receiver<Bytes>,
}

impl UploadBody {
    /// Splits a body into what is sent and the end that its opener listens to.
    #[must_use]
    pub fn split(body: Body) -> (Self, BodyEnd) {
        (Self { length: body.length, lane: body.lane }, body.end)
    }

    /// A few bytes that are here already.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        let (lane_in, lane) = tokio::sync::mpsc::channel(1);
        // A lane with one free place takes one chunk.
        drop(lane_in.try_send(bytes));
        Self { length, lane }
    }
}

/// A provider shared by the stages.
pub type SharedProvider = Arc<dyn Provider>;
