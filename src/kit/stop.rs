//! Stop is no message: it is a value that everybody watches.

use super::watch;

/// How strongly the program is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    /// Work on.
    Run,
    /// Take nothing new, bring what is under way to a durable place.
    Drain,
    /// Drop everything; the ledger knows where to go on.
    Now,
}

/// The side that asks.
#[derive(Clone, Debug)]
pub struct StopSwitch(watch::Sender<StopLevel>);

/// The side that is asked.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<StopLevel>);

/// A switch and its watcher.
#[must_use]
pub fn stop_switch() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(StopLevel::Run);
    (StopSwitch(sender), Stop(receiver))
}

impl StopSwitch {
    /// Raises the level; it never falls again.
    pub fn raise(&self, level: StopLevel) {
        self.0.send_if_modified(|now| {
            let stronger = level > *now;
            if stronger {
                *now = level;
            }
            stronger
        });
    }

    /// A new watcher.
    #[must_use]
    pub fn watcher(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// The level now.
    #[must_use]
    pub fn level(&self) -> StopLevel {
        *self.0.borrow()
    }

    /// Whether nothing new is to be taken.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.level() > StopLevel::Run
    }

    /// Waits until the level is at least `level`; a vanished switch counts as the strongest level.
    pub async fn reached(&self, level: StopLevel) {
        let mut receiver = self.0.clone();
        drop(receiver.wait_for(|now| *now >= level).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_level_only_rises() {
        let (switch, stop) = stop_switch();
        assert!(!stop.is_stopping());
        switch.raise(StopLevel::Now);
        switch.raise(StopLevel::Drain);
        assert_eq!(stop.level(), StopLevel::Now);
        stop.reached(StopLevel::Drain).await;
    }
}
