//! Tests of the whole way from bytes to text, on one small real page.

use std::io::Cursor;

use image::{DynamicImage, GenericImage, ImageFormat, Rgb, RgbImage};

use super::{OcrError, Reading, Recogniser};

/// One paragraph of print, as described in `sample/README.md`.
static PARAGRAPH: &[u8] = include_bytes!("sample/phototest.tif");

const PARAGRAPH_TEXT: [&str; 8] = [
    "This is a lot of 12 point text to test the",
    "ocr code and see if it works on all types",
    "of file format.",
    "The quick brown dog jumped over the",
    "lazy fox. The quick brown dog jumped",
    "over the lazy fox. The quick brown dog",
    "jumped over the lazy fox. The quick",
    "brown dog jumped over the lazy fox.",
];

fn recogniser() -> Recogniser {
    Recogniser::load().expect("the networks are compiled in")
}

fn read(page: &RgbImage) -> Reading {
    let mut png = Cursor::new(Vec::new());
    page.write_to(&mut png, ImageFormat::Png).expect("an image in memory can be encoded");
    recogniser().read(png.get_ref()).expect("a sound image")
}

fn paragraph() -> RgbImage {
    image::load_from_memory(PARAGRAPH).expect("a sound image").into_rgb8()
}

#[test]
fn reads_a_paragraph_letter_for_letter() {
    let reading = recogniser().read(PARAGRAPH).expect("a sound image");
    assert_eq!(reading.text, PARAGRAPH_TEXT.join("\n"));
    assert_eq!((reading.width, reading.height, reading.lines.len()), (640, 480, 8));
    for line in &reading.lines {
        assert!(line.confidence > 0.9, "{line:?}");
        assert!(line.corners[0].x < line.corners[1].x && line.corners[0].y < line.corners[3].y, "{line:?}");
    }
}

#[test]
fn reads_one_column_before_the_next() {
    let column = paragraph();
    let mut page = RgbImage::from_pixel(1280, 480, Rgb([255; 3]));
    page.copy_from(&column, 0, 0).expect("it fits");
    page.copy_from(&column, 640, 0).expect("it fits");
    assert_eq!(read(&page).text, [PARAGRAPH_TEXT, PARAGRAPH_TEXT].concat().join("\n"));
}

#[test]
fn a_blank_page_is_read_as_empty() {
    let reading = read(&RgbImage::from_pixel(300, 400, Rgb([250; 3])));
    assert_eq!((reading.text.as_str(), reading.lines.len(), reading.marks.len()), ("", 0, 0));
}

#[test]
fn one_recogniser_reads_pages_side_by_side() {
    let recogniser = recogniser();
    let read = || recogniser.read(PARAGRAPH).map(|reading| reading.text);
    let texts = std::thread::scope(|scope| {
        [scope.spawn(read), scope.spawn(read)].map(|reader| reader.join().expect("no panic").expect("a sound image"))
    });
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn the_least_images_do_no_harm() {
    for (width, height) in [(1, 1), (1, 400), (400, 1), (3, 3)] {
        let page = DynamicImage::new_luma8(width, height).into_rgb8();
        assert_eq!(read(&page).text, "", "{width} × {height}");
    }
}

#[test]
fn says_why_a_page_cannot_be_read() {
    let recogniser = recogniser();
    let not_an_image = recogniser.read(b"<html>404</html>").expect_err("no image");
    assert_eq!(not_an_image.to_string(), "not an image of a known format");
    let damaged = recogniser.read(&PARAGRAPH[..PARAGRAPH.len() / 2]).expect_err("half an image");
    assert!(matches!(damaged, OcrError::Damaged(_)), "{damaged}");
}
