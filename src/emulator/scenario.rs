//! Faults as data: what goes wrong, where, and how often, read from a TOML file.
//!
//! ```toml
//! seed = 7
//!
//! [[door]]                                   # a route of the API
//! at = "create_batch"
//! act = "act_then_drop"                      # creates the batch, then closes the connection without an answer
//! when = { skip = 1, times = 2 }             # not the first, but the second and the third time
//!
//! [[door]]
//! at = "upload_file"
//! act = "refuse"
//! status = 429
//! code = "rate_limit_exceeded"
//! retry_after_seconds = 2
//! when = { chance = 0.1 }
//!
//! [[batch]]                                  # every new batch in turn
//! hide_from_lists = 3
//! expire_after_lines = 5
//! fail = { code = "token_limit_exceeded", message = "Enqueued token limit reached for …" }
//! shuffle = true
//! show = [{ status = "completed", members = { error_file_id = "", output_file_id = "<absent>" } }]
//!
//! [[line]]                                   # every line that is about to be answered
//! custom_id_contains = "page7"
//! outcome = "length_cut"
//!
//! [[bad]]                                    # answers that are bad by image, see [`super::bad`]
//! share = 0.2
//! how = ["loop_stop", "model_voice"]
//!
//! [habits]                                   # what the server always does otherwise
//! uuid_ids = true
//! ```
//!
//! Of several rules for one place the first that strikes is taken. Chance follows from `seed`, the rule and the count of
//! its visits, so the same run meets the same faults. Counts are the process's: they begin anew after a restart.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bad::BadRule;
use super::habits::{ErrorForm, Habits};
use super::refusal::Refusal;

/// What goes wrong during the life of a server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Where chance begins.
    pub seed: u64,
    /// Faults at the routes.
    pub door: Vec<DoorRule>,
    /// Faults of whole batches.
    pub batch: Vec<BatchRule>,
    /// Outcomes of single lines.
    pub line: Vec<LineRule>,
    /// Images whose answers are bad.
    pub bad: Vec<BadRule>,
    /// What is no fault but the way of the server.
    pub habits: Habits,
}

/// Which visits of a place a rule strikes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Visits that are let through first.
    pub skip: u32,
    /// Visits that it may strike after these.
    pub times: u32,
    /// Share of those that it does strike, 0 to 1.
    pub chance: f64,
}

impl Default for When {
    fn default() -> Self {
        Self { skip: 0, times: u32::MAX, chance: 1.0 }
    }
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as the client's verbs")]
pub enum Door {
    UploadFile,
    ListFiles,
    GetFile,
    ReadFile,
    DeleteFile,
    CreateBatch,
    ListBatches,
    GetBatch,
    CancelBatch,
    Chat,
    Models,
}

/// What happens at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Answers with an error; nothing else happens.
    Refuse,
    /// Does what was asked, then answers with an error.
    ActThenRefuse,
    /// Closes the connection; nothing else happens. An upload is cut in its middle.
    Drop,
    /// Does what was asked, then closes the connection.
    ActThenDrop,
    /// Creates two batches of one request, as a proxy that repeats it, then closes the connection.
    ActTwiceThenDrop,
    /// Announces a content whole and sends `keep` of it; at `get_file`, tells `keep` of its length.
    Cut,
    /// Does what was asked, `delay_ms` later.
    Delay,
}

/// A fault at a door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorRule {
    /// The door.
    pub at: Door,
    /// What happens.
    pub act: Act,
    /// Which visits are struck.
    #[serde(default)]
    pub when: When,
    /// HTTP status of an error.
    #[serde(default = "server_error")]
    pub status: u16,
    /// Code of an error.
    pub code: Option<String>,
    /// Words of an error.
    pub message: Option<String>,
    /// Parameter that an error names.
    pub param: Option<String>,
    /// How the error is worded; none = as all errors of the server.
    pub form: Option<ErrorForm>,
    /// Short for the form `html`.
    #[serde(default)]
    pub html: bool,
    /// `Retry-After` of an error, in seconds.
    pub retry_after_seconds: Option<u32>,
    /// Share of the content that is sent, 0 to 1.
    #[serde(default)]
    pub keep: f64,
    /// Delay in milliseconds of real time.
    #[serde(default)]
    pub delay_ms: u64,
}

