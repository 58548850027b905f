//! What the user wrote becomes what the program uses; all mistakes are reported at once.
//!
//! *Job*: precedence, units, bounds, keys. *In*: flags, variables, files. *Out*: [`Settings`] that cannot be wrong, or
//! every [`Problem`] at once. *Owns*: nothing. *Bound*: none. *If it crashes here*: nothing has begun.

mod address;
mod build;
mod engine;
mod environment;
mod in_force;
mod judging;
pub mod keys;
mod limits;
pub mod models;
mod own_models;
mod pictures;
pub mod prices;
mod problem;
mod profile;
mod raw;
mod resolve;
mod rules;
mod schema;
mod serving;
pub mod texts;
pub mod units;
mod value;

use std::path::PathBuf;
use std::time::Duration;

pub use address::Address;
pub use engine::Engine;
pub use environment::Environment;
pub use in_force::InForce;
pub use judging::{Clean, Judge, Text, TextFrom, Unicode};
pub use pictures::{Duplicates, Encode};
pub use problem::{Problem, cause_alone};
pub use raw::{Flag, Origin};
pub use resolve::{Resolved, Sources, WORKSPACE_FILE, default_text, files, resolve, tables};
pub use schema::schema;
pub use serving::{Notify, Serve};

use crate::domain::layout::Layout;
use crate::domain::money::Money;

/// Everything that can be set, resolved: paths are absolute, `""` and `0` have become `None` where they mean "unset".
///
/// Field names are the keys of `config/default.toml`, which says why each default is what it is. Holds no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder that holds the working folders; absolute.
    pub workspace: PathBuf,
    /// How whoever called names it, for commands that are told; `None` where it is the folder that the call came from.
    pub workspace_named: Option<PathBuf>,
    /// File with the key.
    pub api_key_file: Option<PathBuf>,
    /// Command whose first line of output is the key.
    pub api_key_command: Option<String>,
    /// Root of the images; absolute, links not resolved.
    pub image_dir: PathBuf,
    /// `image_dir` as the user wrote it: custom ids are made from it.
    pub image_dir_given: String,
    /// File with the prompt; None means the built-in prompt.
    pub prompt_file: Option<PathBuf>,
    /// Stem of spooled files.
    pub jsonl_file_base: String,
    /// Where requests go.
    pub api_url: Address,
    /// Open batches and the ledger.
    pub batch_dir: PathBuf,
    /// Batch metadata.
    pub description: String,
    /// Endings of images, in lower case, with the dot.
    pub valid_image_types: Vec<String>,
    /// Most images in one shard.
    pub max_images_per_batch: u32,
    /// Notices of settled batches.
    pub completed_dir: PathBuf,
    /// Raw result files.
    pub output_dir: PathBuf,
    /// One JSON file a line.
    pub extraction_base_dir: PathBuf,
    /// `[run]`
    pub run: Run,
    /// `[provider]`
    pub provider: Provider,
    /// `[request]`
    pub request: Request,
    /// `[encode]`
    pub encode: Encode,
    /// `[shard]`
    pub shard: Shard,
    /// `[batch]`
    pub batch: Batch,
    /// `[retry]`
    pub retry: Retry,
    /// `[judge]`
    pub judge: Judge,
    /// `[clean]`
    pub clean: Clean,
    /// `[text]`
    pub text: Text,
    /// `[show]`
    pub show: Show,
    /// `[serve]`
    pub serve: Serve,
    /// `[notify]`
    pub notify: Notify,
    /// What is known of models, the user's own rows included.
    pub models: models::Models,
    /// Every key with its value and where it was set, in the order of `default.toml`.
    pub sources: Vec<Sourced>,
}

/// One key of [`Settings::sources`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// Path of the key.
    pub key: &'static str,
    /// Its value as a file would say it.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

/// `[run]`
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What this workspace may cost, all its runs together; none: no limit.
    pub max_cost: Option<Money>,
    /// Stop cleanly after this long.
    pub max_duration: Option<Duration>,
    /// Most images to ask in this run.
    pub limit: Option<u64>,
    /// Pages of a pilot.
    pub pilot_images: u32,
    /// How long an unreachable provider is waited for.
    pub give_up_after: Duration,
    /// How it is found out whether the model takes the settings, before money goes into batches.
    pub canary: Canary,
    /// Percent of at least 50 answers to first tries that may be rejected for one reason; `None`: all of them.
    pub max_failures_percent: Option<f64>,
    /// Keep our files at the provider.
    pub keep_remote: bool,
    /// Time between two listings of the folder by `serve`.
    pub rescan_interval: Duration,
}

/// What is sent before the first batch of settings that never brought an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// One request, asked directly.
    Sync,
    /// A small batch, alone until its answers are judged.
    Batch,
    /// Nothing.
    Off,
}

/// Who reads the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// The built-in emulator, in this process.
    Local,
    /// A service that speaks the OpenAI Batch API.
    OpenAi,
}

/// How a create that may have been lost is made safe before a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Its input file is deleted: a create that names it can no longer succeed.
    Delete,
    /// Its window is waited out.
    Wait,
}

/// Header that carries the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// `Authorization`
    pub name: String,
    /// `Bearer`; empty if the key stands alone.
    pub scheme: String,
}

impl KeyHeader {
    /// `Authorization: Bearer`, or `api-key:`.
    #[must_use]
    pub fn as_written(&self) -> String {
        format!("{}: {}", self.name, self.scheme).trim_end().to_owned()
    }
}

