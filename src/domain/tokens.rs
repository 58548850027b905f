//! How many prompt tokens a line will cost, before anybody has counted them.
//!
//! The rule of the newer models (patches of 32 × 32 pixels, `detail` high: 2,048 pixels and 2,500 patches at most, times
//! 1.2). Source: OpenAI, "Images and vision", autumn 2026. It is an estimate for sealing shards and for the queue
//! limit; what is billed is read from `usage`.

use super::image::Pixels;

const PATCH: f64 = 32.0;
const LONGEST: f64 = 2048.0;
const MOST_PATCHES: f64 = 2500.0;
const MULTIPLIER: f64 = 1.2;
/// Bytes of prompt text that make one token, on the safe side.
const BYTES_PER_TOKEN: u64 = 3;

/// Estimated prompt tokens of one line: image and `prompt_bytes` of text. At least 1.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 3,000")]
pub fn estimate(pixels: Pixels, prompt_bytes: u64) -> u64 {
    let (width, height) = (f64::from(pixels.width.max(1)), f64::from(pixels.height.max(1)));
    let shrink = (LONGEST / width.max(height)).min(1.0);
    let patches = (width * shrink / PATCH).ceil() * (height * shrink / PATCH).ceil();
    let image = (patches.min(MOST_PATCHES) * MULTIPLIER).ceil() as u64;
    image + prompt_bytes.div_ceil(BYTES_PER_TOKEN).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples_of_the_reference() {
        let image = |width, height| estimate(Pixels { width, height }, 0) - 1;
        assert_eq!(image(512, 512), 308);
        assert_eq!(image(1024, 1024), 1229);
        assert_eq!(image(1600, 1200), 2280);
        assert_eq!(image(2048, 4096), 2458);
        // A page at 300 dpi: the reference says 2,974 after fitting whole patches; the bound is 3,000.
        assert_eq!(image(2480, 3508), 3000);
    }
}
