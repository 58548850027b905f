//! The hostile images that lie still: name, bytes, and what must come of them.

use super::made::{
    chunk, exif, frame, frames, gif, jp2, jpeg, jpeg_with, media, noise, picture, plain, png, png_of, riff, segment,
    tiff, webp, webp_chunk, zeros,
};
use crate::scene::Case;
use crate::scene::End::{self, Done, Failed, PassedOver, Skipped};

use image::ImageFormat;

const DAMAGED: End = Failed("damaged");
const EMPTY: End = Failed("empty_file");
const NOT_AN_IMAGE: End = Failed("not_an_image");
const REFUSED: End = Failed("image_refused");
const TOO_LARGE: End = Failed("too_large");
const UNSUPPORTED: End = Failed("unsupported_format");

/// Every case, and two good neighbours in each group.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [cut(), disguised(), sizes(), bombs(), odd(), exifs(), not_images(), found()].into_iter().flatten().collect();
    let mut groups: Vec<&'static str> = cases.iter().map(|case| case.group).collect();
    groups.dedup();
    for (n, group) in groups.into_iter().enumerate() {
        let seed = 50_000 + u32::try_from(n).expect("few");
        cases.push(Case::file(group, format!("{group}/good.png"), png(seed), Done));
        cases.push(Case::file(group, format!("{group}/good.jpg"), jpeg(seed), Done));
    }
    cases
}

fn case(group: &'static str, name: &str, bytes: Vec<u8>, end: End) -> Case {
    Case::file(group, format!("{group}/{name}"), bytes, end)
}

