//! Text areas of one column to rows: the detector often finds one printed line in several parts.

use super::layout::Span;

/// Two parts belong to one row if they share this much of the lower one's height.
const SHARED_HEIGHT_MIN: f32 = 0.5;
/// Parts of one row may overlap sideways by this much of the narrower one, no more.
const SHARED_WIDTH_MAX: f32 = 0.3;

/// Rows from top to bottom, each from left to right. Every span appears exactly once.
pub(super) fn rows(mut spans: Vec<Span>) -> Vec<Vec<Span>> {
    spans.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut rows: Vec<Vec<Span>> = Vec::new();
    for span in spans {
        // The best fit of all rows, not the first: on a warped page two rows may come near.
        let fit = |row: &Vec<Span>| (fit(row, &span) * 1000.0) as i32;
        match rows.iter_mut().max_by_key(|row| fit(row)).filter(|row| fit(row) > 0) {
            Some(row) => row.push(span),
            None => rows.push(vec![span]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.left.total_cmp(&b.left));
    }
    rows.sort_by(|a, b| mean_middle(a).total_cmp(&mean_middle(b)));
    rows
}

/// Share of height that `span` has in common with its nearest neighbour in `row`; 0 if it does not belong.
fn fit(row: &[Span], span: &Span) -> f32 {
    let overlaps = row.iter().any(|part| {
        let shared = part.right.min(span.right) - part.left.max(span.left);
        shared > SHARED_WIDTH_MAX * part.width().min(span.width())
    });
    if overlaps {
        return 0.0;
    }
    // The neighbour, not the whole row: the ends of a warped line differ in height.
    let distance = |part: &Span| (span.left - part.right).max(part.left - span.right);
    let Some(neighbour) = row.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) else { return 0.0 };
    let shared = neighbour.bottom.min(span.bottom) - neighbour.top.max(span.top);
    let share = shared / neighbour.height().min(span.height()).max(1.0);
    if share >= SHARED_HEIGHT_MIN { share } else { 0.0 }
}

fn mean_middle(row: &[Span]) -> f32 {
    row.iter().map(Span::middle).sum::<f32>() / row.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A span 20 px high: left, right, middle.
    type Place = (f32, f32, f32);
    /// Name, spans, indices of each row's spans.
    type Case = (&'static str, &'static [Place], &'static [&'static [usize]]);

    /// The rows of spans; these are numbered in the order given.
    fn indices(parts: &[Place]) -> Vec<Vec<usize>> {
        let span = |(index, &(left, right, middle)): (usize, &Place)| Span {
            index,
            left,
            right,
            top: middle - 10.0,
            bottom: middle + 10.0,
        };
        let rows = rows(parts.iter().enumerate().map(span).collect());
        rows.iter().map(|row| row.iter().map(|part| part.index).collect()).collect()
    }

    #[test]
    fn joins_parts_of_a_line_and_orders_lines() {
        let table: [Case; 5] = [
            ("nothing", &[], &[]),
            ("two lines", &[(0.0, 90.0, 40.0), (0.0, 90.0, 10.0)], &[&[1], &[0]]),
            ("one line in parts", &[(50.0, 90.0, 12.0), (0.0, 40.0, 10.0), (95.0, 99.0, 9.0)], &[&[1, 0, 2]]),
            ("one line that climbs", &[(0.0, 40.0, 30.0), (50.0, 90.0, 22.0), (95.0, 140.0, 14.0)], &[&[0, 1, 2]]),
            ("one above the other, close", &[(0.0, 90.0, 10.0), (10.0, 80.0, 18.0)], &[&[0], &[1]]),
        ];
        for (case, parts, expected) in table {
            assert_eq!(indices(parts), expected, "{case}");
        }
    }
}
