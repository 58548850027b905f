//! The runner: raises the actors, listens to their ends, publishes progress, and comes back with the closing balance.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::beside::Beside;
use super::faulted;
use super::mission::{Fault, Ground, Mission, Mode, Outcome, Tally};
use super::raise::raise;
use super::world::World;
use crate::encode::workshop::MEMORY_UNIT;
use crate::kit::clock::io_pause;
use crate::kit::exit_guard::{Exit, ExitNotice, NOTICES};
use crate::kit::stop::StopLevel;
use crate::ledger::place::Place;
use crate::ledger::records::{Rejudged, Standing};
use crate::poll::look::{Eyes, LookError};

/// How often progress is published.
const TALLY_EVERY: Duration = Duration::from_millis(250);
/// How long the others may take once a part of the program has died.
const GRACE: Duration = Duration::from_secs(10);

/// Actors: their ends are counted. Other names are threads, whose good ends are no news.
const ACTORS: [&str; 8] =
    ["scanner", "encoder", "uploader", "poller", "extractor", "cleaner", "terminus", "spool-only"];

/// Works off a mission and blocks until it is over. Owns the calling thread: one system, one arbiter, all six actors.
#[must_use]
pub fn run(mission: Mission) -> Outcome {
    run_at(mission, &Place::default())
}

/// The same, where others of this process write into the ledger, too: at `place` they find the keeper.
#[must_use]
pub fn run_at(mission: Mission, place: &Place) -> Outcome {
    place.coming();
    let system = actix::System::new();
    let (outcome, keeper) = system.block_on(work(&mission, Ground::Real(place.clone())));
    // Dropping the system drops what is left of the actors, and with them the last handles of the ledger.
    drop(system);
    // At the second signal nobody waits for it, and whoever looks for it then finds that it is on its way out. A part that failed
    // stops the others as fast; the process may live on then.
    let waits = mission.stop.watcher().level() < StopLevel::Now || outcome.fault.is_some();
    if keeper.filter(|_| waits).is_some_and(|keeper| keeper.join().is_err()) {
        tracing::error!("the keeper's thread ended badly");
    }
    if waits {
        place.gone();
    }
    outcome
}

/// The same within an actix system that runs already, on other ground. The thread of the ledger's keeper ends with the system.
pub async fn work(mission: &Mission, ground: Ground) -> (Outcome, Option<JoinHandle<()>>) {
    let (notices, mut heard) = mpsc::channel(NOTICES);
    let (world, keeper) = match World::build(mission, ground, notices).await {
        (Ok(world), keeper) => (world, keeper),
        (Err(fault), keeper) => return (unbegun(mission, fault), keeper),
    };
    let raised = match begin_walk(mission, &world).await {
        Ok(()) => match sweep(mission, &world).await {
            Ok(()) => raise(mission, &world).await,
            Err(fault) => Err(fault),
        },
        Err(fault) => Err(fault),
    };
    let fault = match raised {
        Ok(actors) => listen(mission, &world, actors, &mut heard).await,
        Err(fault) => Some(fault),
    };
    publish(mission, &world);
    let standing = *world.ledger.standing().borrow();
    let fault = world.faults.take().map(|(who, fault)| faulted::sort(who, fault, world.provider.host())).or(fault);
    let fault = faulted::rooted(fault, world.ledger.failure());
    let deep_wanted = deep_wanted(mission, &world, fault.is_none()).await;
    let outcome = Outcome {
        run: run_name(mission),
        standing,
        passed_over: world.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        stopped: world.stop.is_stopping() && fault.is_none(),
        fault,
        rejudged: *world.rejudged.lock().unwrap_or_else(PoisonError::into_inner),
        deep_wanted,
        waits: waits(&world),
    };
    (outcome, keeper)
}

/// After everything was judged again: what is rough by today's rules is owed, if that was asked for.
async fn deep_wanted(mission: &Mission, world: &World, went_well: bool) -> u64 {
    let wanted = matches!(mission.mode, Mode::Clean { deep: true, .. }) && went_well && !world.stop.is_stopping();
    if !wanted {
        return 0;
    }
    world.ledger.want_deep().await.unwrap_or_else(|error| {
        tracing::error!(%error, "rough texts could not be put back");
        0
    })
}

fn run_name(mission: &Mission) -> Option<String> {
    mission.tally.borrow().run.clone()
}

fn unbegun(mission: &Mission, fault: Fault) -> Outcome {
    Outcome {
        run: run_name(mission),
        standing: Standing::default(),
        passed_over: crate::corpus::PassedOver::default(),
        stopped: false,
        fault: Some(fault),
        rejudged: Rejudged::default(),
        deep_wanted: 0,
        waits: Vec::new(),
    }
}

/// Recorded before any actor looks at the standing: a walk that has not begun must not pass for one that is over.
async fn begin_walk(mission: &Mission, world: &World) -> Result<(), Fault> {
    match mission.mode {
        Mode::Download { .. } | Mode::DownloadOne { .. } | Mode::Collect | Mode::Clean { .. } => Ok(()),
        _ => world.ledger.walk_begins(world.corpus_id).await.map_err(Fault::Ledger),
    }
}

