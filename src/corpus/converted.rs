//! Headers of formats that have to be converted: JPEG 2000, BMP, and the portable maps. TIFF has a file of its own.

use std::io::{self, Read, Seek};

use super::exif::Turn;
use super::media::{Header, be32, le16, le32};
use super::window::{PIECE, Window};

/// Boxes of a JPEG 2000 file that are looked at.
const MOST_BOXES: usize = 1_000;

/// What a format that is converted says of itself.
pub(super) enum Told {
    /// A header that may be true.
    Header(Header),
    /// A kind that cannot be converted.
    Unsupported(&'static str),
    /// A header that cannot be true, or an image without its end.
    Damaged,
}

impl From<Option<(u32, u32)>> for Told {
    fn from(size: Option<(u32, u32)>) -> Self {
        size.map_or(Self::Damaged, |size| Self::Header(Header { size, turn: Turn::NONE, converting: true }))
    }
}

/// Whether it begins like JPEG 2000, bare or in boxes.
pub(super) fn is_jpeg_2000(first: &[u8]) -> bool {
    first.starts_with(b"\xff\x4f\xff\x51") || first.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n")
}

/// A JPEG 2000 image of `bytes` bytes. Source: ISO/IEC 15444-1, annexes A (SIZ) and I (boxes).
pub(super) fn jpeg_2000<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<Told> {
    if window.first().starts_with(b"\xff\x4f") {
        return Ok(codestream(window, 0, bytes)?.into());
    }
    match window.first().get(20..24) {
        Some(b"jpm ") => return Ok(Told::Unsupported("JPEG 2000 compound")),
        Some(b"mjp2") => return Ok(Told::Unsupported("Motion JPEG 2000")),
        _ => {}
    }
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        let Some([a, b, c, d, kind @ ..]) = window.bytes::<8>(at)? else { break };
        let (head, length) = match u32::from_be_bytes([a, b, c, d]) {
            // Goes on to the end of the file.
            0 => (8, bytes.saturating_sub(at)),
            1 => (16, window.bytes(at + 8)?.map_or(0, u64::from_be_bytes)),
            length => (8, length.into()),
        };
        let Some(end) = at.checked_add(length).filter(|end| length >= head && *end <= bytes) else { break };
        if kind == *b"jp2c" {
            return Ok(codestream(window, at + head, end)?.into());
        }
        at = end;
    }
    Ok(Told::Damaged)
}

/// The size that a codestream from `start` to before `end` begins with, if its end is there.
fn codestream<R: Read + Seek>(window: &mut Window<'_, R>, start: u64, end: u64) -> io::Result<Option<(u32, u32)>> {
    const END: &[u8] = b"\xff\xd9";
    let Some(head) = window.bytes::<24>(start)? else { return Ok(None) };
    let length = |at: usize| be32(&head, at).unwrap_or(0);
    let side = |most: u32, offset: u32| most.checked_sub(offset).filter(|side| *side > 0);
    let size = side(length(8), length(16)).zip(side(length(12), length(20)));
    let tail = end.saturating_sub(PIECE as u64).max(start);
    Ok(if head.starts_with(b"\xff\x4f\xff\x51") && window.has(tail, END)? { size } else { None })
}

/// Whether it begins like a BMP. "BM" alone begins many a text; the length of the second header is one of a few.
pub(super) fn is_bmp(first: &[u8]) -> bool {
    let is_known =
        matches!(le16(first, 14), Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)) && le16(first, 16) == Some(0);
    first.starts_with(b"BM") && is_known
}

/// A BMP of `bytes` bytes.
pub(super) fn bmp(first: &[u8], bytes: u64) -> Told {
    whole_bmp(first, bytes).into()
}

fn whole_bmp(first: &[u8], bytes: u64) -> Option<(u32, u32)> {
    let is_old = le16(first, 14)? == 12;
    let (width, height, bits, packing) = if is_old {
        (le16(first, 18)?, le16(first, 20)?, le16(first, 24)?, 0)
    } else {
        // A height below 0 is that of an image from top to bottom.
        let height = le32(first, 22)?.cast_signed().unsigned_abs();
        let packing = if le16(first, 14)? < 40 { 0 } else { le32(first, 30)? };
        (le32(first, 18)?, height, le16(first, 28)?, packing)
    };
    let pixels = u64::from(le32(first, 10)?);
    // Packed rows have no length that could be known.
    let bits = if matches!(packing, 0 | 3) { u64::from(width) * u64::from(bits) } else { 0 };
    // Some writers do not fill the last row up.
    let rows = (bits.div_ceil(32) * 4).checked_mul(u64::from(height).saturating_sub(1))?;
    let end = pixels.checked_add(rows)?.checked_add(bits.div_ceil(8))?;
    (width <= i32::MAX.unsigned_abs() && pixels < bytes && end <= bytes).then_some((width, height))
}

/// Whether it begins like a portable map.
pub(super) fn is_pnm(first: &[u8]) -> bool {
    matches!(first, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace())
}

/// A portable map of `bytes` bytes. Source: the manual pages of Netpbm, pbm(5) to pam(5).
pub(super) fn pnm(first: &[u8], bytes: u64) -> Told {
    let kind = first.get(1).copied().unwrap_or(0);
    let header = if kind == b'7' { pam(first) } else { map(first, kind) };
    header.filter(|(_, _, length)| *length <= bytes).map(|(width, height, _)| (width, height)).into()
}

/// Width, height, and the bytes that the file has at least.
fn map(first: &[u8], kind: u8) -> Option<(u32, u32, u64)> {
    let mut words = Words { bytes: first, at: 2 };
    let (width, height) = (words.number()?, words.number()?);
    let most = if matches!(kind, b'1' | b'4') { 1 } else { words.number()? };
    (matches!(most, 1..=65_535)).then_some(())?;
    let depth = if most > 255 { 2 } else { 1 };
    let row = match kind {
        b'4' => u64::from(width).div_ceil(8),
        b'5' => u64::from(width) * depth,
        b'6' => u64::from(width) * 3 * depth,
        // Numbers in words: a digit each, and at least a space between.
        _ => 0,
    };
    let length = row.checked_mul(u64::from(height))?.checked_add(words.at as u64 + 1)?;
    Some((width, height, length))
}

fn pam(first: &[u8]) -> Option<(u32, u32, u64)> {
    let end = memchr::memmem::find(first, b"ENDHDR\n")? + 7;
    let lines = || first[..end].split(|byte| *byte == b'\n');
    let number = |name: &str| {
        let told = lines().find_map(|line| line.strip_prefix(name.as_bytes()))?;
        std::str::from_utf8(told).ok()?.trim().parse::<u32>().ok()
    };
    let (width, height, planes) = (number("WIDTH ")?, number("HEIGHT ")?, number("DEPTH ")?);
    let depth = if number("MAXVAL ")? > 255 { 2 } else { 1 };
    let samples = u64::from(width).checked_mul(u64::from(height))?.checked_mul(u64::from(planes) * depth)?;
    Some((width, height, samples.checked_add(end as u64)?))
}

/// The numbers of a header, with comments between them.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn number(&mut self) -> Option<u32> {
        loop {
            match self.bytes.get(self.at)? {
                b'#' => self.at += memchr::memchr(b'\n', self.bytes.get(self.at..)?)?,
                space if space.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let word = std::str::from_utf8(&self.bytes[self.at..self.at + digits]).ok()?;
        self.at += digits;
        // Something has to follow.
        self.bytes.get(self.at)?;
        word.parse().ok()
    }
}
