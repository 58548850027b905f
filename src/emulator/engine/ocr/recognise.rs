//! What does a line say? Level line images to the recogniser's input, its answer to symbols.

use image::RgbImage;
use rten_tensor::{NdTensor, prelude::*};

use super::OcrError;
use super::crop::{LINE_HEIGHT_PX, LineImage, level_line};
use super::ctc::{Alphabet, Symbol};
use super::network::{Lane, Network};
use super::rectangle::TurnedRect;

/// Reads the text inside one rectangle of a page.
///
/// One line a run: lines of a page differ in length by a factor of ten, and a batch would be as wide as
/// its longest.
pub(super) fn symbols_inside(
    network: &Network,
    alphabet: &Alphabet,
    page: &RgbImage,
    rect: &TurnedRect,
    lane: &Lane<'_>,
) -> Result<Vec<Symbol>, OcrError> {
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
    let mut values = Vec::with_capacity(3 * line.pixels.len());
    for colour in [2, 1, 0] {
        values.extend(line.pixels.iter().map(|pixel| pixel[colour] / 127.5 - 1.0));
    }
    NdTensor::from_data([1, 3, LINE_HEIGHT_PX, line.width], values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_blue_first_and_centred() {
        let line = LineImage { width: 2, pixels: vec![[255.0, 127.5, 0.0]; 2 * LINE_HEIGHT_PX] };
        let tensor = input(&line);
        assert_eq!(tensor.shape(), [1, 3, LINE_HEIGHT_PX, 2]);
        assert_eq!([0, 1, 2].map(|plane| tensor[[0, plane, 47, 1]]), [-1.0, 0.0, 1.0]);
    }
}
