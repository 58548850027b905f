//! One page of a TIFF. Source: TIFF 6.0, Technical Note 2 (JPEG), and what libtiff makes of files that obey neither.
//!
//! The strips or tiles are read one by one, unpacked, brought to 8 bits, and laid where they belong; the colours are made of them
//! at the end.

use std::io::{BufRead, Read, Seek, SeekFrom};

use image::DynamicImage;

use super::samples::{Alpha, Colours, Samples};
use super::unpack::{self, Packed, Raw};
use super::{Unpreparable, colour};
use crate::corpus::tags::Tags;
use crate::corpus::tiff::Page;

/// Strips or tiles of a page; more belong to no real one.
const MOST_CHUNKS: u64 = 1 << 20;
/// Bytes of a table, of a profile.
const MOST_BYTES: u64 = 1 << 20;
/// Bytes that the lengths of the strips may be too long by, at the end of the file.
const SLACK: u64 = 16;
/// How often the bytes of a file may be read for one page; each once is what real ones need.
const MOST_READ: u64 = 8;
/// Pixels that a tile may have whatever the page has.
const TILE: usize = 1 << 24;
/// Bytes that a strip or tile may be unpacked to whatever the page has.
const UNPACKED: usize = 1 << 26;
/// The same for each pixel of the page: four samples of 16 bits.
const UNPACKED_PER_PIXEL: usize = 8;

/// What the stored numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Grey, 0 is white.
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    /// A colour of a table.
    Palette,
    Cmyk,
    /// Light and two differences.
    YCbCr,
}

/// How the page is stored.
struct Plan {
    width: usize,
    height: usize,
    raw: Raw,
    /// Samples that are kept of each pixel: its colours, and its transparency if it has one.
    kept: usize,
    is_planar: bool,
    meaning: Meaning,
    alpha: Alpha,
    compression: u64,
    is_reversed: bool,
    chunk: (usize, usize),
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    fax_options: u64,
    jpeg_tables: Vec<u8>,
}

/// Decodes a page of a file of `bytes` bytes, as it is stored.
pub(super) fn decode(
    source: &mut (impl BufRead + Seek),
    bytes: u64,
    page: &Page,
) -> Result<DynamicImage, Unpreparable> {
    let Some(tags) = Tags::read(source, page.directory)? else { return damaged("its directory is broken") };
    if tags.number(source, 259, 1)? == OLD_JPEG {
        return old_jpeg(source, &tags, page, bytes);
    }
    let mut plan = plan(source, &tags, page)?;
    let mut stored = plan.read(source, bytes)?;
    if plan.is_faint(&stored) {
        plan.raw.dropped = 4;
        stored = plan.read(source, bytes)?;
    }
    let (colours, samples) = match plan.meaning {
        Meaning::Palette => (Colours::Rgb, coloured(source, &tags, &plan, &stored)?),
        Meaning::WhiteIsZero => (Colours::Grey, inverted(stored, plan.kept)),
        Meaning::BlackIsZero => (Colours::Grey, stored),
        Meaning::Rgb => (Colours::Rgb, stored),
        Meaning::Cmyk => (Colours::Cmyk, stored),
        // A JPEG has become RGB while it was decoded.
        Meaning::YCbCr if plan.compression == JPEG => (Colours::Rgb, stored),
        Meaning::YCbCr => (Colours::Rgb, lit(stored, plan.kept)),
    };
    let (width, height) = (page.stored.width, page.stored.height);
    let picture = Samples { width, height, colours, alpha: plan.alpha, bytes: samples }.picture()?;
    let profile = tags.bytes(source, 34_675)?;
    Ok(colour::to_srgb(picture, Some(&profile)))
}

const NO_COMPRESSION: u64 = 1;
const OLD_JPEG: u64 = 6;
const JPEG: u64 = 7;

fn damaged<T>(why: &str) -> Result<T, Unpreparable> {
    Err(Unpreparable::Damaged(why.to_owned()))
}

fn unsupported<T>(what: String) -> Result<T, Unpreparable> {
    Err(Unpreparable::Unsupported(what))
}

impl Tags {
    /// The first number of a tag.
    fn number(&self, source: &mut (impl Read + Seek), tag: u16, otherwise: u64) -> Result<u64, Unpreparable> {
        Ok(self.numbers(source, tag, MOST_BYTES)?.first().copied().unwrap_or(otherwise))
    }

    fn bytes(&self, source: &mut (impl Read + Seek), tag: u16) -> Result<Vec<u8>, Unpreparable> {
        let numbers = self.numbers(source, tag, MOST_BYTES)?;
        Ok(numbers.into_iter().map(|number| u8::try_from(number).unwrap_or(u8::MAX)).collect())
    }
}

