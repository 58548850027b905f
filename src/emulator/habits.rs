//! What a server always does otherwise than the real service, as data: the ways of servers that speak the same protocol.
//! Source: `batch-api` reference §11.3, where each of them was seen.
//!
//! ```toml
//! [habits]
//! uuid_ids = true
//! times = "iso"
//! errors = "detail"
//! batch = { completion_window = "1d", usage = "<absent>" }
//! ```
//!
//! Faults strike now and then ([`super::scenario`]); habits hold for every request and every batch.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::validate::Limits;

/// Everything that may be otherwise; the default is the real service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Habits {
    /// HTTP status of an accepted upload; none = 200.
    pub upload_status: Option<u16>,
    /// Longest input file in bytes; none = as the server was started.
    pub file_bytes: Option<u64>,
    /// HTTP status of a longer one; none = as the server was started.
    pub oversize_status: Option<u16>,
    /// Ids are bare UUIDs.
    pub uuid_ids: bool,
    /// Members of file objects that are shown otherwise, as in a batch rule's `show`.
    pub file: Map<String, Value>,
    /// Members of batch objects that are shown otherwise.
    pub batch: Map<String, Value>,
    /// How times are written.
    pub times: Times,
    /// Statuses are written in capitals.
    pub upper_case: bool,
    /// The word for `validating`, such as `scheduling`.
    pub first_status: Option<String>,
    /// A batch shows its next status only after the last one was looked at.
    pub one_status_a_look: bool,
    /// What `request_counts` tells.
    pub counts: Counts,
    /// Both result files have their ids from the creation on, and are readable as far as they have come.
    pub early_results: bool,
    /// Both result files are always named, also an empty one.
    pub names_both_files: bool,
    /// `response.body` of a result line is text: JSON of an answer, the bare words of an error.
    pub body_as_text: bool,
    /// Members of a result line that are null are left out.
    pub sparse_lines: bool,
    /// Result lines have members that nobody asked for.
    pub extra_members: bool,
    /// The last line of a result file has no newline.
    pub no_last_newline: bool,
    /// Contents come without a length, and ranges are not heard.
    pub chunked: bool,
    /// How errors are worded.
    pub errors: ErrorForm,
    /// A gateway makes a 500 of every 4xx at the batch routes.
    pub batch_errors_are_500: bool,
    /// The connection is closed after an error answer, which does not say so.
    pub closes_after_errors: bool,
    /// Idle connections are closed after so many milliseconds; none = as the server was started.
    pub keep_alive_ms: Option<u64>,
    /// Lists begin anew whatever `after` says, and claim to go on for ever.
    pub lists_repeat: bool,
    /// There is no list of files (405).
    pub no_file_list: bool,
    /// Batches of somebody else that come into being with each of ours.
    pub foreign_batches: u32,
    /// What becomes of a cancelled batch.
    pub cancel: Cancel,
    /// Deleting an input file cancels its batch.
    pub delete_cancels: bool,
    /// Doubled `custom_id`s, several models, streaming and unknown parameters are taken as they come.
    pub takes_anything: bool,
    /// Sum of the estimated prompt tokens of all open batches; none = as the server was started.
    pub enqueued_tokens: Option<u64>,
    /// Share of each request's prompt tokens that come from a cache, in percent.
    pub cached_percent: u64,
    /// Once that limit was met, everything is refused for so many seconds, though nothing runs.
    pub queue_stays_full_seconds: u64,
}

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Unix seconds.
    #[default]
    Unix,
    /// ISO 8601.
    Iso,
    /// Only the creation's is ever set.
    Never,
}

/// What `request_counts` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// The truth.
    #[default]
    True,
    /// Null.
    Null,
    /// Half of what is done, also at the end.
    Lagging,
}

/// How an error is worded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorForm {
    /// `{"error": {"message": …}}`.
    #[default]
    Json,
    /// A page, as gateways send it.
    Html,
    /// The words alone.
    Text,
    /// `{"detail": …}`, a 400 as 422.
    Detail,
    /// `{"message": …}`.
    Message,
    /// Nothing.
    Empty,
}

/// What becomes of a cancelled batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancel {
    /// What was done lies in the output file.
    #[default]
    Keeps,
    /// What was done is thrown away.
    Drops,
    /// As `keeps`; a second call is a conflict (409).
    Once,
}

impl Habits {
    /// The limits of this server, `started` being those that it was started with.
    #[must_use]
    pub fn limits(&self, started: Limits) -> Limits {
        Limits {
            file_bytes: self.file_bytes.unwrap_or(started.file_bytes),
            oversize_status: self.oversize_status.unwrap_or(started.oversize_status),
            enqueued_tokens: self.enqueued_tokens.or(started.enqueued_tokens),
            takes_anything: self.takes_anything || started.takes_anything,
            ..started
        }
    }

    /// Whether empty result files exist, too.
    pub(crate) fn keeps_empty_files(&self) -> bool {
        self.names_both_files || self.early_results
    }
}
