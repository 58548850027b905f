//! The whole service as one state machine, without I/O and without a clock.
//!
//! [`Service::decide`] says what a request at a moment would change, [`Service::apply`] changes it; the doors write the
//! events between the two into the journal. What is due by time alone ([`Service::due`]) comes as events too, so a
//! replayed journal gives the same service.

mod listing;
mod results;
mod snapshot;

pub(crate) use listing::Page;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::habits::{Cancel, Habits};
use super::record::{BatchRecord, Event, FileRecord, Opened, Purpose, Status, Tokens, Verdict};
use super::refusal::{LineError, Refusal};
use crate::kit::clock::{Millis, millis};
use crate::kit::hash;

/// How long each status lasts at least, and how long things live.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) window: Duration,
    pub(crate) validating: Duration,
    pub(crate) finalizing: Duration,
    pub(crate) cancelling: Duration,
    /// Batch files are deleted after this time.
    pub(crate) files_live: Duration,
    /// Sum of the estimated prompt tokens of all open batches; none = no limit.
    pub(crate) enqueued_tokens: Option<u64>,
    /// What is otherwise than at the real service.
    pub(crate) habits: Habits,
}

/// A request that may change the service.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// A file was uploaded completely; `lives` overrides its life.
    AddFile { filename: String, bytes: u64, lives: Option<Duration> },
    /// `DELETE /files/{id}`.
    RemoveFile { id: String },
    /// `POST /batches`, its members checked already.
    OpenBatch(NewBatch),
    /// Somebody else opens a batch, which ends at once.
    OpenForeign,
    /// `POST /batches/{id}/cancel`.
    CancelBatch { id: String },
    /// The scenario ends the window of a batch early.
    ExpireBatch { id: String },
    /// A worker has read the input file.
    Read { id: String, verdict: Verdict },
    /// A worker has answered a line and appended its result line.
    Answered { id: String, line: u32, failed: bool, end: u64, tokens: Tokens },
    /// A worker has answered a line and the scenario has lost it.
    Lost { id: String, line: u32, tokens: Tokens },
    /// A worker has written the error lines of what never ran.
    RestWritten { id: String, lines: u32, end: u64 },
}

/// A batch as the caller wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewBatch {
    pub(crate) input_file_id: String,
    pub(crate) endpoint: String,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) results_live: Option<Duration>,
}

/// The service.
pub(crate) struct Service {
    rules: Rules,
    seed: String,
    /// Numbers given to files and batches so far; ids follow from it.
    given: u64,
    files: BTreeMap<u64, FileRecord>,
    file_numbers: HashMap<String, u64>,
    /// When which file ends, so that a look at the time costs nothing.
    file_ends: BTreeSet<(Millis, u64)>,
    batches: Vec<BatchRecord>,
    batch_numbers: HashMap<String, usize>,
    open: BTreeSet<usize>,
    /// Nothing is accepted before, whatever runs.
    full_until: Millis,
}

type Decided = Result<Vec<Event>, Refusal>;

