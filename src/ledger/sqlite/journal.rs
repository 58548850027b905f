//! The journal beside the tables: lines of money moves while they are made, and those that a crash left out.

use std::collections::HashSet;
use std::io::{self, ErrorKind};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::fault::{Fault, Outcome};
use super::rows::{column, count, word};
use crate::domain::ids::{BatchId, BatchNo, FileId, Tag};
use crate::kit::clock::Millis;
use crate::ledger::LedgerError;
use crate::ledger::journal::{Accounts, Entry, Event, Journal, Try};
use crate::ledger::moves::BatchState;

/// Rows read at once.
const PAGE: usize = 512;

const ROW: &str =
    "SELECT b.id, b.attempt, b.input_file_id, b.batch_id, b.state, b.stray, b.intent_at, b.opened_at, b.settled_at,
    n.tag AS run, s.tag AS shard, s.lines, s.bytes, s.body_hash
    FROM batch b JOIN shard s ON s.id = b.shard_id JOIN run n ON n.id = s.run_id";

/// A batch as the journal needs it.
struct Kept {
    no: i64,
    state: BatchState,
    stray: bool,
    batch: Option<BatchId>,
    intent_at: Millis,
    opened_at: Option<Millis>,
    settled_at: Option<Millis>,
    /// Everything else of its lines.
    line: Entry,
}

fn kept(row: &Row<'_>) -> Outcome<Kept> {
    let state: String = column(row, "state")?;
    let hash: Option<[u8; 16]> = column(row, "body_hash")?;
    let intent_at = column(row, "intent_at")?;
    Ok(Kept {
        no: column(row, "id")?,
        state: word(&state, BatchState::from_word)?,
        stray: column(row, "stray")?,
        batch: column::<Option<String>>(row, "batch_id")?.map(BatchId),
        intent_at,
        opened_at: column(row, "opened_at")?,
        settled_at: column(row, "settled_at")?,
        line: Entry {
            at: intent_at,
            ev: Event::Intent,
            run: Tag(column(row, "run")?),
            shard: Tag(column(row, "shard")?),
            attempt: column(row, "attempt")?,
            file: FileId(column(row, "input_file_id")?),
            batch: None,
            lines: column(row, "lines")?,
            bytes: count(column(row, "bytes")?),
            xxh3: hash.map(Entry::hash_text).unwrap_or_default(),
        },
    })
}

impl Kept {
    /// Its line about `ev`.
    fn line(&self, ev: Event, at: Millis) -> Entry {
        let batch = if matches!(ev, Event::Intent | Event::Void) { None } else { self.batch.clone() };
        Entry { at, ev, batch, ..self.line.clone() }
    }

    /// When `ev` happened, as far as the row tells.
    fn at(&self, ev: Event) -> Millis {
        let told = match ev {
            Event::Intent => None,
            Event::Settled => self.settled_at.or(self.opened_at),
            _ => self.opened_at,
        };
        told.unwrap_or(self.intent_at)
    }

    /// Every line that has to stand in the journal, in order.
    fn lines(&self) -> Vec<Entry> {
        let intent = (!self.stray).then(|| self.line(Event::Intent, self.at(Event::Intent)));
        let open = self.batch.is_some().then(|| self.line(Event::Open, self.at(Event::Open)));
        let end = match self.state {
            BatchState::Refused => Some(Event::Refused),
            BatchState::Void => Some(Event::Void),
            BatchState::Settled => Some(Event::Settled),
            _ => None,
        };
        let end = end.map(|ev| self.line(ev, self.at(ev)));
        [intent, open, end].into_iter().flatten().collect()
    }
}

