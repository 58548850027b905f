//! Reprocessing: images whose texts another recipe made are put back to be asked by today's. Their texts stay until the new ones
//! come, and the answers that made them stay in `batch_return` for good.

use std::collections::BTreeSet;

use super::known;
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::domain::recipe::Recipe;
use crate::domain::stale;
use crate::kit::clock::Millis;
use crate::ledger::LedgerError;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{ImageRow, Made, Reader};

/// Images looked at, and put back, in one go.
const PAGE: u32 = 256;

/// Which images are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose text another recipe made.
    Stale,
    /// Those that ended without a text after they were asked.
    Failed,
    /// All that were ever asked.
    All,
}

impl Which {
    /// Its word on the command line and in the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::All => "all",
        }
    }

    /// Whether the same order once more would find the same images again, whatever was asked since the first. Texts that were
    /// stale are not stale any more.
    #[must_use]
    pub fn is_never_done(self) -> bool {
        matches!(self, Self::Failed | Self::All)
    }
}

/// How an order of a kind stands when it is given once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// None is under way: this one is new.
    New,
    /// It was given at this time (unix milliseconds), and images still wait: the same command goes on with it.
    GoesOn(Millis),
    /// It was given at this time, no image waits any more, and nobody has noted its end: it is noted now, and nothing is put back.
    Ended(Millis),
}

impl Order {
    /// How an order of this kind stands.
    ///
    /// # Errors
    /// The ledger's.
    pub fn of(reader: &Reader, which: Which) -> Result<Self, LedgerError> {
        let given = if which.is_never_done() { reader.redo_since(which.word())? } else { None };
        let Some(given) = given else { return Ok(Self::New) };
        let standing = reader.standing()?;
        Ok(if standing.owed + standing.packed > 0 { Self::GoesOn(given) } else { Self::Ended(given) })
    }
}

/// Puts them back, page by page; tells how many. A text that a person has edited is his, and its image is left. With an
/// order that goes on, images that were asked after it are left as well: they were paid for on that order.
///
/// # Errors
/// The ledger's.
pub fn redo(
    reader: &Reader,
    layout: &Layout,
    (which, order): (Which, Order),
    today: &Recipe,
    mut put_back: impl FnMut(&[ImageId]) -> Result<(), LedgerError>,
) -> Result<u64, LedgerError> {
    let since = match order {
        Order::New => None,
        Order::GoesOn(since) => Some(since),
        Order::Ended(_) => return Ok(0),
    };
    let stale = stale_recipes(&reader.made()?, today);
    let (mut after, mut many) = (None, 0);
    loop {
        let page = reader.images(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(many) };
        after = Some(last.id);
        let is_meant = |image: &&ImageRow| {
            means(which, image, &stale) && !is_asked_since(image, since) && !known::is_a_persons(image, layout)
        };
        let meant = page.iter().filter(is_meant);
        let meant: Vec<ImageId> = meant.map(|image| image.id).collect();
        if !meant.is_empty() {
            put_back(&meant)?;
            many += meant.len() as u64;
        }
    }
}

/// Rows of the recipes whose texts are stale.
fn stale_recipes(made: &[Made], today: &Recipe) -> BTreeSet<i64> {
    made.iter().filter(|one| !stale::changed(&one.recipe, today).is_empty()).map(|one| one.row).collect()
}

fn is_asked_since(image: &ImageRow, since: Option<Millis>) -> bool {
    since.is_some_and(|since| image.asked_as.as_ref().is_some_and(|asked| asked.sealed_at >= since))
}

fn means(which: Which, image: &ImageRow, stale: &BTreeSet<i64>) -> bool {
    let Some(asked) = image.asked_as.as_ref().filter(|_| image.measured) else { return false };
    match which {
        Which::Stale => image.state == ImageState::Done && stale.contains(&asked.recipe),
        Which::Failed => image.state == ImageState::Failed,
        Which::All => matches!(image.state, ImageState::Done | ImageState::Rough | ImageState::Failed),
    }
}
