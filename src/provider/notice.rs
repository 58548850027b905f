//! Notices: `batch/<batch_id>.txt`, the batch object as the provider sent it, for people and other tools. A mirror: whoever
//! meets a batch that has none writes it again.

use std::io;

use super::wire::Batch;
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Durability, write as write_file};

/// Writes the notice of a batch whose books are open.
///
/// # Errors
/// The operating system's, with the path.
pub fn write(layout: &Layout, batch: &Batch) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&batch.raw)?;
    text.push(b'\n');
    write_file(&layout.notice(batch.id.as_str()), &text, Access::Private, Durability::Derived)
}