/// Notes a money move; its line is written once the move is committed.
pub(super) fn note(store: &mut SqliteStore, ev: Event, batch: BatchNo) -> Outcome<()> {
    if store.journal.is_none() {
        return Ok(());
    }
    let mut statement = store.connection.prepare_cached(&format!("{ROW} WHERE b.id = ?1"))?;
    let mut rows = statement.query([batch.0])?;
    let row = rows.next()?.ok_or_else(|| Fault::stale(format!("there is no batch {batch}")))?;
    let kept = kept(row)?;
    // Of other moves the row tells no time.
    let timed = matches!(ev, Event::Intent | Event::Open | Event::Settled);
    let line = kept.line(ev, if timed { kept.at(ev) } else { store.clock.now() });
    store.unwritten.push(line);
    Ok(())
}

/// Writes the lines of the moves that were just committed.
pub(super) fn write(store: &mut SqliteStore) -> Outcome<()> {
    let lines = std::mem::take(&mut store.unwritten);
    match &store.journal {
        Some(journal) => journal.append(&lines).map_err(|cause| unwritable(journal, &cause)),
        None => Ok(()),
    }
}

/// Makes `journal` the one of this ledger: cuts a torn last line, appends what it lacks.
///
/// A journal that knows paid work of a shard that the ledger lacks says that this ledger is not the one it was: an older
/// copy, or a new one where the old one was lost. Working on with it would pay again.
pub(super) fn attach(store: &mut SqliteStore, journal: Journal) -> Outcome<()> {
    let told = |cause: io::Error| unwritable(&journal, &cause);
    journal.mend().map_err(told)?;
    let (mut written, mut accounts) = (HashSet::new(), Accounts::default());
    let read = journal.read(|entry| {
        written.insert(entry.key());
        accounts.hear(entry);
    });
    read.map_err(told)?;
    let mut after = 0;
    loop {
        let page = page(store, after)?;
        let Some(last) = page.last() else { break };
        after = last.no;
        let lacks = |line: &Entry| !written.contains(&line.key());
        let missing: Vec<Entry> = page.iter().flat_map(Kept::lines).filter(lacks).collect();
        journal.append(&missing).map_err(told)?;
    }
    journal.sync_name().map_err(told)?;
    match lost(store, &accounts)? {
        0 => {}
        1 => return Err(Fault::damaged("it lacks a batch that batches.jsonl knows")),
        many => return Err(Fault::damaged(format!("it lacks {many} batches that batches.jsonl knows"))),
    }
    store.journal = Some(journal);
    Ok(())
}

fn page(store: &SqliteStore, after: i64) -> Outcome<Vec<Kept>> {
    let mut statement =
        store.connection.prepare_cached(&format!("{ROW} WHERE b.id > ?1 ORDER BY b.id LIMIT {PAGE}"))?;
    statement.query_and_then([after], kept)?.collect()
}

/// How many accounts the ledger lacks something of.
fn lost(store: &SqliteStore, accounts: &Accounts) -> Outcome<usize> {
    let mut lost = 0;
    for account in accounts.living() {
        lost += usize::from(account.is_lacked(|one| stand(&store.connection, &account.shard, one))?);
    }
    Ok(lost)
}

/// Where a try that the journal tells of stands in the ledger, if anywhere.
pub(in crate::ledger) fn stand(file: &Connection, shard: &Tag, one: &Try) -> Outcome<Option<BatchState>> {
    const BY_NAME: &str = "SELECT state FROM batch WHERE batch_id = ?1";
    const BY_NUMBER: &str = "SELECT b.state FROM batch b JOIN shard s ON s.id = b.shard_id
        WHERE s.tag = ?1 AND b.attempt = ?2 AND b.stray = 0";
    let read = |row: &Row<'_>| row.get::<_, String>(0);
    let state = match &one.batch {
        Some(id) => file.prepare_cached(BY_NAME)?.query_row([id.as_str()], read),
        None => file.prepare_cached(BY_NUMBER)?.query_row(params![shard.as_str(), one.attempt], read),
    };
    state.optional()?.map(|state| word(&state, BatchState::from_word)).transpose()
}

fn unwritable(journal: &Journal, cause: &io::Error) -> Fault {
    let path = journal.path().display().to_string();
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Ledger(LedgerError::Full { path }),
        _ => Fault::Ledger(LedgerError::Io { path, cause: cause.to_string() }),
    }
}
