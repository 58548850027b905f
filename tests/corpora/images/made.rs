//! Images, made byte by byte where no encoder would make them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};

/// Noise that no encoder shrinks, the same for the same seed.
pub(super) fn noise(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = u64::from(seed) * 2 + 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(step).collect()
}

/// A picture of 40 × 30 pixels of noise.
pub(super) fn picture(format: ImageFormat, seed: u32) -> Vec<u8> {
    let (width, height) = (40, 30);
    let pixels = noise(seed, (width * height * 3) as usize);
    let picture = DynamicImage::from(RgbImage::from_raw(width, height, pixels).expect("enough pixels"));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("memory");
    bytes.into_inner()
}

pub(super) fn png(seed: u32) -> Vec<u8> {
    picture(ImageFormat::Png, seed)
}

pub(super) fn jpeg(seed: u32) -> Vec<u8> {
    picture(ImageFormat::Jpeg, seed)
}

pub(super) fn gif(seed: u32) -> Vec<u8> {
    picture(ImageFormat::Gif, seed)
}

pub(super) fn webp(seed: u32) -> Vec<u8> {
    picture(ImageFormat::WebP, seed)
}

/// A box of an ISO media file.
fn boxed(kind: &[u8; 4], inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inside.len() + 8).expect("short");
    [&length.to_be_bytes()[..], kind, inside].concat()
}

/// A JPEG 2000 file as far as its header.
pub(super) fn jp2(seed: u32) -> Vec<u8> {
    let size = [&[0, 0, 0, 30, 0, 0, 0, 40][..], &[0, 3, 7, 7, 0, 0]].concat();
    let header = boxed(b"jp2h", &boxed(b"ihdr", &size));
    [boxed(b"jP  ", b"\r\n\x87\n"), boxed(b"ftyp", b"jp2 \0\0\0\0jp2 "), header, boxed(b"jp2c", &noise(seed, 2_000))]
        .concat()
}

/// An ISO media file of this brand: `heic`, `avif`, `mp42`.
pub(super) fn media(brand: &[u8; 4], seed: u32) -> Vec<u8> {
    [boxed(b"ftyp", &[&brand[..], b"\0\0\0\0mif1", brand].concat()), boxed(b"mdat", &noise(seed, 2_000))].concat()
}

/// A chunk of a PNG, its checksum included.
pub(super) fn chunk(kind: &[u8; 4], inside: &[u8]) -> Vec<u8> {
    let covered = [&kind[..], inside].concat();
    let length = u32::try_from(inside.len()).expect("short");
    [&length.to_be_bytes()[..], &covered, &crc(&covered).to_be_bytes()].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// What a PNG is made of, from its size on; `kind` is bit depth and colour type.
pub(super) fn png_of(size: (u32, u32), kind: [u8; 2], chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = [&size.0.to_be_bytes()[..], &size.1.to_be_bytes(), &kind, &[0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    bytes.extend(chunks.concat());
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// A PNG of one colour and one bit a pixel, whole and true: a few kilobytes that are `size` pixels.
pub(super) fn plain(size: (u32, u32), seed: u32) -> Vec<u8> {
    let rows = u64::from(size.0.div_ceil(8) + 1) * u64::from(size.1);
    let name = chunk(b"tEXt", format!("Title\0{seed}").as_bytes());
    png_of(size, [1, 0], &[name, chunk(b"IDAT", &zeros(rows))])
}

/// A zlib stream of `many` zeros: one literal, then matches of the byte before, 258 at a time in 13 bits.
pub(super) fn zeros(many: u64) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x78, 0x9c], hold: 0, held: 0 };
    // The last block, with the fixed codes.
    bits.push(0b011, 3);
    bits.code(0x30, 8);
    let left = many - 1;
    for _ in 0..left / 258 {
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    for _ in 0..left % 258 {
        bits.code(0x30, 8);
    }
    bits.code(0, 7);
    bits.push(0, 7);
    // Adler-32 of zeros.
    let sum = u32::try_from(many % 65_521).expect("small") << 16 | 1;
    bits.bytes.extend(sum.to_be_bytes());
    bits.bytes
}

struct Bits {
    bytes: Vec<u8>,
    hold: u32,
    held: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, many: u32) {
        self.hold |= bits << self.held;
        self.held += many;
        while self.held >= 8 {
            self.bytes.push((self.hold & 0xff) as u8);
            self.hold >>= 8;
            self.held -= 8;
        }
    }

    /// A Huffman code, whose highest bit goes first.
    fn code(&mut self, code: u32, many: u32) {
        self.push(code.reverse_bits() >> (32 - many), many);
    }
}

/// A segment of a JPEG.
pub(super) fn segment(marker: u8, inside: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inside.len() + 2).expect("short");
    [&[0xff, marker][..], &length.to_be_bytes(), inside].concat()
}

