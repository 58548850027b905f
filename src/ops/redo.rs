//! Reprocessing: images whose texts another recipe made are put back to be asked by today's. Their texts stay until the new ones
//! come, and the answers that made them stay in `batch_return` for good.

use std::collections::BTreeSet;

use super::known;
use crate::domain::ids::ImageId;
use crate::domain::layout::Layout;
use crate::domain::recipe::Recipe;
use crate::domain::stale;
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

/// Puts them back, page by page; tells how many. A text that a person has edited is his, and its image is left.
///
/// # Errors
/// The ledger's.
pub fn redo(
    reader: &Reader,
    layout: &Layout,
    which: Which,
    today: &Recipe,
    mut put_back: impl FnMut(&[ImageId]) -> Result<(), LedgerError>,
) -> Result<u64, LedgerError> {
    let stale = stale_recipes(&reader.made()?, today);
    let (mut after, mut many) = (None, 0);
    loop {
        let page = reader.images(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(many) };
        after = Some(last.id);
        let meant = page.iter().filter(|image| means(which, image, &stale) && !known::is_a_persons(image, layout));
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

fn means(which: Which, image: &ImageRow, stale: &BTreeSet<i64>) -> bool {
    let Some(asked) = image.asked_as.as_ref().filter(|_| image.measured) else { return false };
    match which {
        Which::Stale => image.state == ImageState::Done && stale.contains(&asked.recipe),
        Which::Failed => image.state == ImageState::Failed,
        Which::All => matches!(image.state, ImageState::Done | ImageState::Rough | ImageState::Failed),
    }
}
