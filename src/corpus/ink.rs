//! How much writing a page may bear: the share of its pixels that are darker than the paper around them.
//!
//! A hint and no judge: show-through, stains and dust have ink, and writing in pale pencil has next to none. So it never decides
//! alone; it sends an answer back once that says the contrary. Orientation and colour play no part.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use image::{DynamicImage, GrayImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits, Luma};

/// Longest side that is looked at; a larger page is reduced to it by the mean of boxes, which takes noise away and leaves strokes.
const LOOKED_AT: u32 = 1024;
/// One part in so many is left out at each edge: shadows of the scanner and of the next page lie there.
const BORDER: u32 = 20;
/// The paper around a pixel is the mean of the box that reaches that far.
const REACH: usize = 16;
/// How much darker than the paper a pixel of ink is, of 255.
const DARKER: u64 = 25;
/// Mean grey below which a page is a negative, of 255.
const NEGATIVE: u64 = 100;
/// Most memory that a decoder may take. The pixels once more in grey come on top, a third of it.
const DECODER_BYTES: u64 = 256 << 20;
/// Most memory of decoded pixels that several threads may hold at once; a larger image is decoded alone.
const BESIDE_OTHERS: u64 = 32 << 20;
/// Bytes for each pixel from which on a JPEG or WebP is taken for written. Counted: blank paper has 0.18 with some grain (a deviation
/// of 4 of 255) at quality 90, 0.31 with twice of it or at quality 95; 33 pages of text 0.04 to 0.64, two of them more than this.
const SPARSE: f64 = 0.35;

/// Why the ink of an image is not known.
#[derive(Debug, thiserror::Error)]
pub enum NoInk {
    /// It takes more memory than measuring is worth.
    #[error("the image is too large to be measured")]
    TooLarge,
    /// The bytes are no image that can be decoded here.
    #[error("the image cannot be decoded: {0}")]
    Undecodable(String),
}

/// Ink of an image file, 0 to 1; `None` where it is not known, which is never a reason to reject an answer. With `sparse`, the bytes
/// of the file, a page with too many of them for a blank one is not decoded. `large` is held while a large image is decoded, so that
/// the memory of one is all that is needed, however many threads there are.
#[must_use]
pub fn measure(file: File, max_pixels: u64, sparse: Option<u64>, large: &Mutex<()>) -> Option<f64> {
    if let Some(bytes) = sparse
        && !may_be_blank(&file, bytes)
    {
        return None;
    }
    let measured = alone(BufReader::new(file), max_pixels, large);
    measured.inspect_err(|why| tracing::debug!(%why, "the ink of an image is not known")).ok()
}

/// Ink of an image file, 0 to 1. Takes the first page or frame of several.
///
/// # Errors
/// Why it is not known.
pub fn of_file(source: impl BufRead + Seek, max_pixels: u64) -> Result<f64, NoInk> {
    alone(source, max_pixels, &Mutex::new(()))
}

fn alone(source: impl BufRead + Seek, max_pixels: u64, large: &Mutex<()>) -> Result<f64, NoInk> {
    // A decoder that panics has met bytes that it does not understand, and nothing of it is kept.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(source, max_pixels, large)));
    let grey = decoded.unwrap_or_else(|_| Err(NoInk::Undecodable("its decoder broke off".to_owned())))?;
    let (width, height) = grey.dimensions();
    Ok(ink(grey.as_raw(), width, height))
}

/// Whether the file may be that of a blank page, by its header and its length. Grain is told from writing by nothing else than a look:
/// a PNG of grainy paper is as long as one of text.
fn may_be_blank(mut file: &File, bytes: u64) -> bool {
    let header = ImageReader::new(BufReader::new(file)).with_guessed_format().ok();
    let is_lossy = |format| matches!(format, ImageFormat::Jpeg | ImageFormat::WebP);
    let size = header.filter(|header| header.format().is_some_and(is_lossy)).and_then(|it| it.into_dimensions().ok());
    let is_long = size.is_some_and(|(width, height)| bytes as f64 > SPARSE * f64::from(width) * f64::from(height));
    !is_long && file.seek(SeekFrom::Start(0)).is_ok()
}

fn decode(source: impl BufRead + Seek, max_pixels: u64, large: &Mutex<()>) -> Result<GrayImage, NoInk> {
    let undecodable = |cause: &dyn std::fmt::Display| NoInk::Undecodable(cause.to_string());
    let reader = ImageReader::new(source).with_guessed_format().map_err(|cause| undecodable(&cause))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES);
    let mut decoder = reader.into_decoder().map_err(|cause| undecodable(&cause))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels || decoder.total_bytes() > DECODER_BYTES {
        return Err(NoInk::TooLarge);
    }
    let is_large = decoder.total_bytes() > BESIDE_OTHERS;
    let _alone = is_large.then(|| large.lock().unwrap_or_else(PoisonError::into_inner));
    let decoded = decoder.set_limits(limits).and_then(|()| DynamicImage::from_decoder(decoder));
    match decoded {
        Ok(image) => Ok(grey(image)),
        Err(ImageError::Limits(_)) => Err(NoInk::TooLarge),
        Err(cause) => Err(undecodable(&cause)),
    }
}

