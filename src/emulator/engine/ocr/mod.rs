//! The embedded recogniser: one encoded page image in, its text in reading order out.
//!
//! - **Job.** Read printed and typed pages without any service, well enough that a run against the
//!   emulator yields real texts. It is no match for handwriting.
//! - **In.** Encoded bytes of one image in any format `image` decodes.
//! - **Out.** A [`Reading`]: the text, its lines with place and confidence; or an [`OcrError`].
//! - **Owns.** Two small networks (PP-OCRv6 tiny), compiled in, and one thread per page read at once.
//! - **Bound.** One thread and 150 to 250 MB for each page being read, up to 450 MB for a large page of
//!   small print; 100 million pixels a page.
//! - **If it crashes here.** A decoder's panic becomes [`OcrError::Damaged`]; nothing is kept between pages.
//!
//! The way of a page: `decode` → `detect` (with `components`, `rectangle`) → `recognise` (with `crop`,
//! `ctc`) → `pieces` → `layout` (with `columns`, `rows`) → `lines` (with `spelling`) → text.

mod columns;
mod components;
mod crop;
mod ctc;
mod decode;
mod detect;
mod layout;
mod lines;
mod network;
mod pieces;
#[cfg(test)]
mod reads;
mod recognise;
mod rectangle;
mod rows;
mod spelling;
mod weights;

pub use rectangle::Point;

use ctc::Alphabet;
use network::{Lanes, Network};
use pieces::Part;
use rectangle::TurnedRect;

/// Why a page could not be read. None of these goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum OcrError {
    /// The first bytes are those of no image format this build decodes.
    #[error("not an image of a known format")]
    NotAnImage,
    /// The format is known, but the file is cut short, corrupt, or of an unsupported variant.
    #[error("the image is damaged or of an unsupported kind: {0}")]
    Damaged(String),
    /// The header announces more pixels than are decoded.
    #[error("the image has {width} × {height} pixels, more than {pixels_max}")]
    TooLarge {
        /// Pixels across, as stored.
        width: u32,
        /// Pixels down, as stored.
        height: u32,
        /// Pixels allowed in all.
        pixels_max: u64,
    },
    /// A network could not be loaded or run: a fault of this program, not of the image.
    #[error("the recogniser failed: {0}")]
    Model(String),
}

/// One line of text on a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the line says, without a line end.
    pub text: String,
    /// Mean probability of its symbols, 0 to 1.
    pub confidence: f32,
    /// Its corners in pixels of the upright page, clockwise from the top left.
    pub corners: [Point; 4],
}

/// What was read from one page.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The lines in reading order, joined by `\n`; empty for a blank page.
    pub text: String,
    /// The lines of `text`.
    pub lines: Vec<Line>,
    /// What was found and left out of `text`: a symbol or two that are more likely dirt.
    pub marks: Vec<Line>,
    /// Pixels across, upright.
    pub width: u32,
    /// Pixels down, upright.
    pub height: u32,
}

/// The embedded networks, loaded once and shared by reference between threads.
pub struct Recogniser {
    detector: Network,
    recogniser: Network,
    alphabet: Alphabet,
    lanes: Lanes,
}

impl Recogniser {
    /// Loads the networks that are compiled in; takes about 50 ms.
    pub fn load() -> Result<Self, OcrError> {
        Ok(Self {
            detector: Network::load(weights::DETECTOR)?,
            recogniser: Network::load(weights::RECOGNISER)?,
            alphabet: Alphabet::new(weights::ALPHABET),
            lanes: Lanes::default(),
        })
    }

    /// Reads one page: encoded image bytes in, text in reading order out.
    ///
    /// Keeps one core busy for a second or two. Calls from several threads run side by side.
    pub fn read(&self, encoded: &[u8]) -> Result<Reading, OcrError> {
        let page = decode::upright_page(encoded)?;
        let lane = self.lanes.take();
        let areas = detect::text_areas(&self.detector, &page, &lane)?;
        let mut parts = Vec::with_capacity(areas.len());
        for area in areas {
            let symbols = recognise::symbols_inside(&self.recogniser, &self.alphabet, &page, &area, &lane)?;
            parts.extend(pieces::pieces(Part { area, symbols }));
        }
        Ok(arranged(parts, page.dimensions()))
    }
}

/// Puts what was read on a page of `width` × `height` pixels into reading order.
fn arranged(parts: Vec<Part>, (width, height): (u32, u32)) -> Reading {
    let western = spelling::is_western(parts.iter().flat_map(|part| &part.symbols));
    let (marks, parts): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(lines::is_mark);
    let areas: Vec<TurnedRect> = parts.iter().map(|part| part.area).collect();
    let rows = layout::rows_in_reading_order(&areas);
    let lines: Vec<Line> = rows
        .into_iter()
        .filter_map(|row| {
            let row: Vec<&Part> = row.into_iter().map(|index| &parts[index]).collect();
            lines::line_of(&row, western)
        })
        .collect();
    let text = lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
    let marks = marks.iter().filter_map(|mark| lines::line_of(&[mark], western)).collect();
    Reading { text, lines, marks, width, height }
}