fn server_error() -> u16 {
    500
}

impl DoorRule {
    /// How the error of this rule is worded, if it says so.
    #[must_use]
    pub fn worded(&self) -> Option<ErrorForm> {
        self.form.or_else(|| self.html.then_some(ErrorForm::Html))
    }

    /// The error that this rule answers with.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let plain = Refusal::server_error();
        let mut refusal = Refusal::new(self.status, self.message.clone().unwrap_or(plain.message));
        refusal.param.clone_from(&self.param);
        if let Some(code) = &self.code {
            if code == "insufficient_quota" {
                refusal.kind.clone_from(code);
            }
            refusal.code = Some(code.clone());
        }
        refusal
    }
}

/// A fault of a whole batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRule {
    /// Which new batches are struck.
    #[serde(default)]
    pub when: When,
    /// Listings that it is missing from.
    #[serde(default)]
    pub hide_from_lists: u32,
    /// Its validation fails so.
    pub fail: Option<Failed>,
    /// Its window ends after that many answered lines.
    pub expire_after_lines: Option<u32>,
    /// Somebody cancels it after that many answered lines.
    pub cancel_after_lines: Option<u32>,
    /// Nobody knows it any more (404, and in no list) after that many looks.
    pub gone_after_looks: Option<u32>,
    /// Its result files have outlived their time (404).
    #[serde(default)]
    pub results_gone: bool,
    /// A cancel is answered with `cancelling`, and the batch completes all the same.
    #[serde(default)]
    pub ignore_cancel: bool,
    /// Its lines are answered in an order of their own.
    #[serde(default)]
    pub shuffle: bool,
    /// What its object shows instead of the truth.
    #[serde(default)]
    pub show: Vec<Show>,
}

/// Members of a batch object that are shown otherwise: lying counts, strange statuses, times in words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Only while this is its true status; none = always.
    pub status: Option<String>,
    /// Only for that many looks; none = for ever.
    pub looks: Option<u32>,
    /// The members as they are shown; the words `<null>` and `<absent>` stand for what TOML cannot say.
    pub members: serde_json::Map<String, Value>,
}

/// How a validation fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// The code, such as `token_limit_exceeded`.
    pub code: String,
    /// The words.
    #[serde(default)]
    pub message: String,
    /// The lines that it names, from 1; none = the file as a whole.
    #[serde(default)]
    pub lines: Vec<u32>,
}

/// A forced outcome of lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRule {
    /// Lines whose `custom_id` contains this; empty = every line.
    #[serde(default)]
    pub custom_id_contains: String,
    /// Which of their turns are struck.
    #[serde(default)]
    pub when: When,
    /// What they end as.
    pub outcome: Outcome,
}

/// What a line ends as, whatever the engine would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The model refuses.
    Refusal,
    /// The answer is cut at the token limit.
    LengthCut,
    /// Reasoning has eaten the whole token limit.
    LengthEmpty,
    /// An empty answer that claims to be whole.
    Empty,
    /// Stopped by the filter.
    ContentFilter,
    /// Stopped by the filter after some words.
    FilteredText,
    /// A whole answer in a Markdown fence.
    Fenced,
    /// 500.
    ServerError,
    /// 429.
    RateLimited,
    /// 429 because the money is spent.
    InsufficientQuota,
    /// 400: the model does not take a parameter.
    UnsupportedValue,
    /// 400: the picture is none.
    InvalidImage,
    /// 400: the question is too long.
    TooLong,
    /// 400: the picture could not be downloaded in time.
    DownloadTimeout,
    /// 400: a parameter that the model does not know.
    UnsupportedParameter,
    /// 404: no such model.
    ModelNotFound,
    /// 401.
    Unauthorized,
    /// Status 0 with an empty body.
    StatusZero,
    /// Never ran: the call timed out.
    RequestTimeout,
    /// Never ran, for a reason without a code: JSON within the words of the message.
    OddError,
    /// Ran, is billed, and stands in neither file.
    Missing,
    /// Stands in the output file twice.
    Twice,
    /// Stands in the output file twice: as a failure first, then as an answer.
    ErrorFirst,
    /// Is followed by the answer to a question that nobody asked.
    UnknownId,
    /// Its result line is cut in the middle.
    BrokenLine,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with the text, with its place.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}