fn plan(source: &mut (impl Read + Seek), tags: &Tags, page: &Page) -> Result<Plan, Unpreparable> {
    let (width, height) = (page.stored.width as usize, page.stored.height as usize);
    let compression = tags.number(source, 259, NO_COMPRESSION)?;
    let raw = raw(source, tags)?;
    let meaning = meaning(source, tags, compression, raw)?;
    let colours = match meaning {
        Meaning::WhiteIsZero | Meaning::BlackIsZero | Meaning::Palette => 1,
        Meaning::Rgb | Meaning::YCbCr => 3,
        Meaning::Cmyk => 4,
    };
    if raw.samples < colours {
        return damaged("it has fewer samples than colours");
    }
    let alpha = match tags.numbers(source, 338, MOST_BYTES)?.first() {
        _ if raw.samples == colours || meaning == Meaning::Palette => Alpha::None,
        Some(1) => Alpha::Multiplied,
        Some(2) => Alpha::Straight,
        _ => Alpha::None,
    };
    let is_planar = tags.number(source, 284, 1)? == 2 && raw.samples > 1;
    let tile = (tags.number(source, 322, 0)?, tags.number(source, 323, 0)?);
    let is_tiled = tile.0 > 0 && tile.1 > 0;
    let side = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
    let chunk = if is_tiled {
        (side(tile.0), side(tile.1))
    } else {
        (width, side(tags.number(source, 278, u64::MAX)?).clamp(1, height))
    };
    let area =
        chunk.0.checked_mul(chunk.1).filter(|area| *area <= TILE.max(width.saturating_mul(height).saturating_mul(4)));
    let Some(area) = area else { return damaged("its tiles are far larger than it is") };
    let samples = if is_planar { 1 } else { raw.samples };
    let unpacked = area.saturating_mul(samples).saturating_mul(raw.bits as usize) / 8;
    if unpacked > UNPACKED.max(width.saturating_mul(height).saturating_mul(UNPACKED_PER_PIXEL)) {
        return Err(Unpreparable::TooLarge("one of its strips takes far more memory than its picture".to_owned()));
    }
    let (offsets, lengths) = if is_tiled { (324, 325) } else { (273, 279) };
    Ok(Plan {
        width,
        height,
        raw,
        kept: colours + usize::from(alpha != Alpha::None),
        is_planar,
        meaning,
        alpha,
        compression,
        is_reversed: tags.number(source, 266, 1)? == 2,
        chunk,
        offsets: tags.numbers(source, offsets, MOST_CHUNKS)?,
        lengths: tags.numbers(source, lengths, MOST_CHUNKS)?,
        fax_options: tags.number(source, 292, 0)?,
        jpeg_tables: tags.bytes(source, 347)?,
    })
}

/// How the numbers are stored.
fn raw(source: &mut (impl Read + Seek), tags: &Tags) -> Result<Raw, Unpreparable> {
    let all_bits = tags.numbers(source, 258, MOST_BYTES)?;
    let bits = all_bits.first().copied().unwrap_or(1);
    if all_bits.iter().any(|other| *other != bits) {
        return unsupported("TIFF with samples of different bits".to_owned());
    }
    let format = tags.number(source, 339, 1)?;
    let predictor = tags.number(source, 317, 1)?;
    let samples = usize::try_from(tags.number(source, 277, 1)?).unwrap_or(usize::MAX);
    match (format, bits) {
        (1 | 2 | 4, 1..=16 | 32) => {}
        (3, _) => return unsupported("TIFF with floating-point samples".to_owned()),
        _ => return unsupported(format!("TIFF with samples of format {format} and {bits} bits")),
    }
    if !matches!((predictor, bits), (1, _) | (2, 8 | 16)) {
        return unsupported(format!("TIFF with predictor {predictor} and {bits} bits"));
    }
    if !(1..=32).contains(&samples) {
        return damaged("it has no samples, or too many");
    }
    let bits = u32::try_from(bits).unwrap_or(u32::MAX);
    let (is_signed, is_predicted) = (format == 2, predictor == 2);
    Ok(Raw { bits, samples, is_signed, is_predicted, is_big_endian: tags.is_big_endian(), dropped: 8 })
}