/// The image in grey, on white paper where it is transparent.
fn grey(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    let on_paper = |value: u8, alpha: u8| {
        let (value, alpha) = (u16::from(value), u16::from(alpha));
        // At most 255.
        u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    let (width, height) = image.dimensions();
    GrayImage::from_fn(width, height, |x, y| {
        let [value, alpha] = image.get_pixel(x, y).0;
        Luma([on_paper(value, alpha)])
    })
}

/// Share of the pixels of a grey page (rows of `width`, 0 = black) that are ink, 0 to 1.
#[must_use]
pub fn ink(grey: &[u8], width: u32, height: u32) -> f64 {
    let page = Page { grey, width: width as usize, height: height as usize };
    if page.width == 0 || page.height == 0 || grey.len() < page.width * page.height {
        return 0.0;
    }
    let (reduced, width, height) = reduced(&page);
    let (mut inner, width, height) = without_border(&reduced, width, height);
    let sum: u64 = inner.iter().map(|value| u64::from(*value)).sum();
    // A negative, as microfilm has them: its writing is lighter than what it stands on.
    if sum < inner.len() as u64 * NEGATIVE {
        inner.iter_mut().for_each(|value| *value = u8::MAX - *value);
    }
    share(&inner, width, height)
}

/// A page in grey.
struct Page<'a> {
    grey: &'a [u8],
    width: usize,
    height: usize,
}

/// The page at most [`LOOKED_AT`] pixels long; each pixel is the mean of the box that it stands for.
fn reduced(page: &Page<'_>) -> (Vec<u8>, usize, usize) {
    let longest = page.width.max(page.height);
    let most = LOOKED_AT as usize;
    if longest <= most {
        return (page.grey[..page.width * page.height].to_vec(), page.width, page.height);
    }
    let side = |length: usize| (length * most).div_ceil(longest).max(1);
    let (width, height) = (side(page.width), side(page.height));
    let columns: Vec<usize> = (0..=width).map(|x| x * page.width / width).collect();
    let mut small = Vec::with_capacity(width * height);
    let mut sums = vec![0u64; width];
    for y in 0..height {
        let (top, bottom) = (y * page.height / height, (y + 1) * page.height / height);
        sums.fill(0);
        for row in page.grey.chunks_exact(page.width).take(bottom).skip(top) {
            for (sum, ends) in sums.iter_mut().zip(columns.windows(2)) {
                *sum += row[ends[0]..ends[1]].iter().map(|value| u64::from(*value)).sum::<u64>();
            }
        }
        let rows = (bottom - top) as u64;
        let mean = |(sum, ends): (&u64, &[usize])| sum / (rows * (ends[1] - ends[0]) as u64).max(1);
        // A mean of bytes is one.
        small.extend(sums.iter().zip(columns.windows(2)).map(mean).map(|mean| u8::try_from(mean).unwrap_or(u8::MAX)));
    }
    (small, width, height)
}

fn without_border(grey: &[u8], width: usize, height: usize) -> (Vec<u8>, usize, usize) {
    let (left, top) = (width / BORDER as usize, height / BORDER as usize);
    let (inner, rows) = (width - 2 * left, height - 2 * top);
    let kept = grey.chunks_exact(width).skip(top).take(rows).flat_map(|row| &row[left..left + inner]);
    (kept.copied().collect(), inner, rows)
}

/// Share of the pixels that are more than [`DARKER`] below the mean of their box.
fn share(grey: &[u8], width: usize, height: usize) -> f64 {
    let sums = sums(grey, width, height);
    let stride = width + 1;
    let mut dark = 0u64;
    for (y, row) in grey.chunks_exact(width).enumerate() {
        let (top, bottom) = (y.saturating_sub(REACH) * stride, (y + REACH + 1).min(height) * stride);
        let rows = ((bottom - top) / stride) as u64;
        for (x, value) in row.iter().enumerate() {
            let (left, right) = (x.saturating_sub(REACH), (x + REACH + 1).min(width));
            let sum = sums[bottom + right] + sums[top + left] - sums[bottom + left] - sums[top + right];
            let pixels = rows * (right - left) as u64;
            // Mean minus value, both times the pixels of the box.
            dark += u64::from(sum > (u64::from(*value) + DARKER) * pixels);
        }
    }
    dark as f64 / (width * height) as f64
}

/// Sums of all rectangles that begin at the upper left corner, with an empty row and column before the first.
fn sums(grey: &[u8], width: usize, height: usize) -> Vec<u64> {
    let stride = width + 1;
    let mut sums = vec![0u64; stride * (height + 1)];
    for (y, row) in grey.chunks_exact(width).enumerate() {
        let (above, below) = sums.split_at_mut((y + 1) * stride);
        let above = &above[y * stride..];
        let mut line = 0;
        for (x, value) in row.iter().enumerate() {
            line += u64::from(*value);
            below[x + 1] = above[x + 1] + line;
        }
    }
    sums
}

#[cfg(test)]
#[path = "ink_tests.rs"]
mod tests;
