//! Samples of 8 bits as decoders leave them, and the picture that they mean.

use image::{DynamicImage, GrayImage, RgbImage};

use super::Unpreparable;

/// What the samples of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// One sample, 0 is black.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Four inks, 0 is none.
    Cmyk,
}

impl Colours {
    /// Samples of a pixel, transparency apart.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Whether a sample behind the colours says how much of the pixel is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    /// No such sample.
    None,
    /// The colours are as they are.
    Straight,
    /// The colours are multiplied with it already.
    Multiplied,
}

/// A page of samples, pixel by pixel.
pub(super) struct Samples {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) colours: Colours,
    pub(super) alpha: Alpha,
    /// `width × height × (colours + alpha)`.
    pub(super) bytes: Vec<u8>,
}

impl Samples {
    /// The picture on white paper, grey or RGB. Inks become light by the plain formula: a profile of theirs is not looked at.
    pub(super) fn picture(self) -> Result<DynamicImage, Unpreparable> {
        let per_pixel = self.colours.count() + usize::from(self.alpha != Alpha::None);
        let pixels = self.width as usize * self.height as usize;
        if self.bytes.len() != pixels * per_pixel {
            return Err(Unpreparable::Damaged("its pixels are not as many as it says".to_owned()));
        }
        let bytes = match (self.colours, self.alpha) {
            (Colours::Grey | Colours::Rgb, Alpha::None) => self.bytes,
            (Colours::Cmyk, _) => self
                .bytes
                .chunks_exact(per_pixel)
                .flat_map(|pixel| lights([pixel[0], pixel[1], pixel[2], pixel[3]]))
                .collect(),
            (colours, alpha) => on_white(&self.bytes, colours.count(), alpha),
        };
        let image = match self.colours {
            Colours::Grey => GrayImage::from_raw(self.width, self.height, bytes).map(DynamicImage::ImageLuma8),
            Colours::Rgb | Colours::Cmyk => {
                RgbImage::from_raw(self.width, self.height, bytes).map(DynamicImage::ImageRgb8)
            }
        };
        image.ok_or_else(|| Unpreparable::Damaged("its pixels are not as many as it says".to_owned()))
    }
}

fn lights([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let paper = u16::from(u8::MAX - black);
    [cyan, magenta, yellow].map(|ink| byte(u16::from(u8::MAX - ink) * paper / 255))
}

/// Pixels of `colours` samples and one of transparency, laid on white paper.
fn on_white(bytes: &[u8], colours: usize, alpha: Alpha) -> Vec<u8> {
    let mut laid = Vec::with_capacity(bytes.len() / (colours + 1) * colours);
    for pixel in bytes.chunks_exact(colours + 1) {
        let there = u16::from(pixel[colours]);
        let light = |sample: &u8| match alpha {
            Alpha::Multiplied => byte((u16::from(*sample) + 255 - there).min(255)),
            Alpha::Straight | Alpha::None => byte((u16::from(*sample) * there + 255 * (255 - there)) / 255),
        };
        laid.extend(pixel[..colours].iter().map(light));
    }
    laid
}

/// A number that is at most 255.
fn byte(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
