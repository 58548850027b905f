//! The Uploader: the actor that gives sealed shards a place, a slot and a journey. What a journey does is `send`'s affair.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::send::{SendError, Sender, Sent};
use crate::domain::ids::ShardId;
use crate::domain::money::Shortage;
use crate::domain::shard::{ShardFacts, ShardState};
use crate::kit::budget::{Budget, Closed, Lease};
use crate::kit::edge::{EdgeMeter, give, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::News;
use crate::kit::stop::{Stop, StopLevel, StopSwitch};
use crate::kit::watch;
use crate::ledger::records::Standing;
use crate::message::{BatchOpened, NoMoreBatches, NoMoreShards, ShardSealed};

/// Shards in hand: four whose bytes flow, four being opened or in doubt.
pub const PLACES: usize = 8;
/// Shards read from the backlog at a time.
const BACKLOG: u32 = 64;

/// The actor: two handlers in, one loop for the journeys, one that gives.
pub struct Uploader {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Shard(ShardFacts),
    NoMore,
}

/// A shard without a place.
struct Waiting {
    shard: ShardFacts,
    /// Read from the ledger: an earlier process may have sent it.
    resumed: bool,
}

type Journey = LocalBoxFuture<'static, (ShardId, Result<Vec<BatchOpened>, SendError>)>;

/// Why nothing new is begun: what has a slot arrives.
#[derive(Default)]
struct Full {
    is_full: Cell<bool>,
    /// For want of money, which ends the run as soon as nothing is on its way.
    too_dear: Cell<Option<Shortage>>,
}

struct Work {
    seams: UploaderSeams,
    intake: mpsc::Receiver<Input>,
    batches: Recipient<BatchOpened>,
    over: Recipient<NoMoreBatches>,
    meter: EdgeMeter,
    faults: Faults,
    backlog: VecDeque<Waiting>,
    in_hand: HashSet<ShardId>,
    /// Sealed in this life.
    own: HashSet<ShardId>,
    journeys: FuturesUnordered<Journey>,
    /// No slot was free where nobody gives one back, or no money is left.
    full: Rc<Full>,
    upstream_over: bool,
}

/// Seams of an Uploader beside its neighbours.
#[derive(Clone)]
pub struct UploaderSeams {
    /// What journeys are made with.
    pub sender: Sender,
    /// Open batches.
    pub slots: Budget,
    /// Ends the waiting.
    pub stop: Stop,
    /// Whether plans of earlier lives stay where they are; what may be paid for already is resolved all the same.
    pub only_new: bool,
    /// Raised when no slot is free and every shard that had one is open, where nobody gives one back.
    pub drain_when_full: Option<StopSwitch>,
}

impl Uploader {
    /// An Uploader that hands open batches to `next`.
    #[must_use]
    pub fn new(
        seams: UploaderSeams,
        next: (Recipient<BatchOpened>, Recipient<NoMoreBatches>),
        meter: EdgeMeter,
        faults: Faults,
        guard: ExitGuard,
    ) -> Self {
        let (intake, inputs) = mpsc::channel(1);
        let (batches, over) = next;
        let work = Work {
            seams,
            intake: inputs,
            batches,
            over,
            meter,
            faults: faults.clone(),
            backlog: VecDeque::new(),
            in_hand: HashSet::new(),
            own: HashSet::new(),
            journeys: FuturesUnordered::new(),
            full: Rc::default(),
            upstream_over: false,
        };
        Self { intake, work: Some(work), faults, guard }
    }
}

impl Actor for Uploader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("uploader", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<ShardSealed> for Uploader {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: ShardSealed, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::Shard(message.0))
    }
}