impl Service {
    /// A service that knows nothing yet.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            seed: String::new(),
            given: 0,
            files: BTreeMap::new(),
            file_numbers: HashMap::new(),
            file_ends: BTreeSet::new(),
            batches: Vec::new(),
            batch_numbers: HashMap::new(),
            open: BTreeSet::new(),
            full_until: 0,
        }
    }

    /// Whether the journal was empty.
    pub(crate) fn is_new(&self) -> bool {
        self.seed.is_empty()
    }

    /// What `request` at `now` would change.
    pub(crate) fn decide(&self, now: Millis, request: Request) -> Decided {
        match request {
            Request::AddFile { filename, bytes, lives } => Ok(vec![self.add_file(now, filename, bytes, lives)]),
            Request::RemoveFile { id } => self.remove_file(now, id),
            Request::OpenBatch(batch) => self.open_batch(now, batch),
            Request::OpenForeign => Ok(self.open_foreign(now)),
            Request::CancelBatch { id } => self.cancel(now, id),
            Request::ExpireBatch { id } => Ok(match self.batch(&id) {
                Some(batch) if batch.status == Status::InProgress => vec![moved(&id, Status::Expiring, now)],
                _ => Vec::new(),
            }),
            Request::Read { id, verdict } => Ok(self.read(now, id, verdict)),
            Request::Answered { id, line, failed, end, tokens } => {
                let known = self.batch(&id).is_none_or(|batch| batch.answered.contains(line));
                let event = Event::LineAnswered { batch: id, line, failed, end, tokens };
                Ok(if known { Vec::new() } else { vec![event] })
            }
            Request::Lost { id, line, tokens } => Ok(vec![Event::LineLost { batch: id, line, tokens }]),
            Request::RestWritten { id, lines, end } => Ok(vec![Event::RestWritten { batch: id, lines, end }]),
        }
    }

    fn add_file(&self, now: Millis, filename: String, bytes: u64, lives: Option<Duration>) -> Event {
        let id = self.id("file-", 0);
        let expires_at = now + millis(lives.unwrap_or(self.rules.files_live));
        Event::FileAdded {
            file: FileRecord { id, bytes, filename, purpose: Purpose::Batch, created_at: now, expires_at },
        }
    }

    fn remove_file(&self, now: Millis, id: String) -> Decided {
        self.file(&id).ok_or_else(|| Refusal::no_such_file(&id))?;
        let takes = |batch: &&BatchRecord| self.rules.habits.delete_cancels && batch.asked.input_file_id == id;
        let runs = |batch: &&BatchRecord| matches!(batch.status, Status::Validating | Status::InProgress);
        let cancelled = self.open_batches().filter(takes).filter(runs);
        let mut events: Vec<Event> = cancelled.map(|batch| moved(&batch.asked.id, Status::Cancelling, now)).collect();
        events.push(Event::FileRemoved { file: id });
        Ok(events)
    }

    fn open_batch(&self, now: Millis, batch: NewBatch) -> Decided {
        let file = self.file(&batch.input_file_id).ok_or_else(|| Refusal::cannot_find_file(&batch.input_file_id))?;
        if file.purpose != Purpose::Batch {
            let message = format!("Invalid file purpose '{}': expected 'batch'.", file.purpose.word());
            return Err(Refusal::new(400, message).param("input_file_id"));
        }
        let NewBatch { input_file_id, endpoint, metadata, results_live } = batch;
        let results_live = millis(results_live.unwrap_or(self.rules.files_live));
        let batch = Opened { metadata, results_live, ..self.opened(now, input_file_id, endpoint) };
        Ok(vec![Event::BatchOpened { batch }])
    }

    fn open_foreign(&self, now: Millis) -> Vec<Event> {
        let metadata =
            BTreeMap::from([("run", "nightly"), ("attempt", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let plain = self.opened(now, self.id("file-of-others-", 0), "/v1/embeddings".to_owned());
        let done = moved(&plain.id, Status::Completed, now);
        vec![Event::BatchOpened { batch: Opened { metadata: Some(metadata), ..plain } }, done]
    }

    fn opened(&self, now: Millis, input_file_id: String, endpoint: String) -> Opened {
        Opened {
            id: self.id("batch_", 0),
            output_file_id: self.id("file-", 1),
            error_file_id: self.id("file-", 2),
            input_file_id,
            endpoint,
            metadata: None,
            results_live: millis(self.rules.files_live),
            created_at: now,
            expires_at: now + millis(self.rules.window),
        }
    }

    fn cancel(&self, now: Millis, id: String) -> Decided {
        let batch = self.batch(&id).ok_or_else(|| Refusal::no_such_batch(&id))?;
        match batch.status {
            Status::Validating | Status::InProgress | Status::Finalizing => {
                Ok(vec![moved(&id, Status::Cancelling, now)])
            }
            Status::Cancelling | Status::Cancelled if self.rules.habits.cancel != Cancel::Once => Ok(Vec::new()),
            ended => Err(Refusal::cannot_cancel(ended.word())),
        }
    }

    fn read(&self, now: Millis, id: String, mut verdict: Verdict) -> Vec<Event> {
        let mut events = Vec::new();
        if self.batch(&id).is_none_or(|batch| batch.verdict.is_some()) {
            return Vec::new();
        }
        if let Some(limit) = self.rules.enqueued_tokens
            && verdict.errors.is_empty()
            && (now < self.full_until || self.enqueued_tokens() + verdict.enqueued_tokens > limit)
        {
            let stays = Duration::from_secs(self.rules.habits.queue_stays_full_seconds);
            if self.full_until == 0 && !stays.is_zero() {
                events.push(Event::QueueFull { until: now + millis(stays) });
            }
            verdict.errors.push(LineError::token_limit(verdict.model.as_deref().unwrap_or("the model"), limit));
        }
        if !verdict.errors.is_empty() {
            verdict.total = 0;
            verdict.enqueued_tokens = 0;
        }
        events.push(Event::BatchRead { batch: id, verdict });
        events
    }

    /// Estimated prompt tokens of all open batches.
    pub(crate) fn enqueued_tokens(&self) -> u64 {
        self.open_batches().filter_map(|batch| batch.verdict.as_ref()).map(|verdict| verdict.enqueued_tokens).sum()
    }

    /// What time alone changes by `now`; call again until it is empty.
    pub(crate) fn due(&self, now: Millis) -> Vec<Event> {
        let moves = self.open_batches().filter_map(|batch| {
            let to = self.next_status(batch, now)?;
            Some(moved(&batch.asked.id, to, now))
        });
        let over = self.file_ends.range(..=(now, u64::MAX)).filter_map(|(_, number)| self.files.get(number));
        moves.chain(over.map(|file| Event::FileRemoved { file: file.id.clone() })).collect()
    }

    fn next_status(&self, batch: &BatchRecord, now: Millis) -> Option<Status> {
        let since = |moment: Option<Millis>, lasts: Duration| moment.is_some_and(|then| now >= then + millis(lasts));
        match batch.status {
            Status::Validating => {
                let verdict = batch.verdict.as_ref()?;
                let to = if verdict.errors.is_empty() { Status::InProgress } else { Status::Failed };
                since(Some(batch.asked.created_at), self.rules.validating).then_some(to)
            }
            Status::InProgress if batch.answered.len() >= batch.total() => Some(Status::Finalizing),
            Status::InProgress => (now >= batch.asked.expires_at).then_some(Status::Expiring),
            Status::Finalizing => since(batch.times.finalizing, self.rules.finalizing).then_some(Status::Completed),
            Status::Expiring => {
                (batch.rest_written && since(batch.times.finalizing, self.rules.finalizing)).then_some(Status::Expired)
            }
            Status::Cancelling => (batch.rest_written && since(batch.times.cancelling, self.rules.cancelling))
                .then_some(Status::Cancelled),
            Status::Completed | Status::Expired | Status::Cancelled | Status::Failed => None,
        }
    }

    /// Changes the service.
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Began { seed } => self.seed = seed,
            Event::FileAdded { file } => self.insert_file(self.given, file),
            Event::FileKept { number, file } => self.insert_file(number, file),
            Event::BatchKept { record } => self.insert_batch(*record),
            Event::Counted { given } => self.given = given,
            Event::QueueFull { until } => self.full_until = until,
            Event::FileRemoved { file } => {
                if let Some(number) = self.file_numbers.remove(&file)
                    && let Some(file) = self.files.remove(&number)
                {
                    self.file_ends.remove(&(file.expires_at, number));
                }
            }
            Event::BatchOpened { batch } => {
                self.given += 3;
                self.insert_batch(BatchRecord::new(batch));
            }
            Event::BatchRead { batch, verdict } => self.change(&batch, |record| record.verdict = Some(verdict)),
            Event::BatchMoved { batch, to, at } => self.enter(&batch, to, at),
            Event::LineAnswered { batch, line, failed, end, tokens } => self.change(&batch, |record| {
                record.answered.insert(line);
                record.tokens += tokens;
                let (count, bytes) = if failed {
                    (&mut record.failed, &mut record.error_bytes)
                } else {
                    (&mut record.completed, &mut record.output_bytes)
                };
                *count += 1;
                *bytes = end;
            }),
            Event::LineLost { batch, line, tokens } => self.change(&batch, |record| {
                record.answered.insert(line);
                record.tokens += tokens;
                record.completed += 1;
            }),
            Event::RestWritten { batch, lines, end } => self.change(&batch, |record| {
                record.failed += lines;
                record.error_bytes = end;
                record.rest_written = true;
            }),
        }
    }

    fn insert_file(&mut self, number: u64, file: FileRecord) {
        self.file_numbers.insert(file.id.clone(), number);
        self.file_ends.insert((file.expires_at, number));
        self.files.insert(number, file);
        self.given = number + 1;
    }

    fn insert_batch(&mut self, record: BatchRecord) {
        let number = self.batches.len();
        self.batch_numbers.insert(record.asked.id.clone(), number);
        if !record.status.is_terminal() {
            self.open.insert(number);
        }
        self.batches.push(record);
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut BatchRecord)) {
        if let Some(record) = self.batch_numbers.get(id).and_then(|number| self.batches.get_mut(*number)) {
            change(record);
        }
    }

    fn enter(&mut self, id: &str, to: Status, at: Millis) {
        self.change(id, |record| record.enter(to, at));
        if !to.is_terminal() {
            return;
        }
        let Some(number) = self.batch_numbers.get(id).copied() else { return };
        self.open.remove(&number);
        for file in results::of_ended(&self.batches[number], at, &self.rules.habits) {
            self.insert_file(self.given, file);
        }
    }

    /// An id that no other thing of this service bears; `ahead` tells apart what is named at one go.
    fn id(&self, prefix: &str, ahead: u64) -> String {
        let seed = format!("{}-{}", self.seed, self.given + ahead);
        if !self.rules.habits.uuid_ids {
            return format!("{prefix}{}", hash::hex_digits(seed.as_bytes(), 24));
        }
        let digits = hash::hex_digits(seed.as_bytes(), 32);
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }

    /// A file, if it is there.
    pub(crate) fn file(&self, id: &str) -> Option<&FileRecord> {
        self.files.get(self.file_numbers.get(id)?)
    }

    /// A batch, if it was ever created.
    pub(crate) fn batch(&self, id: &str) -> Option<&BatchRecord> {
        self.batches.get(*self.batch_numbers.get(id)?)
    }

    /// The batches that have not ended, oldest first.
    pub(crate) fn open_batches(&self) -> impl Iterator<Item = &BatchRecord> {
        self.open.iter().filter_map(|number| self.batches.get(*number))
    }

    /// Whether the bytes of a file are still wanted: by its readers, or by a batch that has not ended.
    pub(crate) fn needs_bytes(&self, file: &str) -> bool {
        self.file(file).is_some()
            || self.open_batches().map(|batch| &batch.asked).any(|asked| {
                [&asked.input_file_id, &asked.output_file_id, &asked.error_file_id].into_iter().any(|id| id == file)
            })
    }
}

fn moved(id: &str, to: Status, at: Millis) -> Event {
    Event::BatchMoved { batch: id.to_owned(), to, at }
}

#[cfg(test)]
#[path = "tests/core.rs"]
mod tests;
