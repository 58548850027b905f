//! What the first bytes of a file say: format by magic alone, size in pixels from the header.
//!
//! No pixel is decoded and nothing is believed that the bytes do not say; a name's ending plays no part. Files are read in
//! pieces of 4 KiB, one for most; a JPEG may hide its size behind a megabyte of profiles, and not further.

use std::io::{self, Read, Seek, SeekFrom};

use crate::domain::image::{Format, Pixels};

/// Bytes read at a time.
const PIECE: usize = 4 << 10;
/// How far into a file the size is looked for.
const REACH: u64 = 1 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// An image that can be sent as it is.
    Image(Format, Pixels),
    /// An image, a page or a drawing of a format that is not sent; its name.
    Unsupported(&'static str),
    /// Begins like an image, and its header cannot be true.
    Damaged,
    /// Something else.
    NotAnImage,
}

/// Looks at a file from its beginning.
///
/// # Errors
/// The source's own; whatever the bytes are, they are no error.
pub fn sniff<R: Read + Seek>(source: &mut R) -> io::Result<Sniffed> {
    let mut window = Window::open(source)?;
    let first = window.first();
    if first.starts_with(b"\xff\xd8\xff") {
        return jpeg(&mut window).map(|size| sized(Format::Jpeg, size));
    }
    Ok(if first.starts_with(b"\x89PNG\r\n\x1a\n") {
        sized(Format::Png, png(first))
    } else if first.starts_with(b"GIF87a") || first.starts_with(b"GIF89a") {
        sized(Format::Gif, gif(first))
    } else if is_riff(first, b"WEBP") {
        sized(Format::Webp, webp(first))
    } else {
        unsupported(first).map_or(Sniffed::NotAnImage, Sniffed::Unsupported)
    })
}

fn sized(format: Format, size: Option<(u32, u32)>) -> Sniffed {
    match size {
        Some((width, height)) if width > 0 && height > 0 => Sniffed::Image(format, Pixels { width, height }),
        _ => Sniffed::Damaged,
    }
}

fn png(first: &[u8]) -> Option<(u32, u32)> {
    // The size chunk is the first and has 13 bytes, always.
    (first.get(8..16)? == b"\0\0\0\x0dIHDR").then_some(())?;
    let size = (be32(first, 16)?, be32(first, 20)?);
    // The standard stops at 2^31 - 1.
    (size.0 <= i32::MAX.unsigned_abs() && size.1 <= i32::MAX.unsigned_abs()).then_some(size)
}

fn gif(first: &[u8]) -> Option<(u32, u32)> {
    Some((le16(first, 6)?, le16(first, 8)?))
}

fn webp(first: &[u8]) -> Option<(u32, u32)> {
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

/// Walks the segments up to the frame header. Bytes between segments are skipped, as decoders do.
fn jpeg<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<Option<(u32, u32)>> {
    let mut at = 2;
    while at < REACH {
        let Some([ff, marker]) = window.bytes::<2>(at)? else { return Ok(None) };
        match marker {
            _ if ff != 0xff => at += 1,
            // Fill bytes before a marker; a stuffed or stand-alone one.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            // Frame headers, but not the tables that share their range.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let Some(frame) = window.bytes::<9>(at)? else { return Ok(None) };
                let pair = |n: usize| u32::from(frame[n]) << 8 | u32::from(frame[n + 1]);
                return Ok(Some((pair(7), pair(5))));
            }
            // The scan or the end, and no frame header before it.
            0xd9 | 0xda => return Ok(None),
            _ => {
                let Some([_, _, high, low]) = window.bytes::<4>(at)? else { return Ok(None) };
                let length = u64::from(high) << 8 | u64::from(low);
                if length < 2 {
                    return Ok(None);
                }
                at += 2 + length;
            }
        }
    }
    Ok(None)
}

/// Formats known by their magic and not sent.
fn unsupported(first: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 14] = [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "BigTIFF"),
        (b"MM\0+", "BigTIFF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
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
    by_magic.or_else(|| heif(first)).or_else(|| bmp(first)).or_else(|| pnm(first)).or_else(|| svg(first))
}

fn heif(first: &[u8]) -> Option<&'static str> {
    (first.get(4..8)? == b"ftyp").then_some(())?;
    match first.get(8..12)? {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => Some("HEIC"),
        _ => None,
    }
}

fn bmp(first: &[u8]) -> Option<&'static str> {
    // "BM" alone begins many a text; the length of the second header is one of a few.
    let known = matches!(le16(first, 14)?, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124) && le16(first, 16)? == 0;
    (first.starts_with(b"BM") && known).then_some("BMP")
}

fn pnm(first: &[u8]) -> Option<&'static str> {
    let [b'P', b'1'..=b'7', space, ..] = first else { return None };
    space.is_ascii_whitespace().then_some("PNM")
}

fn svg(first: &[u8]) -> Option<&'static str> {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let drawing = text.windows(4).take(1024).any(|window| window == b"<svg");
    ((text.starts_with(b"<?xml") && drawing) || text.starts_with(b"<svg")).then_some("SVG")
}

fn is_riff(first: &[u8], kind: &[u8]) -> bool {
    first.starts_with(b"RIFF") && first.get(8..12) == Some(kind)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes).map(u32::from)
}