/// Eight formats, each cut at 0, 1 and 8 bytes, at 25, 50 and 99 percent, and before its last byte.
fn cut() -> Vec<Case> {
    /// Format, how it is made, how many bytes its magic has, what comes of more than that.
    type Sort = (&'static str, fn(u32) -> Vec<u8>, usize, End);
    const SORTS: [Sort; 8] = [
        ("png", png, 8, DAMAGED),
        ("jpg", jpeg, 3, DAMAGED),
        ("gif", gif, 6, DAMAGED),
        ("webp", webp, 12, DAMAGED),
        ("tif", |seed| picture(ImageFormat::Tiff, seed), 4, DAMAGED),
        ("bmp", |seed| picture(ImageFormat::Bmp, seed), 18, DAMAGED),
        ("jp2", jp2, 12, DAMAGED),
        // Known by its name alone.
        ("heic", |seed| media(b"heic", seed), 0, UNSUPPORTED),
    ];
    let mut cases = Vec::new();
    for (n, (ending, make, magic, end)) in SORTS.into_iter().enumerate() {
        let whole = make(1_000 + u32::try_from(n).expect("few"));
        let full = whole.len();
        for length in [0, 1, 8, full / 4, full / 2, full * 99 / 100, full - 1] {
            let end = match length {
                0 => EMPTY,
                _ if length < magic => NOT_AN_IMAGE,
                _ => end,
            };
            cases.push(case("cut", &format!("{length}.{ending}"), whole[..length].to_vec(), end));
        }
    }
    cases
}

/// One format under the name of another.
fn disguised() -> Vec<Case> {
    let one = |name: &str, bytes: Vec<u8>, end: End| case("disguised", name, bytes, end);
    vec![
        one("png.jpg", png(1_100), Done),
        one("jpeg.png", jpeg(1_101), Done),
        one("gif.webp", gif(1_102), Done),
        one("webp.gif", webp(1_103), Done),
        one("jpeg.tif", jpeg(1_104), Done),
        one("tiff.jpg", picture(ImageFormat::Tiff, 1_105), Done),
        one("bmp.png", picture(ImageFormat::Bmp, 1_106), Done),
        one("jp2.tif", jp2(1_107), DAMAGED),
        one("avif.jpg", media(b"avif", 1_108), UNSUPPORTED),
        one("jpeg.HEIC", jpeg(1_109), UNSUPPORTED),
    ]
}

/// Sizes that no picture has, and some that one may have.
fn sizes() -> Vec<Case> {
    let one = |name: &str, bytes: Vec<u8>, end: End| case("sizes", name, bytes, end);
    let png = |size: (u32, u32)| png_of(size, [8, 2], &[chunk(b"IDAT", &zeros(100))]);
    let gif = |width: u16, height: u16| {
        let mut bytes = frames(1, 1);
        bytes[6..8].copy_from_slice(&width.to_le_bytes());
        bytes[8..10].copy_from_slice(&height.to_le_bytes());
        bytes
    };
    let lossy = |width: u16, height: u16| {
        let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
        riff(&[(b"VP8 ", [&b"\x30\x01\0\x9d\x01\x2a"[..], &size, &[0; 20]].concat())])
    };
    vec![
        one("0xn.png", png((0, 30)), DAMAGED),
        one("nx0.png", png((30, 0)), DAMAGED),
        one("0xn.jpg", frame(0xc0, (0, 30), 3, 1), DAMAGED),
        one("nx0.jpg", frame(0xc0, (30, 0), 3, 1), DAMAGED),
        one("0xn.gif", gif(0, 30), DAMAGED),
        one("nx0.gif", gif(30, 0), DAMAGED),
        one("0xn.webp", lossy(0, 30), DAMAGED),
        one("nx0.webp", lossy(30, 0), DAMAGED),
        one("1x1.png", plain((1, 1), 1_201), Done),
        one("1x30000.png", plain((1, 30_000), 1_202), Done),
        one("30000x1.png", plain((30_000, 1), 1_203), Done),
        one("65535x65535.jpg", frame(0xc0, (65_535, 65_535), 3, 1), TOO_LARGE),
        one("65535x65535.gif", gif(65_535, 65_535), TOO_LARGE),
        one(
            "16777216x16777216.webp",
            riff(&[(b"VP8X", [0, 0, 0, 0, 255, 255, 255, 255, 255, 255].to_vec())]),
            TOO_LARGE,
        ),
        one("2147483647x2147483647.png", png((0x7fff_ffff, 0x7fff_ffff)), TOO_LARGE),
        one("2147483648x1.png", png((0x8000_0000, 1)), DAMAGED),
        one("-1x-1.png", png((u32::MAX, u32::MAX)), DAMAGED),
        one("negative.png", b"P6 -5 -5 255\n123".to_vec(), DAMAGED),
    ]
}

/// Small files that would be large.
fn bombs() -> Vec<Case> {
    let one = |name: &str, bytes: Vec<u8>, end: End| case("bombs", name, bytes, end);
    // Compressed text of 300 MB.
    let text = [&b"Comment\0\0"[..], &zeros(300_000_000)].concat();
    let profile = [&b"icc\0\0"[..], &zeros(300_000_000)].concat();
    let data = chunk(b"IDAT", &zeros(8 * 25));
    let png = |inside: Vec<u8>| png_of((8, 8), [8, 2], &[inside, data.clone()]);
    let many = |kind: &[u8; 4], many: usize| png(chunk(kind, b"A\0b").repeat(many));
    vec![
        one("50000x50000.png", plain((50_000, 50_000), 1_301), TOO_LARGE),
        one("14000x14000.png", plain((14_000, 14_000), 1_302), Done),
        one("ztxt.png", png(chunk(b"zTXt", &text)), DAMAGED),
        one("iccp.png", png(chunk(b"iCCP", &profile)), Done),
        one("texts.png", many(b"tEXt", 50_000), Done),
        one("long-chunk.png", [&b"\x89PNG\r\n\x1a\n"[..], &u32::MAX.to_be_bytes(), b"IHDR"].concat(), DAMAGED),
        one("data-without-end.png", [&png(Vec::new())[..45], &[0xff; 3000]].concat(), DAMAGED),
        one("frames.gif", frames(100_000, 1_303), Done),
        one("scans.jpg", frame(0xc2, (64, 64), 3, 5_000), Done),
        one("scan-without-end.jpg", [&frame(0xc0, (64, 64), 3, 1)[..31], &[0; 300_000]].concat(), DAMAGED),
        one("markers.jpg", [&[0xff, 0xd8, 0xff][..], &[0xff; 2_000_000]].concat(), DAMAGED),
        one("comments.jpg", [&[0xff, 0xd8][..], &segment(0xfe, b"").repeat(500_000)].concat(), DAMAGED),
        one("sub-blocks.gif", [&b"GIF89a\x01\0\x01\0\0\0\0\x21\xfe"[..], &[1; 2_000_000]].concat(), DAMAGED),
        one("riff-4gb.webp", [&b"RIFF\xff\xff\xff\xffWEBPVP8L"[..], &noise(1_304, 200)].concat(), DAMAGED),
        one("ifds.tif", tiff(10_000, 0, 8), TOO_LARGE),
        one("ring.tif", tiff(3, 8, 8), DAMAGED),
        one("strip-outside.tif", tiff(1, 0, u32::MAX), DAMAGED),
        one("no-page.tif", b"II*\0\0\0\0\0".to_vec(), DAMAGED),
    ]
}

/// Rare, and true to some standard.
fn odd() -> Vec<Case> {
    let one = |name: &str, bytes: Vec<u8>, end: End| case("odd", name, bytes, end);
    let data = chunk(b"IDAT", &zeros(200));
    let png = |kind: [u8; 2], others: &[Vec<u8>]| png_of((8, 8), kind, &[others, std::slice::from_ref(&data)].concat());
    let extended = |flags: u8| vec![flags, 0, 0, 0, 39, 0, 0, 29, 0, 0];
    let adobe = |length: usize| segment(0xee, &b"Adobe\0\x64\0\0\0\0\x02"[..length]);
    let one_frame = [&[0; 12][..], b"\0\0\0\0", &riff(&[(b"VP8L", webp_chunk(1_401))])[12..]].concat();
    vec![
        // Frames and headers without a picture: whoever has to convert them notices.
        one("cmyk.jpg", frame(0xc0, (8, 8), 4, 1), DAMAGED),
        one("ycck.jpg", jpeg_with(1_402, &[adobe(12)]), Done),
        one("app14-cut.jpg", jpeg_with(1_403, &[adobe(7)]), DAMAGED),
        one("arithmetic.jpg", frame(0xc9, (8, 8), 3, 1), REFUSED),
        one("lossless.jpg", frame(0xc3, (8, 8), 3, 1), REFUSED),
        one("two-frames.jpg", [frame(0xc0, (8, 8), 3, 1), jpeg(1_404)].concat(), Done),
        one("no-end-but-next.jpg", [&frame(0xc0, (8, 8), 3, 1)[..31], &jpeg(1_405)].concat(), Done),
        one("16-bit.png", png([16, 2], &[]), DAMAGED),
        one("1-bit.png", png([1, 0], &[]), Done),
        one("palette-alpha.png", png([8, 3], &[chunk(b"PLTE", &[1; 9]), chunk(b"tRNS", &[0, 128])]), Done),
        one("animated.png", png([8, 2], &[chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0])]), Done),
        one(
            "wrong-crc.png",
            {
                let mut bytes = png([8, 0], &[]);
                bytes[29] ^= 1;
                bytes
            },
            REFUSED,
        ),
        one("no-data.png", png_of((8, 8), [8, 2], &[]), REFUSED),
        one("animated.gif", frames(3, 1_406), Done),
        one("static.webp", riff(&[(b"VP8L", webp_chunk(1_407))]), Done),
        one("extended.webp", riff(&[(b"VP8X", extended(0)), (b"VP8L", webp_chunk(1_408))]), Done),
        one("animated.webp", riff(&[(b"VP8X", extended(2)), (b"ANIM", vec![0; 6]), (b"ANMF", one_frame)]), DAMAGED),
        one("jpeg-in-tiff.tif", [tiff(1, 0, 200), jpeg(1_409)].concat(), Done),
        one("big.tif", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec(), DAMAGED),
        one("motorola.tif", b"MM\0*\0\0\0\x08\0\0\0\0\0\0".to_vec(), DAMAGED),
        one("codestream.jp2", b"\xff\x4f\xff\x51\0\x29".to_vec(), DAMAGED),
        one("jxl.jpg", b"\xff\x0a\xfa\x1f\x01".to_vec(), UNSUPPORTED),
        one("photoshop.jpg", b"8BPS\0\x01\0\0\0\0\0\0".to_vec(), UNSUPPORTED),
    ]
}

