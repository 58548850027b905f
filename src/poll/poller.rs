//! The Poller: the actor that waits. It looks at all open batches together: one list request serves a hundred of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use super::away;
use super::look::{Asked, Eyes, LookError, Told};
use super::options::{Looks, NoneKnown, PollerOptions, PollerSeams};
use super::watch::{Watched, conclusion, is_hidden};
use crate::domain::batch::{BatchEnd, OpenBatch};
use crate::domain::ids::BatchNo;
use crate::domain::layout::Layout;
use crate::kit::backoff::Backoff;
use crate::kit::budget::{Budget, Lease};
use crate::kit::clock::{Clock, Millis, millis};
use crate::kit::crash;
use crate::kit::edge::{EdgeMeter, give, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::{BatchChange, News, Notice};
use crate::kit::plural::count;
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::Ending;
use crate::message::{BatchEnded, BatchOpened, NoMoreBatches, NoMoreEnds};
use crate::provider::failure::Failure;
use crate::provider::notice;
use crate::provider::patience::{Patience, Unreachable};

/// If this key sees none of our batches for so long, it is another project's: longer than any listing lags.
const HIDDEN_AFTER: Millis = 600 * 1000;
/// The list is read for batches that the ledger lacks at least so often.
const SWEEP_EVERY: Millis = 600 * 1000;
/// Time between two looks is not believed to be longer than this: a clock that was put forward by a day ends no batch.
const MOST_BETWEEN_LOOKS: Millis = 900 * 1000;
/// Pauses after a look that failed.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(300) };
/// A provider that is busy may ask to be left alone for so long.
const LONGEST_WAIT: Millis = 3600 * 1000;

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

struct Work {
    options: PollerOptions,
    eyes: Eyes,
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
    backlog: BTreeSet<BatchNo>,
    upstream_over: bool,
    failures: u32,
    patience: Patience,
    turned_away: u32,
    last_look: Option<Millis>,
    swept_at: Option<Millis>,
    /// For how long this key has seen none of our batches; `None` while it sees one.
    hidden_ms: Option<Millis>,
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
        let patience = Patience::new(clock.clone(), options.give_up_after);
        let work = Work {
            options,
            eyes: Eyes { provider, ledger: ledger.clone(), news: news.clone(), layout: layout.clone() },
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
            backlog: BTreeSet::new(),
            upstream_over: false,
            failures: 0,
            patience,
            turned_away: 0,
            last_look: None,
            swept_at: None,
            hidden_ms: None,
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
        let only = self.options.only;
        for batch in
            self.ledger.open_batches().await?.into_iter().filter(|batch| only.is_none_or(|only| only == batch.no))
        {
            let slot = self.slots.overdraw(1);
            self.backlog.insert(batch.no);
            self.watch(batch, slot, self.clock.now());
        }
        while !self.is_over() {
            let due = self.next_look();
            let (clock, stop) = (self.clock.clone(), self.stop.clone());
            tokio::select! {
                biased;
                () = stop.reached(StopLevel::Drain) => return self.drain().await,
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
                    Err(fault) if fault.is::<Failure>() || fault.is::<Unreachable>() || fault.is::<NoneKnown>() => {
                        self.faults.report("poller", fault, StopLevel::Drain);
                        return self.drain().await;
                    }
                    looked => looked?,
                },
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

    /// When to look next: never further ahead than the longest pause, should the clock have been put back.
    fn next_look(&self) -> Millis {
        let Some(due) = self.watched.values().map(|watched| watched.due).min() else { return Millis::MAX };
        due.min(self.clock.now() + self.options.pace.longest().max(LONGEST_WAIT))
    }

    fn is_over(&self) -> bool {
        let all_looked_at = self.options.looks == Looks::Once && self.watched.values().all(|watched| watched.looked);
        self.upstream_over && (self.watched.is_empty() || all_looked_at)
    }

    fn watch(&mut self, batch: OpenBatch, slot: Lease, due: Millis) {
        self.watched.insert(batch.no, Watched { batch, slot, due, looked: false, gone_ms: 0, unnamed_ms: None });
    }

    /// Batches that the ledger lacked exist already: they get their slots, limit or not. Where one batch alone is meant, they
    /// wait in the ledger for the next look at all.
    fn found(&mut self, batches: Vec<OpenBatch>) {
        if self.options.only.is_some() {
            return;
        }
        for batch in batches {
            let slot = self.slots.overdraw(1);
            self.watch(batch, slot, self.clock.now());
        }
    }

    /// One look at every open batch; a failed look is repeated later.
    async fn look(&mut self, ended: &mpsc::Sender<BatchEnded>) -> Result<(), AnyFault> {
        let now = self.clock.now();
        // A clock that was put back leaves a sweep in the future; then it is due as well.
        let sweep = self.swept_at.is_none_or(|at| !(0..SWEEP_EVERY).contains(&(now - at)));
        let asked: Asked =
            self.watched.values().map(|watched| (watched.batch.id.clone(), watched.batch.input.clone())).collect();
        let mut round = match self.eyes.look(&asked, sweep).await {
            Ok(round) => round,
            Err(LookError::Provider(failure)) => return self.failed(failure),
            Err(LookError::Ledger(cause)) => return Err(cause.into()),
            Err(LookError::Disk(cause)) => return Err(cause.into()),
        };
        self.failures = 0;
        self.patience.answered();
        if sweep || asked.len() > 1 {
            self.swept_at = Some(now);
        }
        let now = self.clock.now();
        self.news.looked(now);
        let passed = (now - self.last_look.replace(now).unwrap_or(now)).clamp(0, MOST_BETWEEN_LOOKS);
        let mut hidden = 0;
        for no in self.watched.keys().copied().collect::<Vec<_>>() {
            let Some(watched) = self.watched.get_mut(&no) else { continue };
            let first = !std::mem::replace(&mut watched.looked, true);
            watched.due = now + self.options.pace.pause(now - watched.batch.opened_at, random::unit());
            let told = round.told.remove(&watched.batch.id);
            hidden += usize::from(is_hidden(watched, told.as_ref(), now));
            let notice = told.as_ref().and_then(Told::known).cloned();
            let ending = conclusion(watched, told, passed, now);
            // At the first look because an earlier life may have left none, at the last one because it tells the end.
            if let Some(batch) = notice.filter(|_| first || ending.is_some()) {
                notice::write(&self.layout, &batch)?;
            }
            if let Some(ending) = ending {
                self.end(no, ending, ended).await?;
            }
        }
        let all_hidden = hidden > 0 && hidden == self.watched.len();
        self.found(round.found);
        self.judge_key(hidden, all_hidden, passed)
    }

    /// A key that sees none of our batches is told at once; and the run ends with all of them kept, because what is opened
    /// meanwhile would belong to somebody else.
    fn judge_key(&mut self, hidden: usize, all_hidden: bool, passed: Millis) -> Result<(), AnyFault> {
        if hidden == 0 {
            self.hidden_ms = None;
            return Ok(());
        }
        let hidden_ms = match self.hidden_ms {
            Some(so_far) if all_hidden => so_far + passed,
            Some(so_far) => so_far,
            None => {
                let open = count(hidden as u64, "open batch of this ledger is", "open batches of this ledger are");
                let text = format!("{open} not known at {} with this key", self.host());
                self.news.warn("E410", text, "another account's or project's key? nothing is given up");
                0
            }
        };
        self.hidden_ms = Some(hidden_ms);
        if all_hidden && hidden_ms >= HIDDEN_AFTER {
            return Err(NoneKnown { host: self.host().to_owned(), batches: hidden }.into());
        }
        Ok(())
    }

    fn host(&self) -> &str {
        self.eyes.provider.host()
    }

    fn failed(&mut self, failure: Failure) -> Result<(), AnyFault> {
        if !failure.is_passing() {
            return Err(failure.into());
        }
        self.failures += 1;
        self.patience.bear(&failure)?;
        if self.failures == 3 {
            self.news.warn(
                "E310",
                format!("{} cannot be reached: {}", failure.host, failure.message),
                "nothing is lost",
            );
        }
        tracing::warn!(%failure, failures = self.failures, "a look at the batches failed");
        let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(self.failures, random::unit()));
        let due = self.clock.now() + millis(pause);
        self.watched.values_mut().for_each(|watched| watched.due = due);
        Ok(())
    }

    async fn end(&mut self, no: BatchNo, ending: Ending, ended: &mpsc::Sender<BatchEnded>) -> Result<(), AnyFault> {
        let Some(Watched { slot, .. }) = self.watched.remove(&no) else { return Ok(()) };
        let named = ending.named.len();
        let batch = self.ledger.ended(no, ending).await?;
        crash::point("ended.recorded");
        if let (Some(why), 1..) = (&batch.refusal, named) {
            let lines = count(named as u64, "line", "lines, such as");
            let text = format!("batch {} was refused because of {lines}: {}: {}", batch.id, why.code, why.message);
            self.news.warn("E312", text, "the images of such lines failed, the others are asked again");
        }
        let detail = batch.refusal.as_ref().map(|why| format!("{} {}", why.code, why.message)).unwrap_or_default();
        let id = batch.id.to_string();
        let (to, lines, told) = (batch.end.word(), batch.lines, self.ledger.batch_told(no).await?);
        let change = BatchChange { id, from: Some("open"), to, lines, told, answered: None, detail };
        self.news.tell(Notice::Batch(Box::new(change)));
        if batch.end == BatchEnd::TurnedAway {
            // Nothing ran; the same input file is opened again later. The slot is free meanwhile.
            self.turned_away += 1;
            let hold = away::hold(batch.refusal.as_ref(), self.turned_away, self.clock.now(), random::unit());
            away::forget_notice(&self.layout, &batch.id)?;
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
