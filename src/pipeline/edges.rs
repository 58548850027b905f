//! The edge table: every connection with its bound, and the meters that tell which one is the bottleneck. Its numbers are the
//! constants that the connections are made with. The README shows the same rows; a test compares.

use crate::corpus::{self, local};
use crate::domain::answer::MOST_TOGETHER;
use crate::encode::encoder::WINDOW;
use crate::extract::book::CHUNK_BYTES;
use crate::extract::{extractor, write};
use crate::kit::base64::CHUNK_OUT;
use crate::kit::bodies::LANE_CHUNKS;
use crate::kit::edge::EdgeMeter;
use crate::ledger::keeper::QUEUE;
use crate::upload::uploader;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From where to where.
    pub name: &'static str,
    /// What keeps it from growing.
    pub bounded_by: String,
    /// Most that is in flight on it.
    pub most: String,
    /// Who waits when it is full.
    pub waits: &'static str,
    /// Under which name the waiting is counted; empty if nobody waits.
    pub counted_as: &'static str,
}

/// A connection: name, bound, most in flight, who waits, and as what that is counted.
fn edge(
    name: &'static str,
    bounded_by: impl Into<String>,
    most: impl Into<String>,
    waits: &'static str,
    counted_as: &'static str,
) -> Edge {
    Edge { name, bounded_by: bounded_by.into(), most: most.into(), waits, counted_as }
}

/// All connections, in the order of the flow.
pub fn edges() -> impl Iterator<Item = Edge> {
    front().into_iter().chain(back())
}

/// From the folder to the batch.
fn front() -> [Edge; 7] {
    let (page, pages, shards) = (corpus::PAGE, local::PAGES_WAITING, uploader::PLACES);
    [
        edge(
            "walk thread → Scanner",
            format!("mpsc({pages}) of pages of {page}"),
            // One more is gathered, and one is enrolled.
            format!("{} paths", page * (pages + 2)),
            "walk thread",
            "",
        ),
        edge("Scanner → Encoder", "awaited reply, 1 place", "2 images", "the feed", "encode_wait"),
        edge(
            "Encoder ⇄ work pool (prepare)",
            format!("memory lease, bytes of prepared files, window of {WINDOW} images"),
            "memory ÷ need of a picture",
            "Encoder, then the feed",
            "memory_wait",
        ),
        edge(
            "Encoder → Uploader",
            format!("awaited reply, {shards} places"),
            format!("{shards} shards + 2 waiting"),
            "Encoder, then the feed",
            "upload_wait",
        ),
        edge(
            "Uploader → body task",
            "body lease, one thread each",
            "`shard.max_bodies` bodies",
            "Uploader",
            "body_wait",
        ),
        edge(
            "body task → HTTP client (with spool: → spool thread)",
            format!("mpsc({LANE_CHUNKS}), crossbeam bounded({LANE_CHUNKS}), of {} KiB", CHUNK_OUT >> 10),
            // One is filled, and one is sent.
            format!("{} chunks a body", LANE_CHUNKS + 2),
            "body task",
            "",
        ),
        edge("Uploader → Poller", "slot lease", "`batch.max_open_batches` batches", "Uploader", "slot_wait"),
    ]
}

/// From the ended batch to the text, and the ledger.
fn back() -> [Edge; 5] {
    let batches = extractor::PLACES;
    let (lines, chunk) = (write::TOGETHER, format!("{MOST_TOGETHER} answers or {} MiB", CHUNK_BYTES >> 20));
    [
        edge(
            "Poller → Extractor",
            format!("awaited reply, {batches} places"),
            format!("{batches} batches + 2 waiting"),
            "Poller's give loop",
            "extract_wait",
        ),
        edge(
            "work pool (parse) → result-writing threads",
            format!("crossbeam bounded({}) of {lines} lines, one a batch", write::QUEUE),
            format!("a chunk of {chunk} a batch"),
            "parse job",
            "",
        ),
        edge(
            "Extractor → Cleaner",
            "awaited reply, 2 places",
            format!("5 chunks of {chunk}"),
            "Extractor",
            "clean_wait",
        ),
        edge("anyone → keeper", format!("mpsc({QUEUE})"), format!("{QUEUE} commands"), "caller", "ledger_wait"),
        edge("keeper → Scanner, Encoder, Uploader", "watch", "1 value", "nobody", ""),
    ]
}

/// The table as Markdown, as the README shows it.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| edge | bounded by | most in flight | who waits when it is full | counted as |\n|---|---|---|---|---|\n",
    );
    for edge in edges() {
        let counted = if edge.counted_as.is_empty() { "–".to_owned() } else { format!("`{}`", edge.counted_as) };
        let row = [edge.name, &edge.bounded_by, &edge.most, edge.waits, &counted].join(" | ");
        text.push_str(&format!("| {row} |\n"));
    }
    text
}

/// One meter per awaited edge.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// Scanner → Encoder.
    pub encode: EdgeMeter,
    /// Encoder → Uploader.
    pub upload: EdgeMeter,
    /// Uploader → Poller.
    pub poll: EdgeMeter,
    /// Poller → Extractor.
    pub extract: EdgeMeter,
    /// Extractor → Cleaner.
    pub clean: EdgeMeter,
}
