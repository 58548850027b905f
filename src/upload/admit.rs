//! Waiting for room in the provider's queue of tokens. Whether there is any is decided in the ledger, in the transaction that
//! writes the intent.

use std::sync::atomic::Ordering;

use super::afford::Promise;
use super::send::{SendError, Sender, Sent, believed};
use crate::domain::batch::Admission;
use crate::domain::shard::{ShardFacts, ShardState};
use crate::kit::crash;
use crate::kit::stop::StopLevel;
use crate::kit::watch;
use crate::ledger::LedgerError;
use crate::ledger::records::Standing;
use crate::provider::policy::{Blame, blame};

impl Sender {
    /// Waits until an uploaded shard may be opened. One that was refused with settings that are others by now would be
    /// refused again, and stop the run of somebody who has just mended them: its images are planned anew instead.
    pub(super) async fn is_due(&self, shard: &ShardFacts) -> Result<bool, SendError> {
        let of_today = self.options.recipes.contains(shard.recipe).await?;
        let refusal = if of_today { None } else { self.ledger.last_refusal(shard.id).await? };
        if let Some(refusal) = refusal.filter(|refusal| blame(refusal) != Blame::Moment) {
            tracing::info!(shard = shard.id.0, code = refusal.code, "refused with other settings; planned anew");
            self.plan_anew(shard).await?;
            return Ok(false);
        }
        self.pause_until(believed(shard.not_before, self.clock.now())).await?;
        Ok(true)
    }

    /// Whether `shard` is a plan of an earlier life of which no whole body was ever recorded or written out, and asks with settings that
    /// are others by now: who has mended them, or has lowered what a page may cost, means these pages as well.
    pub(super) async fn is_outdated(&self, shard: &ShardFacts) -> Result<bool, SendError> {
        let unsent = shard.state == ShardState::Sealed && shard.body_hash.is_none() && shard.next_attempt == 1;
        Ok(unsent && !self.stop.is_stopping() && !self.options.recipes.contains(shard.recipe).await?)
    }

    /// uploaded → opening → open, if the queue has room and the limit allows it: pays once.
    ///
    /// `promise` is over with the intent, or where the sums have changed since it was given.
    pub(super) async fn admit(
        &self,
        shard: &ShardFacts,
        promise: &mut Option<Promise>,
    ) -> Result<Option<Sent>, SendError> {
        // Taken before the question, so that no batch that ends after it goes unnoticed.
        let mut standing = self.ledger.standing();
        let left = standing.borrow_and_update().queue_left;
        match self.ledger.intend(shard.id).await? {
            Admission::Granted(intent) => {
                drop(promise.take());
                Ok(self.create(shard, intent).await?.map(Sent::Open))
            }
            Admission::NoMoney(_) | Admission::NoPrice => {
                drop(promise.take());
                Ok(None)
            }
            Admission::TooLarge { limit } => {
                self.too_large(shard, limit).await?;
                Ok(None)
            }
            Admission::Full { until: None, .. } if !self.options.answers_come => {
                Ok(Some(Sent::NotNow("the provider's queue of tokens is full")))
            }
            Admission::Full { used, limit, until } => {
                tracing::info!(shard = shard.id.0, used, limit, until, "the provider's queue is full");
                self.tell_queue_full(limit);
                match until {
                    Some(until) => self.pause_until(until).await?,
                    None => self.a_batch_leaves(&mut standing, left).await?,
                }
                Ok(None)
            }
        }
    }

    pub(super) fn tell_queue_full(&self, limit: Option<u64>) {
        if !self.queue_told.swap(true, Ordering::Relaxed) {
            let limit = limit.map(|limit| format!(" ({limit} tokens)")).unwrap_or_default();
            let told = format!("the queue at {} is full{limit}", self.provider.host());
            self.news.warn("E309", told, "nothing to do: the next batch goes when one ends");
        }
    }

    /// Waits until a batch has left the queue since `left` of them had.
    async fn a_batch_leaves(&self, standing: &mut watch::Receiver<Standing>, left: u64) -> Result<(), SendError> {
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => Err(SendError::Stopped),
            // An error means that the ledger is closed, which the next question to it will say.
            _ = standing.wait_for(|now| now.queue_left > left) => Ok(()),
        }
    }

    /// A plan made before the limit was known: its images are planned anew, in smaller shards.
    async fn too_large(&self, shard: &ShardFacts, limit: u64) -> Result<(), SendError> {
        tracing::info!(shard = shard.id.0, tokens = shard.est_tokens, limit, "above the queue's limit; planned anew");
        self.plan_anew(shard).await
    }

    /// Nothing was paid for `shard`; its input file is deleted first, so that nothing ever can be.
    pub(super) async fn plan_anew(&self, shard: &ShardFacts) -> Result<(), SendError> {
        if let Some((input, _)) = &shard.input
            && let Err(failure) = self.provider.delete_file(input).await
        {
            tracing::debug!(file = %input, %failure, "an input file stays at the provider");
        }
        crash::point("too_large.deleted");
        match self.ledger.dissolve(shard.id, None).await {
            // A late batch of it was found meanwhile, and is waited for instead.
            Err(LedgerError::Stale(_)) if self.is_spent(shard.id).await? => return Ok(()),
            dissolved => dissolved?,
        }
        crash::point("too_large.recorded");
        self.bodies.discard(shard.id).await;
        Ok(())
    }
}
