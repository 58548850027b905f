//! From the detector's probability map to rectangles around text (the post-processing of DB,
//! "differentiable binarisation"): threshold, connected regions, smallest rectangle, score, growth.

use super::rectangle::{Point, TurnedRect, smallest_rect};

/// A pixel belongs to text from this probability on.
const PIXEL_PROBABILITY_MIN: f32 = 0.2;
/// A rectangle is text if the mean probability inside it is at least this.
const RECT_PROBABILITY_MIN: f32 = 0.4;
/// How far a rectangle grows: the networks' training shrank every line by this ratio.
const UNCLIP_RATIO: f32 = 1.4;
/// Regions looked at on one page; hostile images could hold a million specks.
const REGIONS_MAX: usize = 3000;
/// A region whose rectangle has a shorter side than this, in map pixels, is a speck.
const SIDE_MIN_PX: f32 = 3.0;

/// The detector's answer: a probability of text for every pixel of the resized page, row by row.
pub(super) struct ProbabilityMap<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: &'a [f32],
}

impl ProbabilityMap<'_> {
    fn is_text(&self, index: usize) -> bool {
        self.values[index] > PIXEL_PROBABILITY_MIN
    }

    /// Mean probability over the pixels whose centres lie in `rect`.
    fn mean_inside(&self, rect: &TurnedRect) -> f32 {
        let corners = rect.corners();
        let xs = corners.map(|corner| corner.x);
        let ys = corners.map(|corner| corner.y);
        let (mut sum, mut count) = (0.0_f64, 0_u32);
        for y in covered(&ys, self.height) {
            for x in covered(&xs, self.width) {
                if rect.contains(Point::new(x as f32 + 0.5, y as f32 + 0.5)) {
                    sum += f64::from(self.values[y * self.width + x]);
                    count += 1;
                }
            }
        }
        if count == 0 { 0.0 } else { (sum / f64::from(count)) as f32 }
    }
}

/// Indices from the least to the greatest of `values`, cut to `0..len`.
fn covered(values: &[f32], len: usize) -> std::ops::Range<usize> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min).floor().max(0.0) as usize;
    let high = values.iter().copied().fold(0.0, f32::max).ceil() as usize;
    low.min(len)..high.min(len)
}

/// Rectangles around text, in the map's pixels, grown to their true size. No particular order.
pub(super) fn text_rects(map: &ProbabilityMap<'_>) -> Vec<TurnedRect> {
    debug_assert_eq!(map.values.len(), map.width * map.height);
    let mut seen = vec![false; map.values.len()];
    let mut rects = Vec::new();
    let mut regions = 0;
    for start in 0..map.values.len() {
        if seen[start] || !map.is_text(start) {
            continue;
        }
        if regions == REGIONS_MAX {
            break;
        }
        regions += 1;
        let outline = outline_of_region(map, start, &mut seen);
        let Some(rect) = smallest_rect(&outline) else { continue };
        if rect.width.min(rect.height) < SIDE_MIN_PX || map.mean_inside(&rect) < RECT_PROBABILITY_MIN {
            continue;
        }
        rects.push(rect.unclipped(UNCLIP_RATIO));
    }
    rects
}

/// Marks the region around `start` as seen and returns, for each of its rows, the corners of the
/// outermost pixels: all that a hull needs.
fn outline_of_region(map: &ProbabilityMap<'_>, start: usize, seen: &mut [bool]) -> Vec<Point> {
    // The scan runs row by row, so no pixel of the region lies above `start`.
    let top = start / map.width;
    let mut rows: Vec<(usize, usize)> = Vec::new();
    let mut stack = vec![start];
    seen[start] = true;
    while let Some(index) = stack.pop() {
        let (x, y) = (index % map.width, index / map.width);
        if rows.len() <= y - top {
            rows.resize(y - top + 1, (usize::MAX, 0));
        }
        let row = &mut rows[y - top];
        *row = (row.0.min(x), row.1.max(x));
        for near_y in y.saturating_sub(1)..=(y + 1).min(map.height - 1) {
            for near_x in x.saturating_sub(1)..=(x + 1).min(map.width - 1) {
                let near = near_y * map.width + near_x;
                if !seen[near] && map.is_text(near) {
                    seen[near] = true;
                    stack.push(near);
                }
            }
        }
    }
    let mut outline = Vec::with_capacity(rows.len() * 4);
    for (offset, (left, right)) in rows.into_iter().enumerate() {
        let y = (top + offset) as f32;
        let (left, right) = (left as f32, right as f32 + 1.0);
        outline.extend([
            Point::new(left, y),
            Point::new(right, y),
            Point::new(left, y + 1.0),
            Point::new(right, y + 1.0),
        ]);
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map drawn with characters: `#` is 0.9, `+` is 0.3, anything else 0.
    fn rects_of(drawing: &[&str]) -> Vec<TurnedRect> {
        let values: Vec<f32> = drawing
            .iter()
            .flat_map(|row| row.chars())
            .map(|character| match character {
                '#' => 0.9,
                '+' => 0.3,
                _ => 0.0,
            })
            .collect();
        text_rects(&ProbabilityMap { width: drawing[0].len(), height: drawing.len(), values: &values })
    }

    #[test]
    fn finds_each_line_once_and_grows_it() {
        let rects = rects_of(&[
            "..................",
            ".########...####..",
            ".########...####..",
            ".########...####..",
            ".########...####..",
            "..................",
        ]);
        assert_eq!(rects.len(), 2);
        assert_eq!((rects[0].centre, rects[0].angle), (Point::new(5.0, 3.0), 0.0));
        // 8 × 4 px grow by 32 × 1.4 / 24 px on each side.
        assert!((rects[0].width - (8.0 + 2.0 * 32.0 * 1.4 / 24.0)).abs() < 0.01);
        assert_eq!(rects[1].centre, Point::new(14.0, 3.0));
    }

    #[test]
    fn leaves_out_specks_and_weak_regions() {
        let nothing = rects_of(&["...........", ".##..+++++.", ".##..+++++.", ".....+++++.", "..........."]);
        assert_eq!(nothing, []);
    }

    #[test]
    fn joins_pixels_that_touch_at_a_corner() {
        let rects = rects_of(&["####....", "####....", "####....", "....####", "....####", "....####"]);
        assert_eq!(rects.len(), 1);
    }

    #[test]
    fn an_empty_map_holds_nothing() {
        assert_eq!(text_rects(&ProbabilityMap { width: 0, height: 0, values: &[] }), []);
    }
}
