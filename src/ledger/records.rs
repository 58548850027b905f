//! What goes into the ledger and what comes out of it.

use crate::domain::batch::{BatchEnd, OpenBatch, Refusal, Usage};
use crate::domain::ids::{BatchId, BatchNo, CorpusId, FileId, ImageId, RunId, ShardId, Tag};
use crate::domain::image::{OwedImage, Reason, RelPath, Stamp};
use crate::domain::money::Money;
use crate::domain::verdict::Verdict;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;

/// Counts that the keeper publishes after every commit. Newest value wins, nobody waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the corpus is still being listed.
    pub walking: bool,
    /// Images found, whatever became of them.
    pub found: u64,
    /// Images to be asked (again).
    pub owed: u64,
    /// Images in a shard whose batch is not settled: in flight.
    pub packed: u64,
    /// Images with a text.
    pub done: u64,
    /// Images with a rough text.
    pub rough: u64,
    /// Images that ended without a text, with a reason.
    pub failed: u64,
    /// Images never to be asked, with a reason.
    pub skipped: u64,
    /// Shards sealed, uploaded or opening: not yet a batch.
    pub shards_waiting: u64,
    /// Of them, shards whose plan is not at the provider yet.
    pub sealed: u64,
    /// Of them, shards whose file is at the provider, and for which no batch was asked yet.
    pub uploaded: u64,
    /// Of them, shards whose batch was asked for, and not named yet.
    pub opening: u64,
    /// Shards that came back to be opened again; only ever rises within one life of the keeper.
    pub shards_returned: u64,
    /// Batches that left the provider's queue of tokens; only ever rises within one life of the keeper.
    pub queue_left: u64,
    /// Batches at the provider that have not ended.
    pub batches_open: u64,
    /// Batches that ended and are not settled.
    pub batches_ended: u64,
    /// Of them, batches whose results are on this disk.
    pub batches_fetched: u64,
    /// Of the owed images, copies of others: they are not asked, and wait for what becomes of their originals.
    pub copies: u64,
    /// Of these copies, those whose original has ended, or that may be none any more: it has to be decided what becomes of them.
    pub copies_ended: u64,
    /// Of these copies, those whose text can be written.
    pub copies_ready: u64,
}

impl Standing {
    /// Owed images that are to be asked themselves.
    #[must_use]
    pub fn to_ask(&self) -> u64 {
        self.owed.saturating_sub(self.copies)
    }

    /// Whether `found = done + rough + failed + skipped + owed + in flight`.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.found == self.done + self.rough + self.failed + self.skipped + self.owed + self.packed
    }
}

/// The event of a pilot: a JSON object of the `seed` and the `images` drawn with it, by row.
pub const PILOT: &str = "pilot";

/// The event of a `--redo`; its word is the detail.
pub const REDO: &str = "redo";

/// The event of the end of a `--redo`: everything that was put back has ended again.
pub const REDO_OVER: &str = "redo_over";

/// Place in the feed of owed images: opaque to everybody but the store. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(crate) i64);

/// What one page of the walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// Newly owed.
    pub owed: u32,
    /// Known and unchanged.
    pub unchanged: u32,
    /// Known, with other content now, and owed again.
    pub changed: u32,
    /// Newly failed.
    pub failed: u32,
    /// Newly skipped.
    pub skipped: u32,
}

/// A corpus as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusRow {
    /// Its row.
    pub id: CorpusId,
    /// As the user wrote it the first time: custom ids are made from it.
    pub given: Vec<u8>,
    /// Root of another corpus of this ledger whose images are not all ended; its texts do not belong below this root.
    pub unfinished: Option<Vec<u8>>,
}

/// A stretch of the feed.
#[derive(Clone, Debug, Default)]
pub struct OwedPage {
    /// Images in the order of the feed.
    pub images: Vec<OwedImage>,
    /// Where the next stretch begins.
    pub next: Cursor,
}

/// A process's stay in the ledger, under whose tag it pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its row.
    pub id: RunId,
    /// For people: `2026-11-22-a`.
    pub name: String,
    /// For the provider: random.
    pub tag: Tag,
    /// Whether an earlier process began it.
    pub resumed: bool,
    /// Base URL of another account that still has shards of this ledger: its batches cannot be asked for here.
    pub foreign: Option<String>,
}

/// What is written when a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Base URL of the provider.
    pub base_url: String,
    /// BLAKE3 of organisation and project, in hex; never of the key.
    pub identity: String,
    /// The settings in force, as JSON, without secrets.
    pub settings: String,
    /// Day in UTC, `2026-11-22`.
    pub day: String,
    /// Whether no provider is spoken to: then nothing follows for whoever reads the pages with these settings.
    pub offline: bool,
}

/// The file that made a body fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The image.
    pub image: ImageId,
    /// What it is now, or why it has no measure.
    pub now: Result<Remeasured, Reason>,
}

/// A file measured again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remeasured {
    /// Length and time.
    pub stamp: Stamp,
    /// Format and pixels.
    pub fate: crate::domain::image::Fate,
}

/// A batch of the provider's list that says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name at the provider.
    pub id: BatchId,
    /// The tag of the run that it names.
    pub run: Tag,
    /// The tag of the shard that it names.
    pub shard: Tag,
    /// The hash of the body that it names.
    pub body_hash: Option<[u8; 16]>,
    /// Its input file.
    pub input: Option<FileId>,
    /// The server's time of its creation (unix seconds).
    pub created_at: i64,
    /// End of its window (unix seconds).
    pub expires_at: Option<i64>,
    /// Whether its validation failed: nothing ran.
    pub failed: bool,
}

