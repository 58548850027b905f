//! What a shard needs before it is sent, and in which order it is asked for.

use super::afford::{Means, Promise};
use super::canary::Leave;
use super::send::{FIRST_ALONE, SendError, Sender, Sent};
use crate::domain::shard::{ShardFacts, ShardState};

/// What a shard on its way to its batch has in hand.
#[derive(Debug, Default)]
pub(super) struct Outfit {
    /// Until the intent is written, which reserves the same.
    pub(super) promise: Option<Promise>,
    /// To the end of the journey: whoever goes ahead has an open batch by then, or has given up.
    leave: Option<Leave>,
}

impl Outfit {
    /// Whether nothing more is needed to send it.
    pub(super) fn is_complete(&self) -> bool {
        self.promise.is_some() && self.leave.is_some()
    }
}

impl Sender {
    /// What `shard` needs before it is sent: that the model takes its settings, and that it can be paid for. Tells where its
    /// journey ends already.
    pub(super) async fn fit_out(&self, shard: &ShardFacts, outfit: &mut Outfit) -> Result<Option<Sent>, SendError> {
        if outfit.leave.is_none() {
            // Nobody is asked about a shard that cannot be paid for. But nothing stays promised to it at the gate: who went ahead
            // may come to need the money again, and everybody here waits for them.
            outfit.promise = None;
            if let Some(over) = self.means(shard, &mut None).await? {
                return Ok(Some(over));
            }
            match self.leave(shard).await? {
                Leave::NotNow if shard.state == ShardState::Uploaded => return Ok(Some(Sent::NotNow(FIRST_ALONE))),
                // Its bytes may go ahead; only paying waits.
                Leave::NotNow => {}
                Leave::TooDear(shortage) => return Ok(Some(Sent::TooDear(shortage))),
                Leave::GiveUp => {
                    self.plan_anew(shard).await?;
                    return Ok(Some(Sent::Nothing));
                }
                go @ Leave::Go(_) => outfit.leave = Some(go),
            }
        }
        if outfit.promise.is_none() { self.means(shard, &mut outfit.promise).await } else { Ok(None) }
    }

    /// Has the money for `shard` promised, or tells where its journey ends without.
    async fn means(&self, shard: &ShardFacts, promise: &mut Option<Promise>) -> Result<Option<Sent>, SendError> {
        match self.afford(shard).await? {
            Means::Enough(given) => {
                *promise = Some(given);
                Ok(None)
            }
            Means::Short(shortage) => Ok(Some(Sent::TooDear(shortage))),
            Means::Anew => {
                self.plan_anew(shard).await?;
                Ok(Some(Sent::Nothing))
            }
        }
    }
}
