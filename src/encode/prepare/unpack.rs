//! What lies in a strip or tile of a TIFF: its compression undone, its numbers brought to 8 bits.

use std::io::Read;

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};
use weezl::BitOrder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Unpreparable;

/// A strip or tile as it lies in the file.
pub(super) struct Packed<'a> {
    pub(super) bytes: &'a [u8],
    /// The number of its compression.
    pub(super) compression: u64,
    /// `T4Options`: bit 0 for two dimensions.
    pub(super) fax_options: u64,
}

/// Rows of `row` bytes, as many as `size` says, in pixels.
pub(super) fn unpack(packed: &Packed<'_>, size: (usize, usize), row: usize) -> Result<Vec<u8>, Unpreparable> {
    let length = size.1 * row;
    let mut rows = vec![0; length];
    let filled = match packed.compression {
        1 => copy(packed.bytes, &mut rows),
        2..=4 => return fax(packed, size, row, rows),
        5 => lzw(packed.bytes, &mut rows),
        8 | 32_946 => inflate(packed.bytes, &mut rows),
        32_773 => pack_bits(packed.bytes, &mut rows),
        other => return Err(Unpreparable::Unsupported(format!("TIFF with {}", compression(other)))),
    };
    if filled == length {
        return Ok(rows);
    }
    Err(Unpreparable::Damaged(format!("a strip ends after {filled} of {length} bytes")))
}

/// Names of compressions. Source: TIFF 6.0, and the list of libtiff.
fn compression(number: u64) -> String {
    let name = match number {
        32_766 => "NeXT compression",
        32_809 => "ThunderScan compression",
        33_003 | 33_005 | 34_712 => "JPEG 2000 inside",
        34_661 => "JBIG inside",
        34_676 | 34_677 => "LogLuv compression",
        34_887 => "LERC compression",
        34_925 => "LZMA compression",
        50_000 => "Zstandard compression",
        50_001 => "WebP inside",
        50_002 => "JPEG XL inside",
        other => return format!("compression {other}"),
    };
    name.to_owned()
}

fn copy(bytes: &[u8], rows: &mut [u8]) -> usize {
    let length = bytes.len().min(rows.len());
    rows[..length].copy_from_slice(&bytes[..length]);
    length
}

