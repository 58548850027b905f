//! Waiting for a future where there are no actors.

use std::future::Future;
use std::io;

/// Drives `future` to its end on this thread.
///
/// # Errors
/// The operating system's, if it has no timer or poll to give.
pub fn wait_for<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
