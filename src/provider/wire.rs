//! The provider's objects as we read them: members may be absent, `null`, empty or new.
//! Source: `batch-api` reference §1–3; statuses and codes are open strings on purpose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::batch::{Refusal, Usage};
use crate::domain::ids::{BatchId, FileId};

/// A file object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its id.
    pub id: FileId,
    /// Length in bytes, as the server counts.
    pub bytes: Option<u64>,
    /// Server's time of creation, unix seconds; 0 if not told.
    pub created_at: i64,
    /// Its name.
    pub filename: String,
    /// Whether it can be used now (`processed`, or a server that tells no status).
    pub ready: bool,
}

/// A batch object, reduced to what is used; `raw` is the whole of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Status, lower case; an open list.
    pub status: String,
    /// Input file.
    pub input_file: Option<FileId>,
    /// Output file.
    pub output_file: Option<FileId>,
    /// Error file.
    pub error_file: Option<FileId>,
    /// Server's time of creation, unix seconds; 0 if not told.
    pub created_at: i64,
    /// End of the window, unix seconds.
    pub expires_at: Option<i64>,
    /// Lines in all, finished, failed: for people only, they may disagree with the files.
    pub counts: Option<(u64, u64, u64)>,
    /// Why it was refused.
    pub refusals: Vec<Refusal>,
    /// What we gave it.
    pub metadata: BTreeMap<String, String>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// Model, if told.
    pub model: Option<String>,
    /// The object as it came.
    pub raw: serde_json::Value,
}

/// A page of the batch list.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPage {
    /// Batches, newest first as far as anybody has seen.
    pub batches: Vec<Batch>,
    /// Whether more follow.
    pub has_more: bool,
}

/// What creates a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBatch {
    /// Input file.
    pub input_file_id: FileId,
    /// Path of the lines, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// `24h`.
    pub completion_window: String,
    /// At most 16 pairs; key ≤ 64, value ≤ 512 characters.
    pub metadata: BTreeMap<String, String>,
    /// How long result files are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_expires_after: Option<ExpiresAfter>,
}

/// A lifetime of files at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiresAfter {
    /// `created_at`.
    pub anchor: String,
    /// Seconds, 3,600 to 2,592,000.
    pub seconds: u64,
}
