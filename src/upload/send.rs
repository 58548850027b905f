//! One shard on its way to one open batch, with one create: driven by its state in the ledger, so that the first try, the second one and the
//! next process's are the same road.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::afford::Purse;
use super::canary::Canary;
use super::outfit::Outfit;
use crate::domain::batch::{Intent, OpenBatch};
use crate::domain::ids::ShardId;
use crate::domain::layout::Layout;
use crate::domain::money::{Charges, Shortage};
use crate::domain::shard::{ShardFacts, ShardState};
use crate::kit::backoff::Backoff;
use crate::kit::bodies::ShardBodies;
use crate::kit::ceiling::Ceiling;
use crate::kit::clock::{Clock, Millis, millis};
use crate::kit::crash;
use crate::kit::news::{BatchChange, News, Notice};
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::ours::OurRecipes;
use crate::ledger::records::Hold;
use crate::provider::failure::{Failure, Kind};
use crate::provider::patience::{Patience, Unreachable};
use crate::provider::wire::{Batch, ExpiresAfter, NewBatch};
use crate::provider::{SharedProvider, notice};

/// No shard is held back for longer: the longest pause with its spread.
const LONGEST_HOLD: Duration = Duration::from_secs(72 * 60);
pub(super) const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Why a shard waits for the answers of another.
pub(super) const FIRST_ALONE: &str =
    "these settings are new: their first batch has to be answered before there are others";

/// A time from the ledger before which a shard is not opened again, as far as it may be believed: no pause is longer than
/// the longest, whatever was done to the clock since it was written.
pub(super) fn believed(not_before: Millis, now: Millis) -> Millis {
    not_before.min(now + millis(LONGEST_HOLD))
}

/// What batches are created with.
#[derive(Clone)]
pub struct SendOptions {
    /// First part of upload names.
    pub jsonl_file_base: String,
    /// Batch metadata, at most 512 characters.
    pub description: String,
    /// `completion_window`.
    pub window: String,
    /// How long result files are kept.
    pub results_expire_after: Option<Duration>,
    /// Unreachable for so long: the run ends.
    pub give_up_after: Duration,
    /// How long a listing may lag behind a create.
    pub settle: Duration,
    /// Create a batch only once its input file is ready.
    pub wait_for_file: bool,
    /// Where a deletion is no fence: how long a lost create is looked for before a second one.
    pub wait_out: Option<Duration>,
    /// How this run asks.
    pub recipes: OurRecipes,
    /// What a recipe's lines are charged, where that is known.
    pub charges: Charges,
    /// Whether this program waits for batches to end: then a full queue drains, and answers come.
    pub answers_come: bool,
}

/// Why a shard cannot go on now; what it had reached is in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The provider rejects us, or everything that we send.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// Unreachable for too long.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Whether a batch exists is unknown, and this key sees nothing that was there when it was asked for.
    #[error("nothing of what the batch of shard {shard} was asked for with is seen at {host} with this key")]
    NotSeen {
        /// The provider.
        host: String,
        /// The run's tag.
        run: String,
        /// The shard's tag.
        shard: String,
    },
    /// A file of the workspace cannot be written.
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    /// A body cannot be made for a reason of this program's own.
    #[error("{0}")]
    Body(String),
    /// What is left of the money limit does not pay for the next page.
    #[error("the money limit is reached")]
    NoMoney(Shortage),
    /// There is a money limit, and nobody knows what this model charges.
    #[error("no price is known for {0}")]
    NoPrice(String),
    /// The program drains; nothing is wrong.
    #[error("stopped")]
    Stopped,
}

