//! `import`: takes over what the scripts before this program left. Nothing is asked: answers on disk become fetched batches,
//! which the ordinary road collects, and batches without answers stand in the journal, so that nobody pays for them again
//! before the provider has told of them.

pub mod origin_text;
mod places;
mod workspace;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use self::places::Heads;
use self::workspace::Left;
use super::audit::hex;
use super::{recover, text_file};
use crate::corpus::beneath::Root;
use crate::domain::ids::{BatchId, FileId, TAG_LENGTH, Tag};
use crate::domain::image::RelPath;
use crate::domain::layout;
use crate::kit::atomic_file::{Access, Draft, Durability, private_folder, sync_folder};
use crate::kit::hash::{self, Short, short};
use crate::kit::lines;
use crate::kit::path_bytes::from_name;
use crate::ledger::journal::{Entry, Event, Journal, shard_of};
use crate::ledger::lost::UNDATED;
use crate::ledger::reader::Reader;
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::store::{Frame as _, Store as _};
use crate::provider::result_line;

/// Longest text that is compared; the scripts wrote nothing near it.
const LONGEST_TEXT: u64 = 4 << 20;
/// Ids without an image that are named one by one.
const NAMED: usize = 20;
/// Texts recorded in one transaction.
const PAGE: usize = 500;

/// What is to be taken over.
pub struct Wanted {
    /// The folder that the scripts worked in.
    pub from: PathBuf,
    /// How the ledger takes in what is found; its `given` is replaced by what the ids tell.
    pub recover: recover::Wanted,
    /// Texts that were cut count as ours, so that whole ones replace them.
    pub rebuild: bool,
    /// Nothing is written.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Batches with answers on disk.
    pub finished: u64,
    /// Of these, those whose result file was put together from single lines.
    pub put_together: u64,
    /// Batches that only the provider can tell of.
    pub open: Vec<String>,
    /// Batches that were read long ago and of which nothing is left.
    pub empty: Vec<String>,
    /// Lines whose image was found.
    pub found: u64,
    /// Lines whose image was not.
    pub not_found: u64,
    /// Some of their ids.
    pub strangers: Vec<String>,
    /// The image folder as the scripts were given it.
    pub given: String,
    /// Texts that hold the whole answer.
    pub whole: u64,
    /// Texts as the scripts cut them.
    pub cut: u64,
    /// Other texts: a person's, which stay.
    pub edited: u64,
    /// Some of their paths.
    pub edits: Vec<String>,
    /// Images without a text.
    pub missing: u64,
    /// Shards that were new to the ledger.
    pub shards: u64,
}

/// Takes over what is there. The workspace's lock is the caller's affair.
///
/// # Errors
/// As [`recover::recover`].
pub fn import(mut wanted: Wanted) -> Result<Report, recover::Error> {
    let disk = recover::Error::Disk;
    let batches = workspace::read(&wanted.from).map_err(disk)?;
    let root = Root::open(&wanted.recover.root).map_err(recover::Error::Corpus)?;
    wanted.recover.given = given(&wanted, &root, &batches)?;
    let mut report = Report { given: wanted.recover.given.clone(), ..Report::default() };
    for (id, left) in &batches {
        match (left.answered(), left.completed) {
            (true, _) => report.finished += 1,
            (false, false) => report.open.push(id.to_string()),
            (false, true) => report.empty.push(id.to_string()),
        }
        report.put_together += u64::from(left.raw.is_none() && left.lines.is_some());
    }
    if !wanted.dry_run && (report.finished > 0 || !report.open.is_empty()) {
        take_in(&wanted, &batches, &mut report)?;
    }
    let mut own = Own { wanted: &wanted, store: None, found: Vec::new() };
    for left in batches.values() {
        answers(left, |line| sort(&wanted, &root, line, left, &mut report, &mut own))?;
    }
    own.finish()?;
    Ok(report)
}

