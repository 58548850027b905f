//! The Poller: the actor that waits. It looks at all open batches together: one list request serves a hundred of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::Duration;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use super::pace::Pace;
use super::status;
use crate::domain::batch::{BatchEnd, OpenBatch};
use crate::domain::ids::{BatchId, BatchNo};
use crate::domain::layout::Layout;
use crate::kit::backoff::Backoff;
use crate::kit::budget::{Budget, Lease};
use crate::kit::clock::{Clock, Millis, millis};
use crate::kit::crash;
use crate::kit::edge::{EdgeMeter, give, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::{News, Notice};
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{Ending, Hold};
use crate::message::{BatchEnded, BatchOpened, NoMoreBatches, NoMoreEnds};
use crate::provider::SharedProvider;
use crate::provider::failure::{Failure, Kind};
use crate::provider::wire::Batch;

/// A batch that its provider does not know for so long has vanished.
const VANISHED_AFTER: Millis = 3600 * 1000;
/// Pauses after a look that failed.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(300) };
/// Pauses before a shard that was turned away is opened again.
const TURNED_AWAY: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };

/// How long the Poller stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Until no batch is open.
    UntilNoneIsOpen,
    /// Until each open batch was looked at once.
    Once,
}

/// What looks are made with.
#[derive(Clone, Copy, Debug)]
pub struct PollerOptions {
    /// How often.
    pub pace: Pace,
    /// How long.
    pub looks: Looks,
    /// Unreachable for so long: the run ends.
    pub give_up_after: Duration,
}

/// The provider could not be reached for too long.
#[derive(Debug, thiserror::Error)]
#[error("unreachable for too long: {0}")]
pub struct Unreachable(pub Failure);

/// The actor: two handlers in, one loop that looks, one that gives.
pub struct Poller {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Opened(OpenBatch, Lease),
    NoMore,
}

struct Watched {
    batch: OpenBatch,
    slot: Lease,
    due: Millis,
    looked: bool,
    /// Since when the provider says that it does not know this batch.
    unknown_since: Option<Millis>,
}

struct Work {
    options: PollerOptions,
    provider: SharedProvider,
    ledger: Ledger,
    clock: Clock,
    stop: Stop,
    news: News,
    faults: Faults,
    slots: Budget,
    layout: Layout,
    intake: mpsc::Receiver<Input>,
    ends: Recipient<BatchEnded>,
    over: Recipient<NoMoreEnds>,
    meter: EdgeMeter,
    watched: BTreeMap<BatchNo, Watched>,
    /// Read from the ledger at start; a message about one of them says nothing new.
    backlog: HashSet<BatchNo>,
    upstream_over: bool,
    failures: u32,
    failing_since: Option<Millis>,
    turned_away: u32,
}

/// Seams of a Poller beside its neighbours.
#[derive(Clone)]
pub struct PollerSeams {
    /// The service.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Ends the waiting.
    pub stop: Stop,
    /// News for people.
    pub news: News,
    /// Open batches.
    pub slots: Budget,
    /// Names of files.
    pub layout: Layout,
}

impl Poller {
    /// A Poller that hands ended batches to `next`.
    #[must_use]
    pub fn new(
        options: PollerOptions,
        seams: PollerSeams,
        next: (Recipient<BatchEnded>, Recipient<NoMoreEnds>),
        meter: EdgeMeter,
        faults: Faults,
        guard: ExitGuard,
    ) -> Self {
        let (intake, inputs) = mpsc::channel(1);
        let PollerSeams { provider, ledger, clock, stop, news, slots, layout } = seams;
        let (ends, over) = next;
        let work = Work {
            options,
            provider,
            ledger,
            clock,
            stop,
            news,
            faults: faults.clone(),
            slots,
            layout,
            intake: inputs,
            ends,
            over,
            meter,
            watched: BTreeMap::new(),
            backlog: HashSet::new(),
            upstream_over: false,
            failures: 0,
            failing_since: None,
            turned_away: 0,
        };
        Self { intake, work: Some(work), faults, guard }
    }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("poller", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<BatchOpened> for Poller {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: BatchOpened, _: &mut Self::Context) -> Self::Result {
        let (batch, slot) = message.into_parts();
        take(&self.intake, Input::Opened(batch, slot))
    }
}

impl Handler<NoMoreBatches> for Poller {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreBatches, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        let (ended, lane) = mpsc::channel(1);
        let giving = give(lane, self.ends.clone(), self.meter.clone());
        let (given, looked) = tokio::join!(giving, self.looks(ended));
        let last = hand_over(&self.over, NoMoreEnds, &self.meter).await;
        looked.and(given.map_err(AnyFault::from)).and(last.map_err(AnyFault::from))
    }

