//! One JSON file a line, written by threads of their own: the processor's pool parses, these wait for the disk.
//!
//! The files of a batch are made in a folder that has no name yet, each at once under the name that it keeps, and the folder
//! gets its name when all of them are there: half the work of a temporary name for every file. They are not synced; they
//! can be made again from the saved answers.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::kit::atomic_file::private_folder;
use crate::kit::crash;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use crate::kit::staging::Staging;
use crate::kit::thread;

/// Threads that write: as many as batches are read at once.
pub const THREADS: usize = 2;

/// Files that go to a thread together: a message costs a change of threads, which is dearer than a small file.
pub const TOGETHER: usize = 32;
/// Messages that wait for a thread.
pub const QUEUE: usize = 2;

/// A name, and what is written under it.
type File = (Vec<u8>, Vec<u8>);

struct Order {
    folder: Arc<Staging>,
    files: Vec<File>,
    done: Sender<io::Result<()>>,
}

/// The way to the writing threads; they end with the last handle.
#[derive(Clone, Debug)]
pub struct ResultWriters {
    threads: Vec<Sender<Order>>,
}

/// The files of one batch on their way.
#[derive(Debug)]
pub struct ResultFolder {
    orders: Sender<Order>,
    staging: Arc<Staging>,
}

/// The files of one chunk: none is known to be written before [`Chunk::wait`].
#[derive(Debug)]
pub struct Chunk<'a> {
    folder: &'a ResultFolder,
    next: Vec<File>,
    count: usize,
    sender: Sender<io::Result<()>>,
    done: Receiver<io::Result<()>>,
}

impl ResultWriters {
    /// Starts the threads; `guard` makes a guard for each.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub fn start(mut guard: impl FnMut() -> ExitGuard) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(THREADS);
        for _ in 0..THREADS {
            let (orders, taken) = bounded::<Order>(QUEUE);
            let _detached = thread::spawn("results", guard(), move |guard| {
                for order in taken {
                    // Whoever waited may have been stopped.
                    drop(order.done.send(order.write()));
                }
                guard.drained();
            })?;
            threads.push(orders);
        }
        Ok(Self { threads })
    }

    /// The folder `name` in `parent`, which is made if need be. One thread alone writes into it, two would wait for each other at its
    /// lock: which one is drawn from `turn`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn folder(&self, parent: &Path, name: &[u8], turn: i64) -> io::Result<ResultFolder> {
        let thread = usize::try_from(turn.rem_euclid(THREADS as i64)).unwrap_or_default();
        let orders = self.threads.get(thread).ok_or_else(|| io::Error::other("there is no result-writing thread"))?;
        private_folder(parent)?;
        // A link in its place is not followed.
        let staging = Staging::begin(Folder::open(parent)?, name)?;
        Ok(ResultFolder { orders: orders.clone(), staging: Arc::new(staging) })
    }
}

impl Order {
    fn write(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, bytes)| {
            crash::point("answer.before");
            let written = self.folder.write_private(name, bytes);
            crash::point("answer.written");
            written
        })
    }
}

impl ResultFolder {
    /// A chunk of at most `most` files.
    #[must_use]
    pub fn chunk(&self, most: usize) -> Chunk<'_> {
        let (sender, done) = bounded(most.div_ceil(TOGETHER).max(1));
        Chunk { folder: self, next: Vec::with_capacity(TOGETHER), count: 0, sender, done }
    }

    /// Gives the folder its name. Every chunk was waited for.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn publish(&self) -> io::Result<()> {
        self.staging.publish()?;
        crash::point("answers.named");
        Ok(())
    }
}

impl Chunk<'_> {
    /// Hands a file over; waits while the thread is busy.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn write(&mut self, name: Vec<u8>, bytes: Vec<u8>) -> io::Result<()> {
        self.next.push((name, bytes));
        if self.next.len() < TOGETHER { Ok(()) } else { self.send() }
    }

    /// Waits until every file of the chunk is written.
    ///
    /// # Errors
    /// The first one that the thread met.
    pub fn wait(mut self) -> io::Result<()> {
        if !self.next.is_empty() {
            self.send()?;
        }
        drop(self.sender);
        let mut first = Ok(());
        for _ in 0..self.count {
            let written = self.done.recv().unwrap_or_else(|_| Err(io::Error::other("a result-writing thread died")));
            first = first.and(written);
        }
        first
    }

    fn send(&mut self) -> io::Result<()> {
        let files = std::mem::replace(&mut self.next, Vec::with_capacity(TOGETHER));
        let order = Order { folder: Arc::clone(&self.folder.staging), files, done: self.sender.clone() };
        self.folder.orders.send(order).map_err(|_| io::Error::other("the result-writing threads are gone"))?;
        self.count += 1;
        Ok(())
    }
}
