//! A shard's bytes as a file, where the user wants one: written by one thread at the end of a bounded lane.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::kit::atomic_file::{Access, Draft, Durability, folder_of, private_folder, sync_folder};
use crate::kit::bodies::LANE_CHUNKS;
use crate::kit::crash;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;

/// One file for the spool thread.
struct Order {
    target: PathBuf,
    chunks: Receiver<Bytes>,
    /// Told by the body's task: whether the chunks were all of them.
    whole: Receiver<bool>,
    done: Sender<io::Result<()>>,
}

/// The way to the spool thread; it ends with the last handle.
#[derive(Clone, Debug)]
pub struct Spooler {
    orders: Sender<Order>,
}

/// A file that is being written.
#[derive(Debug)]
pub struct SpoolFile {
    /// Where its bytes go.
    pub chunks: Sender<Bytes>,
    whole: Sender<bool>,
    done: Receiver<io::Result<()>>,
}

impl Spooler {
    /// Starts the spool thread.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub fn start(guard: ExitGuard) -> io::Result<Self> {
        let (orders, taken) = bounded::<Order>(1);
        let _detached = thread::spawn("spool", guard, move |guard| {
            for order in taken {
                let written = write(&order);
                // The body's task may have been stopped: then nobody waits for the word.
                drop(order.done.send(written));
            }
            guard.drained();
        })?;
        Ok(Self { orders })
    }

    /// Begins a file; waits while the thread writes another one.
    ///
    /// # Errors
    /// If the thread has died.
    pub fn begin(&self, target: PathBuf) -> io::Result<SpoolFile> {
        let (chunks, chunks_end) = bounded(LANE_CHUNKS);
        let (whole, whole_end) = bounded(1);
        let (done, done_end) = bounded(1);
        let order = Order { target, chunks: chunks_end, whole: whole_end, done };
        self.orders.send(order).map_err(|_| io::Error::other("the spool thread is gone"))?;
        Ok(SpoolFile { chunks, whole, done: done_end })
    }
}

impl SpoolFile {
    /// Ends the file: kept under its name if `whole`, otherwise it never was.
    ///
    /// # Errors
    /// What the thread met while writing.
    pub fn finish(self, whole: bool) -> io::Result<()> {
        drop(self.chunks);
        // A vanished thread shows in the next line.
        let _gone = self.whole.send(whole);
        self.done.recv().unwrap_or_else(|_| Err(io::Error::other("the spool thread is gone")))
    }
}

fn write(order: &Order) -> io::Result<()> {
    let folder = folder_of(&order.target);
    private_folder(folder)?;
    let mut draft = Draft::create(folder, Access::Private)?;
    for chunk in &order.chunks {
        draft.file()?.write_all(&chunk)?;
    }
    if order.whole.recv().unwrap_or(false) {
        crash::point("spool.half");
        draft.publish(&order.target, Durability::Synced)?;
        crash::point("spool.renamed");
        sync_folder(folder)?;
    }
    Ok(())
}

/// Name of a shard's spool file: `<jsonl_file_base>_<n>.jsonl`.
#[must_use]
pub fn file_name(folder: &Path, base: &str, shard: i64) -> PathBuf {
    folder.join(format!("{base}_{shard}.jsonl"))
}