/// The image folder as the scripts were given it: the ledger's, or what most ids begin with.
fn given(wanted: &Wanted, root: &Root, batches: &BTreeMap<BatchId, Left>) -> Result<String, recover::Error> {
    let ledger = wanted.recover.layout.ledger();
    if ledger.is_file() {
        let here = from_name(wanted.recover.root.as_os_str());
        if let Some(corpus) = Reader::open(&ledger)?.corpora()?.into_iter().find(|corpus| corpus.root == here) {
            return Ok(String::from_utf8_lossy(&corpus.given).into_owned());
        }
    }
    let mut heads = Heads::default();
    for left in batches.values() {
        answers(left, |line| {
            if let Some((id, _)) = result_line::document(line) {
                heads.hear(root, &id);
            }
            Ok(())
        })?;
    }
    Ok(match heads.most() {
        None => wanted.recover.given.clone(),
        Some("") => ".".to_owned(),
        Some(head) => head.to_owned(),
    })
}

/// Every saved line of a batch, from its result file or its single files.
fn answers(left: &Left, mut take: impl FnMut(&[u8]) -> Result<(), recover::Error>) -> Result<(), recover::Error> {
    let disk = recover::Error::Disk;
    if let Some(raw) = &left.raw {
        lines::each(raw, |line| take(line.bytes))?;
    } else if let Some(folder) = &left.lines {
        for (name, path) in workspace::entries(folder).map_err(disk)? {
            if name.ends_with(".json") {
                take(&single(&path).map_err(disk)?)?;
            }
        }
    }
    Ok(())
}

/// A single file as a line: JSON holds no line break but between its tokens.
fn single(path: &Path) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    fs_err::File::open(path)?.take(lines::LONGEST as u64).read_to_end(&mut line)?;
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

/// Puts the result files in their places, tells the journal, and lets the ledger take it in.
fn take_in(wanted: &Wanted, batches: &BTreeMap<BatchId, Left>, report: &mut Report) -> Result<(), recover::Error> {
    let (disk, layout) = (recover::Error::Disk, &wanted.recover.layout);
    let journal = Journal::at(&layout.journal());
    if is_missing(&layout.ledger()) {
        // A ledger that was lost is another verb's affair.
        journal.nothing_lost(layout)?;
        SqliteStore::open(&layout.ledger(), wanted.recover.clock.clone(), wanted.recover.allowed)?.close()?;
    }
    private_folder(&layout.output).map_err(disk)?;
    for (id, left) in batches.iter().filter(|(_, left)| left.answered()) {
        keep(left, &layout.raw_output(id.as_str()), &layout.output)?;
    }
    sync_folder(&layout.output).map_err(disk)?;
    let mut known = std::collections::BTreeSet::new();
    journal.read(|entry| known.extend(entry.batch)).map_err(disk)?;
    let fresh = |(id, left): (&BatchId, &Left)| {
        let wanted = (left.answered() || !left.completed) && !known.contains(id);
        wanted.then(|| entry(id, left))
    };
    let entries: Vec<Entry> = batches.iter().filter_map(fresh).collect();
    journal.mend().map_err(disk)?;
    journal.append(&entries).map_err(disk)?;
    report.shards = recover::recover(&wanted.recover)?.shards;
    Ok(())
}

/// What cannot be looked at counts as there: it is then opened, and the error says why.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Copies a result file to where ours lie, or puts it together; one that lies there already stays.
fn keep(left: &Left, target: &Path, folder: &Path) -> Result<(), recover::Error> {
    let disk = recover::Error::Disk;
    if !is_missing(target) {
        return Ok(());
    }
    let mut draft = Draft::create(folder, Access::Private).map_err(disk)?;
    match &left.raw {
        // Byte for byte, whatever is in it.
        Some(raw) => drop(io::copy(&mut fs_err::File::open(raw).map_err(disk)?, &mut draft).map_err(disk)?),
        None => answers(left, |line| draft.fill(line).map_err(disk))?,
    }
    match draft.publish_new(target, Durability::Synced) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(disk(cause)),
        _ => Ok(()),
    }
}

