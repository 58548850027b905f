//! How much of an image is dark: what a blank page has next to nothing of.
//!
//! Grey, reduced to at most 1,024 pixels a side, a border left out, and each pixel compared with its surroundings, so that paper may
//! be yellow, and light uneven. A measure that speaks against an answer never decides alone: show-through and stains are dark, too.

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};

use image::{GrayImage, ImageReader, Limits};

/// Longest side of what is measured, in pixels.
const SIDE: u32 = 1024;
/// Share of each side that is left out: edges of the scan.
const BORDER: f64 = 0.05;
/// How far around a pixel its surroundings reach, in pixels.
const RADIUS: usize = 16;
/// How much darker than its surroundings a pixel of ink is, of 255.
const DARKER: i64 = 25;
/// Most memory that decoding may take, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

/// Bytes of a file for each pixel from which on the page is surely not blank: paper alone, grain and all, compresses better.
const SPARSE: f64 = 0.12;

/// Share of the pixels of an image that are dark; `None` if it cannot be decoded, or if its file, of so many bytes, holds too much
/// for a blank page.
#[must_use]
pub fn measure(file: File, max_pixels: u64, sparse: Option<u64>) -> Option<f64> {
    if let Some(bytes) = sparse {
        let header = ImageReader::new(BufReader::new(file.try_clone().ok()?)).with_guessed_format().ok()?;
        let (width, height) = header.into_dimensions().ok()?;
        if bytes as f64 > SPARSE * f64::from(width) * f64::from(height) {
            return None;
        }
        (&file).seek(SeekFrom::Start(0)).ok()?;
    }
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    // A side alone may not exceed all pixels that there may be.
    let side = u32::try_from(max_pixels).unwrap_or(u32::MAX);
    (limits.max_image_width, limits.max_image_height) = (Some(side), Some(side));
    reader.limits(limits);
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reader.decode())).ok()?.ok()?;
    Some(of_grey(&reduced(decoded.into_luma8())))
}

/// Reduced by whole boxes of pixels, so that thin strokes are thinned and not lost.
fn reduced(grey: GrayImage) -> GrayImage {
    let factor = grey.width().max(grey.height()).div_ceil(SIDE);
    if factor <= 1 {
        return grey;
    }
    let (width, height) = ((grey.width() / factor).max(1), (grey.height() / factor).max(1));
    GrayImage::from_fn(width, height, |x, y| {
        let (left, top) = (x * factor, y * factor);
        let (right, bottom) = ((left + factor).min(grey.width()), (top + factor).min(grey.height()));
        let mut sum = 0;
        for row in top..bottom {
            for column in left..right {
                sum += u32::from(grey.get_pixel(column, row).0[0]);
            }
        }
        let mean = sum / ((right - left) * (bottom - top)).max(1);
        image::Luma([u8::try_from(mean).unwrap_or(u8::MAX)])
    })
}

/// Share of the pixels that are darker than what is around them.
#[must_use]
pub fn of_grey(grey: &GrayImage) -> f64 {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let (left, top) = ((width as f64 * BORDER) as usize, (height as f64 * BORDER) as usize);
    let (right, bottom) = (width - left, height - top);
    if right <= left || bottom <= top {
        return 0.0;
    }
    let sums = Sums::of(grey);
    let mut dark = 0_u64;
    for y in top..bottom {
        for x in left..right {
            let mean = sums.mean(x, y, (left, right), (top, bottom));
            let own = i64::from(grey.get_pixel(x as u32, y as u32).0[0]);
            dark += u64::from(mean - own > DARKER);
        }
    }
    dark as f64 / ((right - left) * (bottom - top)) as f64
}

/// Sums of all pixels above and left of each, from which the sum of any box is read.
struct Sums {
    sums: Vec<i64>,
    width: usize,
}

impl Sums {
    fn of(grey: &GrayImage) -> Self {
        let width = grey.width() as usize + 1;
        let mut sums = vec![0; width * (grey.height() as usize + 1)];
        for (y, row) in grey.rows().enumerate() {
            let mut of_row = 0;
            for (x, pixel) in row.enumerate() {
                of_row += i64::from(pixel.0[0]);
                sums[(y + 1) * width + x + 1] = sums[y * width + x + 1] + of_row;
            }
        }
        Self { sums, width }
    }

    /// Mean of the box around a pixel, within these bounds.
    fn mean(&self, x: usize, y: usize, across: (usize, usize), down: (usize, usize)) -> i64 {
        let (left, right) = (x.saturating_sub(RADIUS).max(across.0), (x + RADIUS + 1).min(across.1));
        let (top, bottom) = (y.saturating_sub(RADIUS).max(down.0), (y + RADIUS + 1).min(down.1));
        let at = |x: usize, y: usize| self.sums[y * self.width + x];
        let sum = at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top);
        sum / ((right - left) * (bottom - top)) as i64
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    fn paper(draw: impl Fn(u32, u32) -> u8) -> GrayImage {
        GrayImage::from_fn(600, 800, |x, y| Luma([draw(x, y)]))
    }

    /// A page of writing: strokes two pixels wide in lines.
    fn writing(x: u32, y: u32) -> bool {
        y % 24 < 10 && x % 7 < 2 && (60..540).contains(&x) && (80..700).contains(&y)
    }

    #[test]
    fn blank_paper_has_no_ink_whatever_its_colour_and_light() {
        // The light falls from the left.
        let uneven = |x: u32, _: u32| 180 + (x / 10) as u8;
        // Grain of the paper, the same each time.
        let grained = |x: u32, y: u32| 215 + ((x * 7 + y * 13 + x * y) % 11) as u8;
        // The edge of the scan is black.
        let edged = |x: u32, y: u32| if x < 12 || y > 790 { 0 } else { 230 };
        for blank in [paper(|_, _| 255), paper(uneven), paper(grained), paper(edged)] {
            let ink = of_grey(&blank);
            assert!(ink < 0.003, "{ink}");
        }
    }

    #[test]
    fn writing_is_ink_and_a_stamp_is_little_of_it() {
        let written = of_grey(&paper(|x, y| if writing(x, y) { 40 } else { 220 }));
        assert!(written > 0.02, "{written}");
        let stamped = of_grey(&paper(|x, y| if x.abs_diff(300) + y.abs_diff(400) < 12 { 60 } else { 220 }));
        assert!((0.0001..0.003).contains(&stamped), "{stamped}");
    }

    #[test]
    fn what_is_no_image_has_no_measure() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("a.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nnonsense").expect("written");
        assert_eq!(measure(File::open(&path).expect("open"), 1_000_000, None), None);
        let page = paper(|x, y| if writing(x, y) { 40 } else { 220 });
        image::imageops::resize(&page, 2400, 3200, image::imageops::FilterType::Nearest).save(&path).expect("saved");
        let ink = measure(File::open(&path).expect("open"), 10_000_000, None).expect("an image");
        assert!(ink > 0.02, "{ink}");
        let dense = measure(File::open(&path).expect("open"), 10_000_000, Some(10_000_000));
        assert_eq!(dense, None, "no blank page is as large");
        assert!(measure(File::open(&path).expect("open"), 10_000_000, Some(1000)).is_some());
        assert_eq!(measure(File::open(&path).expect("open"), 100, None), None, "more pixels than there may be");
    }
}
