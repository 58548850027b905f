//! Trying out a key: one listing of batches, which costs nothing and leaves nothing behind.

use super::{refusal, remote};
use crate::kit::wait::wait_for;
use crate::provider::Provider as _;
use crate::provider::failure::{Failure, Kind};
use crate::settings::keys::Key;
use crate::settings::{Problem, Settings};

/// What the provider says of a key.
#[derive(Debug)]
pub enum Said {
    /// It lists batches with it.
    Taken,
    /// It does not take it, or not for batches.
    Refused(Problem),
    /// Nothing: it cannot be reached, or has no time.
    Nothing(String),
}

/// Asks the provider of these settings for its batches with `key`.
///
/// # Errors
/// Where a client cannot even be made.
pub fn check(settings: &Settings, key: &Key) -> Result<Said, Problem> {
    let provider = remote::provider(settings, Some(key)).map_err(|failure| refusal::told(&failure, &key.source))?;
    let asked = wait_for(provider.list_batches(None));
    let asked = asked.map_err(|cause| Problem::new("E405", format!("cannot wait: {cause}")))?;
    Ok(asked.map_or_else(|failure| said(&failure, &key.source), |_| Said::Taken))
}

fn said(failure: &Failure, source: &str) -> Said {
    match failure.kind {
        Kind::Unreached | Kind::Busy => Said::Nothing(crate::domain::image::shown(failure.message.as_bytes())),
        _ => Said::Refused(refusal::told(failure, source)),
    }
}