/// The journal's line of a batch: without answers it is open, and stops whoever would pay again.
fn entry(id: &BatchId, left: &Left) -> Entry {
    let nameless = || FileId(format!("file-imported-{}", layout::safe_component(id.as_str())));
    Entry {
        // What the scripts asked for when, nothing tells: whatever this program asked for goes before.
        at: UNDATED,
        ev: if left.answered() { Event::Settled } else { Event::Open },
        run: Tag(hash::hex_digits(b"imported", TAG_LENGTH)),
        shard: shard_of(id.as_str()),
        attempt: 1,
        file: left.input.clone().unwrap_or_else(nameless),
        batch: Some(id.clone()),
        lines: 0,
        bytes: 0,
        xxh3: String::new(),
    }
}

/// Counts a line, and looks at the text that stands beside its image.
fn sort(
    wanted: &Wanted,
    root: &Root,
    line: &[u8],
    left: &Left,
    report: &mut Report,
    own: &mut Own<'_>,
) -> Result<(), recover::Error> {
    let Some((id, value)) = result_line::document(line) else { return Ok(()) };
    let Some(image) = places::image(root, &wanted.recover.given, &id) else {
        report.not_found += 1;
        note(&mut report.strangers, id);
        return Ok(());
    };
    report.found += 1;
    let given = from_name(wanted.recover.root.as_os_str());
    let mut text = Vec::new();
    match text_file::open(&wanted.recover.layout, &given, &image, "txt") {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            report.missing += 1;
            return Ok(());
        }
        file => {
            let read = file.and_then(|file| file.take(LONGEST_TEXT).read_to_end(&mut text));
            // What cannot be read is not ours.
            if read.is_err() {
                text = vec![0xFF];
            }
        }
    }
    let stands = std::str::from_utf8(&text).ok().map(str::trim);
    let whole = origin_text::whole_text(&value).map(str::trim);
    if stands.is_some() && stands == whole {
        report.whole += 1;
    } else if stands.is_some_and(|stands| is_cut(stands, line, left, &id)) {
        report.cut += 1;
        if wanted.rebuild && !wanted.dry_run {
            own.hear(image, short(&text))?;
        }
    } else {
        report.edited += 1;
        note(&mut report.edits, String::from_utf8_lossy(&image.joined()).into_owned());
    }
    Ok(())
}

/// Whether the scripts made this text, of the line or of its single file, in which characters may be escaped.
fn is_cut(stands: &str, line: &[u8], left: &Left, id: &str) -> bool {
    let made = |saved: &[u8]| origin_text::cut_texts(&String::from_utf8_lossy(saved)).iter().any(|text| text == stands);
    let file = left.lines.as_ref().map(|folder| folder.join(layout::result_name(id, hex)));
    made(line) || file.and_then(|file| single(&file).ok()).is_some_and(|saved| made(&saved))
}

fn note(list: &mut Vec<String>, one: String) {
    if list.len() < NAMED && !list.contains(&one) {
        list.push(one);
    }
}

/// Texts that are to count as ours.
struct Own<'a> {
    wanted: &'a Wanted,
    store: Option<SqliteStore>,
    found: Vec<(RelPath, Short)>,
}

impl Own<'_> {
    fn hear(&mut self, image: RelPath, text: Short) -> Result<(), recover::Error> {
        self.found.push((image, text));
        if self.found.len() < PAGE { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), recover::Error> {
        let recover = &self.wanted.recover;
        if self.found.is_empty() {
            return Ok(());
        }
        let mut store = match self.store.take() {
            Some(store) => store,
            None => SqliteStore::open(&recover.layout.ledger(), recover.clock.clone(), recover.allowed)?,
        };
        let root = from_name(recover.root.as_os_str());
        store.begin()?;
        store.own_texts(&root, &self.found)?;
        store.commit()?;
        self.found.clear();
        self.store = Some(store);
        Ok(())
    }

    fn finish(mut self) -> Result<(), recover::Error> {
        self.write()?;
        self.store.take().map_or(Ok(()), |mut store| store.close().map_err(Into::into))
    }
}
