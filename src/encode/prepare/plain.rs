//! The formats that `image` decodes whole: JPEG, PNG, GIF, WebP, BMP and the portable maps.

use std::io::{BufRead, Seek, SeekFrom};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::samples::{Alpha, Colours, Samples};
use super::{Order, Unpreparable, colour, misread};
use crate::domain::image::Format;

/// Memory that a decoder may take beside 8 bytes for each pixel that is allowed.
const BESIDE_PIXELS: u64 = 64 << 20;

/// Decodes the only or first picture of the file, as it is stored.
pub(super) fn decode(
    source: &mut (impl BufRead + Seek),
    format: Format,
    order: &Order,
) -> Result<DynamicImage, Unpreparable> {
    source.seek(SeekFrom::Start(0))?;
    let format = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Webp => ImageFormat::WebP,
        Format::Gif => ImageFormat::Gif,
        Format::Bmp => ImageFormat::Bmp,
        Format::Pnm => ImageFormat::Pnm,
        Format::Tiff | Format::Jp2 => return Err(Unpreparable::Unsupported(format.word().to_owned())),
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(order.max_pixels.saturating_mul(8).saturating_add(BESIDE_PIXELS));
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(reason)?;
    let profile = decoder.icc_profile().ok().flatten();
    let image = picture(DynamicImage::from_decoder(decoder).map_err(reason)?)?;
    Ok(colour::to_srgb(image, profile.as_deref()))
}

/// The picture in 8 bits, on white paper.
fn picture(image: DynamicImage) -> Result<DynamicImage, Unpreparable> {
    let (width, height) = (image.width(), image.height());
    let color = image.color();
    let laid = |colours, bytes| Samples { width, height, colours, alpha: Alpha::Straight, bytes }.picture();
    match (color.has_color(), color.has_alpha()) {
        (false, false) => Ok(image.into_luma8().into()),
        (true, false) => Ok(image.into_rgb8().into()),
        (false, true) => laid(Colours::Grey, image.into_luma_alpha8().into_raw()),
        (true, true) => laid(Colours::Rgb, image.into_rgba8().into_raw()),
    }
}

fn reason(cause: ImageError) -> Unpreparable {
    match cause {
        ImageError::Limits(cause) => Unpreparable::TooLarge(cause.to_string()),
        ImageError::Unsupported(cause) => Unpreparable::Unsupported(cause.to_string()),
        ImageError::IoError(cause) => misread(cause),
        cause => Unpreparable::Damaged(cause.to_string()),
    }
}
