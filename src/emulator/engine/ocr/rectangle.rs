//! Geometry of turned rectangles: hull, smallest enclosing rectangle, growth, corners.

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};

/// A place on a page, in pixels from the top left corner; `y` grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

impl Point {
    pub(super) fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The same place after the page was turned by `angle` radians about its top left corner.
    pub(super) fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self::new(self.x * cos - self.y * sin, self.x * sin + self.y * cos)
    }
}

/// A rectangle turned about its centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TurnedRect {
    pub(super) centre: Point,
    /// Length along the turned horizontal axis, in pixels.
    pub(super) width: f32,
    /// Length along the turned vertical axis, in pixels.
    pub(super) height: f32,
    /// Radians, clockwise on the page, always within 45 degrees of upright.
    pub(super) angle: f32,
}

impl TurnedRect {
    /// The place that lies `along` and `across` pixels from the centre, in the rectangle's own axes.
    pub(super) fn place(&self, along: f32, across: f32) -> Point {
        let offset = Point::new(along, across).turned(self.angle);
        Point::new(self.centre.x + offset.x, self.centre.y + offset.y)
    }

    /// Corners from the top left on, clockwise.
    pub(super) fn corners(&self) -> [Point; 4] {
        let (along, across) = (self.width / 2.0, self.height / 2.0);
        [self.place(-along, -across), self.place(along, -across), self.place(along, across), self.place(-along, across)]
    }

    /// Whether `point` lies inside or on the edge.
    pub(super) fn contains(&self, point: Point) -> bool {
        let offset = Point::new(point.x - self.centre.x, point.y - self.centre.y).turned(-self.angle);
        offset.x.abs() <= self.width / 2.0 && offset.y.abs() <= self.height / 2.0
    }

    /// Pushes every side outwards by area × `ratio` / perimeter.
    ///
    /// The detector is trained on shrunken lines: this undoes the shrinking.
    pub(super) fn unclipped(&self, ratio: f32) -> Self {
        let perimeter = 2.0 * (self.width + self.height);
        if perimeter <= 0.0 {
            return *self;
        }
        let distance = self.width * self.height * ratio / perimeter;
        Self { width: self.width + 2.0 * distance, height: self.height + 2.0 * distance, ..*self }
    }

    /// The rectangle in an image whose axes are stretched by two slightly different factors.
    pub(super) fn scaled(&self, x: f32, y: f32) -> Self {
        let scaled = self.corners().map(|corner| Point::new(corner.x * x, corner.y * y));
        let edge = |a: Point, b: Point| (b.x - a.x).hypot(b.y - a.y);
        let top = Point::new(scaled[1].x - scaled[0].x, scaled[1].y - scaled[0].y);
        Self {
            centre: Point::new(self.centre.x * x, self.centre.y * y),
            width: edge(scaled[0], scaled[1]),
            height: edge(scaled[1], scaled[2]),
            angle: top.y.atan2(top.x),
        }
    }
}

/// The rectangle of least area around `points`; nothing around nothing.
///
/// One side of it lies on a side of the convex hull, so trying each of these is enough.
pub(super) fn smallest_rect(points: &[Point]) -> Option<TurnedRect> {
    let hull = convex_hull(points);
    let first = *hull.first()?;
    let mut best: Option<TurnedRect> = None;
    for (index, from) in hull.iter().enumerate() {
        let to = hull.get(index + 1).unwrap_or(&first);
        let rect = rect_at(&hull, upright((to.y - from.y).atan2(to.x - from.x)));
        if best.is_none_or(|best| rect.width * rect.height < best.width * best.height) {
            best = Some(rect);
        }
    }
    best
}

/// The rectangle around `points` with its horizontal axis at `angle`.
pub(super) fn rect_at(points: &[Point], angle: f32) -> TurnedRect {
    let mut low = Point::new(f32::INFINITY, f32::INFINITY);
    let mut high = Point::new(f32::NEG_INFINITY, f32::NEG_INFINITY);
    for point in points {
        let turned = point.turned(-angle);
        low = Point::new(low.x.min(turned.x), low.y.min(turned.y));
        high = Point::new(high.x.max(turned.x), high.y.max(turned.y));
    }
    TurnedRect {
        centre: Point::new((low.x + high.x) / 2.0, (low.y + high.y) / 2.0).turned(angle),
        width: high.x - low.x,
        height: high.y - low.y,
        angle,
    }
}

/// The direction of the same axis, or of the axis square to it, that is nearest to horizontal.
fn upright(angle: f32) -> f32 {
    let turns = (angle / FRAC_PI_2).round();
    (angle - turns * FRAC_PI_2).clamp(-FRAC_PI_4, FRAC_PI_4)
}

/// Corners of the convex hull, in order (monotone chain). Fewer than three points stay as they are.
fn convex_hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let mut hull = half_hull(sorted.iter().copied());
    hull.extend(half_hull(sorted.iter().rev().copied()));
    hull
}

/// One half of the hull, without its last point, which begins the other half.
fn half_hull(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut half: Vec<Point> = Vec::new();
    for point in points {
        while let [.., a, b] = half[..] {
            let turn = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x);
            if turn > 0.0 {
                break;
            }
            half.pop();
        }
        half.push(point);
    }
    half.pop();
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 0.01
    }

    #[test]
    fn finds_the_smallest_rectangle_at_any_angle() {
        for degrees in [-40.0_f32, -12.5, 0.0, 1.0, 30.0] {
            let drawn =
                TurnedRect { centre: Point::new(200.0, 120.0), width: 90.0, height: 20.0, angle: degrees.to_radians() };
            let mut points = drawn.corners().to_vec();
            points.push(drawn.place(10.0, 5.0));
            let found = smallest_rect(&points).expect("there are points");
            assert!(near(found.angle, drawn.angle), "{degrees}: {found:?}");
            assert!(near(found.width, 90.0) && near(found.height, 20.0), "{degrees}: {found:?}");
            assert!(near(found.centre.x, 200.0) && near(found.centre.y, 120.0), "{degrees}: {found:?}");
        }
    }

    #[test]
    fn knows_rectangles_around_hardly_anything() {
        assert_eq!(smallest_rect(&[]), None);
        let dot = smallest_rect(&[Point::new(3.0, 4.0)]).expect("there is a point");
        assert_eq!((dot.width, dot.height, dot.centre), (0.0, 0.0, Point::new(3.0, 4.0)));
        let stroke = smallest_rect(&[Point::new(0.0, 0.0), Point::new(0.0, 8.0)]).expect("two points");
        assert!(near(stroke.height, 8.0) && near(stroke.width, 0.0), "a vertical stroke is high, not wide: {stroke:?}");
    }

    #[test]
    fn grows_by_area_over_perimeter() {
        let rect = TurnedRect { centre: Point::new(0.0, 0.0), width: 30.0, height: 10.0, angle: 0.3 };
        let grown = rect.unclipped(1.6);
        // 300 × 1.6 / 80 = 6 on every side.
        assert!(near(grown.width, 42.0) && near(grown.height, 22.0));
        assert_eq!((grown.centre, grown.angle), (rect.centre, rect.angle));
    }

    #[test]
    fn scales_and_contains() {
        let rect = TurnedRect { centre: Point::new(10.0, 20.0), width: 8.0, height: 4.0, angle: 0.0 };
        let scaled = rect.scaled(2.0, 3.0);
        assert!(near(scaled.width, 16.0) && near(scaled.height, 12.0) && near(scaled.angle, 0.0));
        assert!(rect.contains(Point::new(13.9, 21.9)) && !rect.contains(Point::new(14.1, 20.0)));
    }
}