fn meaning(source: &mut (impl Read + Seek), tags: &Tags, compression: u64, raw: Raw) -> Result<Meaning, Unpreparable> {
    // What is not said is what it nearly always is.
    let likely = match (compression, raw.samples) {
        (2..=4, _) => 0,
        (_, 3..) => 2,
        _ => 1,
    };
    match tags.number(source, 262, likely)? {
        0 => Ok(Meaning::WhiteIsZero),
        1 => Ok(Meaning::BlackIsZero),
        2 => Ok(Meaning::Rgb),
        3 => Ok(Meaning::Palette),
        5 => Ok(Meaning::Cmyk),
        6 if compression == JPEG || tags.numbers(source, 530, 2)? == [1, 1] => Ok(Meaning::YCbCr),
        6 => unsupported("TIFF with subsampled colours outside a JPEG".to_owned()),
        8..=10 => unsupported("TIFF in Lab colours".to_owned()),
        other => unsupported(format!("TIFF with photometric interpretation {other}")),
    }
}

impl Plan {
    /// Whether the upper four of 16 bits are used by no pixel: scanners of 12 bits leave them empty, and the page would be nearly
    /// black.
    fn is_faint(&self, stored: &[u8]) -> bool {
        let is_light = matches!(self.meaning, Meaning::WhiteIsZero | Meaning::BlackIsZero | Meaning::Rgb);
        let is_plain = is_light && self.alpha == Alpha::None && self.raw.bits == 16 && !self.raw.is_signed;
        is_plain && stored.iter().all(|upper| *upper < 16)
    }

    /// The kept samples of all pixels, in 8 bits.
    fn read(&self, source: &mut (impl BufRead + Seek), bytes: u64) -> Result<Vec<u8>, Unpreparable> {
        let (across, down) = (self.width.div_ceil(self.chunk.0), self.height.div_ceil(self.chunk.1));
        let per_plane = across.saturating_mul(down);
        let planes = if self.is_planar { self.kept } else { 1 };
        if per_plane.checked_mul(planes).is_none_or(|needed| needed > self.offsets.len()) {
            return damaged("some of its strips have no place");
        }
        let mut page = vec![0; self.width * self.height * self.kept];
        let mut left = bytes.saturating_mul(MOST_READ);
        for n in 0..per_plane * planes {
            let (plane, place) = (n / per_plane, n % per_plane);
            let (x, y) = (place % across * self.chunk.0, place / across * self.chunk.1);
            let packed = self.packed(source, n, bytes)?;
            let Some(rest) = left.checked_sub(packed.len() as u64) else {
                return damaged("its strips lie in each other");
            };
            left = rest;
            self.lay(&mut page, plane, (x, y), packed)?;
        }
        Ok(page)
    }