impl Handler<NoMoreShards> for Uploader {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreShards, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        // Each batch in this lane owns a slot, so the lane is never the bound.
        let (opened, lane) = mpsc::channel(PLACES);
        let giving = give(lane, self.batches.clone(), self.meter.clone());
        let working = self.journeys_until_over(opened);
        let (given, worked) = tokio::join!(giving, working);
        worked.and(given.map_err(AnyFault::from))?;
        // Only now, when the give loop has delivered its last batch, can the last word not overtake it.
        hand_over(&self.over, NoMoreBatches, &self.meter).await?;
        Ok(())
    }

    async fn journeys_until_over(&mut self, opened: mpsc::Sender<BatchOpened>) -> Result<(), AnyFault> {
        let mut standing = self.seams.sender.ledger.standing();
        let mut returned = standing.borrow_and_update().shards_returned;
        self.read_backlog().await?;
        while !self.is_over() {
            self.start_journeys();
            let room = self.journeys.len() < PLACES && self.backlog.is_empty() && !self.upstream_over;
            let (stop, draining) = (self.seams.stop.clone(), self.seams.stop.is_stopping());
            tokio::select! {
                biased;
                () = stop.reached(StopLevel::Now) => return Ok(()),
                () = stop.reached(StopLevel::Drain), if !draining => {}
                Some((shard, ended)) = self.journeys.next(), if !self.journeys.is_empty() => {
                    self.in_hand.remove(&shard);
                    self.arrived(ended, &opened).await?;
                }
                input = self.intake.recv(), if room => match input {
                    Some(Input::Shard(shard)) => {
                        // Known again should it come back.
                        self.own.extend(self.seams.only_new.then_some(shard.id));
                        self.backlog.push_back(Waiting { shard, resumed: false });
                    }
                    Some(Input::NoMore) => self.upstream_over = true,
                    None => return Ok(()),
                },
                changed = standing.changed() => {
                    changed.map_err(|_| "the ledger is closed")?;
                    returned = self.look_for_returned(&mut standing, returned).await?;
                }
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.upstream_over && self.backlog.is_empty() && self.journeys.is_empty()
    }

    async fn read_backlog(&mut self) -> Result<(), AnyFault> {
        let mut after = None;
        loop {
            let shards = self.seams.sender.ledger.shards_to_open(after, BACKLOG).await?;
            let Some(last) = shards.last() else { return Ok(()) };
            after = Some(last.id);
            let known: HashSet<ShardId> = self.backlog.iter().map(|waiting| waiting.shard.id).collect();
            let meant = |shard: &ShardFacts| {
                !self.seams.only_new || shard.state == ShardState::Opening || self.own.contains(&shard.id)
            };
            let new =
                |shard: &ShardFacts| meant(shard) && !self.in_hand.contains(&shard.id) && !known.contains(&shard.id);
            let fresh: Vec<ShardFacts> = shards.into_iter().filter(new).collect();
            self.backlog.extend(fresh.into_iter().map(|shard| Waiting { shard, resumed: true }));
            // What may be paid for already comes first: others may wait for its answers, and would hold all places.
            self.backlog.make_contiguous().sort_by_key(|waiting| waiting.shard.state != ShardState::Opening);
        }
    }

    async fn look_for_returned(
        &mut self,
        standing: &mut watch::Receiver<Standing>,
        seen: u64,
    ) -> Result<u64, AnyFault> {
        let returned = standing.borrow_and_update().shards_returned;
        if returned > seen && !self.seams.stop.is_stopping() {
            self.read_backlog().await?;
        }
        Ok(returned)
    }

    fn start_journeys(&mut self) {
        if self.seams.stop.is_stopping() || self.full.is_full.get() {
            // They wait in the ledger.
            self.backlog.clear();
        }
        if self.full.is_full.get() && self.journeys.is_empty() {
            // Only now: those that had a slot would not have been opened by a program that drains.
            self.begin_nothing_more();
        }
        while self.journeys.len() < PLACES {
            let Some(waiting) = self.backlog.pop_front() else { return };
            if self.in_hand.insert(waiting.shard.id) {
                let journey = journey(self.seams.clone(), Rc::clone(&self.full), waiting);
                self.journeys.push(Box::pin(journey));
            }
        }
    }

    fn begin_nothing_more(&self) {
        let switch = self.seams.drain_when_full.as_ref();
        if let Some(shortage) = self.full.too_dear.take() {
            // One pass still looks at what is open.
            let level = if switch.is_some() { StopLevel::Run } else { StopLevel::Drain };
            self.faults.report("uploader", SendError::NoMoney(shortage), level);
        }
        if let Some(switch) = switch {
            switch.raise(StopLevel::Drain);
        }
    }

    async fn arrived(
        &mut self,
        ended: Result<Vec<BatchOpened>, SendError>,
        opened: &mpsc::Sender<BatchOpened>,
    ) -> Result<(), AnyFault> {
        match ended {
            Ok(batches) => {
                for batch in batches {
                    opened.send(batch).await.map_err(|_| "the next stage is gone")?;
                }
            }
            Err(SendError::Stopped) => {}
            Err(SendError::Ledger(cause)) => return Err(cause.into()),
            // The shard stays in the ledger; what is under way elsewhere is finished.
            Err(fault) => self.faults.report("uploader", fault, StopLevel::Drain),
        }
        Ok(())
    }
}

/// Waits for a slot, then drives the shard; a program that drains waits no more.
async fn journey(
    seams: UploaderSeams,
    full: Rc<Full>,
    waiting: Waiting,
) -> (ShardId, Result<Vec<BatchOpened>, SendError>) {
    let id = waiting.shard.id;
    // What may be paid for already has its slot, limit or not.
    let slot = if waiting.shard.state == ShardState::Opening {
        Ok(seams.slots.overdraw(1))
    } else {
        slot(&seams, &full).await
    };
    match slot {
        Ok(slot) => (id, open(seams, &full, waiting, slot).await),
        Err(Closed) => (id, Ok(Vec::new())),
    }
}

async fn slot(seams: &UploaderSeams, full: &Full) -> Result<Lease, Closed> {
    if seams.drain_when_full.is_some() && seams.slots.free() == 0 {
        tell_full(&seams.sender.news, full, "as many batches are open as may be");
        return Err(Closed);
    }
    tokio::select! {
        biased;
        () = seams.stop.reached(StopLevel::Drain) => Err(Closed),
        slot = seams.slots.lease(1) => slot,
    }
}

/// Nothing new is begun from here on; said once.
fn tell_full(news: &News, full: &Full, why: &str) {
    if !full.is_full.replace(true) {
        news.warn("E309", why, "the rest is sent by the next upload or run");
    }
}

async fn open(seams: UploaderSeams, full: &Full, waiting: Waiting, slot: Lease) -> Result<Vec<BatchOpened>, SendError> {
    let UploaderSeams { sender, slots, .. } = seams;
    // Facts from the ledger, not from the message: a backlog read and a message may name the same shard.
    let facts = sender.ledger.shard(waiting.shard.id).await?;
    match sender.drive(facts, waiting.resumed).await? {
        Sent::Open(batches) => {
            // Strays exist already: they get their slots, limit or not.
            let leases = std::iter::once(slot).chain(std::iter::repeat_with(|| slots.overdraw(1)));
            Ok(batches.into_iter().zip(leases).map(|(batch, slot)| BatchOpened::new(batch, slot)).collect())
        }
        Sent::Nothing => Ok(Vec::new()),
        Sent::NotNow(why) => {
            tell_full(&sender.news, full, why);
            Ok(Vec::new())
        }
        Sent::TooDear(shortage) => {
            full.is_full.set(true);
            full.too_dear.set(Some(shortage));
            Ok(Vec::new())
        }
    }
}
