//! One JSON file a line, written by threads of their own: the processor's pool parses, these two wait for the disk.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::kit::crash;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::folder::Folder;
use crate::kit::thread;

/// Threads that write.
pub const THREADS: usize = 2;

struct Order {
    folder: Arc<Folder>,
    name: Vec<u8>,
    bytes: Vec<u8>,
    done: Sender<io::Result<()>>,
}

/// The way to the writing threads; they end with the last handle.
#[derive(Clone, Debug)]
pub struct ResultWriters {
    orders: Sender<Order>,
}

/// The files of one chunk: each was handed over, none is known to be written before [`Pending::wait`].
#[derive(Debug)]
pub struct Pending {
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
        let (orders, taken) = bounded::<Order>(2 * THREADS);
        for _ in 0..THREADS {
            let taken = taken.clone();
            let _detached = thread::spawn("results", guard(), move |guard| {
                for order in taken {
                    crash::point("answer.before");
                    let written = order.folder.write_private(&order.name, &order.bytes);
                    crash::point("answer.written");
                    // Whoever waited may have been stopped.
                    drop(order.done.send(written));
                }
                guard.drained();
            })?;
        }
        Ok(Self { orders })
    }

    /// A chunk of at most `most` files.
    #[must_use]
    pub fn chunk(&self, most: usize) -> Pending {
        let (sender, done) = bounded(most.max(1));
        Pending { count: 0, sender, done }
    }

    /// Hands a file of `folder` over; waits while the threads are busy.
    ///
    /// # Errors
    /// If the threads are gone.
    pub fn write(&self, pending: &mut Pending, folder: &Arc<Folder>, name: Vec<u8>, bytes: Vec<u8>) -> io::Result<()> {
        let order = Order { folder: Arc::clone(folder), name, bytes, done: pending.sender.clone() };
        self.orders.send(order).map_err(|_| io::Error::other("the result-writing threads are gone"))?;
        pending.count += 1;
        Ok(())
    }
}

impl Pending {
    /// Waits until every file of the chunk is written.
    ///
    /// # Errors
    /// The first one that a thread met.
    pub fn wait(self) -> io::Result<()> {
        drop(self.sender);
        let mut first = Ok(());
        for _ in 0..self.count {
            let written = self.done.recv().unwrap_or_else(|_| Err(io::Error::other("a result-writing thread died")));
            first = first.and(written);
        }
        first
    }
}
