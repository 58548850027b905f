//! Encoded image to upright pixels. The format is what the first bytes say, never what a name says.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::OcrError;

/// Bytes that are enough to recognise any format.
const SIGNATURE_BYTES: usize = 64;
/// Pixels of the largest page read: an A2 page at 400 dots an inch has 62 million.
const PIXELS_MAX: u64 = 100_000_000;
/// What a decoder may allocate: the largest page with 16-bit RGBA samples.
const DECODER_BYTES_MAX: u64 = PIXELS_MAX * 8;
/// What some WebP writers put before the TIFF structure that EXIF is.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// Decodes the first image of a file, turns it upright and lays it on white paper.
pub(super) fn upright_page(encoded: &[u8]) -> Result<RgbImage, OcrError> {
    // One decoder panics on some hostile files; the unwinding ends here, and nothing outlives it.
    catch_unwind(|| decode(encoded)).unwrap_or_else(|_| Err(OcrError::Damaged("the decoder gave up on it".to_owned())))
}

fn decode(encoded: &[u8]) -> Result<RgbImage, OcrError> {
    let signature = &encoded[..encoded.len().min(SIGNATURE_BYTES)];
    let format = format_of(signature).filter(ImageFormat::reading_enabled).ok_or(OcrError::NotAnImage)?;
    let damaged = |error: image::ImageError| OcrError::Damaged(error.to_string());
    let mut decoder = reader(encoded, format).into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(OcrError::TooLarge { width, height, pixels_max: PIXELS_MAX });
    }
    let orientation = orientation(&mut decoder);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(on_white(image))
}

fn format_of(signature: &[u8]) -> Option<ImageFormat> {
    // BigTIFF, which the TIFF decoder reads but `guess_format` does not know.
    if signature.starts_with(b"II+\0") || signature.starts_with(b"MM\0+") {
        return Some(ImageFormat::Tiff);
    }
    image::guess_format(signature).ok()
}

fn reader(encoded: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(encoded), format);
    reader.limits(limits);
    reader
}

/// How the page must be turned. Damaged EXIF turns nothing: the picture itself may be sound.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    match decoder.orientation() {
        Ok(known) if known != Orientation::NoTransforms => known,
        _ => {
            let exif = decoder.exif_metadata().ok().flatten().unwrap_or_default();
            exif.strip_prefix(EXIF_PREFIX).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
        }
    }
}

/// Drops transparency the way a viewer shows it: an invisible pixel is paper, not ink.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let source = image.into_rgba8();
    let mut page = RgbImage::new(source.width(), source.height());
    for (pixel, from) in page.pixels_mut().zip(source.pixels()) {
        let [red, green, blue, alpha] = from.0.map(u16::from);
        pixel.0 = [red, green, blue].map(|ink| ((ink * alpha + 255 * (255 - alpha)) / 255) as u8);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("an image in memory can be encoded");
        bytes.into_inner()
    }

    #[test]
    fn refuses_what_is_no_image() {
        for bytes in [&b""[..], b"<!DOCTYPE html><html>", b"%PDF-1.7", b"\0\0\0\x20ftypavif\0\0\0\0"] {
            assert!(matches!(upright_page(bytes), Err(OcrError::NotAnImage)), "{bytes:?}");
        }
    }

    #[test]
    fn knows_big_tiff() {
        for signature in [b"II+\0", b"MM\0+"] {
            assert_eq!(format_of(signature), Some(ImageFormat::Tiff));
        }
    }

    #[test]
    fn names_damage() {
        let whole = encoded(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png);
        for cut in [20, whole.len() / 2] {
            assert!(matches!(upright_page(&whole[..cut]), Err(OcrError::Damaged(_))), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_a_page_of_too_many_pixels_by_its_header() {
        let mut page = encoded(&DynamicImage::new_luma8(1, 1), ImageFormat::Bmp);
        page[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
        page[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
        let refusal = upright_page(&page);
        assert!(matches!(refusal, Err(OcrError::TooLarge { width: 20_000, height: 20_000, .. })), "{refusal:?}");
    }

    #[test]
    fn lays_transparent_pixels_on_white() {
        let mut page = image::RgbaImage::new(2, 1);
        page.put_pixel(1, 0, image::Rgba([0, 0, 0, 255]));
        let read = upright_page(&encoded(&page.into(), ImageFormat::Png)).expect("a sound image");
        assert_eq!((read.get_pixel(0, 0).0, read.get_pixel(1, 0).0), ([255; 3], [0; 3]));
    }

    #[test]
    fn turns_the_page_as_its_exif_says() {
        // A TIFF structure with one entry: orientation (0x0112), SHORT, count 1, value 6.
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut jpeg = encoded(&DynamicImage::new_rgb8(32, 16), ImageFormat::Jpeg);
        let mut segment = vec![0xFF, 0xE1];
        segment.extend(u16::try_from(exif.len() + 2).expect("short").to_be_bytes());
        segment.extend(exif);
        jpeg.splice(2..2, segment);
        let page = upright_page(&jpeg).expect("a sound image");
        assert_eq!(page.dimensions(), (16, 32));
    }
}