/// Before any actor: what is at the provider and not in the ledger must not be opened a second time.
async fn sweep(mission: &Mission, world: &World) -> Result<(), Fault> {
    if mission.mode.is_offline() {
        return Ok(());
    }
    let provider = Arc::clone(&world.provider);
    let layout = mission.layout.clone();
    let eyes = Eyes { provider, ledger: world.ledger.clone(), news: world.news.clone(), layout };
    tokio::select! {
        biased;
        () = world.stop.reached(StopLevel::Drain) => Ok(()),
        swept = eyes.sweep() => swept.map_err(|error| match error {
            LookError::Ledger(cause) => Fault::Ledger(cause),
            LookError::Provider(failure) => Fault::Provider(failure),
            LookError::Disk(cause) => Fault::Disk(cause),
        }),
    }
}

/// Waits until `actors` actors have ended; the first bad end is the cause, later ones are echoes.
async fn listen(
    mission: &Mission,
    world: &World,
    actors: usize,
    heard: &mut mpsc::Receiver<ExitNotice>,
) -> Option<Fault> {
    let mut left = actors;
    let mut fault = None;
    let mut grace = Duration::MAX;
    // A simulation has one thread, and no days of work to lose.
    let mut beside = (!world.in_step).then(|| Beside::begun(mission));
    while left > 0 {
        tokio::select! {
            biased;
            Some(notice) = heard.recv() => {
                left -= usize::from(ACTORS.contains(&notice.who));
                if notice.exit != Exit::Drained && fault.is_none() {
                    tracing::error!(who = notice.who, exit = ?notice.exit, "ended before its work was over");
                    fault = Some(died(&notice));
                    mission.stop.raise(StopLevel::Now);
                    world.close_budgets();
                    grace = GRACE;
                }
            }
            () = io_pause(TALLY_EVERY.min(grace)) => {
                publish(mission, world);
                if let Some(beside) = &mut beside {
                    beside.look(mission, world);
                }
                if grace != Duration::MAX {
                    grace = grace.saturating_sub(TALLY_EVERY);
                }
            }
            // The second signal: nothing is waited for, the ledger knows where to go on.
            () = world.stop.reached(StopLevel::Now), if fault.is_none() => {
                world.close_budgets();
                return None;
            }
        }
        if grace.is_zero() {
            return fault;
        }
    }
    if let Some(beside) = beside {
        beside.end(mission, world);
    }
    fault
}

fn died(notice: &ExitNotice) -> Fault {
    let why = match (&notice.why, notice.exit) {
        (Some(why), _) => why.clone(),
        (None, Exit::Died) => "panicked".to_owned(),
        (None, _) => "ended before its input was over".to_owned(),
    };
    Fault::Died { who: notice.who, why }
}

fn publish(mission: &Mission, world: &World) {
    let (sent_bytes, batches_opened, answers) = world.news.counts();
    let (notices, notices_dropped) = world.news.notices();
    let standing = *world.ledger.standing().borrow();
    let (run, books) = (mission.tally.borrow().run.clone(), mission.tally.borrow().books.clone());
    // What is listed again was listed once.
    let again = mission.mode == Mode::Serve && mission.tally.borrow().walked;
    mission.tally.send_replace(Tally {
        run,
        standing,
        passed_over: world.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        walked: !standing.walking || again,
        sent_bytes,
        batches_opened,
        answers,
        books,
        last_look: world.news.last_look(),
        waits: waits(world),
        traffic: world.traffic.sums(),
        outcomes: world.news.outcomes(),
        open_plans: world.news.open_plans(),
        leases: leases(world),
        notices,
        notices_dropped,
    });
}

/// Time waited per edge, largest first.
fn waits(world: &World) -> Vec<(&'static str, u64)> {
    let mut waits = vec![
        ("encode_wait", world.meters.encode.micros()),
        ("memory_wait", world.memory.waited_micros()),
        ("upload_wait", world.meters.upload.micros()),
        ("slot_wait", world.slots.waited_micros() + world.meters.poll.micros()),
        ("body_wait", world.body_places.waited_micros()),
        ("extract_wait", world.meters.extract.micros()),
        ("clean_wait", world.meters.clean.micros()),
        ("ledger_wait", world.ledger.waited_micros()),
    ];
    waits.sort_by_key(|(_, micros)| std::cmp::Reverse(*micros));
    waits
}

/// What is held of each budget.
fn leases(world: &World) -> Vec<(&'static str, u64)> {
    vec![
        ("open_batches", u64::from(world.slots.used())),
        ("bodies", u64::from(world.body_places.used())),
        ("memory_bytes", u64::from(world.memory.used()) * MEMORY_UNIT),
        ("prepared_bytes", world.prepared.bytes()),
    ]
}
