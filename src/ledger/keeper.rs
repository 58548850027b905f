//! One thread owns the only writing connection.
//!
//! Commands that wait together share a commit, so that a sync of the disk is paid once for many; a move that touches money
//! is committed at once. Each command has a savepoint of its own: one that is refused takes no neighbour with it. Callers
//! are answered after their commit, never before. When a commit fails, everybody in it is told and the keeper ends:
//! nothing more is prepared or paid, and the next start finds the file as the last good commit left it.

use std::io;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

pub use super::handle::Ledger;
use super::handle::{Commits, Failure};
use super::records::Standing;
use super::store::Store;
use super::{LedgerError, handle};
use crate::kit::clock::Stopwatch;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::{crash, thread, watch};

type Result<T> = std::result::Result<T, LedgerError>;

/// Commands that wait; then the callers do.
pub const QUEUE: usize = 64;
/// Most commands in one commit: what a full queue holds.
const MOST_TOGETHER: usize = 64;
/// Longest that a first command waits for its neighbours' work, while there are any.
const LONGEST_TOGETHER: Duration = Duration::from_millis(50);

/// Whether a command may wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It shares a commit with what waits beside it.
    Gathered,
    /// Money: it is committed at once.
    AtOnce,
}

/// Tells a caller how it ended; the argument is the end of the commit.
pub(super) type Tell = Box<dyn FnOnce(Result<()>) + Send>;

/// A verb that was run and waits for its commit.
pub(super) struct Delivery {
    /// What the verb came to.
    pub(super) verb: Result<()>,
    /// To be called once the commit is known.
    pub(super) tell: Tell,
}

/// A verb bound to its arguments and its caller. Without a store there was no transaction, and the caller learns why.
pub(super) type Job = Box<dyn FnOnce(Result<&mut dyn Store>) -> Delivery + Send>;

/// What lies in the queue.
pub(super) struct Command {
    pub(super) pace: Pace,
    pub(super) job: Job,
}

/// Starts the keeper's thread; it ends when every [`Ledger`] is dropped, or by a failed commit, which `guard` reports.
///
/// # Errors
/// The operating system's, if it refuses a thread.
pub fn start(store: Box<dyn Store>, guard: ExitGuard) -> io::Result<(Ledger, JoinHandle<()>)> {
    let (ledger, keeper) = Keeper::of(store);
    let thread = thread::spawn("keeper", guard, move |guard| keeper.serve(guard))?;
    Ok((ledger, thread))
}

/// A keeper without a thread: its callers' own thread runs the future beside them. For simulations, where nothing happens
/// at the same time.
pub fn in_step(store: Box<dyn Store>, mut guard: ExitGuard) -> (Ledger, impl Future<Output = ()>) {
    let (ledger, mut keeper) = Keeper::of(store);
    // What shares a commit must not hang on how busy the machine is.
    keeper.together = Duration::MAX;
    let serving = async move {
        while let Some(first) = keeper.queue.recv().await {
            if let Err(error) = keeper.transaction(first) {
                return keeper.lost(error, &mut guard);
            }
        }
        keeper.close(&mut guard);
    };
    (ledger, serving)
}

struct Keeper {
    store: Box<dyn Store>,
    queue: mpsc::Receiver<Command>,
    publisher: watch::Sender<Standing>,
    /// How long commands are gathered for one commit.
    together: Duration,
    /// How many commits there were.
    commits: Commits,
    failure: Failure,
}

impl Keeper {
    fn of(store: Box<dyn Store>) -> (Ledger, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let (publisher, standing) = watch::channel(store.standing());
        let failure = Failure::default();
        let commits = Commits::default();
        let ledger = handle::new(sender, standing, Commits::clone(&commits), Failure::clone(&failure));
        (ledger, Self { store, queue, publisher, together: LONGEST_TOGETHER, commits, failure })
    }

    fn serve(mut self, guard: &mut ExitGuard) {
        while let Some(first) = self.queue.blocking_recv() {
            if let Err(error) = self.transaction(first) {
                return self.lost(error, guard);
            }
        }
        self.close(guard);
    }

    /// Before anybody can notice that the keeper is gone.
    fn lost(&self, error: LedgerError, guard: &mut ExitGuard) {
        guard.failed(error.to_string());
        // There is one failure only.
        drop(self.failure.set(error));
    }

    fn close(&mut self, guard: &mut ExitGuard) {
        match self.store.close() {
            Ok(()) => guard.drained(),
            Err(error) => guard.failed(error.to_string()),
        }
    }

    /// One commit for `first` and what waits behind it.
    fn transaction(&mut self, first: Command) -> Result<()> {
        if let Err(error) = self.store.begin() {
            ((first.job)(Err(error.clone())).tell)(Err(error.clone()));
            return Err(error);
        }
        let mut waiting = Vec::new();
        let end = self.gather(first, &mut waiting).and_then(|()| self.commit());
        if end.is_err() {
            self.store.rollback();
        } else {
            self.publish();
        }
        for tell in waiting {
            tell(end.clone());
        }
        end
    }

    fn gather(&mut self, first: Command, waiting: &mut Vec<Tell>) -> Result<()> {
        let since = Stopwatch::start();
        let mut next = Some(first);
        while let Some(Command { pace, job }) = next {
            self.run(job, waiting)?;
            let enough = pace == Pace::AtOnce || waiting.len() >= MOST_TOGETHER || since.elapsed() >= self.together;
            next = if enough { None } else { self.queue.try_recv().ok() };
        }
        Ok(())
    }

    /// Runs one command in its savepoint. A refused move is its caller's affair alone; any other error means that the file
    /// cannot be trusted to take the rest.
    fn run(&mut self, job: Job, waiting: &mut Vec<Tell>) -> Result<()> {
        if let Err(error) = self.store.savepoint() {
            waiting.push(job(Err(error.clone())).tell);
            return Err(error);
        }
        let Delivery { verb, tell } = job(Ok(self.store.as_mut()));
        waiting.push(tell);
        match verb {
            Ok(()) => self.store.release(true),
            Err(LedgerError::Stale(_)) => self.store.release(false),
            Err(error) => Err(error),
        }
    }

    fn commit(&mut self) -> Result<()> {
        crash::point("keeper.commit");
        self.store.commit()?;
        crash::point("keeper.committed");
        Ok(())
    }

    /// Before the callers are answered, so that whoever heard of a move also sees it counted.
    fn publish(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let now = self.store.standing();
        self.publisher.send_if_modified(|published| {
            let news = *published != now;
            *published = now;
            news
        });
    }
}

#[cfg(test)]
mod tests;
