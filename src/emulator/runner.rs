//! The workers: a fixed number of threads that take jobs from the books and ask the engine, one line at a time.

use std::io::{self, BufReader};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::answer::{answer, never_ran};
use super::books::{Books, Job};
use super::disguise;
use super::engine::Engine;
use super::faults::Faults;
use super::folder::Folder;
use super::lines::{Index, scan};
use super::record::Bits;
use super::refusal::{LineError, Refusal};
use super::validate::{Limits, question};
use super::wire::seconds;
use crate::kit::clock::{Clock, Millis};
use crate::kit::exit_guard::{ExitGuard, ExitNotice};
use crate::kit::pool::Pool;
use crate::kit::stop::{Stop, StopLevel};
use crate::kit::thread;

/// Longest nap of an idle worker: with open batches, whose time may come, and without.
const NAP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// What doors and workers share.
pub(crate) struct Shared {
    books: Mutex<Books>,
    bell: Condvar,
    pub(crate) folder: Arc<Folder>,
    pub(crate) clock: Clock,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) line_delay: Duration,
    pub(crate) upload_bytes_per_second: Option<u64>,
    pub(crate) require_key: bool,
    pub(crate) stop: Stop,
    /// Where synchronous requests ask the engine.
    pub(crate) pool: Pool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The parts of [`Shared`] that are not its own business.
pub(crate) struct Fittings {
    pub(crate) clock: Clock,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) line_delay: Duration,
    pub(crate) upload_bytes_per_second: Option<u64>,
    pub(crate) require_key: bool,
    pub(crate) stop: Stop,
    /// Where synchronous requests ask the engine.
    pub(crate) pool: Pool,
}

impl Shared {
    /// A server around `books`.
    pub(crate) fn new(books: Books, fittings: Fittings) -> Self {
        let folder = Arc::clone(&books.folder);
        let Fittings { clock, engine, faults, limits, line_delay, upload_bytes_per_second, require_key, stop, pool } =
            fittings;
        let (books, bell) = (Mutex::new(books), Condvar::new());
        Self {
            books,
            bell,
            folder,
            clock,
            engine,
            faults,
            limits,
            line_delay,
            upload_bytes_per_second,
            require_key,
            stop,
            pool,
        }
    }

