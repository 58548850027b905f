//! What the first and the last bytes of a file say: format by magic alone, the size of each page from the headers, whether the
//! file goes on to its end, and what has to be done to it before it can be sent.
//!
//! No pixel is decoded and nothing is believed that the bytes do not say; a name's ending plays no part. Files are read in
//! pieces of 4 KiB, two for most; a JPEG may hide its size behind a megabyte of profiles, and not further; of a TIFF the
//! directories are read.

use std::io::{self, Read, Seek, SeekFrom};

use super::converted::Told;
use super::exif::Turn;
use super::tiff::Chain;
use super::window::Window;
use super::{accepted, converted, tiff, whole};
use crate::domain::image::{Format, Looks, Needs, Pixels};

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// An image that can be sent, some only after they were made ready.
    Image(Looks),
    /// An image, a page or a drawing of a format that is not sent; its name.
    Unsupported(&'static str),
    /// Begins like an image, and its header cannot be true or its end is missing.
    Damaged,
    /// Something else.
    NotAnImage,
}

/// A header of an image of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width and height as stored, in pixels.
    pub size: (u32, u32),
    /// How the picture becomes upright.
    pub turn: Turn,
    /// The API does not take it as it is.
    pub converting: bool,
}

/// What one look has found, with what only a decoder needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An image of one page.
    One(Format, Header),
    /// The pages of a TIFF.
    Tiff(Vec<tiff::Page>),
    /// No image that could be sent.
    Not(Sniffed),
}

/// Looks at a file of `bytes` bytes from its beginning.
///
/// # Errors
/// The source's own; whatever the bytes are, they are no error.
pub fn sniff<R: Read + Seek>(source: &mut R, bytes: u64) -> io::Result<Sniffed> {
    Ok(match look(source, bytes)? {
        Seen::One(format, header) => {
            let needs = match header {
                Header { converting: true, .. } => Needs::Converting,
                Header { turn: Turn::NONE, .. } => Needs::Nothing,
                Header { .. } => Needs::Turning,
            };
            let (width, height) = header.size;
            let upright = header.turn.upright(Pixels { width, height });
            Sniffed::Image(Looks { format, pages: vec![upright], needs })
        }
        Seen::Tiff(pages) => {
            let pages = pages.iter().map(|page| page.turn.upright(page.stored)).collect();
            Sniffed::Image(Looks { format: Format::Tiff, pages, needs: Needs::Converting })
        }
        Seen::Not(sniffed) => sniffed,
    })
}

/// Looks at a file of `bytes` bytes from its beginning, as whoever decodes it has to see it: sizes as stored.
///
/// # Errors
/// The source's own; whatever the bytes are, they are no error.
pub fn look<R: Read + Seek>(source: &mut R, bytes: u64) -> io::Result<Seen> {
    source.seek(SeekFrom::Start(0))?;
    let mut window = Window::over(source, bytes)?;
    let first = window.first();
    if first.starts_with(b"\xff\xd8\xff") {
        let Some((header, scan)) = accepted::jpeg(&mut window)? else { return Ok(Seen::Not(Sniffed::Damaged)) };
        return Ok(seen(Format::Jpeg, Some(header), whole::jpeg(&mut window, scan, bytes)?));
    }
    if first.starts_with(b"\x89PNG\r\n\x1a\n") {
        let header = accepted::png(&mut window, bytes)?;
        return Ok(seen(Format::Png, header, whole::png(&mut window, bytes)?));
    }
    if first.starts_with(b"GIF87a") || first.starts_with(b"GIF89a") {
        let header = accepted::gif(&mut window)?;
        return Ok(seen(Format::Gif, header, whole::gif(&mut window, bytes)?));
    }
    if is_riff(first, b"WEBP") {
        let is_whole = whole::webp(first, bytes);
        return Ok(seen(Format::Webp, accepted::webp(&mut window)?, is_whole));
    }
    let (format, told) = match first {
        _ if converted::is_jpeg_2000(first) => (Format::Jp2, converted::jpeg_2000(&mut window, bytes)?),
        _ if converted::is_bmp(first) => (Format::Bmp, converted::bmp(first, bytes)),
        _ if converted::is_pnm(first) => (Format::Pnm, converted::pnm(first, bytes)),
        _ => return others(&mut window, bytes),
    };
    Ok(match told {
        Told::Header(header) => seen(format, Some(header), true),
        Told::Unsupported(name) => Seen::Not(Sniffed::Unsupported(name)),
        Told::Damaged => Seen::Not(Sniffed::Damaged),
    })
}

fn others<R: Read + Seek>(window: &mut Window<'_, R>, bytes: u64) -> io::Result<Seen> {
    // Before the chain is walked, the window lies at the beginning.
    let not = unsupported(window.first()).map_or(Sniffed::NotAnImage, Sniffed::Unsupported);
    Ok(match tiff::chain(window, bytes)? {
        Some(Chain::Pages(pages)) => Seen::Tiff(pages),
        Some(Chain::Unsupported(name)) => Seen::Not(Sniffed::Unsupported(name)),
        Some(Chain::Damaged) => Seen::Not(Sniffed::Damaged),
        None => Seen::Not(not),
    })
}

fn seen(format: Format, header: Option<Header>, is_whole: bool) -> Seen {
    match header {
        Some(header) if is_whole && header.size.0 > 0 && header.size.1 > 0 => Seen::One(format, header),
        _ => Seen::Not(Sniffed::Damaged),
    }
}

/// Formats known by their magic and not sent.
fn unsupported(first: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"%PDF-", "PDF"),
        (b"8BPS", "Photoshop"),
        (b"AT&TFORM", "DjVu"),
        (b"\0\0\x01\0", "icon"),
        (b"\x97JB2\r\n\x1a\n", "JBIG2"),
        (b"II\xbc", "JPEG XR"),
    ];
    let by_magic = MAGIC.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, name)| *name);
    by_magic.or_else(|| heif(first)).or_else(|| svg(first))
}

fn heif(first: &[u8]) -> Option<&'static str> {
    (first.get(4..8)? == b"ftyp").then_some(())?;
    match first.get(8..12)? {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => Some("HEIC"),
        _ => None,
    }
}

fn svg(first: &[u8]) -> Option<&'static str> {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let drawing = text.windows(4).take(1024).any(|window| window == b"<svg");
    ((text.starts_with(b"<?xml") && drawing) || text.starts_with(b"<svg")).then_some("SVG")
}

fn is_riff(first: &[u8], kind: &[u8]) -> bool {
    first.starts_with(b"RIFF") && first.get(8..12) == Some(kind)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes).map(u32::from)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
