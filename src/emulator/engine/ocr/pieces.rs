//! What was read inside one text area, and its division at wide gaps.
//!
//! Where columns stand close the detector finds one line running through both. Divided at its gap it
//! falls into the two columns; where there is no gutter its pieces form one row again.

use super::ctc::Symbol;
use super::rectangle::TurnedRect;

/// Two symbols this far apart, centre to centre in line heights, begin new pieces.
const GAP_MIN: f32 = 1.2;
/// How far a piece goes on beyond the centre of its outermost symbol, in line heights.
const SYMBOL_REACH: f32 = 0.25;

/// A text area and its symbols.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) area: TurnedRect,
    pub(super) symbols: Vec<Symbol>,
}

/// The part, divided at its wide gaps; whole if it has none.
pub(super) fn pieces(part: Part) -> Vec<Part> {
    let TurnedRect { width, height, .. } = part.area;
    let mut pieces = Vec::new();
    let mut rest = part.symbols.as_slice();
    let mut left = 0.0;
    while let Some((last, next)) = first_gap(rest, GAP_MIN * height / width) {
        let reach = SYMBOL_REACH * height;
        pieces.push(piece(&part.area, left, rest[last].place * width + reach, &rest[..=last]));
        left = rest[next].place * width - reach;
        rest = &rest[next..];
    }
    pieces.push(piece(&part.area, left, width, rest));
    pieces
}

/// Neighbours, spaces not counted, that stand at least `gap_min` of the width apart.
fn first_gap(symbols: &[Symbol], gap_min: f32) -> Option<(usize, usize)> {
    let visible: Vec<usize> = (0..symbols.len()).filter(|index| symbols[*index].best != ' ').collect();
    let gap = visible.windows(2).find(|pair| symbols[pair[1]].place - symbols[pair[0]].place >= gap_min)?;
    Some((gap[0], gap[1]))
}

/// The stretch of `area` from `left` to `right`, in pixels from its left side.
fn piece(area: &TurnedRect, left: f32, right: f32, symbols: &[Symbol]) -> Part {
    let centre = area.place((left + right - area.width) / 2.0, 0.0);
    Part { area: TurnedRect { centre, width: right - left, ..*area }, symbols: symbols.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::super::ctc::Second;
    use super::super::rectangle::Point;
    use super::*;

    /// Symbols and their distance from the left side; each piece's text, left and right side.
    type Case = (&'static [(char, f32)], &'static [(&'static str, f32, f32)]);

    /// A part 200 px wide and 20 px high, from symbols and their distance from its left side.
    fn part(symbols: &[(char, f32)]) -> Part {
        let symbol =
            |&(best, x): &(char, f32)| Symbol { best, probability: 0.9, second: Second::Same, place: x / 200.0 };
        let area = TurnedRect { centre: Point::new(100.0, 50.0), width: 200.0, height: 20.0, angle: 0.0 };
        Part { area, symbols: symbols.iter().map(symbol).collect() }
    }

    fn read(pieces: &[Part]) -> Vec<(String, f32, f32)> {
        let side = |piece: &Part, sign: f32| (piece.area.centre.x + sign * piece.area.width / 2.0).round();
        let text = |piece: &Part| piece.symbols.iter().map(|symbol| symbol.best).collect();
        pieces.iter().map(|piece| (text(piece), side(piece, -1.0), side(piece, 1.0))).collect()
    }

    #[test]
    fn divides_at_wide_gaps_alone() {
        let table: [Case; 4] = [
            (&[], &[("", 0.0, 200.0)]),
            (&[('a', 90.0), (' ', 98.0), ('b', 106.0)], &[("a b", 0.0, 200.0)]),
            (&[('a', 80.0), (' ', 95.0), ('b', 120.0)], &[("a", 0.0, 85.0), ("b", 115.0, 200.0)]),
            (&[('a', 10.0), ('b', 100.0), ('c', 190.0)], &[("a", 0.0, 15.0), ("b", 95.0, 105.0), ("c", 185.0, 200.0)]),
        ];
        for (symbols, expected) in table {
            let expected: Vec<_> = expected.iter().map(|&(text, left, right)| (text.to_owned(), left, right)).collect();
            assert_eq!(read(&pieces(part(symbols))), expected);
        }
    }
}
