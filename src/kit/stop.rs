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

/// The side that is asked, by one switch or by several.
#[derive(Clone, Debug)]
pub struct Stop(Vec<watch::Receiver<StopLevel>>);

/// A switch and its watcher.
#[must_use]
pub fn stop_switch() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(StopLevel::Run);
    (StopSwitch(sender), Stop(vec![receiver]))
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
        Stop(vec![self.0.subscribe()])
    }
}

impl Stop {
    /// The level now.
    #[must_use]
    pub fn level(&self) -> StopLevel {
        self.0.iter().map(|switch| *switch.borrow()).max().unwrap_or(StopLevel::Run)
    }

    /// Whoever watches this is asked by the switches of both.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether nothing new is to be taken.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.level() > StopLevel::Run
    }

    /// Waits until the level is at least `level`; a vanished switch counts as the strongest level.
    pub async fn reached(&self, level: StopLevel) {
        let mut switches = self.0.clone();
        let each = switches.iter_mut().map(|switch| Box::pin(switch.wait_for(|now| *now >= level)));
        // Fails only where a switch has vanished.
        let _whichever = futures_util::future::select_all(each).await;
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

    #[tokio::test]
    async fn either_switch_stops() {
        let ((first, stop), (second, other)) = (stop_switch(), stop_switch());
        let both = stop.clone().or(other);
        second.raise(StopLevel::Drain);
        both.reached(StopLevel::Drain).await;
        assert!(both.is_stopping() && !stop.is_stopping());
        first.raise(StopLevel::Now);
        assert_eq!(both.level(), StopLevel::Now);
    }
}
