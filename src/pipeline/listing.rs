//! The walk over the corpus, and what it is told beforehand.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::mission::{Fault, Mission, Mode};
use super::world::World;
use crate::corpus::{Known, Walked};
use crate::domain::ids::CorpusId;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::pool::PoolError;
use crate::ledger::keeper::Ledger;
use crate::scan::scanner::Rescan;

/// Who tells the walk which files it need not look into; nobody where none are known yet, or where nobody answers meanwhile.
fn known(world: &World) -> Option<Known> {
    if world.in_step { None } else { known_to(&world.ledger, world.corpus_id) }
}

fn known_to(ledger: &Ledger, corpus: CorpusId) -> Option<Known> {
    let any = ledger.standing().borrow().found > 0;
    let ledger = ledger.clone();
    any.then(|| -> Known { Box::new(move |files| ledger.are_known(corpus, files).unwrap_or_default()) })
}

/// The listing of the corpus, by a thread of its own; where nothing may happen beside anything else, all of it at once.
pub(super) async fn walk(world: &World) -> Result<mpsc::Receiver<Walked>, Fault> {
    let mut walk = world.corpus.walk(known(world), world.guard("walk")).map_err(Fault::Disk)?;
    if !world.in_step {
        return Ok(walk);
    }
    let whole = move || std::iter::from_fn(|| walk.blocking_recv()).collect::<Vec<_>>();
    let died = |cause: PoolError| Fault::Died { who: "walk", why: cause.to_string() };
    let whole = world.work.run(whole).await.map_err(died)?;
    let (sender, listed) = mpsc::channel(whole.len().max(1));
    for walked in whole {
        sender.send(walked).await.map_err(|_| died(PoolError::Panicked))?;
    }
    Ok(listed)
}

/// How it is listed again, where whatever comes later is wanted as well.
pub(super) fn rescan(mission: &Mission, world: &World) -> Option<Rescan> {
    let (notices, corpus) = (world.notices.clone(), Arc::clone(&world.corpus));
    let (ledger, id) = (world.ledger.clone(), world.corpus_id);
    (mission.mode == Mode::Serve).then(|| Rescan {
        every: mission.settings.run.rescan_interval,
        clock: mission.clock.clone(),
        walk: Box::new(move || corpus.walk(known_to(&ledger, id), ExitGuard::new("walk", notices.clone()))),
    })
}
