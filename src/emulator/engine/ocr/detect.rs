//! Where on the page is text? Page to the detector's input, its answer back to the page's pixels.

use image::{RgbImage, imageops};
use rten_tensor::{NdTensor, prelude::*};

use super::OcrError;
use super::components::{ProbabilityMap, text_rects};
use super::layout::median;
use super::network::{Lane, Network};
use super::rectangle::TurnedRect;

/// Longest side of the detector's input at first, in pixels: enough for a page of ordinary print, where
/// more costs time and finds nothing more.
const SIDE_PX: f32 = 1280.0;
/// Longest side when a page of small print is searched once more.
const SIDE_MAX_PX: f32 = 2560.0;
/// Lines lower than this at first, in pixels of the input, run into each other: search once more.
const LINE_HEIGHT_MIN_PX: f32 = 14.0;
/// The height lines should have when searched once more.
const LINE_HEIGHT_PX: f32 = 20.0;
/// The detector halves its input five times.
const SIDE_STEP_PX: f32 = 32.0;
/// Mean of the training images, in the order the network takes colours: blue, green, red.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of the training images, in the same order.
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Rectangles around lines, or parts of lines, of text, in the page's pixels.
pub(super) fn text_areas(network: &Network, page: &RgbImage, lane: &Lane<'_>) -> Result<Vec<TurnedRect>, OcrError> {
    let side = page.width().max(page.height()) as f32;
    let found = areas_at(network, page, SIDE_PX, lane)?;
    let line_height = median(found.iter().map(|area| area.height)) * SIDE_PX.min(side) / side;
    match finer_side(line_height, side) {
        Some(finer) => areas_at(network, page, finer, lane),
        None => Ok(found),
    }
}

/// The longest side to search with once more, if lines are too low and the page holds finer detail.
fn finer_side(line_height: f32, side: f32) -> Option<f32> {
    let is_small = line_height > 0.0 && line_height < LINE_HEIGHT_MIN_PX && side > SIDE_PX;
    is_small.then(|| (SIDE_PX * LINE_HEIGHT_PX / line_height).min(SIDE_MAX_PX))
}

/// Text areas found with the page's longest side at `side_max` pixels.
fn areas_at(network: &Network, page: &RgbImage, side_max: f32, lane: &Lane<'_>) -> Result<Vec<TurnedRect>, OcrError> {
    let (width, height) = input_size(page.dimensions(), side_max);
    let small = if (width, height) == page.dimensions() {
        input(page)
    } else {
        // A box filter: every pixel of a fine one-bit scan counts.
        input(&imageops::thumbnail(page, width, height))
    };
    let answer: NdTensor<f32, 4> = network.run(small, lane)?;
    let [_, _, rows, columns] = answer.shape();
    let values = answer.data().ok_or_else(|| OcrError::Model("the detector's answer has gaps".to_owned()))?;
    let map = ProbabilityMap { width: columns, height: rows, values };
    let (x, y) = (page.width() as f32 / columns as f32, page.height() as f32 / rows as f32);
    Ok(text_rects(&map).into_iter().map(|rect| rect.scaled(x, y)).collect())
}

/// The detector's input size for a page: never enlarged by more than it takes to reach whole steps.
fn input_size((width, height): (u32, u32), side_max: f32) -> (u32, u32) {
    let scale = (side_max / width.max(height) as f32).min(1.0);
    let whole_steps = |side: u32| ((side as f32 * scale / SIDE_STEP_PX).round().max(1.0) * SIDE_STEP_PX) as u32;
    (whole_steps(width), whole_steps(height))
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
            assert_eq!(input_size((width, height), 1600.0), expected, "{width} × {height}");
        }
    }

    #[test]
    fn searches_once_more_for_small_print_only() {
        let table = [
            ((20.0, 4000.0), None),
            ((10.0, 4000.0), Some(2560.0)),
            ((12.8, 4000.0), Some(2000.0)),
            ((10.0, 1280.0), None),
            ((0.0, 4000.0), None),
        ];
        for ((line_height, side), expected) in table {
            assert_eq!(finer_side(line_height, side), expected, "lines of {line_height} px on {side} px");
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
