//! Cuts one turned rectangle out of a page and lays it level at the height the recogniser takes.

use image::RgbImage;

use super::rectangle::{Point, TurnedRect};

/// Height of the recogniser's input, in pixels.
pub(super) const LINE_HEIGHT_PX: usize = 48;
/// Narrowest and widest input: the recogniser needs a few columns, and hostile shapes need an end.
const LINE_WIDTH_PX: (f32, f32) = (16.0, 3200.0);
/// Lines at least this high on the page are smoothed: so fine a scan shows grain and ragged ink, which the
/// recogniser takes for parts of letters (typed letters of 1905: 3.9 % of characters wrong, smoothed 3.3 %).
/// Coarser scans are smooth from being enlarged.
const SMOOTHED_FROM_PX: f32 = 40.0;
/// Most places sampled for one pixel along each axis; print of more than 400 px a line needs no more.
const PLACES_MAX: f32 = 8.0;

/// A level image of one line: interleaved red, green and blue in 0..=255.
pub(super) struct LineImage {
    pub(super) width: usize,
    pub(super) pixels: Vec<[f32; 3]>,
}

/// Samples the rectangle at the recogniser's height, proportions kept.
///
/// Where the page is finer than the sample grid, each sample is a mean of several places:
/// single places would tear the strokes of a one-bit scan.
pub(super) fn level_line(page: &RgbImage, rect: &TurnedRect) -> LineImage {
    let scale = LINE_HEIGHT_PX as f32 / rect.height.max(1.0);
    let width = (rect.width * scale).ceil().clamp(LINE_WIDTH_PX.0, LINE_WIDTH_PX.1) as usize;
    let places = (rect.height / LINE_HEIGHT_PX as f32).round().clamp(1.0, PLACES_MAX) as usize;
    let grid = Grid::over(rect, width * places, LINE_HEIGHT_PX * places);
    let mut pixels = Vec::with_capacity(width * LINE_HEIGHT_PX);
    for row in 0..LINE_HEIGHT_PX {
        for column in 0..width {
            let mut sum = [0.0; 3];
            for place in 0..places * places {
                let (sub_column, sub_row) = (column * places + place % places, row * places + place / places);
                let colour = colour_at(page, grid.place(sub_column, sub_row));
                sum = std::array::from_fn(|part| sum[part] + colour[part]);
            }
            pixels.push(sum.map(|total| total / (places * places) as f32));
        }
    }
    let is_fine = rect.height >= SMOOTHED_FROM_PX;
    LineImage { width, pixels: if is_fine { smoothed(&pixels, width) } else { pixels } }
}

/// Each pixel as the mean of itself and the four around it, edges as they are.
fn smoothed(pixels: &[[f32; 3]], width: usize) -> Vec<[f32; 3]> {
    let mean = |index: usize| {
        let around = [index, index - 1, index + 1, index - width, index + width].map(|near| pixels[near]);
        std::array::from_fn(|colour| around.iter().map(|pixel| pixel[colour]).sum::<f32>() / around.len() as f32)
    };
    let is_inner = |row, column| row > 0 && row < LINE_HEIGHT_PX - 1 && column > 0 && column < width - 1;
    let places = (0..LINE_HEIGHT_PX).flat_map(|row| (0..width).map(move |column| (row, column)));
    places
        .zip(pixels)
        .enumerate()
        .map(|(index, ((row, column), pixel))| if is_inner(row, column) { mean(index) } else { *pixel })
        .collect()
}

/// The centres of a grid of cells laid over a turned rectangle.
struct Grid {
    first: Point,
    column_step: Point,
    row_step: Point,
}

impl Grid {
    fn over(rect: &TurnedRect, columns: usize, rows: usize) -> Self {
        let (step_along, step_across) = (rect.width / columns as f32, rect.height / rows as f32);
        Self {
            first: rect.place((step_along - rect.width) / 2.0, (step_across - rect.height) / 2.0),
            column_step: Point::new(step_along, 0.0).turned(rect.angle),
            row_step: Point::new(0.0, step_across).turned(rect.angle),
        }
    }

