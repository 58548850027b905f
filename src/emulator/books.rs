//! The books of a running server, under one lock: service, journal, bill, and who works at which line.
//!
//! The order of writing is fixed: result line, bill, journal, memory. Whatever the process dies between, the next start
//! finds the journal's word and cuts result files back to it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use super::answer::Written;
use super::bill::{Bill, Entry};
use super::core::{Request, Service};
use super::folder::Folder;
use super::journal::Journal;
use super::lines::Index;
use super::record::{BatchRecord, Bits, Event, FileRecord, Status, Verdict};
use super::refusal::Refusal;
use super::scenario::BatchRule;
use crate::kit::clock::Millis;
use crate::kit::hash;

/// The books.
pub(crate) struct Books {
    pub(crate) service: Service,
    pub(crate) folder: Arc<Folder>,
    journal: Journal,
    bill: Option<Bill>,
    desks: HashMap<String, Desk>,
    /// What the scenario has for each batch of this process.
    faults: HashMap<String, BatchRule>,
    /// How often a batch was looked at, of those that a scenario shows otherwise.
    looks: HashMap<String, u32>,
    /// Where the search for work begins, so that batches take turns.
    turn: usize,
    /// Why nothing more is accepted: the books are closed, or the disk has failed and memory is ahead of the journal.
    broken: Option<Refusal>,
}

/// Work at one open batch; nothing of it survives the process.
#[derive(Default)]
struct Desk {
    index: Option<Arc<Index>>,
    /// No line before this place of the order is free.
    cursor: u32,
    in_flight: u32,
    /// Somebody reads the input file, or writes the rest.
    busy: bool,
    output: Option<File>,
    errors: Option<File>,
    /// The lines in the order of the scenario; empty = in their own.
    order: Vec<u32>,
}

/// Work for a worker.
pub(crate) enum Job {
    /// Read the input file: judge it, or only find its lines again after a restart.
    Read { batch: String, file: String, endpoint: String },
    /// Answer a line.
    Ask { batch: String, file: String, line: u32, span: (u64, u64) },
    /// Write the error lines of what never ran.
    Rest { batch: String, file: String, index: Option<Arc<Index>>, answered: Bits, expired: bool },
}

impl Books {
    /// Books on `service`, which is what the journal says.
    pub(crate) fn new(service: Service, folder: Arc<Folder>, journal: Journal, bill: Option<Bill>) -> Self {
        let (desks, faults, looks) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { service, folder, journal, bill, desks, faults, looks, turn: 0, broken: None }
    }

    /// Decides on `request`, writes it down and does it; then whatever is due by time.
    pub(crate) fn commit(&mut self, now: Millis, request: Request) -> Result<Vec<Event>, Refusal> {
        let events = self.service.decide(now, request)?;
        self.record(&events)?;
        self.settle(now)?;
        Ok(events)
    }

    /// Does whatever is due by `now`. Broken books answer no question either: a batch that nobody works at any more would
    /// show as one under way.
    pub(crate) fn settle(&mut self, now: Millis) -> Result<(), Refusal> {
        self.still_open()?;
        loop {
            let due = self.service.due(now);
            if due.is_empty() {
                return Ok(());
            }
            self.record(&due)?;
        }
    }

    /// Writes events into the journal and makes them true.
    pub(crate) fn record(&mut self, events: &[Event]) -> Result<(), Refusal> {
        self.still_open()?;
        let written = self.journal.append(events);
        self.or_broken(written)?;
        for event in events {
            self.service.apply(event.clone());
            match event {
                Event::FileRemoved { file } => self.drop_bytes(file),
                Event::BatchMoved { batch, to, .. } if to.is_terminal() => self.clear_desk(batch),
                _ => {}
            }
        }
        Ok(())
    }

    fn clear_desk(&mut self, batch: &str) {
        self.desks.remove(batch);
        let Some(asked) = self.service.batch(batch).map(|record| record.asked.clone()) else { return };
        // Deleted input, and result files that stayed empty.
        for file in [&asked.input_file_id, &asked.output_file_id, &asked.error_file_id] {
            self.drop_bytes(file);
        }
    }

    fn drop_bytes(&self, file: &str) {
        if !self.service.needs_bytes(file) {
            self.folder.remove(file);
        }
    }

    /// Whether anything may still be written.
    pub(crate) fn still_open(&self) -> Result<(), Refusal> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Closes the books: nothing is written any more, and another server may open the state folder.
    pub(crate) fn close(&mut self) {
        self.broken = Some(Refusal::server_error());
        self.folder.unlock();
    }

