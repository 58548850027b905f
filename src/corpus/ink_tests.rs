//! Ink of real pages, and of pages that were made to mislead.

use std::sync::Mutex;

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{GrayAlphaImage, ImageFormat, LumaA};

use super::*;
use crate::kit::atomic_file::{Access, Durability, write};

/// Below it a page may be blank, above the second one it is not: `[judge] blank.ink`, and what a said blank page may have.
const BLANK: f64 = 0.003;
const WRITTEN: f64 = 0.02;

/// Sizes of the generated pages.
const WIDE: u32 = 700;
const HIGH: u32 = 1000;

/// Noise that is the same in every run, about `sigma` strong.
fn grain(x: u32, y: u32, sigma: f64) -> f64 {
    let print = crate::kit::hash::short(&[x.to_le_bytes(), y.to_le_bytes()].concat());
    let sum: f64 = print.iter().take(12).map(|byte| f64::from(*byte) / 255.0).sum();
    (sum - 6.0) * sigma
}

/// Paper with a shadow across it, and `dark` taken off.
fn page(sigma: f64, dark: impl Fn(u32, u32) -> f64) -> GrayImage {
    GrayImage::from_fn(WIDE, HIGH, |x, y| {
        let noise = if sigma > 0.0 { grain(x, y, sigma) } else { 0.0 };
        let paper = 230.0 - 30.0 * f64::from(x) / f64::from(WIDE);
        Luma([(paper + noise - dark(x, y)).clamp(0.0, 255.0) as u8])
    })
}

/// Strokes as of lines of writing.
fn strokes(x: u32, y: u32) -> bool {
    let in_text = (80..WIDE - 80).contains(&x) && (80..HIGH - 80).contains(&y);
    in_text && y % 30 < 14 && x % 9 < 2 && (x / 60) % 5 != 4
}

fn written(darkness: f64) -> impl Fn(u32, u32) -> f64 {
    move |x, y| if strokes(x, y) { darkness } else { 0.0 }
}

fn of(page: &GrayImage) -> f64 {
    ink(page.as_raw(), page.width(), page.height())
}

fn jpeg(page: &GrayImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(page).expect("memory");
    bytes
}

#[test]
fn pages_of_text_have_the_ink_that_was_counted() {
    let pages = Path::new("tests/data/pages");
    for (name, counted) in [
        ("french/FRAN_0011_11086_L-medium.jpg", 0.0398),
        ("french/0_4a125_default.jpg", 0.1201),
        ("french/Pierre_et_Marie_Curie_Papiers_[...]Curie_Pierre_btv1b90802629_12.jpeg", 0.0407),
        ("typed/EHRI-DR-19410127-DK_01.jpg", 0.0887),
        ("typed/EHRI-DR-19390519-US_04-exif3.jpg", 0.0675),
    ] {
        let file = std::fs::File::open(pages.join(name)).expect("a page");
        let ink = of_file(std::io::BufReader::new(file), u64::MAX).expect("an image");
        assert!((ink - counted).abs() < 0.001 && ink >= 0.019, "{name}: {ink}");
    }
}

#[test]
fn pages_without_writing_have_none_and_pages_with_it_have_some() {
    let speck = |x: u32, y: u32| if x % 97 < 2 && y % 89 < 2 { 150.0 } else { 0.0 };
    let edge = |x: u32, y: u32| if x < WIDE / 25 || y > HIGH - HIGH / 25 { 190.0 } else { 0.0 };
    let fold = |x: u32, _| if x.abs_diff(WIDE / 2) < 40 { 40.0 - f64::from(x.abs_diff(WIDE / 2)) } else { 0.0 };
    let blank = [
        ("even", page(0.0, |_, _| 0.0)),
        ("grainy", page(4.0, |_, _| 0.0)),
        ("specks of dust", page(1.0, speck)),
        ("show-through", page(0.0, written(20.0))),
        ("dark edges", page(1.0, edge)),
        ("a fold", page(1.0, fold)),
    ];
    for (what, page) in &blank {
        assert!(of(page) < BLANK, "{what}: {}", of(page));
        let packed = of_file(Cursor::new(jpeg(page, 75)), u64::MAX).expect("a JPEG");
        assert!(packed < BLANK, "{what} as JPEG: {packed}");
    }
    let inverted = |page: &GrayImage| GrayImage::from_fn(WIDE, HIGH, |x, y| Luma([255 - page.get_pixel(x, y).0[0]]));
    let text = [
        ("text", page(1.0, written(150.0))),
        ("pale text", page(1.0, written(60.0))),
        ("strong show-through counts as text", page(0.0, written(45.0))),
        ("white on black", inverted(&page(1.0, written(150.0)))),
    ];
    for (what, page) in &text {
        assert!(of(page) > WRITTEN, "{what}: {}", of(page));
    }
    // The same page turned has the same ink.
    let turned = image::imageops::rotate90(&text[0].1);
    assert!((of(&turned) - of(&text[0].1)).abs() < 0.001);
}

