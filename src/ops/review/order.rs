//! In which order a person looks: what is doubtful, what came to nothing, then some drawn by lot from all the rest.

use crate::domain::ids::ImageId;
use crate::domain::review::Review;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{ImageResult, Reader};
use crate::ops::report::draw::Draw;
use crate::ops::report::facts::is_doubtful;

/// Rows of the ledger read at once.
const PAGE: u32 = 2_048;
/// Images listed for one reason: more than a person looks at, and memory that does not grow with the corpus.
const MOST: usize = 100_000;

/// Why an image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its text is rough, or bears a flag that asks for a look.
    Doubtful,
    /// It ended without a text.
    Failed,
    /// It was drawn by lot.
    Drawn,
}

impl Why {
    /// The word of the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Doubtful => "doubtful",
            Self::Failed => "failed",
            Self::Drawn => "drawn",
        }
    }
}

/// An image that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its row.
    pub id: ImageId,
    /// Its path, for people.
    pub path: String,
    /// Why it is shown.
    pub why: Why,
    /// What a person thought of its text.
    pub review: Option<String>,
}

impl Listed {
    /// Takes a verdict on `image`, if it is that one.
    pub fn judge(&mut self, image: ImageId, verdict: Option<Review>) {
        if self.id == image {
            self.review = verdict.map(|verdict| verdict.word().to_owned());
        }
    }
}

/// The images to be looked at, in their order: doubtful and failed ones, at most 100,000 of each; `sample` of all texts are drawn,
/// the same ones each time.
///
/// # Errors
/// The ledger's.
pub fn order(reader: &Reader, sample: usize) -> Result<Vec<Listed>, LedgerError> {
    let mut order = Order::new(sample);
    let mut after = None;
    loop {
        let images = reader.results_without_costs(after, PAGE)?;
        let Some(last) = images.last() else { return Ok(order.end()) };
        after = Some(last.id);
        images.iter().for_each(|image| order.add(image));
    }
}

/// The same of these images alone; all of them are shown that have ended.
///
/// # Errors
/// The ledger's.
pub fn order_of(reader: &Reader, images: &[ImageId]) -> Result<Vec<Listed>, LedgerError> {
    let mut order = Order::new(images.len());
    for id in images {
        let image = super::image(reader, *id)?;
        image.iter().for_each(|image| order.add(image));
    }
    Ok(order.end())
}

/// The order while images pass by once.
struct Order {
    doubtful: Vec<Listed>,
    failed: Vec<Listed>,
    drawn: Draw<Listed>,
}

impl Order {
    fn new(sample: usize) -> Self {
        Self { doubtful: Vec::new(), failed: Vec::new(), drawn: Draw::new(sample) }
    }

    fn add(&mut self, image: &ImageResult) {
        match image.state {
            ImageState::Failed if self.failed.len() < MOST => self.failed.push(listed(image, Why::Failed)),
            ImageState::Done | ImageState::Rough if image.text.as_deref() != Some("page") => {
                let why = if is_doubtful(image) { Why::Doubtful } else { Why::Drawn };
                if why == Why::Doubtful && self.doubtful.len() < MOST {
                    self.doubtful.push(listed(image, why));
                }
                // Doubtful or not, all texts take part: a sample of the good ones alone would flatter.
                self.drawn.put(&image.path.joined(), || listed(image, why));
            }
            _ => {}
        }
    }

    fn end(mut self) -> Vec<Listed> {
        let mut order = self.doubtful;
        order.append(&mut self.failed);
        order.extend(self.drawn.drawn().filter(|image| image.why == Why::Drawn).cloned());
        order
    }
}

fn listed(image: &ImageResult, why: Why) -> Listed {
    Listed { id: image.id, path: image.path.shown(), why, review: image.review.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::RelPath;
    use crate::ledger::reader::Spent;

    fn image(id: i64, state: ImageState, flags: &[&str], text: Option<&str>) -> ImageResult {
        ImageResult {
            id: ImageId(id),
            root: b"/in".to_vec(),
            path: RelPath { folder: Vec::new(), name: format!("{id}.png").into_bytes(), page: 1 },
            state,
            reason: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            review: None,
            attempts: 1,
            asked: 1,
            gaps: 0,
            text: text.map(str::to_owned),
            text_hash: None,
            last: None,
            spent: Spent::default(),
        }
    }

    fn ordered(images: &[ImageResult], sample: usize) -> Vec<(i64, Why)> {
        let mut order = Order::new(sample);
        images.iter().for_each(|image| order.add(image));
        order.end().into_iter().map(|image| (image.id.0, image.why)).collect()
    }

    #[test]
    fn doubtful_ones_then_failures_then_some_of_the_others() {
        use ImageState::{Done, Failed, Owed, Packed, Rough, Skipped};
        let mut images = vec![
            image(1, Done, &[], Some("txt")),
            image(2, Failed, &["loop"], None),
            image(3, Done, &["too_short"], Some("txt")),
            image(4, Owed, &["truncated"], None),
            image(5, Packed, &[], None),
            image(6, Skipped, &[], None),
            image(7, Rough, &[], Some("api")),
            image(8, Done, &["blank"], Some("txt")),
            image(9, Done, &["loop"], Some("page")),
        ];
        let order = ordered(&images, 10);
        assert_eq!(order[..3], [(3, Why::Doubtful), (7, Why::Doubtful), (2, Why::Failed)]);
        let mut drawn: Vec<i64> = order[3..].iter().map(|(id, _)| *id).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, [1, 8], "nobody is shown twice, and what is on its way has nothing to show");
        images.extend((10..200).map(|id| image(id, Done, &[], Some("txt"))));
        let order = ordered(&images, 10);
        assert!(order.len() > 3 && order.len() <= 13, "{order:?}");
        assert_eq!(ordered(&images, 0).len(), 3);
    }
}
