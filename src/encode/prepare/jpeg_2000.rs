//! JPEG 2000, bare or in boxes.

use std::io::{BufRead, Seek, SeekFrom};

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};
use image::DynamicImage;

use super::samples::{Alpha, Colours, Samples};
use super::{Unpreparable, colour, whole};
use crate::domain::image::Pixels;

/// Pixels that are decoded at most: each takes up to 24 bytes on the way, three times what other formats take.
const MOST_PIXELS: u64 = 100_000_000;

/// Decodes the picture. One that is shrunk to `size`, by half or more, is decoded in the smallest resolution that is enough for it.
pub(super) fn decode(
    source: &mut (impl BufRead + Seek),
    stored: Pixels,
    size: Pixels,
) -> Result<DynamicImage, Unpreparable> {
    let length = source.seek(SeekFrom::End(0))?;
    let file = whole(source, length)?;
    let damaged = |cause: hayro_jpeg2000::DecodeError| Unpreparable::Damaged(cause.to_string());
    let target = (size != stored).then_some((size.width, size.height));
    let settings = DecodeSettings { target_resolution: target, ..Default::default() };
    let image = Image::new(&file, &settings).map_err(damaged)?;
    let (width, height) = (image.width(), image.height());
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Unpreparable::TooLarge(format!(
            "{width} x {height} pixels of JPEG 2000; {MOST_PIXELS} are allowed"
        )));
    }
    let (channels, profile) = match image.color_space() {
        ColorSpace::Gray => (1, None),
        ColorSpace::RGB => (3, None),
        ColorSpace::CMYK => (4, None),
        ColorSpace::Unknown { num_channels } => (*num_channels, None),
        ColorSpace::Icc { profile, num_channels } => (*num_channels, Some(profile.clone())),
    };
    let colours = match channels {
        1 => Colours::Grey,
        3 => Colours::Rgb,
        4 => Colours::Cmyk,
        _ => return Err(Unpreparable::Unsupported(format!("JPEG 2000 of {channels} channels"))),
    };
    let alpha = if image.has_alpha() { Alpha::Straight } else { Alpha::None };
    let mut context = DecoderContext::default();
    let bytes = image.decode(&mut context).map_err(damaged)?.data_u8();
    let picture = Samples { width, height, colours, alpha, bytes }.picture()?;
    Ok(colour::to_srgb(picture, profile.as_deref()))
}