    /// The bytes of a strip or tile as they lie in the file.
    fn packed(&self, source: &mut (impl BufRead + Seek), n: usize, bytes: u64) -> Result<Vec<u8>, Unpreparable> {
        let offset = self.offsets[n];
        let rest = bytes.saturating_sub(offset);
        let told = self.lengths.get(n).copied().filter(|length| *length > 0);
        let length = told.unwrap_or(rest);
        if offset >= bytes || length > rest + SLACK {
            return damaged("its pixels lie behind its end");
        }
        source.seek(SeekFrom::Start(offset))?;
        let mut packed = Vec::new();
        source.take(length).read_to_end(&mut packed)?;
        if self.is_reversed && self.compression != JPEG {
            packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(packed)
    }

    /// Unpacks a strip or tile, and lays what of it is page at `x`, `y`. A strip may be the whole page: no more is held of it than its
    /// numbers as they are stored.
    fn lay(&self, page: &mut [u8], plane: usize, (x, y): (usize, usize), bytes: Vec<u8>) -> Result<(), Unpreparable> {
        let samples = if self.is_planar { 1 } else { self.raw.samples };
        // The last strip is as high as what is left of the page, a tile as high as any.
        let rows = self.chunk.1.min(self.height - y);
        let columns = self.chunk.0.min(self.width - x);
        let raw = Raw { samples, ..self.raw };
        if self.compression == JPEG {
            let is_light = self.meaning == Meaning::YCbCr && !self.is_planar;
            let (unpacked, stride) = unpack::jpeg(&bytes, &self.jpeg_tables, samples, is_light, (columns, rows))?;
            for (row, line) in unpacked.chunks_exact(stride).take(rows).enumerate() {
                self.lay_row(page, plane, (x, y + row), columns, line);
            }
            return Ok(());
        }
        let is_scaled = self.meaning != Meaning::Palette;
        let packed = Packed { bytes: &bytes, compression: self.compression, fax_options: self.fax_options };
        let length = (self.chunk.0 * samples * raw.bits as usize).div_ceil(8);
        let stored = unpack::unpack(&packed, (self.chunk.0, rows), length)?;
        drop(bytes);
        let mut line = Vec::with_capacity(columns * samples);
        for (row, stored) in stored.chunks_exact(length).take(rows).enumerate() {
            line.clear();
            raw.bytes(stored, columns * samples, is_scaled, &mut line);
            self.lay_row(page, plane, (x, y + row), columns, &line);
        }
        Ok(())
    }

    /// Lays a row of `columns` pixels, in 8 bits a sample, at `x`, `y`.
    fn lay_row(&self, page: &mut [u8], plane: usize, (x, y): (usize, usize), columns: usize, line: &[u8]) {
        let (samples, kept) = if self.is_planar { (1, 1) } else { (self.raw.samples, self.kept) };
        let start = (y * self.width + x) * self.kept;
        let target = &mut page[start..start + columns * self.kept];
        if kept == samples && kept == self.kept {
            target.copy_from_slice(&line[..columns * kept]);
            return;
        }
        for (pixel, stored) in target.chunks_exact_mut(self.kept).zip(line.chunks_exact(samples)) {
            pixel[plane..plane + kept].copy_from_slice(&stored[..kept]);
        }
    }
}

/// The colours of a table for the numbers of a page.
fn coloured(source: &mut (impl Read + Seek), tags: &Tags, plan: &Plan, stored: &[u8]) -> Result<Vec<u8>, Unpreparable> {
    if plan.raw.bits > 8 {
        return unsupported(format!("TIFF with a table of {} bits", plan.raw.bits));
    }
    let table = tags.numbers(source, 320, 3 * 256)?;
    let many = 1 << plan.raw.bits;
    if table.len() < 3 * many {
        return damaged("its table of colours is too short");
    }
    // Colours are of 16 bits; some writers put 8 into them.
    let shift = if table.iter().all(|light| *light < 256) { 0 } else { 8 };
    let light = |n: usize| u8::try_from(table[n] >> shift).unwrap_or(u8::MAX);
    let colours: Vec<[u8; 3]> = (0..many).map(|n| [light(n), light(many + n), light(2 * many + n)]).collect();
    Ok(stored.iter().flat_map(|number| colours[usize::from(*number)]).collect())
}

/// Greys for which 0 was white; what else a pixel has stays.
fn inverted(mut stored: Vec<u8>, kept: usize) -> Vec<u8> {
    stored.chunks_exact_mut(kept).for_each(|pixel| pixel[0] = u8::MAX - pixel[0]);
    stored
}

/// RGB from light and differences. Source: ITU-R BT.601, as JFIF uses it.
fn lit(mut stored: Vec<u8>, kept: usize) -> Vec<u8> {
    for pixel in stored.chunks_exact_mut(kept) {
        let [y, cb, cr] = [0, 1, 2].map(|n| f32::from(pixel[n]));
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        let lights = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        // Such a cast stops at 0 and at 255.
        pixel[..3].copy_from_slice(&lights.map(|light| light.round() as u8));
    }
    stored
}

/// The first way to put a JPEG into a TIFF, which every writer understood in its own way. Where the file points to a whole JPEG,
/// that is decoded; nothing else is.
fn old_jpeg(
    source: &mut (impl BufRead + Seek),
    tags: &Tags,
    page: &Page,
    bytes: u64,
) -> Result<DynamicImage, Unpreparable> {
    let start = tags.number(source, 513, 0)?;
    let length = tags.number(source, 514, 0)?;
    let rest = bytes.saturating_sub(start);
    let mut jpeg = Vec::new();
    if start > 0 {
        source.seek(SeekFrom::Start(start.min(bytes)))?;
        source.take(if length == 0 { rest } else { length.min(rest) }).read_to_end(&mut jpeg)?;
    }
    if !jpeg.starts_with(b"\xff\xd8") || !jpeg.windows(2).any(|mark| mark == b"\xff\xda") {
        return unsupported("TIFF with a JPEG of the old style in pieces".to_owned());
    }
    let samples = if tags.number(source, 277, 3)? == 1 { 1 } else { 3 };
    let (width, height) = (page.stored.width, page.stored.height);
    let size = (width as usize, height as usize);
    let (mut pixels, stride) = unpack::jpeg(&jpeg, &[], samples, true, size)?;
    if stride != size.0 * samples {
        return damaged("its JPEG is wider than it says");
    }
    pixels.truncate(stride * size.1);
    let colours = if samples == 1 { Colours::Grey } else { Colours::Rgb };
    Samples { width, height, colours, alpha: Alpha::None, bytes: pixels }.picture()
}
