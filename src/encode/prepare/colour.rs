//! Colours of another profile become sRGB, which is what everybody takes a picture without a profile for.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// The picture in sRGB. Grey stays as it is, whatever its profile: a page of grey is read by its contrasts. So does a picture
/// whose profile is broken or for other colours than it has.
pub(super) fn to_srgb(mut image: DynamicImage, profile: Option<&[u8]>) -> DynamicImage {
    let DynamicImage::ImageRgb8(picture) = &mut image else { return image };
    let known = profile.and_then(|bytes| ColorProfile::new_from_slice(bytes).ok());
    let Some(profile) = known.filter(|profile| profile.color_space == DataColorSpace::Rgb) else { return image };
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default());
    if let Ok(transform) = transform {
        let row = picture.width() as usize * 3;
        let mut stored = vec![0; row];
        for line in picture.chunks_exact_mut(row.max(1)) {
            stored.copy_from_slice(line);
            // Both rows have the same whole number of pixels, which is all that it could object to.
            if transform.transform(&stored, line).is_err() {
                line.copy_from_slice(&stored);
            }
        }
    }
    image
}
