//! Looking into a file to tell whether another one has the same bytes. A file that is not what the ledger says it is tells nothing.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use super::anywhere::Anywhere;
use super::{Corpus, beneath};
use crate::domain::image::{RelPath, Stamp};
use crate::kit::hash::{Short, ShortHasher, short};

/// Bytes of each of the three pieces of a sample: a disk reads no less than that at a time.
const PIECE: u64 = 4096;
/// Bytes read at a time of a whole file.
const CHUNK: usize = 256 << 10;

/// A hash of the first, middle and last 4 KiB, never negative; of all of them, where there are no more. Equal files have
/// equal samples, unequal ones nearly always others. `None` if the file does not have this stamp.
///
/// # Errors
/// The operating system's.
pub fn sample(corpus: &dyn Corpus, path: &RelPath, stamp: Stamp) -> io::Result<Option<i64>> {
    let Some(file) = open(corpus, path, stamp)? else { return Ok(None) };
    let (mut source, mut bytes) = (Anywhere::new(&file), Vec::new());
    for (start, length) in pieces(stamp.bytes) {
        source.seek(SeekFrom::Start(start))?;
        append(&mut source, length, &mut bytes)?;
    }
    let [a, b, c, d, e, f, g, h, ..] = short(&bytes);
    Ok(is_still(&file, stamp)?.then(|| i64::from_le_bytes([a, b, c, d, e, f, g, h]) & i64::MAX))
}

/// BLAKE3 of a whole file. `None` if it does not have this stamp, at the first byte or after the last one.
///
/// # Errors
/// The operating system's.
pub fn content(corpus: &dyn Corpus, path: &RelPath, stamp: Stamp) -> io::Result<Option<Short>> {
    let Some(mut file) = open(corpus, path, stamp)? else { return Ok(None) };
    let (mut hasher, mut chunk, mut seen) = (ShortHasher::default(), vec![0; CHUNK], 0);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                seen += read as u64;
                hasher.update(&chunk[..read]);
            }
        }
    }
    Ok((seen == stamp.bytes && is_still(&file, stamp)?).then(|| hasher.finish()))
}

fn open(corpus: &dyn Corpus, path: &RelPath, stamp: Stamp) -> io::Result<Option<File>> {
    let (file, found) = corpus.open(path)?;
    Ok((found == stamp).then_some(file))
}

/// Appends the next `length` bytes, or what there is of them. Whether the file has more is nobody's question here, so that one
/// read is enough where the system gives everything at once.
fn append(source: &mut impl Read, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = bytes.len();
    bytes.resize(filled + usize::try_from(length).unwrap_or(usize::MAX), 0);
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    bytes.truncate(filled);
    Ok(())
}

fn is_still(file: &File, stamp: Stamp) -> io::Result<bool> {
    Ok(beneath::stamp(file)? == stamp)
}

/// Start and length of the pieces of a file of `bytes` bytes.
fn pieces(bytes: u64) -> Vec<(u64, u64)> {
    if bytes <= 3 * PIECE {
        return vec![(0, bytes)];
    }
    [0, (bytes - PIECE) / 2, bytes - PIECE].map(|start| (start, PIECE)).into()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test writes the files")]
mod tests {
    use super::*;
    use crate::corpus::{Known, Walked};
    use crate::domain::image::Found;
    use crate::kit::exit_guard::ExitGuard;
    use crate::kit::folder::Folder;
    use tokio::sync::mpsc;

    /// A folder whose files can be opened, and nothing else.
    struct Files(std::path::PathBuf);

    impl Corpus for Files {
        fn walk(&self, _: Option<Known>, _: ExitGuard) -> io::Result<mpsc::Receiver<Walked>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn open(&self, path: &RelPath) -> io::Result<(File, Stamp)> {
            let file = File::open(self.0.join(String::from_utf8_lossy(&path.name).as_ref()))?;
            let stamp = beneath::stamp(&file)?;
            Ok((file, stamp))
        }

        fn measure(&self, _: &RelPath) -> io::Result<Found> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn ink(&self, _: &RelPath, _: bool) -> io::Result<Option<f64>> {
            Ok(None)
        }

        fn text_name(&self, path: &RelPath) -> Vec<u8> {
            path.name.clone()
        }

        fn text_folder(&self, _: &RelPath) -> io::Result<Option<Folder>> {
            Ok(None)
        }
    }

    #[test]
    fn equal_files_look_equal_and_a_changed_one_tells_nothing() {
        let folder = tempfile::tempdir().expect("temp dir");
        let files = Files(folder.path().to_path_buf());
        let path = |name: &str| RelPath { folder: Vec::new(), name: name.into(), page: 1 };
        let put = |name: &str, at: usize| {
            let mut bytes = vec![7; 100_000];
            bytes[at] = 8;
            std::fs::write(folder.path().join(name), bytes).expect("a file");
            files.open(&path(name)).expect("a file").1
        };
        let stamps = [("a", 0), ("b", 0), ("middle", 50_000), ("hidden", 30_000)].map(|(name, at)| put(name, at));
        let samples = [("a", 0), ("b", 1), ("middle", 2)]
            .map(|(name, n)| sample(&files, &path(name), stamps[n]).expect("read").expect("the same file"));
        assert!(samples[0] == samples[1] && samples[0] != samples[2] && samples[0] >= 0, "{samples:?}");
        let whole = |name: &str, n: usize| content(&files, &path(name), stamps[n]).expect("read");
        assert!(whole("a", 0).is_some() && whole("a", 0) == whole("b", 1) && whole("a", 0) != whole("hidden", 3));
        let other = Stamp { mtime_ms: stamps[0].mtime_ms - 1, ..stamps[0] };
        assert_eq!(sample(&files, &path("a"), other).expect("read"), None);
        assert_eq!(content(&files, &path("a"), other).expect("read"), None);
        assert_eq!(sample(&files, &path("none"), other).expect_err("gone").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_comes_bit_by_bit_is_appended_and_no_more_is_asked_for() {
        let mut bytes = b"0".to_vec();
        // A fourth read would fail.
        let mut source = (&b"12"[..]).chain(&b"34"[..]).chain(&b"5678"[..]).chain(Broken);
        append(&mut source, 6, &mut bytes).expect("enough");
        assert_eq!(bytes, b"0123456");
        assert!(append(&mut source, 6, &mut bytes).is_err(), "two bytes, then the fault");
        let mut bytes = Vec::new();
        append(&mut &b"ab"[..], 6, &mut bytes).expect("what there is");
        assert_eq!(bytes, b"ab");
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Other.into())
        }
    }

    #[test]
    fn pieces_lie_within_the_file_and_apart() {
        assert_eq!(pieces(0), [(0, 0)]);
        assert_eq!(pieces(3 * PIECE), [(0, 3 * PIECE)]);
        for bytes in [3 * PIECE + 1, 100_000, 1 << 40] {
            let pieces = pieces(bytes);
            assert!(pieces.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0), "{pieces:?}");
            assert_eq!(pieces.last().map(|(start, length)| start + length), Some(bytes));
        }
    }
}
