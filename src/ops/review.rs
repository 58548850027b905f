//! What a person does with texts: look at them in a good order, judge them, mend them, have them asked for again.

mod notebook;
mod order;
mod text;

pub use notebook::{BesidePipelines, EachByItself};
pub use order::{Listed, Why, order, order_of};
pub use text::{MOST_BYTES, Shown, Unsaved, remove_rough, save, shown, sweep};

use crate::domain::ids::ImageId;
use crate::domain::review::Deed;
use crate::ledger::LedgerError;
use crate::ledger::reader::{ImageResult, Reader};

/// What is written into the ledger for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// What was done at the text of an image.
    Did(ImageId, Deed),
    /// Images are put back to be asked again.
    AskAgain(Vec<ImageId>),
}

/// Why something was not written into the ledger.
#[derive(Debug, thiserror::Error)]
pub enum NotNoted {
    /// Another process writes it.
    #[error("{0}; what you did cannot be noted until it has ended")]
    Locked(String),
    /// In this process, one piece of work ends and the next begins.
    #[error("the server is just beginning or ending a piece of work; try again in a moment")]
    Between,
    /// It is owed or on its way already, or has to be mended first.
    #[error("the image is asked for already, or its file has to be mended first")]
    NotAsked,
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Writes into the ledger what a person did. A process that holds the ledger for long has its own way of doing so.
pub trait Notebook: Send + Sync {
    /// Writes one entry, durably, and tells of how many images it holds.
    ///
    /// # Errors
    /// [`NotNoted`]; it is [`NotNoted::NotAsked`] where it holds of none.
    fn write(&self, entry: Entry) -> Result<u64, NotNoted>;
}

/// An entry that holds of no image was none.
fn held(images: u64) -> Result<u64, NotNoted> {
    if images == 0 { Err(NotNoted::NotAsked) } else { Ok(images) }
}

/// One image, if there is one of this row.
///
/// # Errors
/// The ledger's.
pub fn image(reader: &Reader, id: ImageId) -> Result<Option<ImageResult>, LedgerError> {
    let before = ImageId(id.0.saturating_sub(1));
    Ok(reader.results_without_costs(Some(before), 1)?.pop().filter(|image| image.id == id))
}
