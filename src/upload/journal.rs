//! Two mirrors of what the ledger knows about paid work, for people and for the day on which the ledger is lost:
//! `batches.jsonl`, one fsynced line per intent and batch, and `batch/<batch_id>.txt` while a batch is open.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::domain::batch::Intent;
use crate::domain::ids::BatchId;
use crate::domain::layout::Layout;
use crate::domain::shard::ShardFacts;
use crate::kit::atomic_file::{Access, Durability, append_private, write};
use crate::kit::clock::Millis;
use crate::kit::hash::hex;
use crate::provider::wire::Batch;

/// One line of the journal.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    at: Millis,
    ev: &'a str,
    run: &'a str,
    shard: &'a str,
    attempt: u32,
    file: &'a str,
    batch: Option<&'a str>,
    lines: u32,
    bytes: u64,
    xxh3: String,
}

/// Appends an event (`intent`, `open`, `refused`, `void`) and waits until it is on disk.
///
/// # Errors
/// The operating system's, with the path.
pub fn append(
    layout: &Layout,
    at: Millis,
    ev: &str,
    shard: &ShardFacts,
    intent: &Intent,
    batch: Option<&BatchId>,
) -> io::Result<()> {
    let entry = Entry {
        at,
        ev,
        run: intent.run.as_str(),
        shard: intent.shard_tag.as_str(),
        attempt: intent.attempt,
        file: intent.input.as_str(),
        batch: batch.map(BatchId::as_str),
        lines: shard.lines,
        bytes: shard.bytes,
        xxh3: hex(&intent.body_hash),
    };
    let mut line = serde_json::to_vec(&entry)?;
    line.push(b'\n');
    let mut file = append_private(&layout.journal())?;
    // One write, so that a crash tears at most the last line.
    file.write_all(&line)?;
    file.sync_data()
}

/// Writes the notice of an open batch: the batch object as the provider sent it.
///
/// # Errors
/// The operating system's, with the path.
pub fn notice(layout: &Layout, batch: &Batch) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&batch.raw)?;
    text.push(b'\n');
    write(&layout.notice(batch.id.as_str()), &text, Access::Private, Durability::Derived)
}
