use super::*;
use proptest::prelude::*;
use std::io::Cursor;

fn look(bytes: &[u8]) -> Sniffed {
    sniff(&mut Cursor::new(bytes), bytes.len() as u64).expect("a slice has no errors")
}

fn image(format: Format, width: u32, height: u32) -> Sniffed {
    needing(Needs::Nothing, format, width, height)
}

fn needing(needs: Needs, format: Format, width: u32, height: u32) -> Sniffed {
    Sniffed::Image(Looks { format, pages: vec![Pixels { width, height }], needs })
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
    for (bytes, name) in [
        (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjpm ", "JPEG 2000 compound"),
        (b"8BPS\0\x01", "Photoshop"),
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

/// EXIF with nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], b"\0\0\0\0\0\0"].concat()
}

/// A chunk of a PNG; its checksum is not looked at.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&length[..], kind, data, b"crc."].concat()
}

#[test]
fn an_orientation_turns_the_size_and_is_a_need() {
    let turned = |format, (width, height)| needing(Needs::Turning, format, width, height);
    let segment = |orientation: u8| {
        let exif = [b"Exif\0\0", &exif(orientation)[..]].concat();
        let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
        [&[0xff, 0xd8, 0xff, 0xe1], &length[..], &exif, &FRAME, SCAN].concat()
    };
    assert_eq!(look(&segment(3)), turned(Format::Jpeg, (1920, 1080)));
    assert_eq!(look(&segment(6)), turned(Format::Jpeg, (1080, 1920)));
    for none in [0, 1, 9] {
        assert_eq!(look(&segment(none)), image(Format::Jpeg, 1920, 1080));
    }
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0crc.";
    let pixels = chunk(b"IDAT", &[7; 9_000]);
    let (early, late) = (chunk(b"eXIf", &exif(8)), chunk(b"eXIf", &exif(5)));
    assert_eq!(look(&[&head[..], &early, &pixels, IEND].concat()), turned(Format::Png, (300, 512)));
    assert_eq!(look(&[&head[..], &pixels, &late, IEND].concat()), turned(Format::Png, (300, 512)));
    let riff = |flags: u8, prefix: &[u8]| {
        let head = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0";
        let data = [prefix, &exif(6)[..]].concat();
        let length = u32::try_from(data.len()).expect("short").to_le_bytes();
        let size = b"\0\0\0\x7f\x02\0\xdf\x01\0";
        webp(&[&head[..], &[flags], size, b"VP8 \x03\0\0\0abc\0EXIF", &length, &data].concat())
    };
    assert_eq!(look(&riff(8, b"")), turned(Format::Webp, (480, 640)));
    assert_eq!(look(&riff(8, b"Exif\0\0")), turned(Format::Webp, (480, 640)));
    assert_eq!(look(&riff(0, b"")), image(Format::Webp, 640, 480));
}

#[test]
fn a_png_whose_text_inflates_hugely_is_damaged() {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0crc.";
    let with_text = |kind: &[u8; 4], start: &[u8], length: usize| {
        let mut text = flate2::write::ZlibEncoder::new(start.to_vec(), flate2::Compression::fast());
        std::io::Write::write_all(&mut text, &vec![b'a'; length]).expect("memory");
        let text = chunk(kind, &text.finish().expect("memory"));
        look(&[&head[..], &text, &chunk(b"IDAT", &[]), IEND].concat())
    };
    let sound = image(Format::Png, 512, 300);
    for (kind, start) in [(b"zTXt", &b"key\0\0"[..]), (b"iTXt", b"key\0\x01\0en\0Key\0")] {
        assert_eq!(with_text(kind, start, 1 << 20), sound);
        assert_eq!(with_text(kind, start, 3 << 20), Sniffed::Damaged);
    }
    assert_eq!(with_text(b"iTXt", b"key\0\0\0en\0Key\0", 3 << 20), sound, "it is plain, whatever its bytes are");
    assert_eq!(with_text(b"zTXt", b"key", 3 << 20), sound, "no text at all");
}

#[test]
fn a_jpeg_whose_colours_are_not_told_to_the_end_is_damaged() {
    let with_adobe = |told: &[u8]| {
        let length = u16::try_from(told.len() + 2).expect("short").to_be_bytes();
        look(&[b"\xff\xd8\xff\xee", &length[..], told, &FRAME, SCAN].concat())
    };
    assert_eq!(with_adobe(b"Adobe\0\x64\0\0\0\0\x01"), image(Format::Jpeg, 1920, 1080));
    assert_eq!(with_adobe(b"Adobe\0\x64\0\0\0\0"), Sniffed::Damaged);
    assert_eq!(with_adobe(b"Ducky"), image(Format::Jpeg, 1920, 1080), "of somebody else");
}

#[test]
fn kinds_that_the_api_does_not_take_are_converted() {
    let converted = |format, width, height| needing(Needs::Converting, format, width, height);
    let mut frame = FRAME;
    frame[9] = 4;
    assert_eq!(look(&jpeg_with(&[], &[&frame[..], SCAN].concat())), converted(Format::Jpeg, 1920, 1080), "CMYK");
    frame = FRAME;
    frame[4] = 12;
    assert_eq!(look(&jpeg_with(&[], &[&frame[..], SCAN].concat())), converted(Format::Jpeg, 1920, 1080), "12 bits");
    let mut head = *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x01\x2c\x08\x02\0\0\0crc.";
    let moving = [&head[..], &chunk(b"acTL", &[0; 8]), &chunk(b"IDAT", &[]), IEND].concat();
    assert_eq!(look(&moving), converted(Format::Png, 512, 300));
    head[24] = 16;
    assert_eq!(look(&[&head[..], &chunk(b"IDAT", &[]), IEND].concat()), converted(Format::Png, 512, 300));
    let moving = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x7f\x02\0\xdf\x01\0";
    assert_eq!(look(&webp(moving)), converted(Format::Webp, 640, 480));
    let frame = b"\x2c\0\0\0\0\x02\0\x02\0\0\x02\x03abc\0";
    let gif = |parts: &[&[u8]]| [b"GIF89a\x02\0\x02\0\0\0\0", &parts.concat()[..], b"\x3b"].concat();
    assert_eq!(look(&gif(&[frame])), image(Format::Gif, 2, 2));
    assert_eq!(look(&gif(&[frame, frame])), converted(Format::Gif, 2, 2), "a second frame");
    assert_eq!(look(&gif(&[b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", frame])), converted(Format::Gif, 2, 2), "a loop");
    let (long, delay) = ([&frame[..11], &[&[255; 256][..]; 300].concat(), &[0]].concat(), b"\x21\xf9\x04\0\x0a\0\0\0");
    assert_eq!(look(&gif(&[delay, b"\x21\xfe\x01c\0", &long])), image(Format::Gif, 2, 2), "shown for a time");
    assert_eq!(look(&gif(&[delay, &long, frame])), converted(Format::Gif, 2, 2), "a second frame, far away");
    assert_eq!(look(&gif(&[&long, frame])), image(Format::Gif, 2, 2), "nobody looks that far without a reason");
}

#[test]
fn jpeg_2000_is_measured_and_has_to_have_its_end() {
    let siz = b"\xff\x4f\xff\x51\0\x29\0\0\0\0\x02\x08\0\0\x01\x2c\0\0\0\x08\0\0\0\0";
    let bare = [&siz[..], &[0; 60], b"\xff\xd9"].concat();
    let jp2 = |length: u32| {
        let head = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\x0cjp2habcd";
        [&head[..], &length.to_be_bytes(), b"jp2c", &bare, b"\0\0\0\x09xml !"].concat()
    };
    let box_length = u32::try_from(bare.len() + 8).expect("short");
    let expected = needing(Needs::Converting, Format::Jp2, 512, 300);
    assert_eq!(look(&bare), expected);
    assert_eq!(look(&jp2(box_length)), expected);
    assert_eq!(look(&jp2(0)), expected, "to the end of the file");
    assert_eq!(look(&jp2(box_length + 100)), Sniffed::Damaged, "longer than the file");
    assert_eq!(look(&bare[..bare.len() - 2]), Sniffed::Damaged, "no end");
    let mut flat = bare.clone();
    flat[12..16].fill(0);
    assert_eq!(look(&flat), Sniffed::Damaged, "no height");
}

#[test]
fn bitmaps_and_portable_maps_are_measured_and_have_all_their_rows() {
    let head = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x03\0\0\0\xfe\xff\xff\xff\x01\0\x18\0\0\0\0\0";
    let bmp = [&head[..], &[0; 20 + 24]].concat();
    assert_eq!(look(&bmp), needing(Needs::Converting, Format::Bmp, 3, 2), "from top to bottom");
    assert_eq!(look(&bmp[..bmp.len() - 6]), Sniffed::Damaged, "a row fewer");
    let pnm = |bytes: &[u8]| look(bytes);
    let expected = needing(Needs::Converting, Format::Pnm, 3, 2);
    assert_eq!(pnm(b"P6 3 2 255\n123456789123456789"), expected);
    assert_eq!(pnm(b"P5\n# of a scanner\n3 2\n255\n123456"), expected);
    assert_eq!(pnm(b"P4\n3 2\n12"), expected);
    assert_eq!(pnm(b"P1\n3 2\n101010"), expected);
    assert_eq!(pnm(b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 2\nMAXVAL 255\nENDHDR\n123456123456"), expected);
    assert_eq!(pnm(b"P6 3 2 255\n12345678912345678"), Sniffed::Damaged, "a byte fewer");
    assert_eq!(pnm(b"P6\n-3 2\n255\n"), Sniffed::Damaged);
    assert_eq!(pnm(b"P6\n4294967295 4294967295\n65535\n"), Sniffed::Damaged);
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(magic in 0usize..12, bytes in prop::collection::vec(any::<u8>(), 0..9_000)) {
        let heads: [&[u8]; 12] = [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"BM",
            b"II*\0\x08\0\0\0\x02\0",
            b"MM\0*\0\0\0\x08\0\x02",
            b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
            b"\0\0\0\x0cjP  \r\n\x87\n",
            b"\xff\x4f\xff\x51",
            b"P6 3 2 ",
        ];
        let whole = [heads[magic], &bytes].concat();
        if let Sniffed::Image(looks) = look(&whole) {
            prop_assert!(!looks.pages.is_empty());
            prop_assert!(looks.pages.iter().all(|page| page.width > 0 && page.height > 0));
        }
    }
}
