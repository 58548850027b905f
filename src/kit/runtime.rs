//! For verbs without actors: one thread that waits for answers, one question at a time.

use std::future::Future;
use std::io;

/// Runs futures to their end on the calling thread.
#[derive(Debug)]
pub struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// A runtime; it ends when dropped.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Self> {
        Ok(Self(tokio::runtime::Builder::new_current_thread().enable_all().build()?))
    }

    /// Waits until `future` is over.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}