/// How a shard's journey ended.
#[derive(Debug)]
pub enum Sent {
    /// Its batch is open; any further ones are strays of the same shard, to be waited for and read as well.
    Open(Vec<OpenBatch>),
    /// Nothing is left to send: dissolved, or somebody else's by now.
    Nothing,
    /// It has to wait for a batch to end, for this reason, and nobody here does.
    NotNow(&'static str),
    /// It cannot be paid for, and no money is on its way back.
    TooDear(Shortage),
}

/// Everything a shard's journey needs.
#[derive(Clone)]
pub struct Sender {
    /// Options.
    pub options: SendOptions,
    /// The service.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// Makes the bytes.
    pub bodies: Arc<dyn ShardBodies>,
    /// Names of files.
    pub layout: Layout,
    /// The clock.
    pub clock: Clock,
    /// Ends pauses when the program drains.
    pub stop: Stop,
    /// News for people.
    pub news: News,
    /// Bears a provider that is not reached, over all shards.
    pub patience: Patience,
    /// Whether people know that the queue is full.
    pub queue_told: Arc<AtomicBool>,
    /// Learns what the provider finds too large, in bytes of a shard.
    pub ceiling: Ceiling,
    /// Finds out whether the model takes the settings.
    pub canary: Arc<Canary>,
    /// What is promised to shards on their way.
    pub purse: Purse,
}

impl Sender {
    /// Drives `shard` until its batch is open. `resumed`: an earlier process may have uploaded it already.
    ///
    /// # Errors
    /// [`SendError`]; the shard stays where it is, and the next start takes it up.
    pub async fn drive(&self, mut shard: ShardFacts, resumed: bool) -> Result<Sent, SendError> {
        let mut look_first = resumed;
        let mut outfit = Outfit::default();
        if resumed && self.is_outdated(&shard).await? {
            self.withdraw(&shard).await?;
            return Ok(Sent::Nothing);
        }
        loop {
            let unpaid = matches!(shard.state, ShardState::Sealed | ShardState::Uploaded);
            if unpaid && !outfit.is_complete() && !self.stop.is_stopping() {
                if let Some(over) = self.fit_out(&shard, &mut outfit).await? {
                    return Ok(over);
                }
                // It may have waited for long.
                shard = self.ledger.shard(shard.id).await?;
            }
            if shard.state == ShardState::Uploaded && !self.is_due(&shard).await? {
                return Ok(Sent::Nothing);
            }
            match shard.state {
                // Nothing new is sent or paid once the program drains.
                ShardState::Sealed | ShardState::Uploaded if self.stop.is_stopping() => return Err(SendError::Stopped),
                ShardState::Sealed => {
                    self.upload(&shard, look_first).await?;
                    look_first = false;
                }
                ShardState::Uploaded => {
                    self.until_ready(&shard).await?;
                    match self.admit(&shard, &mut outfit.promise).await {
                        Ok(Some(sent)) => return Ok(sent),
                        Ok(None) => {}
                        Err(SendError::Ledger(LedgerError::Stale(_))) if self.is_spent(shard.id).await? => {}
                        Err(other) => return Err(other),
                    }
                }
                ShardState::Opening => {
                    let intent = self.ledger.intent(shard.id).await?;
                    let known = !crash::without("intent");
                    let open = if known {
                        self.tell_doubt(&shard, "an earlier run ended before it knew");
                        self.resolve(&shard, &intent, false).await?
                    } else {
                        self.create(&shard, intent).await?
                    };
                    if let Some(open) = open {
                        return Ok(Sent::Open(open));
                    }
                }
                ShardState::Spent | ShardState::Gone | ShardState::Dissolved => return Ok(Sent::Nothing),
            }
            shard = self.ledger.shard(shard.id).await?;
        }
    }

    /// Whether a batch of this shard was found in the provider's list meanwhile and is its batch now.
    pub(super) async fn is_spent(&self, shard: ShardId) -> Result<bool, SendError> {
        Ok(matches!(self.ledger.shard(shard).await?.state, ShardState::Spent | ShardState::Gone))
    }

    /// opening → open: pays once.
    pub(super) async fn create(&self, shard: &ShardFacts, intent: Intent) -> Result<Option<Vec<OpenBatch>>, SendError> {
        crash::point("intent.journalled");
        crash::point("create.before");
        let new = self.new_batch(shard, &intent);
        let mut answer = self.provider.create_batch(&new).await;
        if answer.is_err() && crash::without("once") {
            answer = self.provider.create_batch(&new).await;
        }
        match answer {
            Ok(batch) if batch.input_file.as_ref().is_none_or(|file| *file == intent.input) => {
                crash::point("create.answered");
                self.reached();
                Ok(Some(vec![self.opened(shard, &intent, &batch, false).await?]))
            }
            Ok(batch) => {
                tracing::warn!(batch = %batch.id, "the answer to a create names another input file");
                self.resolve(shard, &intent, true).await
            }
            Err(failure) if failure.surely_not_created() => {
                self.not_created(&intent, failure).await?;
                Ok(None)
            }
            Err(failure) => {
                self.tell_doubt(shard, &failure.to_string());
                self.resolve(shard, &intent, true).await
            }
        }
    }

