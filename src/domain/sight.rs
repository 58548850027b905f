//! What a model sees of an image: the size that the provider shrinks it to before anything is counted.
//!
//! The estimate of tokens and `encode.fit` stand on the same arithmetic, so that a picture that was fitted costs what it would
//! have cost as it was. Source: OpenAI, "Images and vision", autumn 2026.

use serde::{Deserialize, Serialize};

use super::image::Pixels;

/// Pixels of the side of a patch.
const PATCH: f64 = 32.0;
/// What a computed length may be off by, so that a whole number is not taken for the one beside it. Two lengths of an image
/// differ by far more.
const HAIR: f64 = 1e-6;

/// Bounds that the provider shrinks an image to; 0 = no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Pixels of the longer side.
    pub longer: u32,
    /// Pixels of the shorter side, for an image within the longer.
    pub shorter: u32,
    /// Patches of 32 × 32 pixels that cover it.
    pub patches: u32,
}

impl Sight {
    /// The size in which an image is seen: whole pixels, none where a side vanishes. Of an image of this size the same is seen.
    #[must_use]
    pub fn of(self, pixels: Pixels) -> Pixels {
        let sides = [pixels.width.max(1), pixels.height.max(1)].map(f64::from);
        let [width, height] = self.within_patches(self.within_sides(sides)).map(whole);
        Pixels { width: width.min(pixels.width), height: height.min(pixels.height) }
    }

    /// Patches that cover what is seen, at least 1.
    #[must_use]
    pub fn patches_of(self, pixels: Pixels) -> u64 {
        let Pixels { width, height } = self.of(pixels);
        let across = |side: u32| u64::from(side.max(1)).div_ceil(PATCH as u64);
        across(width) * across(height)
    }

    /// The size that a picture is fitted to: as it is seen. Of one that is so narrow that less than a patch of it would be seen,
    /// nobody knows what the provider makes; it stays as it is.
    #[must_use]
    pub fn fit(self, pixels: Pixels) -> Pixels {
        let seen = self.of(pixels);
        if f64::from(seen.width.min(seen.height)) < PATCH { pixels } else { seen }
    }

    /// Shrunk to the longer side, and then to the shorter. With a bound for the shorter side a part of a pixel is dropped;
    /// without, it counts as one, as the patch that it lies in does.
    fn within_sides(self, sides: [f64; 2]) -> [f64; 2] {
        let within = |[width, height]: [f64; 2], side: f64, most: u32| {
            let shrink = if most > 0 { (f64::from(most) / side).min(1.0) } else { 1.0 };
            [width * shrink, height * shrink]
        };
        let [width, height] = within(sides, sides[0].max(sides[1]), self.longer);
        let narrow = within([width, height], width.min(height), self.shorter);
        let rounded = |side: f64| if self.shorter > 0 { (side + HAIR).floor() } else { (side - HAIR).ceil() };
        // What follows for patches has to be computed with the exact sides.
        if self.patches > 0 { narrow } else { narrow.map(rounded) }
    }

    fn within_patches(self, sides: [f64; 2]) -> [f64; 2] {
        let count = |[width, height]: [f64; 2]| {
            let across = |side: f64| ((side - HAIR) / PATCH).ceil();
            across(width) * across(height)
        };
        let most = f64::from(self.patches);
        if self.patches == 0 || count(sides) <= most {
            return sides.map(|side| (side - HAIR).ceil());
        }
        let shrink = (PATCH * PATCH * most / (sides[0] * sides[1])).sqrt();
        // Whole patches along the side that wastes most of its last one.
        let whole = |side: f64| (side * shrink / PATCH).floor() / (side * shrink / PATCH);
        let shrink = shrink * whole(sides[0]).min(whole(sides[1]));
        sides.map(|side| (side * shrink + HAIR).floor())
    }
}

/// A length in pixels, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no longer than the side it was made of")]
fn whole(side: f64) -> u32 {
    side.max(1.0) as u32
}

impl Pixels {
    /// Shrunk in proportion so that no side is longer than `side`; rounded, and at least 1.
    #[must_use]
    pub fn within(self, side: u32) -> Self {
        let longest = self.width.max(self.height);
        if longest <= side {
            return self;
        }
        let shrunk = |length: u32| {
            let exact = (u64::from(length) * u64::from(side) + u64::from(longest) / 2) / u64::from(longest);
            u32::try_from(exact).unwrap_or(side).max(1)
        };
        Self { width: shrunk(self.width), height: shrunk(self.height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILES: Sight = Sight { longer: 2048, shorter: 768, patches: 0 };
    const HIGH: Sight = Sight { longer: 2048, shorter: 0, patches: 2500 };
    const BUDGET: Sight = Sight { longer: 0, shorter: 0, patches: 1536 };

    fn page(width: u32, height: u32) -> Pixels {
        Pixels { width, height }
    }

    #[test]
    fn what_is_seen_of_a_page() {
        let cases = [
            (TILES, page(2480, 3508), page(768, 1086)),
            (TILES, page(2048, 4096), page(768, 1536)),
            (TILES, page(4096, 512), page(2048, 256)),
            (TILES, page(700, 900), page(700, 900)),
            (Sight { longer: 512, shorter: 0, patches: 0 }, page(2480, 3508), page(362, 512)),
            (HIGH, page(2048, 4096), page(1024, 2048)),
            (HIGH, page(2480, 3508), page(1334, 1888)),
            (BUDGET, page(1800, 2400), page(1056, 1408)),
            (Sight { longer: 0, shorter: 0, patches: 0 }, page(9000, 9000), page(9000, 9000)),
        ];
        for (sight, stored, seen) in cases {
            assert_eq!(sight.fit(stored), seen, "{sight:?} {stored:?}");
        }
    }

    #[test]
    fn a_strip_that_nothing_is_seen_of_is_left_as_it_is() {
        for sight in [TILES, HIGH, BUDGET] {
            assert_eq!(sight.fit(page(60_000, 20)), page(60_000, 20), "{sight:?}");
            assert_eq!(sight.fit(page(1, 1)), page(1, 1));
        }
        assert_eq!(HIGH.of(page(0, 0)), page(0, 0));
        assert_eq!(HIGH.patches_of(page(0, 0)), 1);
    }

    #[test]
    fn a_page_within_a_side() {
        assert_eq!(page(2480, 3508).within(2048), page(1448, 2048));
        assert_eq!(page(2048, 100).within(2048), page(2048, 100));
        assert_eq!(page(65_000, 1).within(2048), page(2048, 1));
    }
}
