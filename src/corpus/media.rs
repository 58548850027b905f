//! What the first and the last bytes of a file say: format by magic alone, size in pixels from the header, and whether the
//! file goes on to its end.
//!
//! No pixel is decoded and nothing is believed that the bytes do not say; a name's ending plays no part. Files are read in
//! pieces of 4 KiB, two for most; a JPEG may hide its size behind a megabyte of profiles, and not further.

use std::io::{self, Read, Seek};

use super::whole;
use super::window::Window;
use crate::domain::image::{Format, Looks, Pixels};

/// How far into a file the size is looked for.
const REACH: u64 = 1 << 20;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// An image.
    Image(Looks),
    /// An image, a page or a drawing of a format that is not sent; its name.
    Unsupported(&'static str),
    /// Begins like an image, and its header cannot be true or its end is missing.
    Damaged,
    /// Something else.
    NotAnImage,
}

/// Looks at a file of `bytes` bytes from its beginning.
///
/// # Errors
/// The source's own; whatever the bytes are, they are no error.
pub fn sniff<R: Read + Seek>(source: &mut R, bytes: u64) -> io::Result<Sniffed> {
    let mut window = Window::open(source)?;
    let first = window.first();
    if first.starts_with(b"\xff\xd8\xff") {
        let Some((size, scan)) = jpeg(&mut window)? else { return Ok(Sniffed::Damaged) };
        return Ok(sized(Format::Jpeg, Some(size), whole::jpeg(&mut window, scan, bytes)?));
    }
    if first.starts_with(b"\x89PNG\r\n\x1a\n") {
        let size = png(first);
        return Ok(sized(Format::Png, size, whole::png(&mut window, bytes)?));
    }
    if first.starts_with(b"GIF87a") || first.starts_with(b"GIF89a") {
        let size = gif(first);
        return Ok(sized(Format::Gif, size, whole::gif(&mut window, bytes)?));
    }
    if is_riff(first, b"WEBP") {
        return Ok(sized(Format::Webp, webp(first), whole::webp(first, bytes)));
    }
    Ok(unsupported(first).map_or(Sniffed::NotAnImage, Sniffed::Unsupported))
}

