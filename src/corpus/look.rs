//! Looking into a file to tell whether another one has the same bytes. A file that is not what the ledger says it is tells nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::{Corpus, beneath};
use crate::domain::image::{RelPath, Stamp};
use crate::kit::hash::{Short, ShortHasher, short};

/// Bytes of each of the three pieces of a sample: a disk reads no less than that at a time.
const PIECE: u64 = 4096;
/// Bytes read at a time of a whole file.
const CHUNK: usize = 256 << 10;

/// A hash of the first, middle and last [`PIECE`] bytes, never negative; of all of them, where there are no more. Equal files have
/// equal samples, unequal ones nearly always others. `None` if the file does not have this stamp.
///
/// # Errors
/// The operating system's.
pub fn sample(corpus: &dyn Corpus, path: &RelPath, stamp: Stamp) -> io::Result<Option<i64>> {
    let Some(mut file) = open(corpus, path, stamp)? else { return Ok(None) };
    let mut bytes = Vec::new();
    for (start, length) in pieces(stamp.bytes) {
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(length).read_to_end(&mut bytes)?;
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

fn is_still(file: &File, stamp: Stamp) -> io::Result<bool> {
    Ok(beneath::stamp(&file.metadata()?) == stamp)
}

/// Start and length of the pieces of a file of `bytes` bytes.
fn pieces(bytes: u64) -> Vec<(u64, u64)> {
    if bytes <= 3 * PIECE {
        return vec![(0, bytes)];
    }
    [0, (bytes - PIECE) / 2, bytes - PIECE].map(|start| (start, PIECE)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
