//! The networks' weights and their alphabet, compiled in. Origin and licence: `weights/README.md`.

/// The detector: page image to a map of text probability.
pub(super) static DETECTOR: &[u8] = include_bytes!("weights/det.onnx");

/// The recogniser: image of one text line to class scores per column.
pub(super) static RECOGNISER: &[u8] = include_bytes!("weights/rec.onnx");

/// What the recogniser's classes stand for, one a line, from class 1 on.
pub(super) static ALPHABET: &str = include_str!("weights/dict.txt");

#[cfg(test)]
mod tests {
    use super::*;

    /// Other weights may load and run, and read nonsense: only these bytes were measured.
    #[test]
    fn the_weights_are_the_measured_ones() {
        let expected = [
            (DETECTOR, "193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8"),
            (RECOGNISER, "9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6"),
            (ALPHABET.as_bytes(), "2af150bab777d86fa1ce821f6a37eabea90f1bb99ab9c41f031262e892a747bc"),
        ];
        for (bytes, sha256) in expected {
            let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, sha256);
        }
    }
}
