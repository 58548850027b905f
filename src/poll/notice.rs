//! The notice of an open batch, `batch/<id>.txt`: one that was turned away has no reader, so nobody else would clear it away.

use std::io;

use crate::domain::ids::BatchId;
use crate::domain::layout::Layout;

/// Removes the notice of `batch`, if it lies there.
///
/// # Errors
/// The operating system's.
pub(super) fn withdraw(layout: &Layout, batch: &BatchId) -> io::Result<()> {
    match std::fs::remove_file(layout.notice(batch.as_str())) {
        // A process that died here has removed it.
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}
