//! Settings of making pictures ready.

use crate::domain::image::Pages;
use crate::domain::recipe::Preparation;

/// `[encode]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encode {
    /// BLAKE3 of each image while it streams.
    pub hash_images: bool,
    /// Whether pictures are to be shrunk to what the model sees; of which nothing may be known.
    pub fit: bool,
    /// How pictures are made ready.
    pub preparation: Preparation,
    /// Most pixels of an image, as its header tells them.
    pub max_pixels: u64,
    /// What is asked of a file of several pages.
    pub pages: Pages,
    /// What is asked of files with the same bytes.
    pub duplicates: Duplicates,
}

/// `encode.duplicates`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The first: its text is that of all.
    Once,
    /// Each.
    Each,
}
