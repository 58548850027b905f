//! A decoded page turned upright, shrunk and written.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, GrayImage, RgbImage};
use png::BitDepth;

use super::{Order, Page, Prepared, Unpreparable};
use crate::corpus::exif::Turn;
use crate::corpus::ink;
use crate::domain::image::{Format, Pixels};

/// The longest side that a JPEG can have.
const JPEG_SIDE: u32 = 65_535;

/// Makes a page ready to be sent, in `size`, which is its `stored` one unless it is to be smaller.
pub(super) fn finish(page: Page, stored: Pixels, size: Pixels, order: &Order) -> Result<Prepared, Unpreparable> {
    let Page { image, turn } = page;
    // Shrinking first leaves less to turn; a side is a side either way.
    let image = plain_grey(image);
    let had_two_shades = has_two_shades(&image);
    let shrunk = size != stored;
    let mut image = if shrunk { shrink(image, size)? } else { image };
    if let Some(orientation) = Orientation::from_exif(turn.exif()).filter(|_| turn != Turn::NONE) {
        image.apply_orientation(orientation);
    }
    let (bytes, format) = write(&image, order.how.jpeg_quality, had_two_shades)?;
    if bytes.len() as u64 > order.max_bytes {
        let length = bytes.len();
        return Err(Unpreparable::TooLarge(format!("{length} bytes when ready; {} are allowed", order.max_bytes)));
    }
    let pixels = Pixels { width: image.width(), height: image.height() };
    let ink = Some(ink::ink(image.to_luma8().as_raw(), pixels.width, pixels.height));
    Ok(Prepared { bytes, format, pixels, turned: turn != Turn::NONE, shrunk, ink })
}

/// A picture in which every pixel is grey, stored as what it is.
fn plain_grey(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb8(picture)
            if picture.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]) =>
        {
            let greys = picture.pixels().map(|pixel| pixel.0[0]).collect();
            let (width, height) = picture.dimensions();
            GrayImage::from_raw(width, height, greys).map_or(DynamicImage::ImageRgb8(picture), DynamicImage::ImageLuma8)
        }
        image => image,
    }
}

/// The image in a size that is no larger than its own.
fn shrink(image: DynamicImage, size: Pixels) -> Result<DynamicImage, Unpreparable> {
    let (width, height) = (image.width(), image.height());
    let (narrow, low) = (size.width.min(width), size.height.min(height));
    if (narrow, low) == (width, height) {
        return Ok(image);
    }
    let kind = if image.color().has_color() { PixelType::U8x3 } else { PixelType::U8 };
    let failed = |cause: &dyn std::fmt::Display| Unpreparable::Damaged(format!("it cannot be shrunk: {cause}"));
    let stored = ImageRef::new(width, height, image.as_bytes(), kind).map_err(|cause| failed(&cause))?;
    let mut small = Image::new(narrow, low, kind);
    Resizer::new().resize(&stored, &mut small, None).map_err(|cause| failed(&cause))?;
    let bytes = small.into_vec();
    let small = match kind {
        PixelType::U8 => GrayImage::from_raw(narrow, low, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(narrow, low, bytes).map(DynamicImage::ImageRgb8),
    };
    small.ok_or_else(|| failed(&"its size is lost"))
}

/// Whether there is nothing but black and white.
fn has_two_shades(image: &DynamicImage) -> bool {
    !image.color().has_color() && image.as_bytes().iter().all(|grey| matches!(grey, 0 | 255))
}

/// JPEG; PNG for black and white where it is shorter, and for what is too long for a JPEG. Where black and white was shrunk, 16
/// shades of grey hold its edges: a third of the JPEG's bytes, measured on scans of 300 dpi, and none of its blur.
fn write(image: &DynamicImage, quality: u8, had_two_shades: bool) -> Result<(Vec<u8>, Format), Unpreparable> {
    let is_long = image.width().max(image.height()) > JPEG_SIDE;
    let depth = match had_two_shades {
        true if has_two_shades(image) => Some(BitDepth::One),
        true => Some(BitDepth::Four),
        false => is_long.then_some(BitDepth::Eight),
    };
    let png = depth.map(|depth| png(image, depth)).transpose()?;
    // A JPEG has 6 bits at least for each block of 64 pixels, so that some need not be tried.
    let least = u64::from(image.width()) * u64::from(image.height()) / 64 * 6 / 8;
    let is_beaten = is_long || png.as_ref().is_some_and(|png| png.len() as u64 <= least);
    let jpeg = if is_beaten { None } else { Some(jpeg(image, quality)?) };
    match (png, jpeg) {
        (Some(png), Some(jpeg)) if png.len() < jpeg.len() => Ok((png, Format::Png)),
        (_, Some(jpeg)) => Ok((jpeg, Format::Jpeg)),
        (Some(png), None) => Ok((png, Format::Png)),
        // One of the two was asked for.
        (None, None) => Err(Unpreparable::TooLarge("no format holds it".to_owned())),
    }
}

fn jpeg(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, Unpreparable> {
    let mut bytes = Vec::new();
    // With an image in the place of its bytes, the encoder makes three colours of grey.
    let kind = if image.color().has_color() { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    let written = encoder.encode(image.as_bytes(), image.width(), image.height(), kind);
    written.map_err(|cause| Unpreparable::Damaged(format!("it cannot be written as JPEG: {cause}")))?;
    Ok(bytes)
}

fn png(image: &DynamicImage, depth: BitDepth) -> Result<Vec<u8>, Unpreparable> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(if image.color().has_color() { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.set_depth(depth);
    let packed;
    let rows = if depth == BitDepth::Eight {
        image.as_bytes()
    } else {
        // Rows of a few shades compress best as they are.
        encoder.set_filter(png::Filter::NoFilter);
        packed = shades(image.as_bytes(), image.width() as usize, depth);
        &packed[..]
    };
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(rows)?;
        writer.finish()
    });
    written.map_err(|cause| Unpreparable::Damaged(format!("it cannot be written as PNG: {cause}")))?;
    Ok(bytes)
}

/// Rows of `width` greys in fewer bits, each the nearest shade; each row begins with a byte of its own.
fn shades(greys: &[u8], width: usize, depth: BitDepth) -> Vec<u8> {
    let bits = u32::from(depth as u8);
    let lightest = (1u32 << bits) - 1;
    let shade = |grey: &u8| (u32::from(*grey) * lightest + 127) / 255;
    let byte = |pixels: &[u8]| {
        let filled = pixels.iter().fold(0, |byte, grey| byte << bits | shade(grey));
        // The last byte of a row may be filled in part; what is missing is behind.
        let missing = 8 - bits * u32::try_from(pixels.len()).unwrap_or(0);
        u8::try_from(filled << missing).unwrap_or(u8::MAX)
    };
    let rows = greys.chunks_exact(width.max(1));
    rows.flat_map(|row| row.chunks((8 / bits) as usize).map(byte)).collect()
}