#[test]
fn a_large_page_has_the_ink_of_a_small_one() {
    let large = GrayImage::from_fn(WIDE * 4, HIGH * 4, |x, y| Luma([if strokes(x / 4, y / 4) { 40 } else { 230 }]));
    let small = GrayImage::from_fn(WIDE, HIGH, |x, y| Luma([if strokes(x, y) { 40 } else { 230 }]));
    // Strokes that fall between two pixels are paler and wider.
    let ratio = of(&large) / of(&small);
    assert!((0.6..1.6).contains(&ratio), "{ratio}");
}

#[test]
fn odd_sizes_have_some_ink_and_no_panic() {
    for (width, height) in [(1, 1), (1, 5000), (3000, 1), (1025, 7), (0, 9), (9, 0)] {
        let grey: Vec<u8> = (0..width * height).map(|n| (n % 251) as u8).collect();
        let ink = ink(&grey, width, height);
        assert!((0.0..=1.0).contains(&ink), "{width}x{height}: {ink}");
    }
    assert_eq!(ink(&[0; 5], 100, 100).to_bits(), 0f64.to_bits(), "too few pixels");
}

#[test]
fn transparent_is_paper() {
    let drawn = GrayAlphaImage::from_fn(WIDE, HIGH, |x, y| LumaA([0, if strokes(x, y) { 255 } else { 0 }]));
    let mut bytes = Cursor::new(Vec::new());
    drawn.write_to(&mut bytes, ImageFormat::Png).expect("memory");
    bytes.set_position(0);
    assert!(of_file(bytes, u64::MAX).expect("a PNG") > WRITTEN);
}

#[test]
fn what_cannot_be_decoded_has_no_ink_and_a_reason() {
    let whole = jpeg(&page(1.0, written(150.0)), 75);
    let mut torn = Cursor::new(Vec::new());
    page(1.0, written(150.0)).write_to(&mut torn, ImageFormat::Png).expect("memory");
    let torn = torn.into_inner();
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("a page of a server", b"<html>gone</html>"),
        ("a head alone", &whole[..30]),
        ("half of a PNG", &torn[..torn.len() / 2]),
    ] {
        assert!(matches!(of_file(Cursor::new(bytes), u64::MAX), Err(NoInk::Undecodable(_))), "{what}");
    }
    // A bomb: a header of 60,000 by 60,000 pixels.
    let mut bomb = Vec::new();
    bomb.extend_from_slice(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0");
    bomb.extend_from_slice(&[0x11, 0x4e, 0xbd, 0xfb]);
    bomb.extend_from_slice(b"\0\0\0\x04IDAT\x78\x9c\x03\0\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82");
    let told = of_file(Cursor::new(bomb), u64::MAX);
    assert!(told.is_err(), "{told:?}");
    for name in ["odd/zero_width.gif", "odd/empty.jpg", "odd/zero_height.j2k", "odd/hopper.avif"] {
        let file = std::fs::File::open(Path::new("tests/data").join(name)).expect("a file");
        assert!(of_file(std::io::BufReader::new(file), u64::MAX).is_err(), "{name}");
    }
}

#[test]
fn a_grainy_blank_page_is_looked_at_and_a_dense_file_is_not() {
    let folder = tempfile::tempdir().expect("temp dir");
    let kept = |bytes: &[u8], sparse: Option<u64>| {
        let path = folder.path().join("page");
        write(&path, bytes, Access::Umask, Durability::Derived).expect("a file");
        measure(File::open(path).expect("a file"), u64::MAX, sparse, &Mutex::new(()))
    };
    for (sigma, quality) in [(0.0, 75), (1.0, 95), (4.0, 90), (8.0, 90), (4.0, 95)] {
        let bytes = jpeg(&page(sigma, |_, _| 0.0), quality);
        let ink = kept(&bytes, Some(bytes.len() as u64)).expect("it is looked at");
        assert!(ink < BLANK, "grain {sigma}, quality {quality}: {ink}");
    }
    let dense = jpeg(&page(16.0, written(150.0)), 95);
    assert_eq!(kept(&dense, Some(dense.len() as u64)), None);
    assert!(kept(&dense, None).is_some_and(|ink| ink > WRITTEN));
    let mut grainy = Cursor::new(Vec::new());
    page(4.0, |_, _| 0.0).write_to(&mut grainy, ImageFormat::Png).expect("memory");
    let grainy = grainy.into_inner();
    assert!(kept(&grainy, Some(grainy.len() as u64)).is_some_and(|ink| ink < BLANK), "no PNG is judged by its length");
    assert_eq!(kept(b"no image", Some(8)), None);
}
