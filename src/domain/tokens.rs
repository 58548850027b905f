//! How many prompt tokens a line will cost, before anybody has counted them.
//!
//! Two ways of counting images, with numbers that differ by model and `detail`: tiles of 512 × 512 pixels, and patches of
//! 32 × 32. Source: OpenAI, "Images and vision", autumn 2026; the numbers lie in `config/models.toml`. It is an estimate
//! for sealing shards and for the queue limit; what is billed is read from `usage`.

use std::sync::Arc;

use serde::Deserialize;

use super::image::Pixels;
use super::sight::Sight;

/// Bytes of prompt text that make one token, on the safe side.
const BYTES_PER_TOKEN: u64 = 3;
/// Pixels of the side of a tile.
const TILE: u64 = 512;
/// What a model that counts tiles sees of an image at `high`, and at `low`.
const TILED: [Sight; 2] =
    [Sight { longer: 2048, shorter: 768, patches: 0 }, Sight { longer: 512, shorter: 0, patches: 0 }];

/// How a model counts images, for each `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ImageRule {
    /// `base` for the image, `tile` for each tile; `detail = "low"` is `base` alone.
    Tiles {
        /// Tokens of any image.
        base: u64,
        /// Tokens of each tile.
        tile: u64,
    },
    /// `percent` tokens for a hundred patches, within the bounds of the level that `detail` names.
    Patches {
        /// Tokens of a hundred patches.
        percent: u64,
        /// Bounds of `low`.
        low: Level,
        /// Bounds of `high`.
        high: Level,
        /// Bounds of `original`.
        original: Level,
        /// The level that `auto` means.
        auto: Detail,
    },
}

/// Bounds that an image is shrunk to: longest side in pixels, number of patches; 0 = no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Level(pub u32, pub u32);

impl ImageRule {
    /// What the model sees of an image at `detail`.
    #[must_use]
    pub fn sight(self, detail: Detail) -> Sight {
        let Self::Patches { low, high, original, auto, .. } = self else {
            return TILED[usize::from(detail == Detail::Low)];
        };
        let Level(longer, patches) = match if detail == Detail::Auto { auto } else { detail } {
            Detail::Low => low,
            Detail::Original => original,
            Detail::High | Detail::Auto => high,
        };
        Sight { longer, shorter: 0, patches }
    }
}

/// `detail` of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the API's own words")]
pub enum Detail {
    Low,
    High,
    Original,
    Auto,
}

impl Detail {
    /// The level that a word of the API names; anything unknown counts as `auto`.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "low" => Self::Low,
            "high" => Self::High,
            "original" => Self::Original,
            _ => Self::Auto,
        }
    }
}

/// How the images of a model are counted at a `detail` (a word of the API).
pub type Countings = Arc<dyn Fn(&str, &str) -> Counting + Send + Sync>;

/// How the images of one recipe are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    rule: ImageRule,
    detail: Detail,
}

/// The rule of most models since gpt-5.4, which no tile rule but gpt-4o-mini's exceeds.
const NEWER_MODELS: ImageRule = ImageRule::Patches {
    percent: 120,
    low: Level(512, 0),
    high: Level(2048, 2500),
    original: Level(65_535, 0),
    auto: Detail::High,
};

impl Default for Counting {
    /// For a model that nothing is known of.
    fn default() -> Self {
        Self { rule: NEWER_MODELS, detail: Detail::High }
    }
}

impl Counting {
    /// Counting by `rule` at `detail`; without a rule, as for a model that nothing is known of.
    #[must_use]
    pub fn new(rule: Option<ImageRule>, detail: Detail) -> Self {
        Self { rule: rule.unwrap_or(NEWER_MODELS), detail }
    }

    /// Estimated prompt tokens of one line: image and `prompt_bytes` of text. At least 1.
    #[must_use]
    pub fn line(&self, pixels: Pixels, prompt_bytes: u64) -> u64 {
        self.image(pixels) + text(prompt_bytes)
    }

