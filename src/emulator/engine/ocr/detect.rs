//! Where on the page is text? Page to the detector's input, its answer back to the page's pixels.

use image::{RgbImage, imageops};
use rten_tensor::{NdTensor, prelude::*};

use super::OcrError;
use super::components::{ProbabilityMap, text_rects};
use super::network::{Lane, Network};
use super::rectangle::TurnedRect;

/// Longest side of the detector's input, in pixels.
const SIDE_MAX_PX: f32 = 1600.0;
/// The detector halves its input five times.
const SIDE_STEP_PX: f32 = 32.0;
/// Mean and deviation of the training images, in the order the network takes colours: blue, green, red.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Rectangles around lines, or parts of lines, of text, in the page's pixels.
pub(super) fn text_areas(network: &Network, page: &RgbImage, lane: &Lane<'_>) -> Result<Vec<TurnedRect>, OcrError> {
    let (width, height) = input_size(page.width(), page.height());
    let small = if (width, height) == page.dimensions() {
        input(page)
    } else {
        input(&shrunk(page, width, height))
    };
    let answer: NdTensor<f32, 4> = network.run(small, lane)?;
    let [_, _, rows, columns] = answer.shape();
    let values = answer.data().ok_or_else(|| OcrError::Model("the detector's answer has gaps".to_owned()))?;
    let map = ProbabilityMap { width: columns, height: rows, values };
    let (x, y) = (page.width() as f32 / columns as f32, page.height() as f32 / rows as f32);
    Ok(text_rects(&map).into_iter().map(|rect| rect.scaled(x, y)).collect())
}

/// The detector's input size for a page: never enlarged by more than it takes to reach whole steps.
fn input_size(width: u32, height: u32) -> (u32, u32) {
    let side_max: f32 = std::env::var("DET_SIDE").ok().and_then(|v| v.parse().ok()).unwrap_or(SIDE_MAX_PX);
    let scale = (side_max / width.max(height) as f32).min(1.0);
    let whole_steps = |side: u32| ((side as f32 * scale / SIDE_STEP_PX).round().max(1.0) * SIDE_STEP_PX) as u32;
    (whole_steps(width), whole_steps(height))
}

/// The page at another size. A box filter: every pixel of a fine one-bit scan counts.
fn shrunk(page: &RgbImage, width: u32, height: u32) -> RgbImage {
    if std::env::var("DET_TRI").is_ok() { return imageops::resize(page, width, height, imageops::FilterType::Triangle); }
    imageops::thumbnail(page, width, height)
}

/// One image as a tensor: planes of blue, green and red, normalised.
fn input(page: &RgbImage) -> NdTensor<f32, 4> {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let mut values = Vec::with_capacity(3 * width * height);
    for plane in 0..3 {
        let colour = 2 - plane;
        let levels = page.as_raw().iter().skip(colour).step_by(3);
        values.extend(levels.map(|level| (f32::from(*level) / 255.0 - MEAN[plane]) / DEVIATION[plane]));
    }
    NdTensor::from_data([1, 3, height, width], values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_of_whole_steps_and_bounded() {
        let table = [
            ((1600, 1200), (1600, 1216)),
            ((3200, 1600), (1600, 800)),
            ((1000, 700), (992, 704)),
            ((5, 5), (32, 32)),
            ((60_000, 3), (1600, 32)),
        ];
        for ((width, height), expected) in table {
            assert_eq!(input_size(width, height), expected, "{width} × {height}");
        }
    }

    #[test]
    fn input_is_blue_first_and_normalised() {
        let page = RgbImage::from_pixel(2, 1, image::Rgb([255, 0, 0]));
        let tensor = input(&page);
        assert_eq!(tensor.shape(), [1, 3, 1, 2]);
        assert!((tensor[[0, 2, 0, 1]] - (1.0 - 0.406) / 0.225).abs() < 1e-5, "red is the last plane");
        assert!((tensor[[0, 0, 0, 1]] + 0.485 / 0.229).abs() < 1e-5, "no blue in red");
    }
}