    /// Writes a line of the bill, if there is one.
    pub(crate) fn bill(&mut self, now: Millis, entry: &Entry<'_>) -> Result<(), Refusal> {
        self.still_open()?;
        let written = self.bill.as_mut().map_or(Ok(()), |bill| bill.write(now, entry));
        self.or_broken(written)
    }

    fn or_broken<T>(&mut self, written: io::Result<T>) -> Result<T, Refusal> {
        written.map_err(|cause| {
            tracing::error!(%cause, "the emulator cannot write its state folder");
            self.broken = Some(Refusal::broken(&cause));
            Refusal::broken(&cause)
        })
    }

    /// Keeps the scenario's fault of a new batch.
    pub(crate) fn mark(&mut self, batch: &str, fault: Option<&BatchRule>) {
        if let Some(fault) = fault {
            self.faults.insert(batch.to_owned(), fault.clone());
        }
    }

    /// The scenario's fault of a batch.
    pub(crate) fn fault(&self, batch: &str) -> Option<&BatchRule> {
        self.faults.get(batch)
    }

    /// A listing has been given: hidden batches come one nearer to being seen.
    pub(crate) fn listed(&mut self) {
        for fault in self.faults.values_mut() {
            fault.hide_from_lists = fault.hide_from_lists.saturating_sub(1);
        }
    }

    /// Looks at a batch; how often that was done before.
    pub(crate) fn look(&mut self, batch: &str) -> u32 {
        let looks = self.looks.entry(batch.to_owned()).or_default();
        *looks += 1;
        *looks - 1
    }

    /// Whether nobody knows this batch any more.
    pub(crate) fn is_gone(&self, batch: &str) -> bool {
        let after = self.fault(batch).and_then(|fault| fault.gone_after_looks);
        after.is_some_and(|after| self.looks.get(batch).copied().unwrap_or(0) >= after)
    }

    /// A file that can be read now: a whole one, or with `unfinished` a result file that still grows.
    pub(crate) fn readable(&self, id: &str, unfinished: bool) -> Option<FileRecord> {
        let batch = self.service.batch_of_results(id);
        if batch.and_then(|batch| self.fault(&batch.asked.id)).is_some_and(|fault| fault.results_gone) {
            return None;
        }
        let whole = self.service.file(id).cloned();
        whole.or_else(|| unfinished.then(|| self.service.unfinished(id)).flatten())
    }

    /// Whether any batch waits for its workers or for its time.
    pub(crate) fn has_open_batches(&self) -> bool {
        self.service.open_batches().next().is_some()
    }

