//! A piece of a file, moved on demand: looking at a header or an end costs one read, however large the file is.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::memmem;

/// Bytes read at a time.
pub(super) const PIECE: usize = 4 << 10;

/// A piece of a file.
pub(super) struct Window<'a, R> {
    source: &'a mut R,
    piece: Box<[u8]>,
    /// How much of it was read last.
    count: usize,
    start: u64,
}

impl<'a, R: Read + Seek> Window<'a, R> {
    /// A window at the place where the source stands, which is its beginning.
    pub(super) fn open(source: &'a mut R) -> io::Result<Self> {
        let mut window = Self { source, piece: vec![0; PIECE].into(), count: 0, start: 0 };
        window.fill()?;
        Ok(window)
    }

    /// The piece that lies there; called before any other is asked for.
    pub(super) fn first(&self) -> &[u8] {
        &self.piece[..self.count]
    }

    /// `N` bytes at `at`, `None` if the file ends before.
    pub(super) fn bytes<const N: usize>(&mut self, at: u64) -> io::Result<Option<[u8; N]>> {
        if let Some(bytes) = self.lying(at) {
            return Ok(Some(bytes));
        }
        self.move_to(at)?;
        Ok(self.lying(at))
    }

    /// The piece from `at` on, `None` at the end of the file.
    pub(super) fn from(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        self.move_to(at)?;
        Ok(Some(self.rest(at)).filter(|rest| !rest.is_empty()))
    }

    /// Whether `wanted` stands anywhere from `from` on.
    pub(super) fn has(&mut self, from: u64, wanted: &[u8]) -> io::Result<bool> {
        let finder = memmem::Finder::new(wanted);
        let mut at = from;
        loop {
            if self.rest(at).len() < wanted.len() {
                self.move_to(at)?;
            }
            let rest = self.rest(at);
            if finder.find(rest).is_some() {
                return Ok(true);
            }
            // What is looked for may lie across two pieces.
            let done = (rest.len() + 1).saturating_sub(wanted.len());
            if done == 0 {
                return Ok(false);
            }
            at += done as u64;
        }
    }

    fn lying<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        self.rest(at).get(..N)?.try_into().ok()
    }

    /// What lies there from `at` on.
    fn rest(&self, at: u64) -> &[u8] {
        let from = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.piece[..self.count].get(from..)).unwrap_or_default()
    }

    fn move_to(&mut self, at: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(at))?;
        self.start = at;
        self.fill()
    }

    /// Reads once: what a short read leaves out is asked for again where it is needed.
    fn fill(&mut self) -> io::Result<()> {
        self.count = 0;
        self.count = loop {
            match self.source.read(&mut self.piece) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_lies_across_two_pieces_is_found() {
        for at in [0, 1, PIECE - 2, PIECE - 1, PIECE, 3 * PIECE + 7] {
            let mut bytes = vec![0; 4 * PIECE];
            bytes[at..at + 3].copy_from_slice(b"end");
            let mut source = Cursor::new(bytes);
            let mut window = Window::open(&mut source).expect("a slice has no errors");
            assert!(window.has(0, b"end").expect("no errors"), "{at}");
            assert!(window.has(at as u64, b"end").expect("no errors"), "{at}");
            assert!(!window.has(at as u64 + 1, b"end").expect("no errors"), "{at}");
            assert!(!window.has(5 * PIECE as u64, b"end").expect("no errors"), "{at}");
        }
    }
}