/// `[provider]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Who reads the pages; `auto` is decided already.
    pub name: ProviderKind,
    /// Whether the user named the provider, rather than `auto`.
    pub named: bool,
    /// Header that carries the key.
    pub key_header: KeyHeader,
    /// What goes with every request behind the `?` of its address.
    pub query: Option<String>,
    /// Url of every line; None means the path of `api_url`.
    pub endpoint: Option<String>,
    /// Organisation header.
    pub organization: Option<String>,
    /// Project header.
    pub project: Option<String>,
    /// `completion_window`
    pub window: String,
    /// Most lines of a batch file.
    pub max_lines: u32,
    /// Most bytes of a batch file.
    pub max_file_bytes: u64,
    /// Create a batch only once its input file is `processed`.
    pub wait_for_file: bool,
    /// How a lost create is made safe.
    pub fence: Fence,
    /// How long a listing may lag behind a create.
    pub settle: Duration,
    /// Engine of provider `local`.
    pub engine: Engine,
    /// Its threads; None means one per core.
    pub engine_threads: Option<u32>,
}

/// `request.answer_format`, before prompt and schema were looked at; see [`texts::recipe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerChoice {
    /// Decided by schema and prompt.
    Auto,
    /// Plain text.
    Text,
    /// Any JSON object.
    Json,
    /// After `schema_file`.
    JsonSchema,
}

/// `[request]`
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Model asked.
    pub model: String,
    /// `low`, `high`, `original` or `auto`.
    pub detail: String,
    /// What is sent as `reasoning_effort`; `lowest` is decided already.
    pub reasoning_effort: Option<String>,
    /// `max_completion_tokens`
    pub max_output_tokens: u32,
    /// Sent only if set.
    pub temperature: Option<f64>,
    /// What the answer is to be.
    pub answer_format: AnswerChoice,
    /// JSON Schema.
    pub schema_file: Option<PathBuf>,
    /// File with a system prompt.
    pub system_file: Option<PathBuf>,
    /// Model of the last attempt; None means that it stays the same.
    pub escalate_model: Option<String>,
}

/// `[shard]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Most bytes of one shard.
    pub max_shard_bytes: u64,
    /// Most estimated prompt tokens of one shard; None means that bytes and images alone decide.
    pub max_shard_tokens: Option<u64>,
    /// A trickle is sealed after this.
    pub seal_age: Duration,
    /// Uploads at once.
    pub max_bodies: u32,
    /// Bytes of memory for decoding pictures.
    pub max_memory: u64,
    /// Bytes of disk for pictures that were made ready.
    pub max_prepared: u64,
    /// Write each shard to disk first.
    pub spool: bool,
}

/// `[batch]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Batches open at once.
    pub max_open_batches: u32,
    /// Tokens that may be enqueued for one model; None means as the provider says.
    pub max_enqueued_tokens: Option<u64>,
    /// First look after this long.
    pub poll_interval: Duration,
    /// Longest time between looks.
    pub max_poll_interval: Duration,
    /// How long the provider keeps results; None leaves it to the provider.
    pub results_expire_after: Option<Duration>,
}

/// `[retry]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Counted tries of an image.
    pub max_attempts: u32,
    /// Uncounted ones.
    pub max_returns: u32,
    /// Longest time without a byte of progress.
    pub stall_timeout: Duration,
}

/// `[show]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    /// Time between two lines where there is no terminal.
    pub stats: Duration,
    /// Tracing filter.
    pub log_level: String,
    /// Where the log goes.
    pub log_file: Option<PathBuf>,
    /// Bytes after which another log file is begun.
    pub log_max_bytes: u64,
    /// Log files that are kept, the one being written among them.
    pub log_files: u32,
}

impl Provider {
    /// Length of the window.
    #[must_use]
    pub fn window_length(&self) -> Duration {
        // The bounds of the setting admit nothing else.
        units::duration(&self.window).unwrap_or(Duration::from_secs(24 * 3600))
    }
}

impl Settings {
    /// An address with what goes along with every request.
    #[must_use]
    pub fn base_with_query(&self, base_url: &str) -> String {
        match &self.provider.query {
            Some(query) => format!("{base_url}?{query}"),
            None => base_url.to_owned(),
        }
    }

    /// Why pictures are not fitted although they were to be; for people, no sentence.
    #[must_use]
    pub fn why_no_fit(&self) -> Option<String> {
        let is_vain = self.encode.fit && self.encode.preparation.fit.is_none();
        is_vain.then(|| match self.provider.name {
            ProviderKind::Local => "the built-in engine reads every pixel".to_owned(),
            ProviderKind::OpenAi => format!("how {} counts images is unknown", self.request.model),
        })
    }

    /// Bytes of the largest shard that is made and taken.
    #[must_use]
    pub fn most_shard_bytes(&self) -> u64 {
        self.shard.max_shard_bytes.min(self.provider.max_file_bytes)
    }

    /// Names of all working files.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout {
            batch: self.batch_dir.clone(),
            completed: self.completed_dir.clone(),
            output: self.output_dir.clone(),
            extraction: self.extraction_base_dir.clone(),
            texts: self.text.out_dir.clone(),
        }
    }

    /// Where `key` was set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.sources.iter().find(|sourced| sourced.key == key).map(|sourced| &sourced.origin)
    }

    /// Whether the user set `key`, in whatever place.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        !matches!(self.origin(key), None | Some(Origin::Default | Origin::Profile(_)))
    }

    /// The settings in force as one JSON object, for the ledger.
    #[must_use]
    pub fn to_json(&self) -> String {
        let pairs: serde_json::Map<_, _> =
            self.sources.iter().map(|sourced| (sourced.key.to_owned(), sourced.value.clone().into())).collect();
        serde_json::Value::Object(pairs).to_string()
    }
}
