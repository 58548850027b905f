//! Reading order: text areas of a page to rows, columns respected.

use super::columns::blocks;
use super::rectangle::{TurnedRect, rect_at};
use super::rows::rows;

/// An area's extent once the page is turned level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Which area this is.
    pub(super) index: usize,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) top: f32,
    pub(super) bottom: f32,
}

impl Span {
    pub(super) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub(super) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(super) fn middle(&self) -> f32 {
        f32::midpoint(self.top, self.bottom)
    }
}

/// Groups areas, named by their indices, into rows in reading order; a row runs from left to right.
///
/// Every area appears exactly once.
pub(super) fn rows_in_reading_order(areas: &[TurnedRect]) -> Vec<Vec<usize>> {
    let skew = page_skew(areas);
    let spans = areas.iter().enumerate().map(|(index, area)| level_span(index, area, skew)).collect();
    let rows_of_areas = blocks(spans).into_iter().flat_map(rows);
    rows_of_areas.map(|row| row.iter().map(|span| span.index).collect()).collect()
}

fn level_span(index: usize, area: &TurnedRect, skew: f32) -> Span {
    let centre = area.centre.turned(-skew);
    let level = rect_at(&area.corners(), skew);
    Span {
        index,
        left: centre.x - level.width / 2.0,
        right: centre.x + level.width / 2.0,
        top: centre.y - level.height / 2.0,
        bottom: centre.y + level.height / 2.0,
    }
}

/// How far the page is turned, in radians: the median angle, long areas counting more.
fn page_skew(areas: &[TurnedRect]) -> f32 {
    // A short word's angle says little; only areas at least this many times as wide as high vote.
    const VOTER_ASPECT_MIN: f32 = 4.0;
    let mut voters: Vec<(f32, f32)> = areas
        .iter()
        .filter(|area| area.width >= VOTER_ASPECT_MIN * area.height)
        .map(|area| (area.angle, area.width))
        .collect();
    voters.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = voters.iter().map(|voter| voter.1).sum::<f32>() / 2.0;
    let mut passed = 0.0;
    for (angle, width) in voters {
        passed += width;
        if passed >= half {
            return angle;
        }
    }
    0.0
}

/// The middle value; 0 of nothing.
pub(super) fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::rectangle::Point;
    use super::*;

    fn area(x: f32, y: f32, width: f32, angle: f32) -> TurnedRect {
        TurnedRect { centre: Point::new(x, y).turned(angle), width, height: 20.0, angle }
    }

    #[test]
    fn a_turned_page_is_read_as_if_it_were_level() {
        for degrees in [-4.0_f32, 0.0, 4.0] {
            let angle = degrees.to_radians();
            // Two parts far apart on each of two lines: at 4 degrees the right part of the first
            // line is as low as the left part of the second.
            let areas = [
                area(900.0, 140.0, 300.0, angle),
                area(300.0, 100.0, 300.0, angle),
                area(300.0, 140.0, 300.0, angle),
                area(900.0, 100.0, 300.0, angle),
            ];
            let rows = rows_in_reading_order(&areas);
            assert_eq!(rows, [[1, 3], [2, 0]], "{degrees} degrees");
        }
    }

    #[test]
    fn short_areas_do_not_decide_the_skew() {
        let areas = [area(0.0, 0.0, 30.0, 0.4), area(0.0, 50.0, 30.0, 0.4), area(0.0, 90.0, 400.0, 0.01)];
        assert!((page_skew(&areas) - 0.01).abs() < 1e-6);
        assert!(page_skew(&areas[..2]) == 0.0);
    }
}