/// What was at the provider for the key that sent the create of a batch in doubt: a key that sees any of it is of that project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// Files that were left there for this.
    pub files: Vec<FileId>,
    /// Batches, newest first.
    pub batches: Vec<BatchId>,
}

/// What the ledger makes of a listed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Of no shard of this ledger.
    Foreign,
    /// Here already, or in the hands of whoever opens its shard.
    Known,
    /// Its shard had no batch: this is its batch now.
    Adopted(OpenBatch),
    /// Its shard has another one: read all the same.
    Stray(OpenBatch),
}

/// How a batch ended, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub end: BatchEnd,
    /// Output file, if any.
    pub output: Option<FileId>,
    /// Error file, if any.
    pub errors: Option<FileId>,
    /// Tokens as the batch object tells them.
    pub usage: Option<Usage>,
    /// Model as the batch object tells it.
    pub model: Option<String>,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
    /// Every line of the input file that a refusal names, from 1: their images are at fault, the others are not.
    pub named: Vec<u32>,
}

/// A raw result file on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFile {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// Whose text stands beside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOwner {
    /// Written by us.
    Ours,
    /// Written by us for one page of a file that has several: it waits for those of the others.
    Page,
    /// A person's: kept.
    Kept,
}

/// One judged answer, to be recorded after its text is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageVerdict {
    /// The image.
    pub image: ImageId,
    /// What we think of the answer.
    pub verdict: Verdict,
    /// Flags, in the words of the contracts.
    pub flags: Vec<&'static str>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// The text on disk, for accepted, blank and rough ones.
    pub text: Option<(TextOwner, Short)>,
    /// What cleaning did to the answer, as a JSON list of rules, each with what it took.
    pub cleaning: Option<String>,
    /// Hash of the text of an answer that was doubted: should the next one say the same, it stands on the page.
    pub said: Option<Short>,
    /// Share of dark pixels, if it was measured for this verdict.
    pub ink: Option<f64>,
}

impl ImageVerdict {
    /// A verdict and nothing beside it.
    #[must_use]
    pub fn bare(image: ImageId, verdict: Verdict) -> Self {
        Self { image, verdict, flags: Vec::new(), usage: None, text: None, cleaning: None, said: None, ink: None }
    }
}

/// A rough text whose deep cleaning was accepted: it may lie beside the text still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentRough {
    /// The image.
    pub path: RelPath,
    /// Hash of the rough text as it was sent.
    pub hash: Short,
}

/// A file of several pages, all of which have a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFile {
    /// Its first page.
    pub path: RelPath,
    /// Its pages in their order.
    pub pages: Vec<ImageId>,
    /// Hash of the text of the file as we wrote it last.
    pub text: Option<Short>,
}

/// Where each image of a chunk of verdicts stands after them, in their order; `None` where one was left as it was.
pub type Became = Vec<Option<ImageState>>;

/// What judging answers again came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejudged {
    /// Texts that stand, written anew or as they were.
    pub texts: u32,
    /// Texts that are rough.
    pub rough: u32,
    /// Texts that stand although today's rules would not accept their answers.
    pub wanting: u32,
}

/// What closing a batch's books came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Images that no line answered and that are owed again.
    pub owed: u32,
    /// Images that no line answered and that failed.
    pub failed: u32,
}

/// A settled batch whose leftovers may still lie around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unswept {
    /// Its row.
    pub no: BatchNo,
    /// Its name at the provider.
    pub id: BatchId,
    /// Its shard.
    pub shard: ShardId,
    /// Input file.
    pub input: FileId,
    /// Output file.
    pub output: Option<FileId>,
    /// Error file.
    pub errors: Option<FileId>,
}

/// What the ledger knows of the text beside one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownText {
    /// The image.
    pub image: ImageId,
    /// Hash of the text that we wrote last, if any.
    pub hash: Option<Short>,
    /// The shard that holds it packed, if any: an answer for any other shard changes nothing.
    pub packed_in: Option<ShardId>,
    /// Where it stands.
    pub state: Option<ImageState>,
    /// The shard that it was packed in last.
    pub shard: Option<ShardId>,
    /// Why it is asked again, if it is.
    pub after: Option<Reason>,
    /// Whether a person ordered this request: it came to nothing before, or is asked of another model.
    pub put_back: bool,
    /// Hash of the text that was doubted before.
    pub said: Option<Short>,
    /// Share of dark pixels, if it was measured.
    pub ink: Option<f64>,
    /// Whether the last request sent a picture that was made of it.
    pub prepared: bool,
    /// Whether it is a page of a file that has several: its text waits for theirs.
    pub one_of_many: bool,
}

/// Counted tries and uncounted returns allowed for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Paid and unusable answers.
    pub attempts: u32,
    /// Requests that never ran.
    pub returns: u32,
    /// Whether rough texts are owed for deep cleaning as soon as they are written.
    pub deep_clean: bool,
    /// Tokens that may be enqueued for one model, if the settings say so; otherwise what the provider names counts.
    pub enqueued_tokens: Option<u64>,
    /// What may be spent, if the settings say so.
    pub max_cost: Option<Money>,
}

/// How long a shard that was refused for now is held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hold {
    /// Until then (unix milliseconds).
    Until(i64),
    /// The queue of its model is full: everything of that model waits, each time longer.
    Queue {
        /// The limit that the provider named.
        limit: Option<u64>,
        /// A random number from 0 to 1 that spreads the pauses.
        spread: f64,
    },
}
