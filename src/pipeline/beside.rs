//! What goes on beside the actors while a mission is worked off: copies of the ledger, looks into the books, signs of life.

use super::backup::Copying;
use super::books::Looking;
use super::heartbeat::Heartbeat;
use super::mission::Mission;
use super::world::World;
use crate::kit::stop::StopLevel;

/// Each on a thread of its own, when it is time; none stops a run.
pub(super) struct Beside {
    copying: Copying,
    looking: Looking,
    beating: Heartbeat,
}

impl Beside {
    pub(super) fn begun(mission: &Mission) -> Self {
        let (copying, looking) = (Copying::begun(mission), Looking::begun(mission));
        Self { copying, looking, beating: Heartbeat::begun(mission) }
    }

    /// Looks what it is time for.
    pub(super) fn look(&mut self, mission: &Mission, world: &World) {
        let (now, (_, opened, _)) = (mission.clock.now(), world.news.counts());
        self.beating.look(world.news.last_look());
        self.copying.look(now, opened);
        if let Some(books) = self.looking.look(now, world.ledger.commits()) {
            mission.tally.send_modify(|tally| tally.books = books);
        }
    }

    /// Waits for what is under way. Who was told to stop gives no last sign of life.
    pub(super) fn end(self, mission: &Mission, world: &World) {
        self.copying.end();
        self.looking.end();
        if mission.stop.watcher().level() == StopLevel::Run {
            self.beating.end(world.news.last_look());
        }
    }
}
