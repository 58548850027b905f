//! Headers of the formats that the API takes: size, turn, and whether this kind of it has to be converted all the same.

use std::io::{self, Read, Seek};

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;

use super::exif::{self, Turn};
use super::media::{Header, be32, le16};
use super::window::{PIECE, Window};

/// How far into a file the size is looked for.
const REACH: u64 = 1 << 20;
/// Chunks of a file that are looked at; real ones have a dozen.
const MOST_CHUNKS: usize = 256;
/// Bytes that one compressed text of a PNG may have: with a longer one, readers that keep texts refuse the picture. Source:
/// `MAX_TEXT_CHUNK` of Pillow.
const MOST_TEXT: u64 = 1 << 20;
/// How far behind the beginning of the first frame of a GIF a second is looked for. A still GIF is not read any further; one
/// whose first frame is shown for a time is likely to move, and read as far as [`REACH`].
const SECOND_FRAME: u64 = 64 << 10;
/// Length of the segment in which Adobe says what the colours of a JPEG are. Source: Adobe technical note 5116.
const ADOBE: u64 = 14;

pub(super) fn png<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<Option<Header>> {
    let first = window.first();
    // The size chunk is the first and has 13 bytes, always.
    let sound = first.get(8..16) == Some(b"\0\0\0\x0dIHDR");
    let (Some(width), Some(height), Some(depth)) = (be32(first, 16), be32(first, 20), first.get(24).copied()) else {
        return Ok(None);
    };
    // The standard stops at 2^31 - 1.
    if !sound || width > i32::MAX.unsigned_abs() || height > i32::MAX.unsigned_abs() {
        return Ok(None);
    }
    let mut header = Header { size: (width, height), turn: Turn::NONE, converting: depth == 16 };
    let mut at = 33;
    for _ in 0..MOST_CHUNKS {
        let Some([a, b, c, d, kind @ ..]) = window.bytes::<8>(at)? else { return Ok(Some(header)) };
        let next = at + 12 + u64::from(u32::from_be_bytes([a, b, c, d]));
        match &kind {
            b"acTL" => header.converting = true,
            b"eXIf" => header.turn = exif::turn(window, at + 8, next - 4)?,
            b"zTXt" | b"iTXt" if is_text_bomb(window, kind, at + 8, next - 4)? => return Ok(None),
            b"IDAT" => break,
            _ => {}
        }
        at = next;
    }
    if header.turn == Turn::NONE {
        header.turn = late_exif(window, bytes)?;
    }
    Ok(Some(header))
}

/// Whether the text between `start` and `end` is compressed and longer than [`MOST_TEXT`]; no more of it than that is looked at.
fn is_text_bomb<R: Read + Seek>(window: &mut Window<'_, R>, kind: [u8; 4], start: u64, end: u64) -> io::Result<bool> {
    let Some(head) = window.from(start)? else { return Ok(false) };
    let behind_zero = |from: usize| Some(from + head.get(from..)?.iter().position(|byte| *byte == 0)? + 1);
    // Key word, and how it is compressed; an international text may be plain, and tells its language and the key word in it.
    let text = match &kind {
        b"zTXt" => behind_zero(0).map(|at| at + 1),
        _ => behind_zero(0).filter(|at| head.get(*at) == Some(&1)).and_then(|at| behind_zero(behind_zero(at + 2)?)),
    };
    let Some(text) = text else { return Ok(false) };
    let (mut at, mut inflater, mut lost) = (start + text as u64, Decompress::new(true), vec![0; PIECE]);
    while at < end && inflater.total_out() <= MOST_TEXT {
        let Some(piece) = window.from(at)? else { break };
        let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
        let before = (inflater.total_in(), inflater.total_out());
        let status = inflater.decompress(&piece[..left], &mut lost, FlushDecompress::None);
        at += inflater.total_in() - before.0;
        if !matches!(status, Ok(Status::Ok)) || before == (inflater.total_in(), inflater.total_out()) {
            break;
        }
    }
    Ok(inflater.total_out() > MOST_TEXT)
}

/// EXIF behind the pixels of a PNG, where the standard allows it too: in the last piece, so that no pixels have to be walked.
fn late_exif<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<Turn> {
    let tail = bytes.saturating_sub(PIECE as u64);
    let Some(found) = window.from(tail)?.and_then(|piece| memmem::find_iter(piece, b"eXIf").last()) else {
        return Ok(Turn::NONE);
    };
    let kind = tail + found as u64;
    let Some(start) = kind.checked_sub(4) else { return Ok(Turn::NONE) };
    let Some(length) = window.bytes::<4>(start)?.map(u32::from_be_bytes) else { return Ok(Turn::NONE) };
    exif::turn(window, kind + 4, kind + 4 + u64::from(length))
}

pub(super) fn gif<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<Option<Header>> {
    let first = window.first();
    let (Some(width), Some(height)) = (le16(first, 6), le16(first, 8)) else { return Ok(None) };
    Ok(Some(Header { size: (width, height), turn: Turn::NONE, converting: moves(window)? }))
}