/// A good JPEG with something between its start and the rest.
pub(super) fn jpeg_with(seed: u32, segments: &[Vec<u8>]) -> Vec<u8> {
    let good = jpeg(seed);
    [&good[..2], &segments.concat(), &good[2..]].concat()
}

/// A JPEG that is all header: a frame of this kind, size and number of colours, and `scans` empty scans.
pub(super) fn frame(kind: u8, size: (u16, u16), colours: u8, scans: usize) -> Vec<u8> {
    let mut inside = vec![8];
    inside.extend(size.1.to_be_bytes());
    inside.extend(size.0.to_be_bytes());
    inside.push(colours);
    (1..=colours).for_each(|n| inside.extend([n, 0x11, 0]));
    let scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
    [&[0xff, 0xd8][..], &segment(kind, &inside), &scan.repeat(scans), &[0xff, 0xd9]].concat()
}

/// An EXIF segment with a directory of these entries (tag, type, count, value), and where the next directory is said to be.
pub(super) fn exif(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut inside = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    inside.extend(directory(entries, next));
    segment(0xe1, &inside)
}

fn directory(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = u16::try_from(entries.len()).expect("few").to_le_bytes().to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

/// A TIFF of these directories, each of which names its neighbour; the last one names `last`.
pub(super) fn tiff(pages: u32, last: u32, strip: u32) -> Vec<u8> {
    let entries = [
        (256, 3, 1, 8),
        (257, 3, 1, 8),
        (258, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, strip),
        (278, 3, 1, 8),
        (279, 4, 1, 8),
    ];
    let length = 2 + 12 * entries.len() as u32 + 4;
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for page in 0..pages {
        let next = if page + 1 == pages { last } else { 8 + (page + 1) * length };
        bytes.extend(directory(&entries, next));
    }
    bytes
}

/// A GIF of `frames` pictures of one pixel.
pub(super) fn frames(frames: usize, seed: u32) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    bytes.extend(b"\x21\xfe\x04");
    bytes.extend(seed.to_le_bytes());
    bytes.push(0);
    bytes.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0".repeat(frames));
    bytes.push(0x3b);
    bytes
}

/// A WebP of these chunks.
pub(super) fn riff(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut inside = b"WEBP".to_vec();
    for (kind, bytes) in chunks {
        inside.extend(*kind);
        inside.extend(u32::try_from(bytes.len()).expect("short").to_le_bytes());
        inside.extend(bytes);
        inside.extend(vec![0; bytes.len() % 2]);
    }
    [b"RIFF", &u32::try_from(inside.len()).expect("short").to_le_bytes()[..], &inside].concat()
}

/// The inside of a good WebP: its picture chunk.
pub(super) fn webp_chunk(seed: u32) -> Vec<u8> {
    let good = webp(seed);
    let length = u32::from_le_bytes(good[16..20].try_into().expect("four")) as usize;
    good[20..20 + length].to_vec()
}
