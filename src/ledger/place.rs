//! Where the keeper can be found, for whoever writes for a person while a pipeline may be at work in the same process.
//!
//! A ledger has one writer. While there is a keeper, that is the keeper; between two pipelines, the process that holds the
//! workspace's lock may open the ledger itself, and the next pipeline waits until it has closed it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handle::{Ledger, WeakLedger};

/// A place that both sides know. Holding it keeps no keeper alive.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    keeper: Mutex<Keeper>,
    moved: Condvar,
}

#[derive(Debug, Default)]
enum Keeper {
    /// No pipeline is at work.
    #[default]
    None,
    /// A pipeline begins, and has not opened the ledger yet.
    Coming,
    /// It can be asked.
    Here(WeakLedger),
}

impl Place {
    /// A pipeline begins. Waits until nobody else writes.
    pub fn coming(&self) {
        self.turn(Keeper::Coming);
    }

    /// Its keeper can be asked from now on.
    pub fn here(&self, ledger: &Ledger) {
        self.turn(Keeper::Here(ledger.downgrade()));
    }

    /// The pipeline is over, and its keeper has closed the ledger.
    pub fn gone(&self) {
        self.turn(Keeper::None);
    }

    /// Writes by `asking` the keeper, or `directly` where there is none; the ledger is the caller's until `directly` returns. `None`
    /// if a keeper was on its way in or out for all of `patience`. For a thread that may wait.
    pub fn write<T>(
        &self,
        patience: Duration,
        directly: impl FnOnce() -> T,
        asking: impl FnOnce(&Ledger) -> T,
    ) -> Option<T> {
        let is_between = |keeper: &mut Keeper| match keeper {
            Keeper::None => false,
            Keeper::Coming => true,
            Keeper::Here(ledger) => ledger.upgrade().is_none(),
        };
        let waited = self.0.moved.wait_timeout_while(self.keeper(), patience, is_between);
        let (keeper, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ledger = match &*keeper {
            Keeper::None => return Some(directly()),
            Keeper::Coming => return None,
            Keeper::Here(ledger) => ledger.upgrade()?,
        };
        // Whoever waits for the keeper's commit holds up nobody who looks for it.
        drop(keeper);
        Some(asking(&ledger))
    }

    fn turn(&self, keeper: Keeper) {
        *self.keeper() = keeper;
        self.0.moved.notify_all();
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::exit_guard::ExitGuard;
    use crate::ledger::keeper;
    use crate::ledger::sqlite::tests::Desk;

    const AT_ONCE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    fn who(place: &Place, patience: Duration) -> Option<&'static str> {
        place.write(patience, || "directly", |_| "the keeper")
    }

    #[test]
    fn there_is_one_writer_at_any_time() {
        let folder = tempfile::tempdir().expect("temp dir");
        let store = Desk::at(&folder.path().join("ledger.sqlite")).store;
        let place = Place::default();
        assert_eq!(who(&place, AT_ONCE), Some("directly"));
        place.coming();
        assert_eq!(who(&place, AT_ONCE), None, "neither of them may");
        let (ledger, thread) = keeper::start(Box::new(store), ExitGuard::unheard("keeper")).expect("a keeper");
        place.here(&ledger);
        assert_eq!(who(&place, AT_ONCE), Some("the keeper"));
        // The place does not keep it alive.
        drop(ledger);
        thread.join().expect("it ends");
        assert_eq!(who(&place, AT_ONCE), None, "the ledger may be open still");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| who(&place, LONG));
            place.gone();
            assert_eq!(waits.join().expect("it comes back"), Some("directly"));
        });
    }
}