/// Whether a GIF has more than one frame: it says that they are shown again and again, or a second one is near enough.
fn moves<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<bool> {
    let Some(head) = window.bytes::<13>(0)? else { return Ok(false) };
    let mut at = 13 + colours(head[10]);
    let mut last = u64::MAX;
    let mut frames = 0;
    let mut reach = SECOND_FRAME;
    while at < last {
        let Some([kind, label]) = window.bytes::<2>(at)? else { return Ok(false) };
        at += match (kind, label) {
            (0x21, 0xff) => {
                let looped = window.bytes::<14>(at)?.is_some_and(|block| &block[3..] == b"NETSCAPE2.0");
                if looped {
                    return Ok(true);
                }
                2
            }
            (0x21, 0xf9) => {
                // How long the frame is shown, in hundredths of a second.
                if window.bytes::<6>(at)?.is_some_and(|block| block[4..] != [0, 0]) {
                    reach = REACH;
                }
                2
            }
            (0x21, _) => 2,
            (0x2c, _) => {
                let Some(head) = window.bytes::<10>(at)? else { return Ok(false) };
                frames += 1;
                if frames > 1 {
                    return Ok(true);
                }
                last = at + reach;
                10 + colours(head[9]) + 1
            }
            _ => return Ok(false),
        };
        while let Some([length]) = window.bytes::<1>(at)? {
            at += 1 + u64::from(length);
            if length == 0 || at >= last {
                break;
            }
        }
    }
    Ok(false)
}

/// Bytes of the colour table that the flags of a GIF announce.
pub(super) fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

pub(super) fn webp<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<Option<Header>> {
    const ANIMATED: u8 = 0x02;
    const EXIF: u8 = 0x08;
    let first = window.first();
    let Some(size) = webp_size(first) else { return Ok(None) };
    let flags = if first.get(12..16) == Some(b"VP8X") { first.get(20).copied().unwrap_or(0) } else { 0 };
    let mut header = Header { size, turn: Turn::NONE, converting: flags & ANIMATED != 0 };
    let mut at = 12;
    for _ in 0..if flags & EXIF == 0 { 0 } else { MOST_CHUNKS } {
        let Some([k, i, n, d, length @ ..]) = window.bytes::<8>(at)? else { break };
        let length = u64::from(u32::from_le_bytes(length));
        if [k, i, n, d] == *b"EXIF" {
            header.turn = exif::turn(window, at + 8, at + 8 + length)?;
            break;
        }
        // A chunk of odd length is filled up.
        at += 8 + length + length % 2;
    }
    Ok(Some(header))
}

fn webp_size(first: &[u8]) -> Option<(u32, u32)> {
    match first.get(12..16)? {
        b"VP8 " => {
            (first.get(23..26)? == b"\x9d\x01\x2a").then_some(())?;
            // Two bits of each are a scaling hint.
            Some((le16(first, 26)? & 0x3fff, le16(first, 28)? & 0x3fff))
        }
        b"VP8L" => {
            (*first.get(20)? == 0x2f).then_some(())?;
            let bits = le16(first, 21)? | le16(first, 23)? << 16;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let three = |at: usize| Some(le16(first, at)? | u32::from(*first.get(at + 2)?) << 16);
            Some((three(24)? + 1, three(27)? + 1))
        }
        _ => None,
    }
}

/// Walks the segments up to the first scan: what they say, and where the scan begins. Bytes between segments are skipped, as
/// decoders do.
pub(super) fn jpeg<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<Option<(Header, u64)>> {
    let mut frame: Option<((u32, u32), bool)> = None;
    let mut turn = None;
    let mut at = 2;
    while at < REACH {
        let Some([ff, marker]) = window.bytes::<2>(at)? else { return Ok(None) };
        match marker {
            _ if ff != 0xff => at += 1,
            // Fill bytes before a marker; a stuffed or stand-alone one.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xda => {
                let turn = turn.unwrap_or(Turn::NONE);
                return Ok(frame.map(|(size, converting)| (Header { size, turn, converting }, at)));
            }
            // The end, and no scan before it.
            0xd9 => return Ok(None),
            _ => {
                let Some([_, _, high, low]) = window.bytes::<4>(at)? else { return Ok(None) };
                let length = u64::from(high) << 8 | u64::from(low);
                if length < 2 {
                    return Ok(None);
                }
                // Decoders go by what this segment says of the colours, and differ over one that is cut.
                if marker == 0xee && length < ADOBE && window.bytes::<5>(at + 4)? == Some(*b"Adobe") {
                    return Ok(None);
                }
                let end = at + 2 + length;
                // Frame headers, but not the tables that share their range.
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) && frame.is_none() {
                    let Some(head) = window.bytes::<10>(at)? else { return Ok(None) };
                    let pair = |n: usize| u32::from(head[n]) << 8 | u32::from(head[n + 1]);
                    // CMYK has four components, and a medical scan 12 bits.
                    frame = Some(((pair(7), pair(5)), head[9] == 4 || head[4] != 8));
                } else if marker == 0xe1 && turn.is_none() && window.bytes::<6>(at + 4)? == Some(*b"Exif\0\0") {
                    turn = Some(exif::turn(window, at + 4, end)?);
                }
                at = end;
            }
        }
    }
    Ok(None)
}