    fn place(&self, column: usize, row: usize) -> Point {
        let (column, row) = (column as f32, row as f32);
        Point::new(
            self.first.x + self.column_step.x * column + self.row_step.x * row,
            self.first.y + self.column_step.y * column + self.row_step.y * row,
        )
    }
}

/// Colour between the four nearest pixels; beyond the edge the edge goes on.
fn colour_at(page: &RgbImage, place: Point) -> [f32; 3] {
    let x = (place.x - 0.5).clamp(0.0, (page.width() - 1) as f32);
    let y = (place.y - 0.5).clamp(0.0, (page.height() - 1) as f32);
    let (left, top) = (x as u32, y as u32);
    let (right, bottom) = ((left + 1).min(page.width() - 1), (top + 1).min(page.height() - 1));
    let (to_right, to_bottom) = (x - left as f32, y - top as f32);
    let corners = [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| page.get_pixel(x, y).0);
    std::array::from_fn(|colour| {
        let [a, b, c, d] = corners.map(|corner| f32::from(corner[colour]));
        let upper = a + (b - a) * to_right;
        let lower = c + (d - c) * to_right;
        upper + (lower - upper) * to_bottom
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(centre: (f32, f32), size: (f32, f32), angle: f32) -> TurnedRect {
        TurnedRect { centre: Point::new(centre.0, centre.1), width: size.0, height: size.1, angle }
    }

    #[test]
    fn keeps_proportions_within_bounds() {
        let page = RgbImage::new(100, 100);
        for (size, width) in [((96.0, 24.0), 192), ((1.0, 48.0), 16), ((100.0, 0.5), 3200)] {
            let line = level_line(&page, &rect((50.0, 50.0), size, 0.0));
            assert_eq!((line.width, line.pixels.len()), (width, width * LINE_HEIGHT_PX), "{size:?}");
        }
    }

    #[test]
    fn levels_a_turned_line() {
        // A dark bar along a slope of 20 degrees must fill its own rectangle.
        let bar = rect((100.0, 100.0), (120.0, 20.0), 20_f32.to_radians());
        let page = RgbImage::from_fn(200, 200, |x, y| {
            let inside = bar.contains(Point::new(x as f32 + 0.5, y as f32 + 0.5));
            image::Rgb(if inside { [0; 3] } else { [255; 3] })
        });
        let line = level_line(&page, &rect((100.0, 100.0), (110.0, 14.0), bar.angle));
        assert!(line.pixels.iter().all(|pixel| pixel[0] < 60.0));
    }

    #[test]
    fn a_fine_page_is_averaged_not_sampled() {
        // Alternating black and white columns, four times as fine as the sample grid.
        let page = RgbImage::from_fn(400, 192, |x, _| image::Rgb(if x % 2 == 0 { [0; 3] } else { [255; 3] }));
        let line = level_line(&page, &rect((200.0, 96.0), (400.0, 192.0), 0.0));
        assert!(line.pixels.iter().all(|pixel| (pixel[1] - 127.5).abs() < 40.0));
    }

    #[test]
    fn smoothing_takes_a_speck_for_a_fifth() {
        let mut pixels = vec![[0.0; 3]; 16 * LINE_HEIGHT_PX];
        pixels[5 * 16 + 8] = [100.0; 3];
        let smoothed = smoothed(&pixels, 16);
        let lit: Vec<usize> = (0..pixels.len()).filter(|index| smoothed[*index] == [20.0; 3]).collect();
        assert_eq!(lit, [4 * 16 + 8, 5 * 16 + 7, 5 * 16 + 8, 5 * 16 + 9, 6 * 16 + 8]);
    }

    #[test]
    fn the_edge_goes_on_beyond_the_page() {
        let page = RgbImage::from_pixel(10, 10, image::Rgb([7, 8, 9]));
        assert_eq!(colour_at(&page, Point::new(-5.0, 40.0)), [7.0, 8.0, 9.0]);
    }
}