fn lzw(bytes: &[u8], rows: &mut [u8]) -> usize {
    // Before TIFF 5.0 the bits ran the other way, and codes grew later.
    let is_old = matches!(bytes, [0, odd, ..] if odd & 1 == 1);
    let mut decoder = if is_old {
        weezl::decode::Decoder::new(BitOrder::Lsb, 8)
    } else {
        weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let (mut read, mut filled) = (0, 0);
    while filled < rows.len() {
        let step = decoder.decode_bytes(&bytes[read..], &mut rows[filled..]);
        read += step.consumed_in;
        filled += step.consumed_out;
        if step.status.is_err() || (step.consumed_in == 0 && step.consumed_out == 0) || decoder.has_ended() {
            break;
        }
    }
    filled
}

fn inflate(bytes: &[u8], rows: &mut [u8]) -> usize {
    let mut decoder = flate2::read::ZlibDecoder::new(bytes);
    let mut filled = 0;
    while let Ok(count @ 1..) = decoder.read(&mut rows[filled..]) {
        filled += count;
    }
    filled
}

fn pack_bits(mut bytes: &[u8], rows: &mut [u8]) -> usize {
    let mut filled = 0;
    while let [head, rest @ ..] = bytes {
        let left = rows.len() - filled;
        let head = usize::from(*head);
        let (count, read) = match head {
            0..128 => {
                let literal = &rest[..(head + 1).min(rest.len())];
                (copy(literal, &mut rows[filled..]), literal.len())
            }
            // Means nothing.
            128 => (0, 0),
            _ => {
                let [repeated, ..] = rest else { break };
                let count = (257 - head).min(left);
                rows[filled..filled + count].fill(*repeated);
                (count, 1)
            }
        };
        filled += count;
        bytes = &rest[read..];
        if filled == rows.len() {
            break;
        }
    }
    filled
}

/// Rows of a fax, white while nothing is written on them.
struct Fax {
    rows: Vec<u8>,
    row: usize,
    width: usize,
    done: usize,
}

impl Decoder for Fax {
    fn push_row(&mut self, changes: &[u32]) {
        let Some(row) = self.rows.get_mut(self.done * self.row..(self.done + 1) * self.row) else { return };
        self.done += 1;
        for black in changes.chunks(2) {
            let end = black.get(1).map_or(self.width, |end| *end as usize);
            for x in black[0] as usize..end.min(self.width) {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
}

/// Group 3 in one or two dimensions, Group 4. Rows that are not there are white: some writers leave out those at the end.
fn fax(
    packed: &Packed<'_>,
    (width, height): (usize, usize),
    row: usize,
    rows: Vec<u8>,
) -> Result<Vec<u8>, Unpreparable> {
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    if row != width.div_ceil(8) {
        return Err(Unpreparable::Damaged("it is a fax of more than one bit".to_owned()));
    }
    let mut context = DecoderContext::new(DecodeSettings {
        columns: side(width),
        rows: side(height),
        end_of_block: packed.compression != 2,
        end_of_line: packed.compression == 3,
        rows_are_byte_aligned: packed.compression == 2,
        encoding: match packed.compression {
            4 => EncodingMode::Group4,
            3 if packed.fax_options & 1 == 1 => EncodingMode::Group3_2D,
            _ => EncodingMode::Group3_1D,
        },
        strict: false,
    });
    let mut fax = Fax { rows, row, width, done: 0 };
    let outcome = hayro_ccitt::decode(packed.bytes, &mut fax, &mut context);
    match outcome {
        Err(cause) if fax.done < height => {
            Err(Unpreparable::Damaged(format!("a fax breaks off after {} of {height} rows: {cause}", fax.done)))
        }
        Ok(_) if fax.done == 0 => Err(Unpreparable::Damaged("a fax has no rows".to_owned())),
        _ => Ok(fax.rows),
    }
}

/// Pixels of a JPEG of `samples` samples that is at least as large as `size`, and how long its rows are. With `is_light` its
/// light and differences become RGB; without it, samples are kept as they are.
pub(super) fn jpeg(
    bytes: &[u8],
    tables: &[u8],
    samples: usize,
    is_light: bool,
    size: (usize, usize),
) -> Result<(Vec<u8>, usize), Unpreparable> {
    const END: &[u8] = b"\xff\xd9";
    let damaged = |why: String| Unpreparable::Damaged(format!("a JPEG inside: {why}"));
    // The tables are a JPEG without a picture: they go before what follows the mark that begins the other.
    let whole = match tables.strip_suffix(END) {
        Some(tables) if tables.len() > 2 => [tables, bytes.get(2..).unwrap_or_default()].concat(),
        _ => bytes.to_vec(),
    };
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(whole), options);
    decoder.decode_headers().map_err(|cause| damaged(cause.to_string()))?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let wanted = match (samples, stored) {
        (1, _) => ColorSpace::Luma,
        (3, _) if is_light => ColorSpace::RGB,
        (4, ColorSpace::YCCK) => ColorSpace::CMYK,
        _ => stored,
    };
    let info = decoder.info().ok_or_else(|| damaged("no header".to_owned()))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let is_huge = width * height > 4 * size.0.max(64) * size.1.max(64) + (1 << 24);
    if width < size.0 || height < size.1 || is_huge || wanted.num_components() != samples {
        return Err(damaged(format!("{width} x {height} pixels, where {} x {} belong", size.0, size.1)));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let pixels = decoder.decode().map_err(|cause| damaged(cause.to_string()))?;
    if pixels.len() < width * height * samples {
        return Err(damaged("it is not whole".to_owned()));
    }
    Ok((pixels, width * samples))
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) bits: u32,
    pub(super) samples: usize,
    pub(super) is_signed: bool,
    /// Each number is the difference to that of the pixel before.
    pub(super) is_predicted: bool,
    pub(super) is_big_endian: bool,
    /// Bits of a number of 16 that are left out at its end, 8 or fewer.
    pub(super) dropped: u32,
}

impl Raw {
    /// Adds `count` numbers of a row in 8 bits; fewer than 8 are spread over them if they are `scaled`, and kept otherwise.
    pub(super) fn bytes(self, row: &[u8], count: usize, scaled: bool, to: &mut Vec<u8>) {
        let from = to.len();
        match self.bits {
            8 => {
                to.extend(&row[..count]);
                if self.is_predicted {
                    for n in from + self.samples..to.len() {
                        to[n] = to[n].wrapping_add(to[n - self.samples]);
                    }
                }
            }
            16 => self.shorts(row, count, to),
            32 => to.extend(row.chunks_exact(4).take(count).map(|four| four[if self.is_big_endian { 0 } else { 3 }])),
            bits => to.extend((0..count).map(|n| {
                let number = bits_at(row, n * bits as usize, bits);
                let spread = if scaled { number * 255 / ((1 << bits) - 1) } else { number };
                u8::try_from(spread).unwrap_or(u8::MAX)
            })),
        }
        if self.is_signed && self.bits >= 8 {
            to[from..].iter_mut().for_each(|byte| *byte ^= 0x80);
        }
    }

    fn shorts(self, row: &[u8], count: usize, to: &mut Vec<u8>) {
        let mut before = [0u16; 32];
        for (n, two) in row.chunks_exact(2).take(count).enumerate() {
            let two = [two[0], two[1]];
            let mut number = if self.is_big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) };
            if self.is_predicted {
                let before = &mut before[n % self.samples];
                number = number.wrapping_add(*before);
                *before = number;
            }
            to.push(u8::try_from(number >> self.dropped).unwrap_or(u8::MAX));
        }
    }
}

/// The number of at most 16 bits that begins at bit `at`.
fn bits_at(row: &[u8], at: usize, bits: u32) -> u32 {
    let byte = |n: usize| u32::from(row.get(at / 8 + n).copied().unwrap_or(0));
    let three = byte(0) << 16 | byte(1) << 8 | byte(2);
    three >> (24 - (at % 8) as u32 - bits) & ((1 << bits) - 1)
}
