//! Parts of one row to a line of text, and the marks that are none.

use super::Line;
use super::ctc::Symbol;
use super::pieces::Part;
use super::rectangle::{Point, TurnedRect, rect_at};
use super::spelling;

/// A part of so few symbols may be a speck, a fold, a shadow, or print that stands on its side.
const MARK_SYMBOLS_MAX: usize = 2;
/// Less sure than this, such a part is a mark.
const MARK_CONFIDENCE_MAX: f32 = 0.6;

/// The line that the parts of a row make up, left to right; nothing if none of them says anything.
pub(super) fn line_of(row: &[&Part], western: bool) -> Option<Line> {
    let said: Vec<(&Part, String)> = row
        .iter()
        .map(|part| (*part, spelling::text(&part.symbols, western)))
        .filter(|(_, text)| !text.trim().is_empty())
        .collect();
    let widest: &TurnedRect = said.iter().map(|(part, _)| &part.area).max_by(|a, b| a.width.total_cmp(&b.width))?;
    let corners: Vec<Point> = said.iter().flat_map(|(part, _)| part.area.corners()).collect();
    let symbols: Vec<&Symbol> = said.iter().flat_map(|(part, _)| &part.symbols).collect();
    let probability: f32 = symbols.iter().map(|symbol| symbol.probability).sum();
    Some(Line {
        text: said.iter().map(|(_, text)| text.trim()).collect::<Vec<_>>().join(" "),
        confidence: probability / symbols.len() as f32,
        corners: rect_at(&corners, widest.angle).corners(),
    })
}

/// Whether a part is more likely dirt than text: one or two symbols the recogniser is unsure of.
pub(super) fn is_mark(part: &Part) -> bool {
    let visible = || part.symbols.iter().filter(|symbol| symbol.best != ' ');
    let count = visible().count();
    let probability: f32 = visible().map(|symbol| symbol.probability).sum();
    count <= MARK_SYMBOLS_MAX && probability < MARK_CONFIDENCE_MAX * count as f32
}

#[cfg(test)]
mod tests {
    use super::super::ctc::Second;
    use super::*;

    fn part(text: &str, left: f32, width: f32, probability: f32) -> Part {
        let symbol = |best| Symbol { best, probability, second: Second::Same, place: 0.5 };
        let area = TurnedRect { centre: Point::new(left + width / 2.0, 50.0), width, height: 20.0, angle: 0.0 };
        Part { area, symbols: text.chars().map(symbol).collect() }
    }

    #[test]
    fn joins_parts_and_encloses_them() {
        let parts = [part("Dear ", 10.0, 50.0, 0.9), part(" ", 65.0, 5.0, 0.1), part("Sir:", 80.0, 40.0, 0.9)];
        let line = line_of(&parts.each_ref(), true).expect("two parts say something");
        assert_eq!(line.text, "Dear Sir:");
        assert!((line.confidence - 0.9).abs() < 1e-6, "an empty part has no say: {}", line.confidence);
        assert_eq!(
            line.corners.map(|corner| (corner.x.round(), corner.y.round())),
            [(10.0, 40.0), (120.0, 40.0), (120.0, 60.0), (10.0, 60.0)]
        );
    }

    #[test]
    fn says_nothing_for_nothing() {
        assert_eq!(line_of(&[], true), None);
        assert_eq!(line_of(&[&part("  ", 0.0, 9.0, 0.9)], true), None);
    }

    #[test]
    fn only_short_and_doubtful_parts_are_marks() {
        let table = [("4", 0.4, true), ("4", 0.9, false), ("I. ", 0.5, true), ("Sir", 0.3, false), ("", 0.0, false)];
        for (text, probability, mark) in table {
            assert_eq!(is_mark(&part(text, 0.0, 30.0, probability)), mark, "{text} at {probability}");
        }
    }
}
