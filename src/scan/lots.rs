//! Drawing lots: a few images that stand for all, spread over the folders. The same seed over the same folders draws the same
//! images.

use std::collections::BTreeMap;

use crate::domain::image::OwedImage;
use crate::kit::hash;

/// Images held beyond twice what is drawn, so that few draws of very few are not sorted again and again.
const SPARE: usize = 64;

/// Lots under way; holds no more than a few times `most` images, whatever there are folders.
#[derive(Debug)]
pub struct Lots {
    seed: String,
    most: usize,
    /// Of each folder, by lot.
    folders: BTreeMap<Vec<u8>, Vec<(u64, OwedImage)>>,
    held: usize,
}

impl Lots {
    /// Of all that is taken, `most` images at most are drawn.
    #[must_use]
    pub fn new(seed: &str, most: usize) -> Self {
        Self { seed: seed.to_owned(), most, folders: BTreeMap::new(), held: 0 }
    }

    /// Takes an image in. One that was asked before, or is asked otherwise than the others, says nothing of them and is left out.
    pub fn take(&mut self, image: OwedImage) {
        if image.attempt > 1 || image.rough.is_some() || image.model.is_some() {
            return;
        }
        let lot = self.lot(&image);
        let folder = self.folders.entry(image.path.folder.clone()).or_default();
        let place = folder.partition_point(|(other, _)| *other < lot);
        folder.insert(place, (lot, image));
        self.held += 1;
        if self.held >= self.most.saturating_mul(2).saturating_add(SPARE) {
            let best = std::mem::take(&mut self.folders);
            // How many stand before an image in the draw never falls as others come: what is not drawn now never is.
            for (_, lot, image) in self.best(best) {
                self.folders.entry(image.path.folder.clone()).or_default().push((lot, image));
            }
            self.held = self.folders.values().map(Vec::len).sum();
        }
    }

    fn lot(&self, image: &OwedImage) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] =
            hash::short(&[self.seed.as_bytes(), b"\n", &image.path.folder, b"/", &image.path.name].concat());
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The images drawn: one of every folder, then a second one of each that has one, and so on; within a round as the lots fall.
    #[must_use]
    pub fn drawn(mut self) -> Vec<OwedImage> {
        let folders = std::mem::take(&mut self.folders);
        self.best(folders).into_iter().map(|(.., image)| image).collect()
    }

    /// The first `most` in the order of the draw, each with its round and its lot.
    fn best(&self, folders: BTreeMap<Vec<u8>, Vec<(u64, OwedImage)>>) -> Vec<(usize, u64, OwedImage)> {
        let mut all: Vec<(usize, u64, OwedImage)> = Vec::new();
        for folder in folders.into_values() {
            all.extend(folder.into_iter().enumerate().map(|(round, (lot, image))| (round, lot, image)));
        }
        all.sort_by_key(|(round, lot, _)| (*round, *lot));
        all.truncate(self.most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::{Format, Needs, Pixels, RelPath, Stamp};

    fn image(folder: u8, number: u8) -> OwedImage {
        OwedImage {
            id: ImageId(i64::from(folder) * 100 + i64::from(number)),
            path: RelPath { folder: vec![b'a' + folder], name: vec![number], page: 1 },
            stamp: Stamp { bytes: 1, mtime_ms: 1 },
            format: Format::Png,
            needs: Needs::Nothing,
            pixels: Pixels { width: 1, height: 1 },
            attempt: 1,
            first: true,
            after: None,
            model: None,
            rough: None,
        }
    }

    /// Folder and number of each image drawn from three folders of 2, 20 and 5 images.
    fn draw(seed: &str, most: usize) -> Vec<i64> {
        let mut lots = Lots::new(seed, most);
        for (folder, images) in [(0, 2), (1, 20), (2, 5)] {
            (0..images).for_each(|number| lots.take(image(folder, number)));
        }
        lots.drawn().into_iter().map(|image| image.id.0).collect()
    }

    #[test]
    fn every_folder_is_heard_before_one_is_heard_twice() {
        let folders = |drawn: &[i64]| {
            let mut counts = [0; 3];
            drawn.iter().for_each(|id| counts[usize::try_from(id / 100).expect("small")] += 1);
            counts
        };
        assert_eq!(folders(&draw("s", 3)), [1, 1, 1]);
        assert_eq!(folders(&draw("s", 9)), [2, 4, 3]);
        assert_eq!(folders(&draw("s", 99)), [2, 20, 5]);
        assert_eq!(draw("s", 9), draw("s", 9), "the same seed draws the same");
        assert_ne!(draw("s", 9), draw("t", 9));
    }

    /// As [`Lots`], with everything held until the end.
    fn drawn_of_all(lots: &Lots, images: &[OwedImage]) -> Vec<ImageId> {
        let mut folders: BTreeMap<Vec<u8>, Vec<(u64, OwedImage)>> = BTreeMap::new();
        for image in images {
            folders.entry(image.path.folder.clone()).or_default().push((lots.lot(image), image.clone()));
        }
        folders.values_mut().for_each(|folder| folder.sort_by_key(|(lot, _)| *lot));
        lots.best(folders).into_iter().map(|(.., image)| image.id).collect()
    }

    #[test]
    fn what_is_held_does_not_grow_and_the_draw_is_that_of_everything() {
        for (folders, images, most) in [(251, 1, 7), (90, 40, 20), (3, 250, 20), (200, 3, 150), (1, 250, 1)] {
            let all: Vec<OwedImage> = (0..images)
                .flat_map(|number| (0..folders).map(move |folder| (folder, number)))
                // Folders of different sizes: the later ones have fewer.
                .filter(|(folder, number)| folder % 5 == 0 || number % 11 < folder % 11)
                .map(|(folder, number)| {
                    let mut image = image(0, number);
                    image.id = ImageId(i64::from(folder) * 1000 + i64::from(number));
                    image.path.folder = vec![folder];
                    image
                })
                .collect();
            let mut lots = Lots::new("seed", most);
            for image in &all {
                lots.take(image.clone());
                assert!(lots.held < 2 * most + SPARE, "{} of {most}", lots.held);
            }
            let expected = drawn_of_all(&lots, &all);
            assert_eq!(
                lots.drawn().into_iter().map(|image| image.id).collect::<Vec<_>>(),
                expected,
                "{folders} {images}"
            );
        }
    }

    #[test]
    fn second_tries_and_orders_say_nothing_of_the_others() {
        let mut lots = Lots::new("s", 5);
        lots.take(OwedImage { attempt: 2, ..image(0, 1) });
        lots.take(OwedImage { rough: Some([1; 16]), ..image(0, 2) });
        lots.take(OwedImage { model: Some("m".into()), ..image(0, 3) });
        lots.take(image(0, 4));
        assert_eq!(lots.drawn().len(), 1);
    }
}