fn sized(format: Format, size: Option<(u32, u32)>, whole: bool) -> Sniffed {
    match size {
        Some((width, height)) if whole && width > 0 && height > 0 => {
            Sniffed::Image(Looks::plain(format, Pixels { width, height }))
        }
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

/// Walks the segments up to the first scan: the size of the frame, and where the scan begins. Bytes between segments are
/// skipped, as decoders do.
fn jpeg<R: Read + Seek>(window: &mut Window<'_, R>) -> io::Result<Option<((u32, u32), u64)>> {
    let mut size = None;
    let mut at = 2;
    while at < REACH {
        let Some([ff, marker]) = window.bytes::<2>(at)? else { return Ok(None) };
        match marker {
            _ if ff != 0xff => at += 1,
            // Fill bytes before a marker; a stuffed or stand-alone one.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xda => return Ok(size.map(|size| (size, at))),
            // The end, and no scan before it.
            0xd9 => return Ok(None),
            _ => {
                let Some([_, _, high, low]) = window.bytes::<4>(at)? else { return Ok(None) };
                let length = u64::from(high) << 8 | u64::from(low);
                if length < 2 {
                    return Ok(None);
                }
                // Frame headers, but not the tables that share their range.
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) && size.is_none() {
                    let Some(frame) = window.bytes::<9>(at)? else { return Ok(None) };
                    let pair = |n: usize| u32::from(frame[n]) << 8 | u32::from(frame[n + 1]);
                    size = Some((pair(7), pair(5)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn look(bytes: &[u8]) -> Sniffed {
        sniff(&mut Cursor::new(bytes), bytes.len() as u64).expect("a slice has no errors")
    }

    fn image(format: Format, width: u32, height: u32) -> Sniffed {
        Sniffed::Image(Looks::plain(format, Pixels { width, height }))
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

    const FRAME: [u8; 19] = [0xff, 0xc2, 0, 17, 8, 0x04, 0x38, 0x07, 0x80, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];

    /// What ends a PNG.
    const IEND: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
    /// One scan of a JPEG, and its end.
    const SCAN: &[u8] = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\x34\xff\0\x56\xff\xd9";

    fn webp(riff: &[u8]) -> Vec<u8> {
        let mut bytes = riff.to_vec();
        let told = u32::try_from(bytes.len() - 8).expect("short");
        bytes[4..8].copy_from_slice(&told.to_le_bytes());
        bytes
    }

    #[test]
    fn sizes_are_read_from_headers() {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0crc.";
        let mut png = [&head[..], IEND].concat();
        assert_eq!(look(&png), image(Format::Png, 512, 300));
        png[19] = 0;
        png[18] = 0;
        assert_eq!(look(&png), Sniffed::Damaged);
        assert_eq!(look(b"GIF89a\x20\x03\x58\x02\0\0\0\x3b"), image(Format::Gif, 800, 600));
        assert_eq!(look(b"GIF87a\0\0\x58\x02\0\0\0\x3b"), Sniffed::Damaged);
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a\x80\x02\xe0\x41";
        assert_eq!(look(&webp(lossy)), image(Format::Webp, 640, 480));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x77\x00";
        assert_eq!(look(&webp(lossless)), image(Format::Webp, 640, 480));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        assert_eq!(look(&webp(extended)), image(Format::Webp, 640, 480));
        assert_eq!(look(&webp(extended)[..29]), Sniffed::Damaged, "shorter than it says");
        assert_eq!(look(b"RIFF\0\0\0\0WEBPODD "), Sniffed::Damaged);
        assert_eq!(look(b"RIFF\0\0\0\0WAVEfmt "), Sniffed::NotAnImage);
    }

    #[test]
    fn a_jpeg_may_hide_its_size_behind_profiles() {
        let full = image(Format::Jpeg, 1920, 1080);
        let framed = |segments: &[(u8, usize)]| jpeg_with(segments, &[&FRAME[..], SCAN].concat());
        assert_eq!(look(&framed(&[])), full);
        assert_eq!(look(&framed(&[(0xe0, 14), (0xe1, 9_000), (0xc4, 100), (0xdb, 65)])), full);
        assert_eq!(look(&framed(&[(0xe2, 65_000); 15])), full);
        assert_eq!(look(&framed(&[(0xe2, 65_000); 17])), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[(0xe0, 14)], &[&[0, 0xff, 0xff], &FRAME[..], SCAN].concat())), full);
        assert_eq!(look(&jpeg_with(&[], &FRAME[..8])), Sniffed::Damaged);
        assert_eq!(look(&jpeg_with(&[], &FRAME)), Sniffed::Damaged, "no scan");
        assert_eq!(look(&jpeg_with(&[], SCAN)), Sniffed::Damaged, "a scan of nothing");
        assert_eq!(look(&jpeg_with(&[], b"\xff\xe0\0\x01")), Sniffed::Damaged);
    }

    #[test]
    fn an_image_without_its_end_is_damaged_whatever_lies_behind_the_end_of_another() {
        let full = image(Format::Jpeg, 1920, 1080);
        let jpeg = jpeg_with(&[(0xe1, 300)], &[&FRAME[..], SCAN].concat());
        let behind = |bytes: &[u8], many: usize| [bytes, &vec![0; many]].concat();
        for many in [0, 1, 5_000, 50_000] {
            assert_eq!(look(&behind(&jpeg, many)), full, "{many} bytes behind a JPEG");
            assert_eq!(look(&behind(&jpeg[..jpeg.len() - 1], many)), Sniffed::Damaged, "{many} bytes behind a cut one");
        }
        // The profile holds a thumbnail, which has an end of its own.
        let mut cut = jpeg_with(&[(0xe1, 300)], &FRAME);
        cut[100..102].copy_from_slice(b"\xff\xd9");
        assert_eq!(look(&[&cut[..], &SCAN[..12]].concat()), Sniffed::Damaged);
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0crc.";
        let data = [&9_000u32.to_be_bytes()[..], b"IDAT", &[7; 9_000], b"crc."].concat();
        let png = [&head[..], &data, IEND].concat();
        for many in [0, 1, 5_000, 50_000] {
            assert_eq!(look(&behind(&png, many)), image(Format::Png, 512, 300), "{many} bytes behind a PNG");
        }
        for cut in [1, 4, 12, 13, 5_000] {
            assert_eq!(look(&png[..png.len() - cut]), Sniffed::Damaged, "{cut} bytes fewer");
        }
        let gif = b"GIF89a\x02\0\x02\0\x80\0\0rgbrgb\x21\xf9\x04aaaa\0\x2c\0\0\0\0\x02\0\x02\0\0\x02\x03abc\0\x3b";
        assert_eq!(look(&behind(gif, 5_000)), image(Format::Gif, 2, 2));
        for cut in 2..gif.len() - 13 {
            assert_eq!(look(&gif[..gif.len() - cut]), Sniffed::Damaged, "{cut} bytes fewer");
        }
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
            if let Sniffed::Image(looks) = look(&whole) {
                prop_assert!(!looks.pages.is_empty() && looks.pages.iter().all(|it| it.width > 0 && it.height > 0));
            }
        }
    }
}
