//! The service as the shortest journal that leads to it: what a compacted journal holds.

use super::Service;
use crate::emulator::record::Event;

impl Service {
    /// Events that make a new service the same as this one.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = Event> {
        let began = Event::Began { seed: self.seed.clone() };
        let files = self.files.iter().map(|(number, file)| Event::FileKept { number: *number, file: file.clone() });
        let batches = self.batches.iter().map(|record| Event::BatchKept { record: Box::new(record.clone()) });
        let full = Event::QueueFull { until: self.full_until };
        // Last, because files that were deleted have numbers, too.
        let counted = Event::Counted { given: self.given };
        std::iter::once(began).chain(files).chain(batches).chain([full, counted])
    }
}