/// A piece of a file, moved on demand.
struct Window<'a, R> {
    source: &'a mut R,
    piece: Vec<u8>,
    start: u64,
}

impl<'a, R: Read + Seek> Window<'a, R> {
    fn open(source: &'a mut R) -> io::Result<Self> {
        let mut window = Self { source, piece: Vec::with_capacity(PIECE), start: 0 };
        window.fill()?;
        Ok(window)
    }

    /// The piece that lies there; called before any other is asked for.
    fn first(&self) -> &[u8] {
        &self.piece
    }

    /// `N` bytes at `at`, `None` if the file ends before.
    fn bytes<const N: usize>(&mut self, at: u64) -> io::Result<Option<[u8; N]>> {
        if let Some(bytes) = self.lying(at) {
            return Ok(Some(bytes));
        }
        self.source.seek(SeekFrom::Start(at))?;
        self.start = at;
        self.fill()?;
        Ok(self.lying(at))
    }

    fn lying<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.piece.get(from..from.checked_add(N)?)?.try_into().ok()
    }

    /// Reads once: what a short read leaves out is asked for again where it is needed.
    fn fill(&mut self) -> io::Result<()> {
        self.piece.resize(PIECE, 0);
        let count = loop {
            match self.source.read(&mut self.piece) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        self.piece.truncate(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn look(bytes: &[u8]) -> Sniffed {
        sniff(&mut Cursor::new(bytes)).expect("a slice has no errors")
    }

    fn image(format: Format, width: u32, height: u32) -> Sniffed {
        Sniffed::Image(format, Pixels { width, height })
    }

    fn jpeg_with(segments: &[(u8, usize)], frame: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        for (marker, length) in segments {
            bytes.extend([0xff, *marker]);
            bytes.extend(u16::try_from(length + 2).expect("segment").to_be_bytes());
            bytes.extend(vec![0xff; *length]);
        }
        bytes.extend(frame);
        bytes
    }

    const FRAME: [u8; 11] = [0xff, 0xc2, 0, 17, 8, 0x04, 0x38, 0x07, 0x80, 3, 0];

    #[test]
    fn sizes_are_read_from_headers() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0".to_vec();
        assert_eq!(look(&png), image(Format::Png, 512, 300));
        png[19] = 0;
        png[18] = 0;
        assert_eq!(look(&png), Sniffed::Damaged);
        assert_eq!(look(b"GIF89a\x20\x03\x58\x02\0\0\0"), image(Format::Gif, 800, 600));
        assert_eq!(look(b"GIF87a\0\0\x58\x02\0\0\0"), Sniffed::Damaged);
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a\x80\x02\xe0\x41";
        assert_eq!(look(lossy), image(Format::Webp, 640, 480));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x77\x00";
        assert_eq!(look(lossless), image(Format::Webp, 640, 480));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        assert_eq!(look(extended), image(Format::Webp, 640, 480));
        assert_eq!(look(b"RIFF\0\0\0\0WEBPODD "), Sniffed::Damaged);
        assert_eq!(look(b"RIFF\0\0\0\0WAVEfmt "), Sniffed::NotAnImage);
    }

    #[test]
    fn a_jpeg_may_hide_its_size_behind_profiles() {
        let full = image(Format::Jpeg, 1920, 1080);
        assert_eq!(look(&jpeg_with(&[], &FRAME)), full);
        assert_eq!(look(&jpeg_with(&[(0xe0, 14), (0xe1, 9_000), (0xc4, 100), (0xdb, 65)], &FRAME)), full);
        assert_eq!(look(&jpeg_with(&[(0xe2, 65_000); 15], &FRAME)), full);
        assert_eq!(look(&jpeg_with(&[(0xe2, 65_000); 17], &FRAME)), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[(0xe0, 14)], &[&[0, 0xff, 0xff], &FRAME[..]].concat())), full);
        assert_eq!(look(&jpeg_with(&[], &FRAME[..8])), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[], b"\xff\xda")), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[], b"\xff\xe0\0\x01")), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[], &[0xff, 0xc0, 0, 17, 8, 0, 0, 0x07, 0x80])), Sniffed::Damaged);
    }

    #[test]
    fn other_formats_are_named_and_pages_of_errors_are_none() {
        let bmp = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0";
        for (bytes, name) in [
            (&b"II*\0\x08\0\0\0"[..], "TIFF"),
            (b"MM\0+\0\x08\0\0", "BigTIFF"),
            (bmp, "BMP"),
            (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14", "JPEG 2000"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"%PDF-1.7\n", "PDF"),
            (b"P6\n640 480\n", "PNM"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?><svg>", "SVG"),
        ] {
            assert_eq!(look(bytes), Sniffed::Unsupported(name));
        }
        for other in [
            &b"<!doctype html><svg>"[..],
            b"BM is a town in Wales, far away",
            b"",
            b"\xff",
            b"text",
            b"\0\0\0\x18ftypmp42\0\0\0\0",
        ] {
            assert_eq!(look(other), Sniffed::NotAnImage);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(magic in 0usize..6, bytes in prop::collection::vec(any::<u8>(), 0..9_000)) {
            let heads: [&[u8]; 6] = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"BM"];
            let whole = [heads[magic], &bytes].concat();
            if let Sniffed::Image(_, pixels) = look(&whole) {
                prop_assert!(pixels.width > 0 && pixels.height > 0);
            }
        }
    }
}