    /// The books and the time; whoever held them and panicked left them whole, because memory changes last.
    pub(crate) fn books(&self) -> (MutexGuard<'_, Books>, Millis) {
        let now = self.clock.now();
        (self.books.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Wakes the workers.
    pub(crate) fn ring(&self) {
        self.bell.notify_all();
    }

    /// Waits for work; none once the server stops.
    fn take(&self) -> Option<Job> {
        let (mut books, _) = self.books();
        while !self.stop.is_stopping() {
            // What is due shows as work; a failure here shows at the next request.
            drop(books.settle(self.clock.now()));
            if let Some(job) = books.next_job() {
                return Some(job);
            }
            let nap = if books.has_open_batches() { NAP.0 } else { NAP.1 };
            books = self.bell.wait_timeout(books, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    /// Does every job that there is now, on the caller's thread and without think time.
    pub(crate) fn perform_all(&self) {
        loop {
            let (mut books, now) = self.books();
            drop(books.settle(now));
            let Some(job) = books.next_job() else { return };
            drop(books);
            self.perform(job, || true);
        }
    }

    /// Does a job; `think` spends the think time of a line, and says false if there is none left.
    fn perform(&self, job: Job, think: impl FnOnce() -> bool) {
        let done = match job {
            Job::Read { batch, file, endpoint } => self.read(&batch, &file, &endpoint),
            Job::Ask { batch, file, line, span } => self.ask(think, &batch, &file, line, span),
            Job::Rest { batch, file, index, answered, expired } => {
                self.rest(&batch, &file, index.as_deref(), &answered, expired)
            }
        };
        if let Err(cause) = done {
            self.books().0.gave_up(cause);
        }
        self.ring();
    }

    fn read(&self, batch: &str, file: &str, endpoint: &str) -> io::Result<()> {
        let (mut verdict, index) = match self.folder.read(file, 0) {
            Ok(bytes) => scan(&mut BufReader::with_capacity(256 * 1024, bytes), &self.limits, endpoint)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(cause) => return Err(cause),
        };
        if index.len() == 0 && verdict.errors.is_empty() {
            verdict.errors.push(LineError::cannot_find_file(file));
        }
        let (mut books, now) = self.books();
        if let Some(forced) = books.fault(batch).and_then(|fault| fault.fail.clone()) {
            let error = LineError { code: forced.code, message: forced.message, param: None, line: None };
            verdict.errors = forced.lines.into_iter().map(|line| error.clone().at(line)).collect();
            if verdict.errors.is_empty() {
                verdict.errors.push(error);
            }
        }
        told(books.read(now, batch, verdict, index));
        Ok(())
    }

    fn ask(
        &self,
        think: impl FnOnce() -> bool,
        batch: &str,
        file: &str,
        line: u32,
        span: (u64, u64),
    ) -> io::Result<()> {
        let bytes = self.folder.line(file, span)?;
        let question = question(&bytes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {} of {file} has changed", line + 1))
        })?;
        if !think() {
            return Ok(());
        }
        let created = seconds(self.clock.now());
        let tag = format!("{batch}/{line}");
        let written = answer(self.engine.as_ref(), &self.faults, &question, (&tag, created));
        let (mut books, now) = self.books();
        told(books.answered(now, batch, line, &question.custom_id, &written));
        Ok(())
    }

    /// Spends the think time of a line; false if the server stops meanwhile.
    fn think(&self, runtime: &Runtime) -> bool {
        if !self.line_delay.is_zero() {
            runtime.block_on(async {
                tokio::select! {
                    () = self.clock.sleep(self.line_delay) => {}
                    () = self.stop.reached(StopLevel::Drain) => {}
                }
            });
        }
        !self.stop.is_stopping()
    }

    fn rest(&self, batch: &str, file: &str, index: Option<&Index>, answered: &Bits, expired: bool) -> io::Result<()> {
        let (code, message) = if expired {
            ("batch_expired", "This request could not be executed before the completion window expired.")
        } else {
            ("batch_cancelled", "The batch was cancelled before this request executed.")
        };
        let (mut bytes, mut lines) = (Vec::new(), 0);
        for line in (0..index.map_or(0, Index::len)).filter(|line| !answered.contains(*line)) {
            let Some(span) = index.and_then(|index| index.span(line)) else { continue };
            let asked = self.folder.line(file, span)?;
            if let Some(question) = question(&asked) {
                let told = never_ran(&question.custom_id, &format!("{batch}/{line}"), Some(code), message);
                bytes.extend(disguise::line(told, self.faults.habits()));
                lines += 1;
            }
        }
        let (mut books, now) = self.books();
        told(books.rest(now, batch, lines, &bytes));
        Ok(())
    }
}

/// A refusal inside the house means that the books are broken, which they have told already.
fn told(done: Result<(), Refusal>) {
    if let Err(refusal) = done {
        tracing::error!(message = refusal.message, "a worker could not hand back its work");
    }
}

/// Starts `count` workers.
pub(crate) fn hire(
    shared: &Arc<Shared>,
    count: usize,
    notices: &mpsc::Sender<ExitNotice>,
) -> io::Result<Vec<JoinHandle<()>>> {
    (0..count.max(1))
        .map(|number| {
            let runtime = Builder::new_current_thread().enable_time().build()?;
            let shared = Arc::clone(shared);
            let guard = ExitGuard::new("emulator worker", notices.clone());
            thread::spawn(&format!("emulator-{number}"), guard, move |guard| {
                while let Some(job) = shared.take() {
                    shared.perform(job, || shared.think(&runtime));
                }
                guard.drained();
            })
        })
        .collect()
}
