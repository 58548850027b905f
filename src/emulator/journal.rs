//! The append-only journal: one event a line, replayed at start.
//!
//! It survives the end of the process at any moment, because what was written is the system's; it is not synced, so a
//! power cut may lose its last lines. A long journal is replaced at start by the shortest that leads to the same state. A torn last line is cut off, anything else unreadable is an error.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Write as _};
use std::path::Path;

use super::record::Event;
use crate::kit::atomic_file::{self, Access, Draft, Durability, cut_torn_line};

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal at `path` and hands every event of it to `replay`, in order.
    pub(crate) fn open(path: &Path, mut replay: impl FnMut(Event)) -> io::Result<Self> {
        let whole = cut_torn_end(path)?;
        let mut reader = BufReader::new(match File::open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return Ok(Self { file: atomic_file::append_private(path)? });
            }
            Err(cause) => return Err(cause),
        });
        let (mut line, mut read) = (Vec::new(), 0);
        while read < whole {
            line.clear();
            read += reader.read_until(b'\n', &mut line)? as u64;
            let event = serde_json::from_slice(&line).map_err(|cause| {
                io::Error::new(ErrorKind::InvalidData, format!("{} before byte {read}: {cause}", path.display()))
            })?;
            replay(event);
        }
        Ok(Self { file: atomic_file::append_private(path)? })
    }

    /// Replaces the journal at `path` by `events`, at once or not at all.
    pub(crate) fn rewrite(path: &Path, events: impl Iterator<Item = Event>) -> io::Result<Self> {
        let mut draft = Draft::create(atomic_file::folder_of(path), Access::Private)?;
        let mut writer = BufWriter::new(draft.file()?);
        for event in events {
            serde_json::to_writer(&mut writer, &event)?;
            writer.write_all(b"\n")?;
        }
        writer.flush()?;
        drop(writer);
        draft.publish(path, Durability::Synced)?;
        Ok(Self { file: atomic_file::append_private(path)? })
    }

    /// Bytes of the journal.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|data| data.len())
    }

    /// Appends events at one go.
    pub(crate) fn append(&mut self, events: &[Event]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(events.len() * 160);
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines)
    }
}

/// Cuts `path` after its last line end; its length then, 0 if there is no such file.
pub(crate) fn cut_torn_end(path: &Path) -> io::Result<u64> {
    if cut_torn_line(path)? {
        tracing::warn!(path = %path.display(), "a torn last line was cut off");
    }
    match path.metadata() {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(0),
        facts => Ok(facts?.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(path: &Path) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        Journal::open(path, |event| events.push(event)).map(|_| events)
    }

    #[test]
    fn a_torn_last_line_is_no_event_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.jsonl");
        let event = Event::Began { seed: "s".to_owned() };
        Journal::open(&path, drop)
            .and_then(|mut journal| journal.append(std::slice::from_ref(&event)))
            .expect("journal");
        let mut file = atomic_file::append_private(&path).expect("open");
        file.write_all(b"{\"event\":\"beg").expect("torn");
        assert_eq!(replayed(&path).expect("replay"), std::slice::from_ref(&event));
        Journal::open(&path, drop)
            .and_then(|mut journal| journal.append(std::slice::from_ref(&event)))
            .expect("journal");
        assert_eq!(replayed(&path).expect("replay"), [event.clone(), event]);
        file.write_all(b"nonsense\n").expect("broken");
        assert_eq!(replayed(&path).map_err(|cause| cause.kind()), Err(ErrorKind::InvalidData));
    }
}
