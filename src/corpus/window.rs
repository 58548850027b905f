//! A piece of a file, moved on demand: looking at a header or an end costs one read, however large the file is.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::memmem;

/// Bytes read at a time.
pub(super) const PIECE: usize = 4 << 10;
/// Last place where a piece can begin: no file reaches further, and to be asked there is a mistake to a system, not the end of a file.
const FARTHEST: u64 = i64::MAX.unsigned_abs() - PIECE as u64;

/// A piece of a file.
pub(super) struct Window<'a, R> {
    source: &'a mut R,
    piece: [u8; PIECE],
    /// How much of it was read last.
    count: usize,
    start: u64,
    /// Where the file ends, as far as it was told.
    end: u64,
}

impl<'a, R: Read + Seek> Window<'a, R> {
    /// A window at the place where the source stands, which is its beginning.
    pub(super) fn open(source: &'a mut R) -> io::Result<Self> {
        Self::over(source, u64::MAX)
    }

    /// The same of a file that has `bytes` bytes: what reaches to its end is not read again.
    pub(super) fn over(source: &'a mut R, bytes: u64) -> io::Result<Self> {
        let mut window = Self { source, piece: [0; PIECE], count: 0, start: 0, end: bytes };
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
        if !self.holds(at) {
            self.move_to(at)?;
        }
        Ok(Some(self.rest(at)).filter(|rest| !rest.is_empty()))
    }

    /// Whether `wanted` stands anywhere from `from` on.
    pub(super) fn has(&mut self, from: u64, wanted: &[u8]) -> io::Result<bool> {
        // What is looked for is nearly always the last of a file, and a finder is dearer than a look there.
        if self.from(from)?.is_some_and(|rest| rest.ends_with(wanted)) {
            return Ok(true);
        }
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

    /// Whether reading from `at` on would bring nothing that does not lie here.
    fn holds(&self, at: u64) -> bool {
        let lying = self.rest(at).len();
        // Behind the end that was told a file that grows may go on.
        at < self.end && lying > 0 && lying as u64 >= (self.end - at).min(PIECE as u64)
    }

    fn move_to(&mut self, at: u64) -> io::Result<()> {
        if at > FARTHEST {
            (self.start, self.count) = (at, 0);
            return Ok(());
        }
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

    /// Gives no more than so many bytes at a time, and counts how often it was asked.
    struct Slow {
        bytes: Cursor<Vec<u8>>,
        most: usize,
        reads: usize,
    }

    impl Slow {
        fn new(length: usize, most: usize) -> Self {
            let bytes = (0..length).map(|at| (at % 251) as u8).collect();
            Self { bytes: Cursor::new(bytes), most, reads: 0 }
        }
    }

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            let most = into.len().min(self.most);
            self.bytes.read(&mut into[..most])
        }
    }

    impl Seek for Slow {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    #[test]
    fn what_lies_there_to_the_end_is_not_read_again() {
        for (length, reads) in [(1, 1), (PIECE - 1, 1), (PIECE, 1), (PIECE + 1, 2), (9 * PIECE, 2)] {
            let mut source = Slow::new(length, usize::MAX);
            let end = length as u64;
            let mut window = Window::over(&mut source, end).expect("no errors");
            let tail = end.saturating_sub(PIECE as u64);
            for at in [tail, tail, end - 1] {
                let rest = window.from(at).expect("no errors").expect("not the end");
                assert_eq!((rest.len() as u64, rest[0]), (end - at, (at % 251) as u8), "{length}: {at}");
            }
            assert_eq!(source.reads, reads, "{length}");
        }
    }

    #[test]
    fn a_short_read_is_not_taken_for_the_end() {
        let mut source = Slow::new(300, 7);
        let mut window = Window::over(&mut source, 300).expect("no errors");
        assert_eq!(window.first(), [0, 1, 2, 3, 4, 5, 6]);
        let mut at = 0;
        while let Some(rest) = window.from(at).expect("no errors") {
            assert_eq!(rest[0], (at % 251) as u8);
            at += rest.len() as u64;
        }
        assert_eq!(at, 300);
        assert_eq!(window.bytes(290).expect("no errors"), Some([39, 40]));
        assert!(window.has(0, &[248, 249, 250, 0, 1]).expect("no errors"));
    }

    #[test]
    fn what_was_added_behind_the_told_end_is_found_where_it_is_asked_for() {
        let mut source = Slow::new(3 * PIECE, usize::MAX);
        let mut window = Window::over(&mut source, 10).expect("no errors");
        let behind = 2 * PIECE as u64;
        assert_eq!(window.bytes(behind).expect("no errors"), Some([(behind % 251) as u8]));
        assert_eq!(window.from(behind + 1).expect("no errors").map(<[u8]>::len), Some(PIECE - 1));
    }

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