    /// Estimated prompt tokens of `bytes` bytes of text. At least 1.
    #[must_use]
    pub fn text(bytes: u64) -> u64 {
        text(bytes).max(1)
    }

    /// Estimated tokens of one image.
    #[must_use]
    pub fn image(&self, pixels: Pixels) -> u64 {
        let sight = self.rule.sight(self.detail);
        match self.rule {
            ImageRule::Tiles { base, .. } if self.detail == Detail::Low => base,
            ImageRule::Tiles { base, tile } => base + tile * tiles(sight.of(pixels)),
            ImageRule::Patches { percent, .. } => (sight.patches_of(pixels) * percent).div_ceil(100),
        }
    }
}

/// Estimated tokens of `bytes` of text, at least 1.
#[must_use]
pub fn text(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN).max(1)
}

fn tiles(Pixels { width, height }: Pixels) -> u64 {
    let across = |side: u32| u64::from(side.max(1)).div_ceil(TILE);
    across(width) * across(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(percent: u64, high: Level) -> ImageRule {
        ImageRule::Patches { percent, low: high, high, original: high, auto: Detail::High }
    }

    #[test]
    fn worked_examples_of_the_reference() {
        let rules = [
            ImageRule::Tiles { base: 85, tile: 170 },
            ImageRule::Tiles { base: 2833, tile: 5667 },
            ImageRule::Tiles { base: 70, tile: 140 },
            flat(120, Level(2048, 2500)),
            flat(162, Level(2048, 6144)),
            flat(120, Level(0, 1536)),
            flat(120, Level(6000, 10_000)),
        ];
        let rows = [
            ((512, 512), [255, 8_500, 210, 308, 415, 308, 308]),
            // The reference says 487 in the fifth column: 300 × 1.62 in floating point, rounded up.
            ((640, 480), [425, 14_167, 350, 360, 486, 360, 360]),
            ((1024, 1024), [765, 25_501, 630, 1_229, 1_659, 1_229, 1_229]),
            ((1600, 1200), [765, 25_501, 630, 2_280, 3_078, 1_743, 2_280]),
            ((2048, 4096), [1_105, 36_835, 910, 2_458, 3_318, 1_750, 9_831]),
            ((2480, 3508), [1_105, 36_835, 910, 2_974, 4_770, 1_767, 10_296]),
            ((3000, 4000), [765, 25_501, 630, 2_942, 4_977, 1_743, 11_868]),
            ((4096, 512), [765, 25_501, 630, 615, 830, 1_623, 2_458]),
        ];
        for ((width, height), expected) in rows {
            let got = rules.map(|rule| Counting::new(Some(rule), Detail::High).image(Pixels { width, height }));
            assert_eq!(got, expected, "{width} x {height}");
        }
    }

    #[test]
    fn levels_of_detail() {
        let page = Pixels { width: 2480, height: 3508 };
        let count = |rule, word| Counting::new(rule, Detail::from_word(word)).image(page);
        let tiles = Some(ImageRule::Tiles { base: 85, tile: 170 });
        assert_eq!([count(tiles, "low"), count(tiles, "auto")], [85, 1_105]);
        let newest = Some(ImageRule::Patches {
            percent: 120,
            low: Level(512, 0),
            high: Level(2048, 2500),
            original: Level(6000, 10_000),
            auto: Detail::Original,
        });
        assert_eq!(["low", "high", "original", "auto"].map(|word| count(newest, word)), [231, 2_974, 10_296, 10_296]);
        assert_eq!(count(None, "high"), Counting::default().image(page), "an unknown model is counted like the newest");
    }

    #[test]
    fn nothing_counts_as_nothing() {
        let none = Counting::default().line(Pixels { width: 0, height: 0 }, 0);
        assert_eq!(none, 2 + 1, "one patch and a token of text");
    }
}
