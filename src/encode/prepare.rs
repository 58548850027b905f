//! temporary
use crate::domain::image::{Format, Pixels};
use std::io::{self, BufRead, Seek};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub page: u32,
    pub longest_side: u32,
    pub jpeg_quality: u8,
    pub max_pixels: u64,
    pub max_bytes: u64,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub bytes: Vec<u8>,
    pub format: Format,
    pub pixels: Pixels,
    pub turned: bool,
    pub shrunk: bool,
    pub ink: Option<f64>,
}
#[derive(Debug, thiserror::Error)]
pub enum Unpreparable {
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Unreadable(io::Error),
}
pub fn prepare(source: impl BufRead + Seek, order: &Order) -> Result<Made, Unpreparable> {
    let reader = image::ImageReader::new(source).with_guessed_format().map_err(Unpreparable::Unreadable)?;
    let picture = reader.decode().map_err(|c| Unpreparable::Damaged(c.to_string()))?;
    let side = order.longest_side;
    let shrunk = side > 0 && picture.width().max(picture.height()) > side;
    let picture = if shrunk { picture.thumbnail(side, side) } else { picture };
    let mut bytes = Vec::new();
    picture
        .to_rgb8()
        .write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, order.jpeg_quality))
        .map_err(|c| Unpreparable::Damaged(c.to_string()))?;
    Ok(Made {
        bytes,
        format: Format::Jpeg,
        pixels: Pixels { width: picture.width(), height: picture.height() },
        turned: false,
        shrunk,
        ink: None,
    })
}