/// What cameras and their programs write in front of a picture.
fn exifs() -> Vec<Case> {
    let mut seed = 1_500;
    let mut one = |name: &str, segments: &[Vec<u8>]| {
        seed += 1;
        case("exif", name, jpeg_with(seed, segments), Done)
    };
    let mut cases: Vec<Case> =
        (1..=8).map(|turn| one(&format!("turned-{turn}.jpg"), &[exif(&[(0x0112, 3, 1, turn)], 0)])).collect();
    let icc = |number: u8| segment(0xe2, &[&b"ICC_PROFILE\0"[..], &[number, 255], &[7; 60_000]].concat());
    cases.extend([
        one("turned-99.jpg", &[exif(&[(0x0112, 3, 1, 99)], 0)]),
        one("ring.jpg", &[exif(&[(0x0112, 3, 1, 6)], 8)]),
        one("pointer-outside.jpg", &[exif(&[(0x8769, 4, 1, u32::MAX)], u32::MAX)]),
        one("count-4g.jpg", &[exif(&[(0x9286, 7, u32::MAX, 0)], 0)]),
        one("64k.jpg", &[segment(0xe1, &[&b"Exif\0\0"[..], &[0xff; 65_000]].concat())]),
        one("cut.jpg", &[segment(0xe1, b"Exif\0\0II*\0\x08")]),
        one("thumbnail.jpg", &[segment(0xe1, &[&b"Exif\0\0"[..], &jpeg(1_499)].concat())]),
        one("icc-15-of-255.jpg", &(1..=15).map(icc).collect::<Vec<_>>()),
    ]);
    // The size lies further in than anybody looks.
    let deep = jpeg_with(1_550, &(1..=20).map(icc).collect::<Vec<_>>());
    cases.push(case("exif", "icc-20-of-255.jpg", deep, DAMAGED));
    cases
}