    async fn looks(&mut self, ended: mpsc::Sender<BatchEnded>) -> Result<(), AnyFault> {
        for batch in self.ledger.open_batches().await? {
            let slot = self.slots.overdraw(1);
            self.backlog.insert(batch.no);
            self.watch(batch, slot, self.clock.now());
        }
        while !self.is_over() {
            let due = self.watched.values().map(|watched| watched.due).min().unwrap_or(Millis::MAX);
            let (clock, stop) = (self.clock.clone(), self.stop.clone());
            tokio::select! {
                input = self.intake.recv() => match input {
                    Some(Input::Opened(batch, _)) if self.backlog.contains(&batch.no) => {}
                    Some(Input::Opened(batch, slot)) => {
                        let first = self.options.pace.pause(0, random::unit());
                        let due = if self.options.looks == Looks::Once { 0 } else { self.clock.now() + first };
                        self.watch(batch, slot, due);
                    }
                    Some(Input::NoMore) => self.upstream_over = true,
                    None => return Ok(()),
                },
                () = clock.sleep_until(due) => match self.look(&ended).await {
                    // A provider that rejects or does not answer ends the waiting, not the work before and behind it.
                    Err(fault) if fault.is::<Failure>() || fault.is::<Unreachable>() => {
                        self.faults.report("poller", fault, StopLevel::Drain);
                        return self.drain().await;
                    }
                    looked => looked?,
                },
                () = stop.reached(StopLevel::Drain) => return self.drain().await,
            }
        }
        Ok(())
    }

