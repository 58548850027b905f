//! A small picture of a page, made ready as one that is sent.

use std::io::BufReader;

use crate::corpus::beneath::Root;
use crate::domain::recipe::{Preparation, Reencode};
use crate::encode::prepare::{Order, Prepared, prepare};
use crate::kit::base64::Encoder;
use crate::kit::path_bytes::to_path;
use crate::ledger::reader::ImageResult;

/// Pixels of its longer side: letters of a page can be told, and a report of 24 is sent by mail.
const LONGEST_SIDE: u32 = 1_000;
const QUALITY: u8 = 50;
const MOST_BYTES: u64 = 2 << 20;

/// The picture as the address of an `img`; or, for people, why there is none.
pub(super) fn small(image: &ImageResult, max_pixels: u64) -> Result<String, String> {
    let how = Preparation {
        longest_side: LONGEST_SIDE,
        reencode: Reencode::Always,
        jpeg_quality: QUALITY,
        ..Preparation::default()
    };
    let picture = made(image, how, max_pixels, MOST_BYTES)?;
    let mut address = format!("data:{};base64,", picture.format.media_type()).into_bytes();
    Encoder::new().append(&picture.bytes, &mut address);
    String::from_utf8(address).map_err(|cause| cause.to_string())
}

/// A page, made ready as `how` says, in a form that every browser shows: JPEG or PNG.
///
/// # Errors
/// For people: why there is no picture.
pub fn made(image: &ImageResult, how: Preparation, max_pixels: u64, max_bytes: u64) -> Result<Prepared, String> {
    let root = Root::open(&to_path(&image.root)).map_err(|cause| cause.to_string())?;
    let (file, _) = root.file(&image.path).map_err(|cause| cause.to_string())?;
    let order = Order { page: image.path.page, how, max_pixels, max_bytes };
    prepare(BufReader::new(file), &order).map_err(|cause| cause.to_string())
}
