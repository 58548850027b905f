//! What a caller asks of the pipeline, and what it gets back.

use std::path::PathBuf;

use secrecy::SecretString;
use tokio::sync::watch;

use crate::clean::breaker::{MostlyUnknown, TooManyRejected};
use crate::corpus::PassedOver;
use crate::domain::ids::BatchNo;
use crate::domain::layout::Layout;
use crate::domain::money::Shortage;
use crate::domain::recipe::Recipe;
use crate::kit::clock::{Clock, Millis};
use crate::kit::news::Outcomes;
use crate::kit::stop::StopSwitch;
use crate::kit::traffic::Sums;
use crate::ledger::LedgerError;
use crate::ledger::place::Place;
use crate::ledger::reader::Books;
use crate::ledger::records::{Rejudged, Standing};
use crate::ledger::store::Store;
use crate::provider::SharedProvider;
use crate::provider::failure::Failure;
use crate::settings::Settings;

/// Which part of the work is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything until nothing is owed and nothing in flight; `once`: one pass, batches may stay open.
    Run {
        /// One pass: the feed is dry and every open batch was looked at once.
        once: bool,
    },
    /// Everything, and whatever comes later: the folder is listed again every `run.rescan_interval`, until somebody stops it.
    Serve,
    /// So many images, drawn by lot and spread over the folders, in a batch of their own; ends with their answers.
    Pilot(u32),
    /// Scan, plan, upload, create; ends when every shard is open.
    Upload,
    /// Scan, plan, write the JSONL files to this folder; nothing is sent.
    SpoolOnly(PathBuf),
    /// Fetch what has ended, write texts; `wait`: until no batch is open.
    Download {
        /// Stay until no batch is open.
        wait: bool,
    },
    /// The same for one batch alone; the others stay as they are.
    DownloadOne {
        /// Which.
        batch: BatchNo,
        /// Stay until it has ended.
        wait: bool,
    },
    /// Read the answers that are on disk already, write their texts, close their books; no provider is needed.
    Collect,
    /// Judge the saved answers of settled batches again and write their texts; nothing is asked, and no provider is needed.
    Clean {
        /// Write the JSON file of every result line again, too.
        rebuild: bool,
        /// Rough texts are owed for deep cleaning afterwards.
        deep: bool,
    },
}

impl Mode {
    /// Whether all that is needed is on this disk.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::SpoolOnly(_) | Self::Collect | Self::Clean { .. })
    }

    /// The one batch that is looked at, where it is not every one.
    #[must_use]
    pub fn only(&self) -> Option<BatchNo> {
        if let Self::DownloadOne { batch, .. } = self { Some(*batch) } else { None }
    }

    /// Whether owed images are planned and sent.
    #[must_use]
    pub fn feeds(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Serve | Self::Pilot(_) | Self::Upload | Self::SpoolOnly(_))
    }
}

/// One piece of work for [`super::run`].
#[derive(Debug)]
pub struct Mission {
    /// Which part.
    pub mode: Mode,
    /// The settings in force.
    pub settings: Settings,
    /// Names of all files, absolute.
    pub layout: Layout,
    /// Absolute root of the images, links resolved.
    pub image_root: PathBuf,
    /// `image_dir` as the user wrote it: custom ids are made from it.
    pub image_dir_given: String,
    /// Base of the API up to `/v1`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key, if the provider wants one.
    pub key: Option<SecretString>,
    /// Where the key came from, for messages.
    pub key_source: String,
    /// How pages are asked.
    pub recipe: Recipe,
    /// How rough texts are asked.
    pub deep: Recipe,
    /// Raised by signals, by `max_duration`, and by the pipeline itself when it has to end.
    pub stop: StopSwitch,
    /// The clock.
    pub clock: Clock,
    /// Where progress is published.
    pub tally: watch::Sender<Tally>,
    /// Who follows the run while it happens, if anybody does.
    pub listener: Option<Listener>,
}

/// What a mission stands on beside its settings.
pub enum Ground {
    /// The service at its base URL, the ledger in its workspace, threads for whatever may take time. Its keeper is told of
    /// at this place.
    Real(Place),
    /// A simulation's: this service, this ledger, and nothing that happens at the same time as anything else, so that the
    /// same seed is the same day.
    Simulated {
        /// The service.
        provider: SharedProvider,
        /// The ledger.
        store: Box<dyn Store>,
    },
}