    /// No more looks; but whoever still opens a batch finds somebody who takes it, to the last word.
    async fn drain(&mut self) -> Result<(), AnyFault> {
        while !self.upstream_over {
            match self.intake.recv().await {
                Some(Input::Opened(batch, slot)) => self.watch(batch, slot, Millis::MAX),
                Some(Input::NoMore) => self.upstream_over = true,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let all_looked_at = self.options.looks == Looks::Once && self.watched.values().all(|watched| watched.looked);
        self.upstream_over && (self.watched.is_empty() || all_looked_at)
    }

    fn watch(&mut self, batch: OpenBatch, slot: Lease, due: Millis) {
        self.watched.insert(batch.no, Watched { batch, slot, due, looked: false, unknown_since: None });
    }

    /// One look at every open batch; a failed look is repeated later.
    async fn look(&mut self, ended: &mpsc::Sender<BatchEnded>) -> Result<(), AnyFault> {
        let told = match self.ask().await {
            Ok(told) => told,
            Err(failure) => return self.failed(failure),
        };
        (self.failures, self.failing_since) = (0, None);
        let now = self.clock.now();
        for no in self.watched.keys().copied().collect::<Vec<_>>() {
            let Some(watched) = self.watched.get_mut(&no) else { continue };
            watched.looked = true;
            watched.due = now + self.options.pace.pause(now - watched.batch.opened_at, random::unit());
            if let Some(ending) = conclusion(watched, told.get(&watched.batch.id), now) {
                self.end(no, ending, ended).await?;
            }
        }
        Ok(())
    }

    /// Every open batch as the provider tells it; `None` for one that it does not know.
    async fn ask(&self) -> Result<HashMap<BatchId, Option<Batch>>, Failure> {
        let mut told = HashMap::new();
        if self.watched.len() > 1 {
            let page = self.provider.list_batches(None).await?;
            let ours = |batch: &Batch| self.watched.values().any(|watched| watched.batch.id == batch.id);
            told.extend(page.batches.into_iter().filter(ours).map(|batch| (batch.id.clone(), Some(batch))));
        }
        for watched in self.watched.values() {
            let id = &watched.batch.id;
            if told.contains_key(id) {
                continue;
            }
            let answer = match self.provider.batch(id).await {
                Ok(batch) => Some(batch),
                Err(failure) if failure.kind == Kind::NotFound => None,
                Err(failure) => return Err(failure),
            };
            told.insert(id.clone(), answer);
        }
        Ok(told)
    }

    fn failed(&mut self, failure: Failure) -> Result<(), AnyFault> {
        if !failure.is_passing() {
            return Err(failure.into());
        }
        self.failures += 1;
        let now = self.clock.now();
        let since = *self.failing_since.get_or_insert(now);
        if now - since >= millis(self.options.give_up_after) {
            return Err(Unreachable(failure).into());
        }
        if self.failures == 3 {
            self.news.warn(
                "E310",
                format!("{} cannot be reached: {}", failure.host, failure.message),
                "nothing is lost",
            );
        }
        tracing::warn!(%failure, failures = self.failures, "a look at the batches failed");
        let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(self.failures, random::unit()));
        for watched in self.watched.values_mut() {
            watched.due = now + millis(pause);
        }
        Ok(())
    }

    async fn end(&mut self, no: BatchNo, ending: Ending, ended: &mpsc::Sender<BatchEnded>) -> Result<(), AnyFault> {
        let Some(Watched { slot, .. }) = self.watched.remove(&no) else { return Ok(()) };
        let batch = self.ledger.ended(no, ending).await?;
        crash::point("ended.recorded");
        let detail = batch.refusal.as_ref().map(|why| format!("{} {}", why.code, why.message)).unwrap_or_default();
        let id = batch.id.to_string();
        self.news.tell(Notice::Batch { id, to: batch.end.word(), lines: batch.lines, detail });
        if batch.end == BatchEnd::TurnedAway {
            // Nothing ran; the same input file is opened again later. The slot is free meanwhile.
            self.turned_away += 1;
            let hold = match &batch.refusal {
                Some(refusal) if refusal.is_queue_full() => {
                    Hold::Queue { limit: refusal.queue_limit(), spread: random::unit() }
                }
                _ => Hold::Until(self.clock.now() + millis(TURNED_AWAY.pause(self.turned_away, random::unit()))),
            };
            // Before the ledger forgets it: a notice of a batch that is no more would lie there for ever.
            match std::fs::remove_file(self.layout.notice(batch.id.as_str())) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause.into()),
                _ => {}
            }
            crash::point("turned_away.forgotten");
            match self.ledger.turned_away(no, hold).await {
                // A second batch of its shard answers: the ordinary road leads there, and asks for the rest again.
                Err(LedgerError::Stale(why)) => tracing::debug!(batch = %batch.id, why, "settled instead"),
                turned => {
                    crash::point("turned_away.recorded");
                    return Ok(turned?);
                }
            }
        }
        self.turned_away = 0;
        ended.send(BatchEnded::new(batch, slot)).await.map_err(|_| "the next stage is gone")?;
        Ok(())
    }
}

/// What one look at a batch concludes.
fn conclusion(watched: &mut Watched, told: Option<&Option<Batch>>, now: Millis) -> Option<Ending> {
    match told {
        Some(Some(batch)) => {
            watched.unknown_since = None;
            status::read(batch)
        }
        Some(None) => {
            let since = *watched.unknown_since.get_or_insert(now);
            (now - since >= VANISHED_AFTER).then(status::vanished)
        }
        None => None,
    }
}
