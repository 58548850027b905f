//! Whether an image goes on to its end. A download that broke off or a disk that was full leaves a good header and half a
//! page, and half a page would be paid for and pass for a whole one.
//!
//! Nothing is decoded. The mark that ends each format is looked for in the last 4 KiB, where it nearly always is; only
//! where it is not, the file is walked from block to block.

use std::io::{self, Read, Seek};

use super::accepted::colours;
use super::window::{PIECE, Window};

/// Blocks that are walked before a file is believed: an end that is looked for longer costs more than it tells.
const MOST_BLOCKS: usize = 1 << 20;

/// A PNG of `bytes` bytes: its last chunk is there.
pub(super) fn png<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<bool> {
    const SIGNATURE: u64 = 8;
    /// Type and checksum of the one chunk that is always the same.
    const END: &[u8] = b"IEND\xae\x42\x60\x82";
    if window.has(tail(SIGNATURE, bytes), END)? {
        return Ok(true);
    }
    let mut at = SIGNATURE;
    for _ in 0..MOST_BLOCKS {
        let Some(head) = window.bytes::<8>(at)? else { return Ok(false) };
        let [a, b, c, d, kind @ ..] = head;
        at += 12 + u64::from(u32::from_be_bytes([a, b, c, d]));
        if at > bytes {
            return Ok(false);
        }
        if kind == *b"IEND" {
            return Ok(true);
        }
    }
    Ok(true)
}

/// A JPEG of `bytes` bytes whose first scan begins at `scan`: the scans have an end. In a scan such a mark is never data,
/// and the thumbnail of a profile, which has one of its own, lies before it.
pub(super) fn jpeg<R: Read + Seek>(window: &mut Window<'_, R>, scan: u64, bytes: u64) -> io::Result<bool> {
    const END: &[u8] = b"\xff\xd9";
    Ok(window.has(tail(scan, bytes), END)? || window.has(scan, END)?)
}

/// A WebP of `bytes` bytes: as long as it says.
pub(super) fn webp(first: &[u8], bytes: u64) -> bool {
    let told = first.get(4..8).and_then(|told| told.try_into().ok()).map(u32::from_le_bytes);
    told.is_some_and(|told| u64::from(told) + 8 <= bytes)
}

/// A GIF of `bytes` bytes: its trailer is there, or at least what is before it is whole.
pub(super) fn gif<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<bool> {
    const TRAILER: u8 = 0x3b;
    if window.bytes::<1>(bytes.saturating_sub(1))? == Some([TRAILER]) {
        return Ok(true);
    }
    let Some(head) = window.bytes::<13>(0)? else { return Ok(false) };
    let mut at = 13 + colours(head[10]);
    let mut pictures = 0;
    for _ in 0..MOST_BLOCKS {
        let Some([kind]) = window.bytes::<1>(at)? else { return Ok(false) };
        at += match kind {
            // An extension: its label, then blocks.
            0x21 => 2,
            // A picture: its place, its colours, the size of its codes, then blocks.
            0x2c => {
                let Some(head) = window.bytes::<10>(at)? else { return Ok(false) };
                pictures += 1;
                10 + colours(head[9]) + 1
            }
            // Whatever was written behind the pictures.
            _ => return Ok(pictures > 0),
        };
        loop {
            let Some([length]) = window.bytes::<1>(at)? else { return Ok(false) };
            at += 1 + u64::from(length);
            if length == 0 {
                break;
            }
        }
    }
    Ok(true)
}

/// Where the last piece begins, but not before `from`.
fn tail(from: u64, bytes: u64) -> u64 {
    bytes.saturating_sub(PIECE as u64).max(from)
}
