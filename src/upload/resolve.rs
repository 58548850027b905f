//! What follows once it is known what became of a create in doubt.

use std::sync::Arc;

use super::adopt::{Doubt, DoubtError, Resolved};
use super::send::{PAUSES, SendError, Sender};
use crate::domain::batch::{Intent, OpenBatch, Refusal};
use crate::domain::ids::BatchId;
use crate::domain::shard::ShardFacts;
use crate::kit::clock::millis;
use crate::kit::stop::StopLevel;
use crate::kit::{crash, random};
use crate::ledger::LedgerError;
use crate::ledger::records::Hold;

impl Sender {
    /// opening → open, sealed or uploaded, once it is known what became of the create.
    pub(super) async fn resolve(
        &self,
        shard: &ShardFacts,
        intent: &Intent,
        own: bool,
    ) -> Result<Option<Vec<OpenBatch>>, SendError> {
        let doubt = Doubt {
            provider: Arc::clone(&self.provider),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            settle: self.options.settle,
            wait_out: self.options.wait_out,
            give_up_after: self.options.give_up_after,
            own,
            witness: format!(
                "{}-{}-{}-{}-witness.jsonl",
                self.options.jsonl_file_base, intent.run, intent.shard_tag, intent.attempt
            ),
            news: self.news.clone(),
        };
        // Doubt may take long; the ledger keeps it for the next start.
        let resolved = tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => return Err(SendError::Stopped),
            resolved = doubt.resolve(intent) => resolved.map_err(|error| self.undecided(intent, error))?,
        };
        let open = self.resolved(shard, intent, resolved).await?;
        doubt.forget_witness(intent).await.map_err(|error| self.undecided(intent, error))?;
        Ok(open)
    }

    /// Why it is unknown still; the ledger keeps the doubt.
    fn undecided(&self, intent: &Intent, error: DoubtError) -> SendError {
        match error {
            DoubtError::Ledger(cause) => SendError::Ledger(cause),
            DoubtError::Provider(cause) => SendError::Provider(cause),
            DoubtError::Unreachable(cause) => SendError::Unreachable(cause),
            DoubtError::NotSeen => SendError::NotSeen {
                host: self.provider.host().to_owned(),
                run: intent.run.to_string(),
                shard: intent.shard_tag.to_string(),
            },
        }
    }

    async fn resolved(
        &self,
        shard: &ShardFacts,
        intent: &Intent,
        resolved: Resolved,
    ) -> Result<Option<Vec<OpenBatch>>, SendError> {
        match resolved {
            Resolved::Adopted(batch, strays) => {
                crash::point("doubt.found");
                // Strays first: while the shard is opening, a crash leads back here; afterwards nobody would look for them.
                let mut open = Vec::new();
                for stray in strays {
                    open.extend(self.stray(intent, stray).await?);
                }
                open.insert(0, self.opened(shard, intent, &batch, true).await?);
                Ok(Some(open))
            }
            Resolved::Void => {
                self.voided(intent).await?;
                Ok(None)
            }
            Resolved::Failed(batch) => {
                let refusal = batch.refusals.first().cloned().unwrap_or(Refusal {
                    code: String::new(),
                    message: "the batch failed".to_owned(),
                    line: None,
                });
                let hold = if refusal.is_queue_full() {
                    Hold::Queue { limit: refusal.queue_limit(), spread: random::unit() }
                } else {
                    Hold::Until(self.clock.now() + millis(PAUSES.pause(intent.attempt, random::unit())))
                };
                match self.ledger.not_created(intent.no, refusal, hold).await {
                    // A stray answers for its shard, so it is not asked again: it ends as what it is, and waits for the stray.
                    Err(LedgerError::Stale(_)) => Ok(Some(vec![self.opened(shard, intent, &batch, true).await?])),
                    told => told.map(|()| None).map_err(SendError::from),
                }
            }
        }
    }

    pub(super) async fn voided(&self, intent: &Intent) -> Result<(), SendError> {
        self.ledger.voided(intent.no).await?;
        crash::point("doubt.voided");
        Ok(())
    }

    /// A second batch of one shard: cancelled, and read like any other. One that an earlier life recorded is waited for
    /// already.
    async fn stray(&self, intent: &Intent, id: BatchId) -> Result<Option<OpenBatch>, SendError> {
        let open = match self.ledger.stray(intent.shard, intent.input.clone(), id.clone()).await {
            Ok(open) => Some(open),
            Err(LedgerError::Stale(why)) => {
                tracing::debug!(batch = %id, why, "a stray that is known");
                None
            }
            Err(other) => return Err(other.into()),
        };
        crash::point("stray.recorded");
        if let Err(failure) = self.provider.cancel_batch(&id).await {
            tracing::warn!(batch = %id, %failure, "a stray batch could not be cancelled; it is read when it ends");
        }
        crash::point("stray.cancelled");
        Ok(open)
    }
}
