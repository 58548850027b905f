//! Columns: a page is cut along gutters, upright strips of white with text on both sides.
//!
//! A recursive cut in the manner of X-Y cutting, except that a gutter need not run the whole height:
//! what crosses it (a headline, a footer, a picture's caption) bounds it above and below. The part above
//! is read first, then the left side, the right side and the part below, each cut again.

use super::layout::{Span, median};

/// Narrowest gutter, in median line heights, between all but the most protruding edges.
const GUTTER_WIDTH_MIN: f32 = 0.6;
/// Share of the edges on each side that may protrude: the detector draws some areas much too wide.
const PROTRUDING_SHARE: f32 = 0.1;
/// Fewest areas on each side of a gutter.
const AREAS_BESIDE_MIN: usize = 4;
/// Least height that both sides have in common, in median line heights.
const SHARED_HEIGHT_MIN: f32 = 5.0;
/// Narrowest column, in median line heights: a row of numbers before a list is no column.
const COLUMN_WIDTH_MIN: f32 = 5.0;
/// The detector draws areas about this much too wide on either side, in line heights.
const OVERHANG: f32 = 0.3;

/// A gutter: where it lies, and the stretch of page whose text it parts.
#[derive(Clone, Copy, Debug)]
struct Gutter {
    x: f32,
    top: f32,
    bottom: f32,
    /// Height that both sides have in common: the measure of its weight.
    shared: f32,
}

/// Groups areas into blocks without gutters, in reading order. Every span appears exactly once.
pub(super) fn blocks(spans: Vec<Span>) -> Vec<Vec<Span>> {
    let mut blocks = Vec::new();
    cut(spans, &mut blocks);
    blocks
}

fn cut(spans: Vec<Span>, blocks: &mut Vec<Vec<Span>>) {
    let Some(gutter) = best_gutter(&spans) else {
        if !spans.is_empty() {
            blocks.push(spans);
        }
        return;
    };
    let [mut above, mut left, mut right, mut below] = [const { Vec::new() }; 4];
    for span in spans {
        let part = match span.middle() {
            middle if middle <= gutter.top => &mut above,
            middle if middle >= gutter.bottom => &mut below,
            _ if f32::midpoint(span.left, span.right) <= gutter.x => &mut left,
            _ => &mut right,
        };
        part.push(span);
    }
    // Both sides hold areas, so every part is smaller than the whole and the recursion ends.
    for part in [above, left, right, below] {
        cut(part, blocks);
    }
}

/// The gutter with most text beside it.
fn best_gutter(spans: &[Span]) -> Option<Gutter> {
    let line_height = median(spans.iter().map(Span::height));
    let trimmed: Vec<Span> = spans.iter().map(trim_overhang).collect();
    let gutters = trimmed.iter().flat_map(|span| gutters_at(&trimmed, span.right, line_height));
    gutters.max_by(|a, b| a.shared.total_cmp(&b.shared))
}

fn trim_overhang(span: &Span) -> Span {
    let overhang = (OVERHANG * span.height()).min(span.width() / 3.0);
    Span { left: span.left + overhang, right: span.right - overhang, ..*span }
}

/// All gutters whose left edge is at `x`: one for each stretch between areas that cross it.
fn gutters_at(spans: &[Span], x: f32, line_height: f32) -> Vec<Gutter> {
    let mut bounds: Vec<f32> = spans.iter().filter(|span| span.left < x && span.right > x).map(Span::middle).collect();
    bounds.extend([f32::NEG_INFINITY, f32::INFINITY]);
    bounds.sort_by(f32::total_cmp);
    // Text whose middle lies in a stretch reaches beyond it by half a line at most. Most stretches lie between
    // two lines of one column; passing over them keeps a newspaper page from taking cubic time.
    let height_min = (SHARED_HEIGHT_MIN - 1.0) * line_height;
    let stretches = bounds.windows(2).filter(|stretch| stretch[1] - stretch[0] >= height_min);
    stretches.filter_map(|stretch| gutter_in(spans, x, stretch[0], stretch[1], line_height)).collect()
}