/// Progress for the screen: newest value wins.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The name of its run, once that has begun.
    pub run: Option<String>,
    /// Counts of the ledger.
    pub standing: Standing,
    /// What the walk passed over.
    pub passed_over: PassedOver,
    /// Whether the walk of this process has ended.
    pub walked: bool,
    /// Bytes sent in bodies by this process.
    pub sent_bytes: u64,
    /// Batches opened by this process.
    pub batches_opened: u64,
    /// Answers judged by this process.
    pub answers: u64,
    /// Money, queue and times, as the last look into the books saw them.
    pub books: Books,
    /// When the provider told of our batches last (unix milliseconds).
    pub last_look: Option<Millis>,
    /// Time waited per edge, largest first, in microseconds.
    pub waits: Vec<(&'static str, u64)>,
    /// What was asked of the provider by this process, and what came of it.
    pub traffic: Sums,
    /// What the answers judged by this process came to.
    pub outcomes: Outcomes,
    /// Plans that hold lines and are not sealed.
    pub open_plans: u64,
    /// What is held of each budget: batches, bodies, and bytes.
    pub leases: Vec<(&'static str, u64)>,
    /// Lines worth telling, oldest first: changes of batches, warnings. The reader remembers how many it has shown.
    pub notices: Vec<Notice>,
    /// Notices that were dropped from the front of `notices`, so that readers can count on.
    pub notices_dropped: u64,
}

pub use crate::kit::news::{Happens, ImageNews, Listener, Notice};

/// Why the pipeline ended before its work was done.
#[derive(Debug)]
pub enum Fault {
    /// The provider rejected the key, refused the account, or wants money.
    Provider(Failure),
    /// The provider could not be reached for `give_up_after`.
    Unreachable(Failure),
    /// The provider refuses a setting (model, parameter) for every request.
    SettingRefused(Refused),
    /// What is left of the money limit does not pay for the next page; nothing was sent beyond it.
    NoMoney(Shortage),
    /// There is a money limit, and nobody knows what this model charges.
    NoPrice(String),
    /// More answers were rejected for one reason than the settings bear.
    TooManyRejected(TooManyRejected),
    /// Most result lines of a batch name no image that it was asked about.
    MostlyUnknown(MostlyUnknown),
    /// The image folder cannot be read.
    Corpus(String),
    /// This workspace still has unfinished images of another folder, whose root this is.
    OtherCorpus(String),
    /// This workspace still has unfinished batches of another account, at this base URL.
    OtherAccount(String),
    /// None of the open batches is known at the provider with this key.
    NoneKnown {
        /// The provider.
        host: String,
        /// How many it should know.
        batches: usize,
    },
    /// With this key the provider shows nothing of what was begun there with another one, or with this one long ago.
    NotSeen {
        /// The provider.
        host: String,
        /// What cannot go on for that.
        what: NotSeen,
    },
    /// The ledger cannot be used.
    Ledger(LedgerError),
    /// A file of the workspace or a text cannot be written.
    Disk(std::io::Error),
    /// A part of the program died.
    Died {
        /// Which.
        who: &'static str,
        /// What is known.
        why: String,
    },
}

/// What cannot go on with a key that does not see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSeen {
    /// It is unknown whether the batch of a shard was created.
    Create {
        /// Tag of its run, which such a batch bears.
        run: String,
        /// Its own tag, the same.
        shard: String,
    },
    /// The answers of a batch that has ended are not fetched.
    Answers {
        /// The batch.
        batch: String,
    },
}

/// What the provider said against a setting of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its code, or empty.
    pub code: String,
    /// The parameter that it names, or empty.
    pub param: String,
    /// Its words.
    pub message: String,
}

/// What came of a mission.
#[derive(Debug)]
pub struct Outcome {
    /// The run's name, if one began.
    pub run: Option<String>,
    /// Counts at the end.
    pub standing: Standing,
    /// What the walk passed over.
    pub passed_over: PassedOver,
    /// Whether a signal or `max_duration` ended it before its work was done.
    pub stopped: bool,
    /// Why it ended badly, if it did.
    pub fault: Option<Fault>,
    /// What judging again came to.
    pub rejudged: Rejudged,
    /// Rough texts that are owed for deep cleaning by it.
    pub deep_wanted: u64,
    /// Time waited per edge, largest first, in microseconds.
    pub waits: Vec<(&'static str, u64)>,
}
