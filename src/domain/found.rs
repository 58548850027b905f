//! What the walk finds: a file, and what becomes of it.

use super::image::{Looks, Reason, RelPath, Stamp};

/// What the walk makes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To be asked, each page by itself.
    Owed(Looks),
    /// Ends here, with a reason.
    Failed(Reason),
    /// Is not to be asked.
    Skipped(Reason),
}

/// One file as the walk found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: RelPath,
    /// Length and time.
    pub stamp: Stamp,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether a text lies where this image's text would be written; decides only about images never seen before.
    pub text_present: bool,
}

impl Found {
    /// Images of the file: its pages, where it has several; never none.
    #[must_use]
    pub fn images(&self) -> usize {
        match &self.fate {
            Fate::Owed(looks) => looks.pages.len().max(1),
            Fate::Failed(_) | Fate::Skipped(_) => 1,
        }
    }
}