/// The gutter at `x` between two heights, if the text beside it is worth a cut.
fn gutter_in(spans: &[Span], x: f32, top: f32, bottom: f32, line_height: f32) -> Option<Gutter> {
    let inside = spans.iter().filter(|span| span.middle() > top && span.middle() < bottom);
    let (left, right): (Vec<&Span>, Vec<&Span>) = inside.partition(|span| span.right <= x);
    if left.len() < AREAS_BESIDE_MIN || right.len() < AREAS_BESIDE_MIN {
        return None;
    }
    let lefts = sorted(right.iter().map(|span| span.left));
    let rights = sorted(left.iter().map(|span| -span.right));
    let white = protruding(&lefts) + protruding(&rights);
    let column_width = |side: &[&Span]| median(side.iter().map(|span| span.width()));
    let shared = shared_height(&left, &right);
    let is_gutter = white >= GUTTER_WIDTH_MIN * line_height
        && shared >= SHARED_HEIGHT_MIN * line_height
        && column_width(&left).min(column_width(&right)) >= COLUMN_WIDTH_MIN * line_height;
    // Nothing lies between the outermost edges, however little that is.
    is_gutter.then(|| Gutter { x: f32::midpoint(x, lefts[0]), top, bottom, shared })
}

fn sorted(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    sorted
}

/// The first of the sorted edges that is not among the most protruding.
fn protruding(sorted: &[f32]) -> f32 {
    sorted[(sorted.len() as f32 * PROTRUDING_SHARE) as usize]
}

/// Height of the stretch that has text on both sides; negative if there is none.
fn shared_height(left: &[&Span], right: &[&Span]) -> f32 {
    let top = |side: &[&Span]| side.iter().map(|span| span.top).fold(f32::INFINITY, f32::min);
    let bottom = |side: &[&Span]| side.iter().map(|span| span.bottom).fold(f32::NEG_INFINITY, f32::max);
    bottom(left).min(bottom(right)) - top(left).max(top(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines 20 px high every 30 px: left, right, middle of the first, count.
    type Stack = (f32, f32, f32, usize);
    /// Name, lines, indices of each block's lines.
    type Case = (&'static str, &'static [Stack], &'static [&'static [usize]]);

    /// The blocks of stacked lines; lines are numbered in the order given.
    fn indices(stacks: &[Stack]) -> Vec<Vec<usize>> {
        let mut spans = Vec::new();
        for &(left, right, first, count) in stacks {
            for line in 0..count {
                let middle = first + 30.0 * line as f32;
                spans.push(Span { index: spans.len(), left, right, top: middle - 10.0, bottom: middle + 10.0 });
            }
        }
        blocks(spans).iter().map(|block| block.iter().map(|span| span.index).collect()).collect()
    }

    #[test]
    fn cuts_columns_and_leaves_lists_alone() {
        let table: [Case; 6] = [
            ("nothing", &[], &[]),
            ("one column", &[(0.0, 400.0, 10.0, 3)], &[&[0, 1, 2]]),
            (
                "right column listed first",
                &[(230.0, 430.0, 10.0, 6), (0.0, 200.0, 10.0, 6)],
                &[&[6, 7, 8, 9, 10, 11], &[0, 1, 2, 3, 4, 5]],
            ),
            (
                "headline, two columns, footer",
                &[(0.0, 430.0, 10.0, 1), (0.0, 200.0, 40.0, 6), (230.0, 430.0, 40.0, 6), (0.0, 430.0, 220.0, 1)],
                &[&[0], &[1, 2, 3, 4, 5, 6], &[7, 8, 9, 10, 11, 12], &[13]],
            ),
            (
                "numbers before a list",
                &[(0.0, 30.0, 10.0, 6), (60.0, 430.0, 10.0, 6)],
                &[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
            ),
            ("a date beside an address", &[(0.0, 200.0, 10.0, 3), (300.0, 430.0, 10.0, 1)], &[&[0, 1, 2, 3]]),
        ];
        for (case, stacks, expected) in table {
            assert_eq!(indices(stacks), expected, "{case}");
        }
    }

    #[test]
    fn one_area_drawn_too_wide_does_not_close_a_gutter() {
        // The fourth line on the right begins almost where the left column ends.
        let stacks =
            [(0.0, 200.0, 10.0, 12), (230.0, 430.0, 10.0, 3), (195.0, 430.0, 100.0, 1), (230.0, 430.0, 130.0, 8)];
        assert_eq!(indices(&stacks).iter().map(Vec::len).collect::<Vec<_>>(), [12, 12]);
    }

    #[test]
    fn four_columns_of_a_spread_are_read_from_left_to_right() {
        let stacks = [(690.0, 890.0, 10.0, 8), (460.0, 660.0, 10.0, 8), (230.0, 430.0, 10.0, 8), (0.0, 200.0, 10.0, 8)];
        let first_of_each: Vec<usize> = indices(&stacks).iter().map(|block| block[0]).collect();
        assert_eq!(first_of_each, [24, 16, 8, 0]);
    }
}
