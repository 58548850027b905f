//! What does a line say? Level line images to the recogniser's input, its answer to text.

use image::RgbImage;
use rten_tensor::{NdTensor, prelude::*};

use super::OcrError;
use super::crop::{LINE_HEIGHT_PX, LineImage, level_line};
use super::ctc::{Alphabet, Decoded};
use super::network::{Lane, Network};
use super::rectangle::TurnedRect;

/// Reads the text inside one rectangle of a page.
pub(super) fn text_inside(
    network: &Network,
    alphabet: &Alphabet,
    page: &RgbImage,
    rect: &TurnedRect,
    lane: &Lane<'_>,
) -> Result<Decoded, OcrError> {
    let answer: NdTensor<f32, 3> = network.run(input(&level_line(page, rect)), lane)?;
    let [_, _, classes] = answer.shape();
    if classes != alphabet.classes() {
        return Err(OcrError::Model(format!("{classes} classes, but an alphabet for {}", alphabet.classes())));
    }
    let probabilities = answer.data().ok_or_else(|| OcrError::Model("the recogniser's answer has gaps".to_owned()))?;
    Ok(alphabet.decode(probabilities))
}

/// One line as a tensor: planes of blue, green and red, in -1..=1.
fn input(line: &LineImage) -> NdTensor<f32, 4> {
    let min_width: usize = std::env::var("REC_MIN").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let width = line.width.max(min_width);
    let mut values = vec![0.0; 3 * LINE_HEIGHT_PX * width];
    for plane in 0..3 {
        let colour = 2 - plane;
        for row in 0..LINE_HEIGHT_PX {
            for column in 0..line.width {
                values[(plane * LINE_HEIGHT_PX + row) * width + column] = line.pixels[row * line.width + column][colour] / 127.5 - 1.0;
            }
        }
    }
    NdTensor::from_data([1, 3, LINE_HEIGHT_PX, width], values)
}
