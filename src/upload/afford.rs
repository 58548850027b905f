//! Money, before anything is uploaded: a shard that cannot be paid for stays on this computer.
//!
//! The law is the ledger's, in the transaction that writes the intent. What is asked here is whether the way there is worth going:
//! a shard that may go on has its worst case promised until then, so that two do not count on the same money.

use std::collections::BTreeMap;

use super::send::{SendError, Sender};
use crate::domain::ids::ShardId;
use crate::domain::money::{Funds, Money, Shortage};
use crate::domain::shard::ShardFacts;
use crate::kit::stop::StopLevel;
use crate::kit::watch;
use crate::ledger::records::Standing;

/// What is promised to the shards of this process that are on their way to their intents. Whoever waits for money is told when a
/// promise is over.
#[derive(Clone, Debug)]
pub struct Purse(watch::Sender<BTreeMap<ShardId, Money>>);

/// A promise; over with the value.
#[derive(Debug)]
pub(super) struct Promise {
    purse: Purse,
    shard: ShardId,
}

/// What a shard may do.
#[derive(Debug)]
pub(super) enum Means {
    /// Go on; the promise is to be held until its intent is written.
    Enough(Promise),
    /// Be planned anew: as large as it is it can never be paid for, and smaller ones may.
    Anew,
    /// Nothing: there is not enough, and no more comes.
    Short(Shortage),
}

impl Default for Purse {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

impl Purse {
    /// Promises `need` to `shard` if the limit allows it beside all other promises; otherwise tells what these are.
    fn promise(&self, shard: ShardId, need: Money, funds: &Funds) -> Result<Promise, Vec<Money>> {
        let mut others = Vec::new();
        let mut allowed = false;
        self.0.send_if_modified(|promised| {
            others.extend(promised.values());
            allowed = funds.allow(need, others.iter().copied().sum());
            if allowed {
                promised.insert(shard, need);
            }
            // Nobody waits for a promise that is made.
            false
        });
        if allowed { Ok(Promise { purse: self.clone(), shard }) } else { Err(others) }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.purse.0.send_if_modified(|promised| promised.remove(&self.shard).is_some());
    }
}

/// Whether money may have come free between two looks: a batch left the provider's queue, or its books were closed.
fn may_have_come(before: &Standing, now: &Standing) -> bool {
    (before.queue_left, before.batches_ended) != (now.queue_left, now.batches_ended)
}

impl Sender {
    /// Whether `shard`, of which nothing is paid yet, can be paid for; waits for what batches give back, where answers come.
    pub(super) async fn afford(&self, shard: &ShardFacts) -> Result<Means, SendError> {
        let (mut standing, mut purse) = (self.ledger.standing(), self.purse.0.subscribe());
        loop {
            // Both are seen before the question, so that nothing goes unnoticed that happens after it.
            let seen = *standing.borrow_and_update();
            drop(purse.borrow_and_update());
            let funds = self.ledger.funds().await?;
            let (limit, need) = match (funds.limit, shard.worst) {
                (None, _) => (Money::ZERO, Money::ZERO),
                (Some(limit), Some(need)) => (limit, need),
                (Some(_), None) => return self.unpriced(shard).await,
            };
            if funds.limit.is_some() && self.costs_more(shard, need).await? {
                return Ok(Means::Anew);
            }
            let promised = match self.purse.promise(shard.id, need, &funds) {
                Ok(promise) => return Ok(Means::Enough(promise)),
                Err(others) => others,
            };
            if !funds.could_allow(need) && shard.lines > 1 {
                return Ok(Means::Anew);
            }
            // A promise that was over since the sums were asked for may have become a batch, which gives money back.
            if purse.has_changed() {
                continue;
            }
            if promised.is_empty() && !(funds.living && self.options.answers_come) {
                let Funds { spent, reserved, .. } = funds;
                return Ok(Means::Short(Shortage { spent, reserved, limit, need }));
            }
            tracing::debug!(shard = shard.id.0, ?funds, %need, "waits for money");
            tokio::select! {
                biased;
                () = self.stop.reached(StopLevel::Drain) => return Err(SendError::Stopped),
                // An error means that the ledger is closed, which the next question to it will say.
                _ = standing.wait_for(|now| may_have_come(&seen, now)) => {}
                _ = purse.changed() => {}
            }
        }
    }

    /// Whether `shard` was sealed when its lines were charged less, so that it may cost more than `need` by now.
    async fn costs_more(&self, shard: &ShardFacts, need: Money) -> Result<bool, SendError> {
        let recipe = self.options.recipes.kept(shard.recipe).await?;
        let charge = (self.options.charges)(&recipe);
        Ok(charge.is_some_and(|charge| charge.worst(shard.est_tokens, shard.lines.into()) > need))
    }

    /// A shard from a time when nobody knew its price, and there was no limit: planned anew if the price is known by now.
    async fn unpriced(&self, shard: &ShardFacts) -> Result<Means, SendError> {
        let recipe = self.options.recipes.kept(shard.recipe).await?;
        match (self.options.charges)(&recipe) {
            Some(_) => Ok(Means::Anew),
            None => Err(SendError::NoPrice(recipe.model.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asked_for_the_sums_before_a_promise_was_over_notices() {
        let purse = Purse::default();
        let funds = Funds { limit: Some(Money::from_micros(10)), ..Funds::default() };
        let need = Money::from_micros(8);
        let promise = purse.promise(ShardId(1), need, &funds).expect("enough");
        let mut seen = purse.0.subscribe();
        drop(seen.borrow_and_update());
        assert_eq!(purse.promise(ShardId(2), need, &funds).expect_err("not for two"), [need]);
        assert!(!seen.has_changed(), "nothing came free");
        drop(promise);
        assert!(seen.has_changed() && purse.0.borrow().is_empty());
        assert!(purse.promise(ShardId(2), need, &funds).is_ok());
    }
}
