//! Whether answers that are not at the provider are gone. To a key of another project the answers of this one are not there
//! either, and giving them up ends images that are paid for.

use super::fetch::{FetchError, Fetcher};
use crate::domain::batch::{EndedBatch, KEPT_AT_MOST};
use crate::provider::failure::{Failure, Kind};

impl Fetcher {
    /// Whether a result file that is not there is gone: this key sees its batch or the input file of that, or nobody could see
    /// any of them by now.
    ///
    /// # Errors
    /// [`FetchError`] if the provider rejects us, or gives no answer for too long.
    pub(super) async fn is_gone(&self, batch: &EndedBatch) -> Result<bool, FetchError> {
        if self.clock.now() - batch.opened_at >= KEPT_AT_MOST {
            return Ok(true);
        }
        let knows_batch = async || match self.provider.batch(&batch.id).await {
            // Some proxies have ids of their own; one that names our input file is ours.
            Ok(told) => Ok(told.id == batch.id || told.input_file.as_ref() == Some(&batch.input)),
            Err(failure) => not_there(failure),
        };
        let knows_input = async || self.provider.file(&batch.input).await.map_or_else(not_there, |_| Ok(true));
        Ok(self.patiently(knows_batch).await? || self.patiently(knows_input).await?)
    }
}

/// An answer that shows nothing; an error if it is none.
fn not_there(failure: Failure) -> Result<bool, Failure> {
    let shows_nothing = matches!(failure.kind, Kind::NotFound | Kind::NoSuchFile | Kind::Refused | Kind::TooLarge);
    if shows_nothing || matches!(failure.status, Some(405 | 501)) { Ok(false) } else { Err(failure) }
}