    fn tell_doubt(&self, shard: &ShardFacts, why: &str) {
        let text = format!("unknown whether {} created the batch of shard {}: {why}", self.provider.host(), shard.id);
        self.news.warn("E313", text, "it is looked up in the batch list; never paid twice");
    }

    pub(super) async fn opened(
        &self,
        shard: &ShardFacts,
        intent: &Intent,
        batch: &Batch,
        adopted: bool,
    ) -> Result<OpenBatch, SendError> {
        let open = self.ledger.opened(intent.no, batch.id.clone(), batch.expires_at, adopted).await?;
        crash::point("create.journalled");
        notice::write(&self.layout, batch)?;
        crash::point("create.noticed");
        self.bodies.sent(shard.id).await;
        self.news.opened();
        self.news.tell(Notice::Batch(Box::new(BatchChange {
            id: batch.id.to_string(),
            from: Some("opening"),
            to: "open",
            lines: shard.lines,
            told: self.ledger.batch_told(intent.no).await?,
            answered: None,
            detail: if adopted { "found again".to_owned() } else { String::new() },
        })));
        Ok(open)
    }

    /// opening → uploaded: surely nothing was created.
    async fn not_created(&self, intent: &Intent, failure: Failure) -> Result<(), SendError> {
        if failure.kind == Kind::NoSuchFile && self.is_gone(intent).await? {
            // A deleted input file is a fence: nothing can come of this intent any more.
            self.ledger.fenced(intent.no).await?;
            return self.voided(intent).await;
        }
        let refusal = failure.as_refusal();
        let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(intent.attempt, random::unit()));
        let hold = match failure.kind {
            Kind::QueueFull => Hold::Queue { limit: refusal.queue_limit(), spread: random::unit() },
            _ => Hold::Until(self.clock.now() + millis(pause)),
        };
        let limit = refusal.queue_limit();
        self.ledger.not_created(intent.no, refusal, hold).await?;
        crash::point("refused.recorded");
        match failure.kind {
            Kind::Unreached => self.still_unreached(&failure),
            Kind::Busy | Kind::NoSuchFile => Ok(()),
            Kind::QueueFull => {
                tracing::info!(%failure, "the queue is full");
                self.tell_queue_full(limit);
                Ok(())
            }
            _ => Err(failure.into()),
        }
    }

    async fn is_gone(&self, intent: &Intent) -> Result<bool, SendError> {
        match self.provider.file(&intent.input).await {
            Ok(_) => Ok(false),
            Err(failure) if failure.kind == Kind::NotFound => Ok(true),
            Err(failure) if failure.stops_the_run() => Err(failure.into()),
            Err(_) => Ok(false),
        }
    }

    fn new_batch(&self, shard: &ShardFacts, intent: &Intent) -> NewBatch {
        let mut metadata = BTreeMap::from([
            ("run".to_owned(), intent.run.to_string()),
            ("shard".to_owned(), intent.shard_tag.to_string()),
            ("attempt".to_owned(), intent.attempt.to_string()),
            ("xxh3".to_owned(), crate::kit::hash::hex(&intent.body_hash)),
        ]);
        if !self.options.description.is_empty() {
            metadata.insert("description".to_owned(), self.options.description.clone());
        }
        let expires = self.options.results_expire_after;
        NewBatch {
            input_file_id: intent.input.clone(),
            endpoint: shard.endpoint.clone(),
            completion_window: self.options.window.clone(),
            metadata,
            output_expires_after: expires
                .map(|after| ExpiresAfter { anchor: "created_at".to_owned(), seconds: after.as_secs() }),
        }
    }

    pub(super) async fn pause_until(&self, deadline: Millis) -> Result<(), SendError> {
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => Err(SendError::Stopped),
            () = self.clock.sleep_until(deadline) => Ok(()),
        }
    }

    pub(super) fn reached(&self) {
        self.patience.answered();
    }

    pub(super) fn still_unreached(&self, failure: &Failure) -> Result<(), SendError> {
        Ok(self.patience.bear(failure)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_waits_no_longer_than_the_longest_pause() {
        let hour = 3_600_000;
        assert_eq!(believed(5, hour), 5);
        assert_eq!(believed(hour + 7, hour), hour + 7);
        assert_eq!(believed(25 * hour, hour), hour + hour * 6 / 5, "the clock was put back by a day");
    }
}