/// Other things that bear the name of an image.
fn not_images() -> Vec<Case> {
    let one = |name: &str, bytes: &[u8], end: End| case("not-images", name, bytes.to_vec(), end);
    let pdf = |pages: usize| {
        [&b"%PDF-1.7\n"[..], &b"1 0 obj<</Type/Page>>endobj\n".repeat(pages), b"trailer<</Encrypt 2 0 R>>\n%%EOF"]
            .concat()
    };
    let behind = |bytes: Vec<u8>, what: &[u8]| [&bytes, what].concat();
    let zip = [&b"PK\x03\x04\x14\0\0\0\x08\0"[..], &noise(1_601, 6_000), b"PK\x05\x06", &[0; 18]].concat();
    let script = b"\n<script>alert(document.cookie)</script>\n#!/bin/sh\nrm -rf /\n";
    let cloaked = |mut bytes: Vec<u8>| {
        let colours = if bytes[10] & 0x80 == 0 { 0 } else { 3 << ((bytes[10] & 7) + 1) };
        bytes.splice(13 + colours..13 + colours, *b"\x21\xfe\x08*/=1;/*\0\0");
        bytes
    };
    vec![
        one("empty.jpg", b"", EMPTY),
        one("empty.pdf", b"", EMPTY),
        one("text.jpg", b"This is a letter.\n", NOT_AN_IMAGE),
        one("bom.jpg", b"\xef\xbb\xbf", NOT_AN_IMAGE),
        one("zeros.jpg", &[0; 10_000], NOT_AN_IMAGE),
        one("error-page.jpg", b"<!DOCTYPE html><html><title>502 Bad Gateway</title></html>", NOT_AN_IMAGE),
        one("error.png", br#"{"error":{"message":"not found"}}"#, NOT_AN_IMAGE),
        one("page.jpg", b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", NOT_AN_IMAGE),
        one("drawing.png", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", UNSUPPORTED),
        one("lfs.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", NOT_AN_IMAGE),
        one("elf.jpg", b"\x7fELF\x02\x01\x01\0", NOT_AN_IMAGE),
        one("mp4.jpg", &media(b"mp42", 1_602), NOT_AN_IMAGE),
        one("zip.jpg", &zip, NOT_AN_IMAGE),
        one("gzip.png", b"\x1f\x8b\x08\0\0\0\0\0", NOT_AN_IMAGE),
        one("sound.webp", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", NOT_AN_IMAGE),
        one("jpeg-and-zip.jpg", &behind(jpeg(1_603), &zip), Done),
        one("png-and-zip.png", &behind(png(1_604), &zip), Done),
        one("gif-and-script.gif", &behind(cloaked(gif(1_605)), script), Done),
        one("png-and-script.png", &behind(png(1_606), script), Done),
        one("padded.jpg", &behind(jpeg(1_607), &[0; 70_000]), Done),
        one("pdf.jpg", &pdf(1), UNSUPPORTED),
        one("encrypted.pdf", &pdf(1), UNSUPPORTED),
        one("no-page.pdf", &pdf(0), UNSUPPORTED),
        one("pages.pdf", &pdf(2_000), UNSUPPORTED),
        one("raw.dng", b"II*\0\x08\0\0\0", UNSUPPORTED),
        one("._x.jpg", b"\0\x05\x16\x07\0\x02\0\0Mac OS X", Skipped("excluded")),
        one(".hidden.png", &png(1_608), Skipped("excluded")),
        one(".bs-0123456789.tmp", b"half", PassedOver),
        one("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", PassedOver),
        one(".DS_Store", b"\0\0\0\x01Bud1", PassedOver),
        one("picture.jpg.part", &jpeg(1_609)[..50], PassedOver),
        one("picture.crdownload", b"", PassedOver),
    ]
}

/// Files of other projects' test suites (`tests/data/odd/SOURCES.md`).
fn found() -> Vec<Case> {
    let one = |name: &str, end: End| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/odd");
        case("found", name, std::fs::read(folder.join(name)).expect("a file of the repository"), end)
    };
    vec![
        one("hopper_orientation_6.webp", Done),
        one("hopper_16bit_qtables.jpg", Done),
        one("zero_width.gif", DAMAGED),
        one("zero_height.j2k", DAMAGED),
        one("g4-multi.tif", Done),
        one("hopper.avif", UNSUPPORTED),
    ]
}
