//! Asks the provider to stop batches. The ledger is only read: that a batch was cancelled is seen by whoever looks at it next,
//! and its answers are fetched like any other's. So this works beside a run, and needs no lock.

use std::time::Duration;

use super::desk::Desk;
use super::{refusal, remote};
use crate::domain::batch::BatchEnd;
use crate::domain::ids::{BatchId, BatchNo};
use crate::kit::backoff::Backoff;
use crate::kit::clock::Clock;
use crate::kit::random;
use crate::kit::wait::wait_for;
use crate::ledger::LedgerError;
use crate::ledger::moves::BatchState;
use crate::ledger::reader::{BatchRow, CANCEL_ASKED, Reader};
use crate::provider::failure::{Failure, Kind};
use crate::provider::{Cancelled, Provider};
use crate::settings::keys::Key;
use crate::settings::{Problem, Settings};

/// Rows of the ledger read at once.
const PAGE: u32 = 256;
/// How often one batch is asked for: cancelling may be repeated.
const MOST_TRIES: u32 = 4;
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(20) };

/// A batch that runs at the provider, as far as the ledger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its row.
    pub no: BatchNo,
    /// Its name.
    pub id: BatchId,
    /// Its lines.
    pub lines: u32,
    /// Whether it is a second batch of its shard.
    pub stray: bool,
    /// Its run, for people.
    pub run: String,
}

/// The batches that a cancel is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Those to be cancelled, oldest first.
    pub running: Vec<Running>,
    /// Batches without a name yet: being created, or in doubt.
    pub nameless: u64,
    /// How the one that was named has ended already.
    pub ended: Option<BatchEnd>,
}

/// Which batches are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of this ledger.
    All,
    /// One, by its name at the provider.
    One(String),
}

/// Why nothing can be cancelled.
#[derive(Debug)]
pub enum NoTargets {
    /// The ledger cannot be read.
    Ledger(LedgerError),
    /// No batch of this ledger has that name; these are open.
    Unknown(Vec<Running>),
}

/// What became of one batch.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The provider stops it.
    Asked,
    /// It has ended: nothing is left to stop.
    HasEnded,
    /// The provider does not know it with this key.
    Unknown,
    /// It could not be asked for, in these words.
    Failed(String),
}

impl Fate {
    /// The word of documents.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::HasEnded => "has_ended",
            Self::Unknown => "unknown",
            Self::Failed(_) => "failed",
        }
    }
}

/// The batches that `which` means.
///
/// # Errors
/// [`NoTargets`].
pub fn targets(reader: &Reader, which: &Which) -> Result<Targets, NoTargets> {
    let mut found = Targets::default();
    let mut after = None;
    loop {
        let rows = reader.batches(after, PAGE).map_err(NoTargets::Ledger)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.no);
        for row in rows {
            if let Which::One(name) = which
                && row.id.as_ref().is_some_and(|id| id.as_str() == name)
                && row.state != BatchState::Open
            {
                return Ok(Targets { ended: row.end, ..Targets::default() });
            }
            take(&mut found, row);
        }
    }
    match which {
        Which::All => Ok(found),
        Which::One(name) => match found.running.iter().position(|batch| batch.id.as_str() == name) {
            Some(at) => Ok(Targets { running: vec![found.running.swap_remove(at)], ..Targets::default() }),
            None => Err(NoTargets::Unknown(found.running)),
        },
    }
}

fn take(found: &mut Targets, row: BatchRow) {
    match (row.state, row.id) {
        (BatchState::Open, Some(id)) => {
            found.running.push(Running { no: row.no, id, lines: row.lines, stray: row.stray, run: row.run });
        }
        (BatchState::Opening, _) => found.nameless += 1,
        _ => {}
    }
}

/// Asks for each of `batches` in turn; `told` hears what became of it. Stops early where every further one would fail alike.
///
/// # Errors
/// The refusal of the key or the account, or that the provider cannot be reached.
pub fn cancel(
    settings: &Settings,
    key: Option<&Key>,
    clock: &Clock,
    batches: &[Running],
    mut told: impl FnMut(&Running, &Fate),
) -> Result<(), Problem> {
    let source = key.map(|key| key.source.as_str()).unwrap_or_default();
    let told_of = |failure: Failure| refusal::told(&failure, source);
    let provider = remote::provider(settings, key).map_err(told_of)?;
    let asking = async {
        for batch in batches {
            let fate = cancel_one(&provider, clock, &batch.id).await?;
            told(batch, &fate);
        }
        Ok(())
    };
    wait_for(asking).map_err(|cause| Problem::new("E405", format!("cannot wait: {cause}")))?.map_err(told_of)
}

/// Notes which batches were asked to stop, so that `status` does not show them as if nothing had happened.
///
/// # Errors
/// The ledger's.
pub fn note(desk: &mut Desk, batches: &[BatchNo]) -> Result<(), LedgerError> {
    desk.act(|store| batches.iter().try_for_each(|batch| store.note_event(CANCEL_ASKED, Some(*batch), "")))
}

async fn cancel_one(provider: &dyn Provider, clock: &Clock, id: &BatchId) -> Result<Fate, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let failure = match provider.cancel_batch(id).await {
            Ok(Cancelled::Asked) => return Ok(Fate::Asked),
            Ok(Cancelled::HasEnded) => return Ok(Fate::HasEnded),
            Err(failure) => failure,
        };
        match failure.kind {
            Kind::NotFound => return Ok(Fate::Unknown),
            _ if failure.stops_the_run() => return Err(failure),
            _ if failure.is_passing() && tries < MOST_TRIES => {
                let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(tries, random::unit()));
                clock.sleep(pause.min(PAUSES.longest)).await;
            }
            Kind::Unreached => return Err(failure),
            _ => return Ok(Fate::Failed(failure.to_string())),
        }
    }
}
