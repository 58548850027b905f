//! A file that is read at any place by one call of the system: where a reader stands is known here, and nobody is told.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// A reader of an open file that moves without asking the system; it begins at the first byte.
#[derive(Debug)]
pub(super) struct Anywhere<'a> {
    file: &'a File,
    at: u64,
}

impl<'a> Anywhere<'a> {
    /// A reader of `file`, wherever others have left that.
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Anywhere<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = read_at(self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Anywhere<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    file.read(into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn step() -> impl Strategy<Value = (SeekFrom, usize)> {
        let to = prop_oneof![
            (0..60_u64).prop_map(SeekFrom::Start),
            (-60..60_i64).prop_map(SeekFrom::Current),
            (-60..20_i64).prop_map(SeekFrom::End),
        ];
        (to, 0..30_usize)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_moves_as_any_reader_does(steps in proptest::collection::vec(step(), 1..20)) {
            let bytes: Vec<u8> = (0..50).collect();
            let mut file = tempfile::tempfile().expect("temp file");
            io::Write::write_all(&mut file, &bytes).expect("written");
            let (mut cursor, mut anywhere) = (Cursor::new(bytes), Anywhere::new(&file));
            for (to, length) in steps {
                prop_assert_eq!(anywhere.seek(to).ok(), cursor.seek(to).ok());
                let (mut one, mut other) = (Vec::new(), Vec::new());
                anywhere.by_ref().take(length as u64).read_to_end(&mut one).expect("read");
                cursor.by_ref().take(length as u64).read_to_end(&mut other).expect("read");
                prop_assert_eq!(one, other);
            }
        }
    }
}
