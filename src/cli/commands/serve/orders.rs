//! What the outside wants of a server: to end, to read its settings again, to try again at a certain time. The thread that attends
//! the server hears it, the one that works obeys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::attend::Ended;
use crate::kit::clock::Millis;
use crate::kit::stop::{StopLevel, StopSwitch, stop_switch};

/// Shared by the two threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders(Arc<Mutex<Given>>);

#[derive(Debug, Default)]
struct Given {
    /// Ends the mission under way.
    stop: Option<StopSwitch>,
    /// SIGINT and SIGTERM.
    signals: u8,
    reload: bool,
    /// When a mission that only collects gives way to the next try (unix milliseconds).
    until: Option<Millis>,
}

impl Orders {
    /// A mission begins: the switch that ends it, thrown already if an order came before it. `until`: when it gives way.
    pub(super) fn mission(&self, until: Option<Millis>) -> StopSwitch {
        let mut given = self.given();
        let (stop, _) = stop_switch();
        match given.signals {
            0 if given.reload => stop.raise(StopLevel::Drain),
            0 => {}
            1 => stop.raise(StopLevel::Drain),
            _ => stop.raise(StopLevel::Now),
        }
        given.until = until;
        given.stop = Some(stop.clone());
        stop
    }

    /// SIGINT or SIGTERM; tells which one it was.
    pub(super) fn stop(&self) -> u8 {
        let mut given = self.given();
        given.signals = given.signals.saturating_add(1);
        let level = if given.signals == 1 { StopLevel::Drain } else { StopLevel::Now };
        given.raise(level);
        given.signals
    }

    /// A drain has taken too long: what is under way is dropped, and the ledger knows where to go on.
    pub(super) fn cut(&self) {
        self.given().raise(StopLevel::Now);
    }

    /// SIGHUP.
    pub(super) fn reload(&self) {
        let mut given = self.given();
        given.reload = true;
        given.raise(StopLevel::Drain);
    }

    /// Time passes.
    pub(super) fn tick(&self, now: Millis) {
        let mut given = self.given();
        if given.until.is_some_and(|until| now >= until) {
            given.until = None;
            given.raise(StopLevel::Drain);
        }
    }

    /// Whether the settings are to be read again; asked once for each order.
    pub(super) fn take_reload(&self) -> bool {
        std::mem::take(&mut self.given().reload)
    }

    /// Whether any order waits to be obeyed.
    pub(super) fn is_called(&self) -> bool {
        let given = self.given();
        given.reload || given.signals > 0
    }

    /// Whether the server is to end.
    pub(super) fn is_over(&self) -> bool {
        self.given().signals > 0
    }

    /// What the outside did.
    pub(super) fn ended(&self) -> Ended {
        Ended { signals: self.given().signals, timed_out: false }
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    fn raise(&self, level: StopLevel) {
        if let Some(stop) = &self.stop {
            stop.raise(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_the_mission_under_way_and_those_to_come() {
        let orders = Orders::default();
        let first = orders.mission(None).watcher();
        assert!(!first.is_stopping() && !orders.is_called());
        orders.reload();
        assert_eq!(first.level(), StopLevel::Drain);
        assert!(orders.mission(None).watcher().is_stopping(), "the settings are read first");
        assert!(orders.take_reload() && !orders.take_reload());
        let second = orders.mission(None).watcher();
        assert!(!second.is_stopping());
        assert_eq!([orders.stop(), orders.stop()], [1, 2]);
        assert_eq!(second.level(), StopLevel::Now);
        assert_eq!(orders.ended(), Ended { signals: 2, timed_out: false });
    }

    #[test]
    fn a_mission_gives_way_when_it_is_time() {
        let orders = Orders::default();
        let stop = orders.mission(Some(100)).watcher();
        orders.tick(99);
        assert!(!stop.is_stopping());
        orders.tick(100);
        assert!(stop.is_stopping());
        let next = orders.mission(None).watcher();
        orders.tick(101);
        assert!(!next.is_stopping(), "one bell, one mission");
    }
}