    /// Work, if there is any; it is taken until it is handed back.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        if self.broken.is_some() {
            return None;
        }
        let Self { service, desks, turn, .. } = self;
        let open: Vec<&BatchRecord> = service.open_batches().collect();
        for step in 0..open.len() {
            let place = (*turn + step) % open.len();
            let batch = open[place];
            let desk = desks.entry(batch.asked.id.clone()).or_default();
            if let Some(job) = desk.job(batch) {
                *turn = place + 1;
                return Some(job);
            }
        }
        None
    }

    /// Hands back a read input file.
    pub(crate) fn read(&mut self, now: Millis, batch: &str, verdict: Verdict, index: Index) -> Result<(), Refusal> {
        if let Some(desk) = self.desks.get_mut(batch) {
            desk.busy = false;
            if self.faults.get(batch).is_some_and(|fault| fault.shuffle) {
                desk.order = (0..index.len()).collect();
                desk.order.sort_by_cached_key(|line| hash::short(format!("{batch}/{line}").as_bytes()));
            }
            desk.index = Some(Arc::new(index));
        }
        self.commit(now, Request::Read { id: batch.to_owned(), verdict })?;
        let tokens =
            self.service.batch(batch).and_then(|record| record.verdict.as_ref()).map(|read| read.enqueued_tokens);
        let sum = self.service.enqueued_tokens();
        tokens
            .filter(|tokens| *tokens > 0)
            .map_or(Ok(()), |tokens| self.bill(now, &Entry::Enqueue { batch, tokens, sum }))
    }

    /// Hands back an answered line.
    pub(crate) fn answered(
        &mut self,
        now: Millis,
        batch: &str,
        line: u32,
        custom_id: &str,
        written: &Written,
    ) -> Result<(), Refusal> {
        if let Some(desk) = self.desks.get_mut(batch) {
            desk.in_flight = desk.in_flight.saturating_sub(1);
        }
        let Some(record) = self.service.batch(batch).filter(|record| !record.answered.contains(line)) else {
            return Ok(());
        };
        let file = record.asked.input_file_id.clone();
        let end = self.append(batch, written.failed, &written.bytes)?;
        let (tokens, images) = written.billed.clone().unwrap_or_default();
        if written.billed.is_some() {
            let entry = Entry::Line {
                batch,
                file: &file,
                number: line + 1,
                custom_id,
                images: &images,
                prompt_tokens: tokens.prompt,
                output_tokens: tokens.output,
                cached_tokens: tokens.cached,
                reasoning_tokens: tokens.reasoning,
                withheld: written.withheld,
                forced: written.forced,
            };
            self.bill(now, &entry)?;
        }
        let id = batch.to_owned();
        self.commit(
            now,
            if written.bytes.is_empty() {
                Request::Lost { id, line, tokens }
            } else {
                Request::Answered { id, line, failed: written.failed, end, tokens }
            },
        )?;
        self.end_if_told(now, batch)
    }

    fn end_if_told(&mut self, now: Millis, batch: &str) -> Result<(), Refusal> {
        let answered = self.service.batch(batch).map_or(0, |record| record.answered.len());
        let due = |after: Option<u32>| after.is_some_and(|after| answered >= after);
        let Some(fault) = self.fault(batch) else { return Ok(()) };
        let (expires, cancelled) = (due(fault.expire_after_lines), due(fault.cancel_after_lines));
        let id = batch.to_owned();
        if expires {
            self.commit(now, Request::ExpireBatch { id }).map(drop)
        } else if cancelled && self.service.batch(batch).is_some_and(|record| record.status == Status::InProgress) {
            self.commit(now, Request::CancelBatch { id }).map(drop)
        } else {
            Ok(())
        }
    }

    /// Hands back the error lines of what never ran.
    pub(crate) fn rest(&mut self, now: Millis, batch: &str, lines: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let end = self.append(batch, true, bytes)?;
        self.commit(now, Request::RestWritten { id: batch.to_owned(), lines, end }).map(drop)
    }

    /// Hands back work that could not be done: the state folder is not as it was left.
    pub(crate) fn gave_up(&mut self, cause: io::Error) {
        drop(self.or_broken::<()>(Err(cause)));
    }

    /// Appends to a result file; its length then.
    fn append(&mut self, batch: &str, failed: bool, bytes: &[u8]) -> Result<u64, Refusal> {
        let Some(record) = self.service.batch(batch) else { return Err(Refusal::server_error()) };
        let desk = self.desks.entry(batch.to_owned()).or_default();
        let (place, id, length) = if failed {
            (&mut desk.errors, &record.asked.error_file_id, record.error_bytes)
        } else {
            (&mut desk.output, &record.asked.output_file_id, record.output_bytes)
        };
        let appended = open_once(place, || self.folder.append(id)).and_then(|file| file.write_all(bytes));
        self.or_broken(appended)?;
        Ok(length + bytes.len() as u64)
    }
}

fn open_once(place: &mut Option<File>, open: impl FnOnce() -> io::Result<File>) -> io::Result<&mut File> {
    match place {
        Some(file) => Ok(file),
        None => Ok(place.insert(open()?)),
    }
}

impl Desk {
    /// What can be done for `batch` now.
    fn job(&mut self, batch: &BatchRecord) -> Option<Job> {
        if self.busy {
            return None;
        }
        let asked = &batch.asked;
        let (id, file) = (asked.id.clone(), asked.input_file_id.clone());
        let unread = self.index.is_none() && batch.verdict.as_ref().is_none_or(|verdict| verdict.total > 0);
        match batch.status {
            Status::Validating | Status::InProgress if unread => {
                self.busy = true;
                Some(Job::Read { batch: id, file, endpoint: asked.endpoint.clone() })
            }
            Status::InProgress => {
                let (line, span) = self.free_line(batch)?;
                self.in_flight += 1;
                Some(Job::Ask { batch: id, file, line, span })
            }
            Status::Cancelling | Status::Expiring if self.in_flight == 0 && !batch.rest_written => {
                self.busy = true;
                // Cancelled before anybody knew its lines, a batch has none that could be told of.
                if unread && batch.verdict.is_some() {
                    return Some(Job::Read { batch: id, file, endpoint: asked.endpoint.clone() });
                }
                let index = self.index.clone().filter(|_| batch.total() > 0);
                let expired = batch.status == Status::Expiring;
                Some(Job::Rest { batch: id, file, index, answered: batch.answered.clone(), expired })
            }
            _ => None,
        }
    }

    fn free_line(&mut self, batch: &BatchRecord) -> Option<(u32, (u64, u64))> {
        // Only forwards: a line that was handed out is answered or the process ends.
        while self.cursor < batch.total() {
            let line = self.order.get(self.cursor as usize).copied().unwrap_or(self.cursor);
            self.cursor += 1;
            if !batch.answered.contains(line) {
                return self.index.as_ref()?.span(line).map(|span| (line, span));
            }
        }
        None
    }
}
