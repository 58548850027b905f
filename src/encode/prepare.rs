//! An image that the API does not take as it is, made ready: decoded, turned upright, shrunk if that is wished, and written as
//! JPEG or PNG. One function over bytes; it knows no path, no name, no clock.
//!
//! What it keeps: grey stays grey, and black on white stays that, as a PNG of one bit where this is shorter than the JPEG. What it
//! drops: transparency lies on white, colours of other profiles become sRGB, of several frames the first is taken.
//! Whatever the bytes are, there is an answer: a decoder that panics has met a damaged file.

mod colour;
mod finish;
mod jpeg_2000;
mod plain;
mod samples;
mod tiff;
mod unpack;

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::DynamicImage;

use crate::corpus::exif::Turn;
use crate::corpus::media::{Header, Seen, Sniffed, look};
use crate::domain::image::{Format, Pixels};
use crate::domain::recipe::{Preparation, Reencode};

/// How an image is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its page, from 1.
    pub page: u32,
    /// What is wished of it.
    pub how: Preparation,
    /// Pixels of the page that its header may claim.
    pub max_pixels: u64,
    /// Bytes that the result has at most.
    pub max_bytes: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The file to send.
    pub bytes: Vec<u8>,
    /// JPEG or PNG, or the file's own if it is sent as it is.
    pub format: Format,
    /// Its size.
    pub pixels: Pixels,
    /// Whether the stored picture lay on its side or its head, or was mirrored.
    pub turned: bool,
    /// Whether it has fewer pixels than the original.
    pub shrunk: bool,
    /// Share of its pixels that are dark, where it was decoded.
    pub ink: Option<f64>,
}

/// Why nothing came of it. The words are for people, and end no sentence.
#[derive(Debug, thiserror::Error)]
pub enum Unpreparable {
    /// The file is no image, or not a whole and sound one.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A sound image, perhaps, of a kind that cannot be decoded here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The page or its result exceeds a limit.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// A decoded page, as stored: grey or RGB of 8 bits, nothing else.
struct Page {
    image: DynamicImage,
    turn: Turn,
}

/// Makes one page of an image ready. Takes about 8 bytes of memory for each pixel, JPEG 2000 up to 24.
///
/// # Errors
/// Why nothing came of it.
pub fn prepare(mut source: impl BufRead + Seek, order: &Order) -> Result<Prepared, Unpreparable> {
    // Nothing that the closure leaves behind is looked at again after a panic.
    let made = catch_unwind(AssertUnwindSafe(|| ready(&mut source, order)));
    made.unwrap_or_else(|_| Err(Unpreparable::Damaged("its decoder broke off".to_owned())))
}

fn ready(source: &mut (impl BufRead + Seek), order: &Order) -> Result<Prepared, Unpreparable> {
    let bytes = source.seek(SeekFrom::End(0))?;
    let damaged = |why: &str| Err(Unpreparable::Damaged(why.to_owned()));
    match look(source, bytes)? {
        Seen::Not(Sniffed::Unsupported(name)) => Err(Unpreparable::Unsupported(name.to_owned())),
        Seen::Not(Sniffed::Damaged) => damaged("its header cannot be true, or its end is missing"),
        Seen::Not(_) => damaged("it is no image"),
        Seen::Tiff(pages) => {
            let index = order.page.checked_sub(1).and_then(|index| usize::try_from(index).ok());
            let Some(page) = index.and_then(|index| pages.get(index)) else {
                return damaged(&format!("it has {} pages, and no page {}", pages.len(), order.page));
            };
            check(page.stored, order)?;
            let size = order.how.size_of(page.stored);
            finish::finish(
                Page { image: tiff::decode(source, bytes, page)?, turn: page.turn },
                page.stored,
                size,
                order,
            )
        }
        Seen::One(..) if order.page != 1 => damaged(&format!("it has 1 page, and no page {}", order.page)),
        Seen::One(format, header) => one(source, bytes, format, header, order),
    }
}

/// A file that is one picture.
fn one(
    source: &mut (impl BufRead + Seek),
    bytes: u64,
    format: Format,
    header: Header,
    order: &Order,
) -> Result<Prepared, Unpreparable> {
    let (width, height) = header.size;
    let stored = Pixels { width, height };
    check(stored, order)?;
    let size = order.how.size_of(stored);
    let is_taken =
        format.goes_as_it_is() && header.turn == Turn::NONE && !header.converting && bytes <= order.max_bytes;
    // Decoding a JPEG to write it again only takes away.
    let is_ready = is_taken && matches!(format, Format::Jpeg | Format::Png) && order.how.reencode != Reencode::Always;
    if is_ready && size == stored {
        return as_it_is(source, bytes, format, stored);
    }
    let image = match format {
        Format::Jp2 => jpeg_2000::decode(source, stored, size)?,
        _ => plain::decode(source, format, order)?,
    };
    let made = finish::finish(Page { image, turn: header.turn }, stored, size, order)?;
    // The model sees the same of both, and what was shrunk was to be fewer bytes.
    if size != stored && is_taken && order.how.only_fits(stored) && made.bytes.len() as u64 >= bytes {
        let ink = made.ink;
        return Ok(Prepared { ink, ..as_it_is(source, bytes, format, stored)? });
    }
    Ok(made)
}

fn check(stored: Pixels, order: &Order) -> Result<(), Unpreparable> {
    if stored.count() <= order.max_pixels {
        return Ok(());
    }
    let Pixels { width, height } = stored;
    Err(Unpreparable::TooLarge(format!("{width} x {height} pixels; {} are allowed", order.max_pixels)))
}

/// The file itself.
fn as_it_is(
    source: &mut (impl BufRead + Seek),
    bytes: u64,
    format: Format,
    pixels: Pixels,
) -> Result<Prepared, Unpreparable> {
    let bytes = whole(source, bytes)?;
    Ok(Prepared { bytes, format, pixels, turned: false, shrunk: false, ink: None })
}

/// The whole file, which had `bytes` bytes when it was looked at.
fn whole(source: &mut (impl BufRead + Seek), bytes: u64) -> Result<Vec<u8>, Unpreparable> {
    source.seek(SeekFrom::Start(0))?;
    let mut file = Vec::new();
    source.take(bytes).read_to_end(&mut file)?;
    Ok(file)
}

/// An error of a decoder that reads from the file itself: the file's, if the system says so, and otherwise its content's.
fn misread(cause: io::Error) -> Unpreparable {
    match cause.raw_os_error() {
        Some(_) => Unpreparable::Unreadable(cause),
        None => Unpreparable::Damaged(cause.to_string()),
    }
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
