//! The result files of batches: those of an ended one, and how far those of an open one have come.

use super::Service;
use crate::emulator::habits::{Cancel, Habits};
use crate::emulator::record::{BatchRecord, FileRecord, Purpose, Status};
use crate::kit::clock::Millis;

/// The result files of a batch that has just ended; a failed batch has none, and neither has a side without lines, unless
/// this server keeps empty files.
pub(super) fn of_ended(batch: &BatchRecord, at: Millis, habits: &Habits) -> Vec<FileRecord> {
    let thrown_away = habits.cancel == Cancel::Drops && batch.status == Status::Cancelled;
    let whole = |bytes: u64| if habits.no_last_newline { bytes.saturating_sub(1) } else { bytes };
    let output_bytes = if thrown_away { 0 } else { whole(batch.output_bytes) };
    let wanted = |bytes: u64| habits.keeps_empty_files() || (bytes > 0 && batch.status != Status::Failed);
    let sides = sides(batch, [output_bytes, whole(batch.error_bytes)], at);
    sides.into_iter().filter(|file| wanted(file.bytes)).collect()
}

fn sides(batch: &BatchRecord, bytes: [u64; 2], at: Millis) -> [FileRecord; 2] {
    let asked = &batch.asked;
    let expires_at = at + asked.results_live;
    [(&asked.output_file_id, bytes[0], "output"), (&asked.error_file_id, bytes[1], "error")].map(|(id, bytes, side)| {
        let filename = format!("{}_{side}.jsonl", asked.id);
        FileRecord { id: id.clone(), bytes, filename, purpose: Purpose::BatchOutput, created_at: at, expires_at }
    })
}

impl Service {
    /// A result file of an open batch, as far as it has come.
    pub(crate) fn unfinished(&self, id: &str) -> Option<FileRecord> {
        let files = |batch: &BatchRecord| sides(batch, [batch.output_bytes, batch.error_bytes], batch.asked.created_at);
        self.open_batches().flat_map(files).find(|file| file.id == id)
    }

    /// The batch that a result file belongs to.
    pub(crate) fn batch_of_results(&self, file: &str) -> Option<&BatchRecord> {
        let name = self.file(file)?.filename.strip_suffix(".jsonl")?;
        let id = name.strip_suffix("_output").or_else(|| name.strip_suffix("_error"))?;
        self.batch(id)
            .filter(|batch| [&batch.asked.output_file_id, &batch.asked.error_file_id].iter().any(|f| *f == file))
    }
}
