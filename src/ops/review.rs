//! What a person does with texts: look at them in a good order, judge them, mend them, have them asked for again.

mod order;
mod text;

pub use order::{Listed, Why, order};
pub use text::{MOST_BYTES, Shown, Unsaved, remove_rough, save, shown};

use super::desk::Desk;
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::domain::review::Deed;
use crate::kit::clock::Clock;
use crate::ledger::LedgerError;
use crate::ledger::lock::{LockError, WorkspaceLock};
use crate::ledger::reader::{ImageResult, Reader};
use crate::settings::Settings;

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

/// The notebook of a process that holds nothing: for every entry it takes the workspace's lock, and gives it back.
#[derive(Debug)]
pub struct EachByItself {
    layout: Layout,
    clock: Clock,
    settings: Settings,
}

impl EachByItself {
    /// For the workspace of `settings`.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        Self { layout: settings.layout(), clock, settings }
    }
}

impl Notebook for EachByItself {
    fn write(&self, entry: Entry) -> Result<u64, NotNoted> {
        let _lock = WorkspaceLock::take(&self.layout.lock(), "review").map_err(locked)?;
        let mut desk = Desk::open(&self.layout, self.clock.clone(), &self.settings)?;
        let written = desk.act(|store| match entry {
            Entry::Did(image, deed) => store.person_did(image, deed).map(|()| 1),
            Entry::AskAgain(images) => store.ask_again(&images, None),
        });
        desk.close()?;
        held(written?)
    }
}

/// An entry that holds of no image was none.
fn held(images: u64) -> Result<u64, NotNoted> {
    if images == 0 { Err(NotNoted::NotAsked) } else { Ok(images) }
}

fn locked(error: LockError) -> NotNoted {
    match error {
        LockError::Held { .. } => NotNoted::Locked(error.to_string()),
        LockError::Io { path, cause } => LedgerError::Io { path, cause: cause.to_string() }.into(),
    }
}

/// One image, if there is one of this row.
///
/// # Errors
/// The ledger's.
pub fn image(reader: &Reader, id: ImageId) -> Result<Option<ImageResult>, LedgerError> {
    let before = ImageId(id.0.saturating_sub(1));
    Ok(reader.results(Some(before), 1)?.pop().filter(|image| image.id == id))
}
