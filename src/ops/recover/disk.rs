//! What the workspace itself tells: the journal, the notices, the saved answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;

use super::Told;
use crate::domain::ids::{BatchId, FileId, TAG_LENGTH, Tag};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Draft, Durability, private_folder, sync_folder};
use crate::kit::{hash, lines};
use crate::ledger::journal::{Accounts, Entry, Event, Journal, shard_of};
use crate::ledger::lost::{Saved, UNDATED};
use crate::ledger::records::RawFile;
use crate::provider::result_line;
use crate::provider::wire::Batch;

/// A notice is a few kilobytes.
const LONGEST_NOTICE: u64 = 1 << 20;
/// The name of a result file where nobody knows it any more: there is nothing to be fetched or deleted under it.
const NAMELESS: &str = "file-recovered";

/// Everything that is known without the ledger.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) accounts: Accounts,
    pub(super) told: HashMap<BatchId, Told>,
}

impl Known {
    /// Takes in a batch object; `settled`: its books were closed.
    pub(super) fn hear(&mut self, batch: &Batch, settled: bool) {
        let Some(entry) = entry_of(batch) else { return };
        if settled && entry.ev == Event::Open {
            self.accounts.hear(Entry { ev: Event::Settled, ..entry.clone() });
        }
        self.accounts.hear(entry);
        self.told.insert(batch.id.clone(), Told::of(batch));
    }
}

/// The line that the journal would have of a batch, if it bears the marks of this program.
fn entry_of(batch: &Batch) -> Option<Entry> {
    let mark = |key: &str| batch.metadata.get(key).cloned();
    Some(Entry {
        at: batch.created_at.saturating_mul(1000),
        // Its validation failed: nothing ran.
        ev: if batch.status == "failed" { Event::Refused } else { Event::Open },
        run: Tag(mark("run").filter(|tag| tag.len() == TAG_LENGTH)?),
        shard: Tag(mark("shard").filter(|tag| tag.len() == TAG_LENGTH)?),
        attempt: mark("attempt").and_then(|text| text.parse().ok()).unwrap_or(1),
        file: batch.input_file.clone().unwrap_or_else(|| FileId(format!("{NAMELESS}-{}", batch.id))),
        batch: Some(batch.id.clone()),
        lines: batch.counts.and_then(|(all, ..)| u32::try_from(all).ok()).unwrap_or(0),
        bytes: 0,
        xxh3: mark("xxh3").unwrap_or_default(),
    })
}

/// The run that a batch says it is of.
pub(super) fn run_of(batch: &Batch) -> Option<Tag> {
    entry_of(batch).map(|entry| entry.run)
}

/// The journal.
pub(super) fn journal(layout: &Layout, known: &mut Known) -> io::Result<()> {
    Journal::at(&layout.journal()).read(|entry| known.accounts.hear(entry)).map(drop)
}

/// Notices of open and of settled batches; whatever else lies there is not for us.
pub(super) fn notices(layout: &Layout, known: &mut Known) -> io::Result<()> {
    for (folder, settled) in [(&layout.batch, false), (&layout.completed, true)] {
        for name in names(folder, ".txt")? {
            let mut text = String::new();
            let file = fs_err::File::open(folder.join(name))?;
            let read = file.take(LONGEST_NOTICE).read_to_string(&mut text);
            let batch = read.ok().and_then(|_| serde_json::from_str::<Value>(&text).ok()).and_then(Batch::from_json);
            if let Some(batch) = batch {
                known.hear(&batch, settled);
            }
        }
    }
    Ok(())
}

/// Saved answers of batches that nothing else tells of: each is a shard of its own, under a name made from its batch's.
pub(super) fn orphans(layout: &Layout, known: &mut Known) -> io::Result<()> {
    let tries = known.accounts.all().flat_map(|account| &account.tries);
    let named: BTreeSet<String> = tries
        .filter_map(|one| Some(layout.raw_output(one.batch.as_ref()?.as_str()).to_string_lossy().into_owned()))
        .collect();
    let run = known.accounts.all().max_by_key(|account| account.at).map(|account| account.run.clone());
    for name in names(&layout.output, ".jsonl")? {
        let path = layout.output.join(&name).to_string_lossy().into_owned();
        if named.contains(&path) || name.ends_with(".errors.jsonl") {
            continue;
        }
        let id = name.trim_end_matches(".jsonl").to_owned();
        // A name that stands for another id tells that id to nobody.
        if id.contains('=') {
            continue;
        }
        let tag = shard_of(&id);
        known.accounts.hear(Entry {
            at: UNDATED,
            ev: Event::Settled,
            run: run.clone().unwrap_or_else(|| Tag(hash::hex_digits(b"recovered", TAG_LENGTH))),
            shard: tag,
            attempt: 1,
            file: FileId(format!("{NAMELESS}-{id}")),
            batch: Some(BatchId(id)),
            lines: 0,
            bytes: 0,
            xxh3: String::new(),
        });
    }
    Ok(())
}

/// Names of the files in a folder that end so, sorted.
fn names(folder: &Path, ending: &str) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(ending) && !name.starts_with('.') && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Saved answers: each custom id, and whether the model ran for it.
pub(super) type Answers = BTreeMap<String, bool>;

/// Reads the result files of a batch; `None` if there is none. `answers` takes in whom they answer, `order` their order.
pub(super) fn saved(
    layout: &Layout,
    id: &BatchId,
    told: Option<&Told>,
    answers: &mut Answers,
    order: &mut Vec<String>,
) -> io::Result<Option<Saved>> {
    let output = raw(&layout.raw_output(id.as_str()), answers, order)?;
    let errors = raw(&layout.raw_errors(id.as_str()), answers, order)?;
    if output.is_none() && errors.is_none() {
        return Ok(None);
    }
    let name = |told: Option<&FileId>| told.cloned().unwrap_or_else(|| FileId(NAMELESS.to_owned()));
    Ok(Some(Saved {
        output: output.map(|raw| (name(told.and_then(|told| told.output.as_ref())), raw)),
        errors: errors.map(|raw| (name(told.and_then(|told| told.errors.as_ref())), raw)),
        usage: told.and_then(|told| told.usage),
        model: told.and_then(|told| told.model.clone()),
    }))
}

fn raw(path: &Path, answers: &mut Answers, order: &mut Vec<String>) -> io::Result<Option<RawFile>> {
    let told = lines::each(path, |line| -> io::Result<()> {
        if let Some((id, document)) = result_line::document(line.bytes) {
            let known = answers.entry(id.clone()).or_insert_with(|| {
                order.push(id);
                false
            });
            *known |= result_line::ran(&document);
        }
        Ok(())
    });
    match told {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        told => told.map(|(bytes, sha256)| Some(RawFile { bytes, sha256 })),
    }
}

/// Makes a lost result file again from the answers that were saved one by one: they are its lines, byte for byte. Tells
/// whether there were any.
pub(super) fn rejoin(layout: &Layout, id: &BatchId) -> io::Result<bool> {
    let folder = layout.results(id.as_str());
    let names = names(&folder, ".json")?;
    if names.is_empty() {
        return Ok(false);
    }
    private_folder(&layout.output)?;
    let mut draft = Draft::create(&layout.output, Access::Private)?;
    for name in names {
        let mut line = fs_err::read(folder.join(name))?;
        line.push(b'\n');
        draft.fill(&line)?;
    }
    match draft.publish_new(&layout.raw_output(id.as_str()), Durability::Synced) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
        _ => sync_folder(&layout.output).map(|()| true),
    }
}
