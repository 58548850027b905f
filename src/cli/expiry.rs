//! A provider keeps results for a while only: who comes late has paid for nothing. Told while there is time.

use std::time::Duration;

use crate::kit::clock::{Millis, millis};
use crate::ledger::LedgerError;
use crate::ledger::reader::Reader;
use crate::settings::{Problem, ProviderKind, Settings};

use super::context::Context;
use super::exit::Fail;
use super::{finish, pages, words};

/// Part of the time that may pass before it is told, in thirds.
const THIRDS: u32 = 2;

/// The warning where results wait at the provider that will not be kept much longer; `opened` is when each batch was opened whose
/// results are not saved yet. What the built-in provider made lies on this computer.
pub(super) fn warning(settings: &Settings, opened: &[Millis], now: Millis) -> Option<Problem> {
    let kept = settings.batch.results_expire_after.filter(|_| settings.provider.name != ProviderKind::Local)?;
    let found = late(opened, kept, now)?;
    let host = words::safe(settings.api_url.host());
    let batches = words::count(found.batches, "batch", "batches");
    let (age, kept) = (span(found.oldest), span(millis(kept)));
    let sentence = if found.is_over {
        format!(
            "results of {batches} may be gone at {host}: they are kept for {kept}, and the oldest batch is {age} old"
        )
    } else {
        format!("results of {batches} wait at {host} and are kept for {kept} alone; the oldest batch is {age} old")
    };
    let fetch = words::command(settings, "download");
    Some(Problem::new("E314", sentence).hint(format!("they were paid for: fetch them with  {fetch}")))
}

fn span(ms: Millis) -> String {
    const DAY: u64 = 86_400;
    match u64::try_from(ms / 1000).unwrap_or(0) {
        seconds if seconds < 2 * DAY => words::seconds(seconds),
        seconds => words::count(seconds / DAY, "day", "days"),
    }
}

/// Batches whose results have waited for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Late {
    batches: u64,
    /// Age of the oldest.
    oldest: Millis,
    /// Whether its results need not be there any more.
    is_over: bool,
}

fn late(opened: &[Millis], kept: Duration, now: Millis) -> Option<Late> {
    let from = millis(kept * THIRDS / 3);
    let ages = || opened.iter().map(|at| now.saturating_sub(*at)).filter(|age| *age >= from);
    let oldest = ages().max()?;
    Some(Late { batches: ages().count() as u64, oldest, is_over: oldest >= millis(kept) })
}

/// The same from the ledger.
///
/// # Errors
/// The ledger's.
pub(super) fn of(settings: &Settings, reader: &Reader, now: Millis) -> Result<Option<Problem>, LedgerError> {
    Ok(warning(settings, &reader.uncollected()?, now))
}

/// Tells it to people at the start of a verb that fetches results; the warning, for the events of the verb.
pub(super) fn tell(context: &Context, settings: &Settings) -> Result<Option<Problem>, Fail> {
    let told = |error| Fail::from(finish::ledger(&error));
    let Some(reader) = pages::ledger(&settings.layout()).map_err(told)? else { return Ok(None) };
    let late = of(settings, &reader, context.clock.now()).map_err(told)?;
    if let Some(problem) = &late {
        context.out.warn(&line(problem));
    }
    Ok(late)
}

/// In one line.
pub(super) fn line(problem: &Problem) -> String {
    format!("{} ({}); {}", problem.sentence, problem.code, problem.hints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Millis = 86_400_000;
    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    #[test]
    fn results_are_told_of_after_two_thirds_of_their_time() {
        let now = 100 * DAY;
        let late = |ages: &[Millis]| late(&ages.iter().map(|age| now - age).collect::<Vec<_>>(), MONTH, now);
        assert_eq!(late(&[]), None);
        assert_eq!(late(&[DAY, 20 * DAY - 1]), None);
        assert_eq!(late(&[DAY, 20 * DAY]), Some(Late { batches: 1, oldest: 20 * DAY, is_over: false }));
        assert_eq!(late(&[25 * DAY, 30 * DAY]), Some(Late { batches: 2, oldest: 30 * DAY, is_over: true }));
    }
}
