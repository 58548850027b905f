//! The Encoder: the actor that fills plans and seals them. It touches no byte of an image; those that cannot go as they are, are
//! made ready on the pool, several at once, and take their places in the order of the feed.

use std::sync::Arc;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc;

use super::line::{Framer, escaped};
use super::pack::{self, Closed, Limits, OpenPlan, Outside};
use super::plans::{Open, Plans, Sent};
use super::workshop::{NotReady, Ready, Workshop};
use crate::corpus::{Corpus, rough};
use crate::domain::ids::{RecipeId, RunId, TAG_LENGTH, Tag};
use crate::domain::image::{OwedImage, Reason};
use crate::domain::money::Charges;
use crate::domain::recipe::{Recipe, WayOut};
use crate::domain::shard::{NewShard, SealReason};
use crate::domain::tokens::Countings;
use crate::kit::ceiling::Ceiling;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::edge::{EdgeMeter, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::News;
use crate::kit::pool::Pool;
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel};
use crate::kit::watch;
use crate::ledger::keeper::Ledger;
use crate::ledger::ours::OurRecipes;
use crate::ledger::records::Standing;
use crate::message::{ImageFound, NoMoreImages, NoMoreShards, ShardSealed};

/// What plans are made with.
#[derive(Clone)]
pub struct EncoderOptions {
    /// Upper bounds of a shard; a queue limit that the ledger knows narrows the tokens further, and a money limit what it costs.
    pub limits: Limits,
    /// How the tokens of a line are estimated, by model and `detail`.
    pub counting: Countings,
    /// What a recipe's lines are charged, where that is known.
    pub charges: Charges,
    /// What the provider has shown to be too large, in bytes.
    pub ceiling: Ceiling,
    /// The run that pays.
    pub run: RunId,
    /// What each image is asked with.
    pub recipes: OurRecipes,
    /// The corpus as the user wrote it the first time: custom ids are made from it.
    pub given: Vec<u8>,
    /// Where rough texts lie.
    pub corpus: Arc<dyn Corpus>,
    /// Reads them.
    pub pool: Pool,
    /// Whether second tries are sealed without waiting for what is in flight.
    pub eager: bool,
    /// Makes pictures ready that cannot go as they are.
    pub workshop: Workshop,
    /// Where it is told how many plans are open.
    pub news: News,
    /// Ends the waiting for room: a program that drains closes no more books, and gets none.
    pub stop: Stop,
    /// Most lines of the first plan of a recipe that never brought an answer, where its batch goes ahead alone.
    pub ahead: Option<usize>,
}

/// The actor: two handlers in, one loop out.
pub struct Encoder {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Image(OwedImage),
    NoMore,
}

/// The loop's own things.
struct Work {
    options: EncoderOptions,
    ledger: Ledger,
    clock: Clock,
    intake: mpsc::Receiver<Input>,
    shards: Recipient<ShardSealed>,
    over: Recipient<NoMoreShards>,
    meter: EdgeMeter,
    plans: Plans,
    /// Images in the order of the feed, some of them being made ready still.
    window: FuturesOrdered<BoxFuture<'static, Coming>>,
}

/// An image on its way into a plan.
struct Coming {
    image: OwedImage,
    recipe: RecipeId,
    sent: Result<Sent, NotReady>,
}

/// Bytes for each pixel that a prepared picture is not expected to exceed: those of its colours.
const MOST_PER_PIXEL: u64 = 3;
/// Most images between the feed and the plans.
pub const WINDOW: usize = 256;

impl Encoder {
    /// An Encoder that hands its shards to `shards`.
    #[must_use]
    pub fn new(
        options: EncoderOptions,
        ledger: Ledger,
        clock: Clock,
        next: (Recipient<ShardSealed>, Recipient<NoMoreShards>),
        meter: EdgeMeter,
        faults: Faults,
        guard: ExitGuard,
    ) -> Self {
        let (intake, inputs) = mpsc::channel(1);
        let (shards, over) = next;
        let (plans, window) = (Plans::default(), FuturesOrdered::new());
        let work = Work { options, ledger, clock, intake: inputs, shards, over, meter, plans, window };
        Self { intake, work: Some(work), faults, guard }
    }
}

impl Actor for Encoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("encoder", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<ImageFound> for Encoder {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: ImageFound, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::Image(message.0))
    }
}

impl Handler<NoMoreImages> for Encoder {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreImages, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        let mut standing = self.ledger.standing();
        loop {
            self.seal_what_is_due(&mut standing).await?;
            self.options.news.plan(self.plans.begun());
            let clock = self.clock.clone();
            // No further ahead than the age itself, should the clock have been put back.
            let oldest = clock.now().saturating_add(self.options.limits.age_ms);
            let deadline = self.plans.age_deadline().map_or(i64::MAX, |due| due.min(oldest));
            let (files, stop) = (self.options.workshop.files.clone(), self.options.stop.clone());
            let has_room = self.has_room().await?;
            tokio::select! {
                biased;
                Some(coming) = self.window.next(), if !self.window.is_empty() => self.admit(coming).await?,
                input = self.intake.recv(), if has_room => match input {
                    Some(Input::Image(image)) => self.take_in(image).await?,
                    Some(Input::NoMore) => break,
                    // The feed vanished without its last word: its own guard tells why.
                    None => return Ok(()),
                },
                () = files.freed(), if !has_room => {}
                () = stop.reached(StopLevel::Drain), if !stop.is_stopping() => {}
                changed = standing.changed() => changed.map_err(|_| "the ledger is closed")?,
                () = clock.sleep_until(deadline) => {}
            }
        }
        while let Some(coming) = self.window.next().await {
            self.admit(coming).await?;
        }
        self.seal_all(SealReason::Drain).await?;
        self.options.news.plan(0);
        hand_over(&self.over, NoMoreShards, &self.meter).await?;
        Ok(())
    }

    /// Whether another image may come in. Where prepared files leave no room, the plans that hold some have to leave first; who
    /// waits for nothing that is in flight has no more of them than batches may be open; and of a feed that drains little comes but its
    /// last word.
    async fn has_room(&mut self) -> Result<bool, AnyFault> {
        let Work { options, .. } = &*self;
        if options.eager || options.stop.is_stopping() || options.workshop.files.has_room() {
            return Ok(self.window.len() < WINDOW);
        }
        if self.window.is_empty() {
            self.seal_all(SealReason::Bytes).await?;
        }
        Ok(false)
    }

    async fn seal_all(&mut self, reason: SealReason) -> Result<(), AnyFault> {
        while let Some((recipe, plan)) = self.plans.rest(reason) {
            self.seal(recipe, plan).await?;
        }
        Ok(())
    }

    /// An image from the feed: into its plan at once, or behind those that are made ready before it.
    async fn take_in(&mut self, image: OwedImage) -> Result<(), AnyFault> {
        let (id, recipe) = self.options.recipes.of(&image).await?;
        self.plan_for(id, &recipe)?;
        let sent = match image.rough {
            Some(hash) => match self.rough_length(&image, hash).await? {
                Some(escaped) => Sent::Rough(escaped),
                None => return Ok(self.ledger.cannot_ask(image.id, Reason::Missing).await?),
            },
            None => match recipe.preparation().way(image.format, image.needs, image.pixels) {
                WayOut::AsItIs => Sent::Itself,
                WayOut::NotAtAll => {
                    return Ok(self.ledger.cannot_ask(image.id, Reason::UnsupportedFormat).await?);
                }
                WayOut::Prepared => {
                    let (how, workshop) = (recipe.preparation(), self.options.workshop.clone());
                    // Until its file is there.
                    let promise =
                        workshop.files.promise(how.size_of(image.pixels).count().saturating_mul(MOST_PER_PIXEL));
                    let made = workshop.make(image.clone(), how).inspect(move |_| drop(promise));
                    let coming = made.map(move |made| Coming { image, recipe: id, sent: made.map(Sent::Prepared) });
                    self.window.push_back(coming.boxed());
                    return Ok(());
                }
            },
        };
        let coming = Coming { image, recipe: id, sent: Ok(sent) };
        if self.window.is_empty() {
            return self.admit(coming).await;
        }
        self.window.push_back(ready(coming).boxed());
        Ok(())
    }

    async fn admit(&mut self, coming: Coming) -> Result<(), AnyFault> {
        let Coming { image, recipe, sent } = coming;
        let sent = match sent {
            Ok(sent) => sent,
            // Its own bytes were refused, and nothing else can be made of it: the first is what is wrong with it.
            Err(NotReady::Ended(_)) if image.after == Some(Reason::ImageRefused) => {
                return Ok(self.ledger.cannot_ask(image.id, Reason::ImageRefused).await?);
            }
            Err(NotReady::Ended(reason)) => return Ok(self.ledger.cannot_ask(image.id, reason).await?),
            Err(NotReady::Disk(cause)) => return Err(cause.into()),
        };
        let ceiling = self.options.ceiling.clone();
        let Some(open) = self.plans.of(recipe) else { return Ok(()) };
        let next = open.candidate(&image, &sent);
        let limits = Limits { bytes: ceiling.over(open.limits.bytes), ..open.limits };
        let full = open.plan.full_for(&next, &limits).and_then(|reason| open.plan.close(reason));
        if let Some(plan) = full {
            self.seal(recipe, plan).await?;
        }
        self.renew_limits(recipe, &image, &sent).await?;
        let now = self.clock.now();
        let Some(open) = self.plans.of(recipe) else { return Ok(()) };
        let next = open.candidate(&image, &sent);
        if open.queue_limit.is_some_and(|limit| next.tokens > limit) {
            if let Sent::Prepared(Ready { prepared, .. }) = sent {
                self.options.workshop.files.discard(std::iter::once((prepared.file, prepared.bytes)));
            }
            return Ok(self.ledger.cannot_ask(image.id, Reason::OverAllowance).await?);
        }
        let ready = if let Sent::Prepared(ready) = sent { Some(ready) } else { None };
        open.plan.push(&next, ready, now);
        Ok(())
    }

    /// The plan of a recipe has a place from here on.
    fn plan_for(&mut self, id: RecipeId, recipe: &Recipe) -> Result<(), AnyFault> {
        if self.plans.of(id).is_none() {
            self.plans.begin(Open {
                recipe: id,
                framer: Framer::new(recipe, &self.options.given)?,
                counting: (self.options.counting)(&recipe.model, &recipe.parameters.detail),
                charge: (self.options.charges)(recipe),
                plan: OpenPlan::default(),
                limits: self.options.limits,
                queue_limit: None,
            });
        }
        Ok(())
    }

    /// Length in JSON of the rough text that is sent in the place of an image; `None` if it is not the one that was to be cleaned.
    async fn rough_length(&self, image: &OwedImage, hash: [u8; 16]) -> Result<Option<u64>, AnyFault> {
        let (corpus, path) = (Arc::clone(&self.options.corpus), image.path.clone());
        let read = self.options.pool.run(move || rough::read(&*corpus, &path, hash)).await?;
        // What cannot be read now is what it was: a rough text, for a person to look at.
        Ok(read.ok().flatten().map(|text| escaped(&text).len() as u64))
    }

    /// Refusals teach the limit while plans are made, and money is spent: each new plan knows the newest of both.
    async fn renew_limits(&mut self, recipe: RecipeId, first: &OwedImage, sent: &Sent) -> Result<(), AnyFault> {
        if self.plans.of(recipe).is_none_or(|open| !open.plan.is_empty()) {
            return Ok(());
        }
        let queue_limit = self.ledger.token_limit(self.options.run, recipe).await?;
        let told = self.ledger.told_percent(self.options.run, recipe).await?;
        let funds = self.ledger.funds().await?;
        let lines = self.lines_of_next(recipe).await?;
        let whole = self.options.limits;
        if let Some(open) = self.plans.of(recipe) {
            open.charge.iter_mut().for_each(|charge| charge.input_percent = told);
            let money = funds.for_a_plan(open.candidate(first, sent).worst);
            open.queue_limit = queue_limit;
            open.limits = Limits { lines, tokens: pack::token_limit(whole.tokens, queue_limit), money, ..whole };
        }
        Ok(())
    }

    /// The first plan of a process is small if its batch goes ahead alone; all others are whole.
    async fn lines_of_next(&mut self, recipe: RecipeId) -> Result<usize, AnyFault> {
        let whole = self.options.limits.lines;
        match self.options.ahead.take() {
            Some(few) if !self.ledger.is_on_its_way(recipe).await? && !self.ledger.is_proven(recipe).await? => {
                Ok(few.min(whole))
            }
            _ => Ok(whole),
        }
    }

    async fn seal_what_is_due(&mut self, standing: &mut watch::Receiver<Standing>) -> Result<(), AnyFault> {
        loop {
            let now = *standing.borrow_and_update();
            let Standing { walking, packed, .. } = now;
            let outside = Outside { walking, owed: now.to_ask(), planned: 0, packed, eager: self.options.eager };
            match self.plans.due(outside, self.clock.now()) {
                Some((recipe, plan)) => self.seal(recipe, plan).await?,
                None => return Ok(()),
            }
        }
    }

    async fn seal(&mut self, recipe: RecipeId, plan: Closed) -> Result<(), AnyFault> {
        let reason = plan.seal;
        let charge = self.plans.of(recipe).and_then(|open| open.charge.clone());
        let shard = NewShard {
            tag: Tag(random::letters(TAG_LENGTH)?),
            run: self.options.run,
            recipe,
            seal: reason,
            lines: plan.lines,
            est_tokens: plan.tokens,
            charge,
        };
        crash::point("seal.before");
        // Nothing is left of it where the walk has ended all its images meanwhile.
        let Some(facts) = self.ledger.seal(shard).await? else { return Ok(()) };
        crash::point("seal.recorded");
        tracing::debug!(shard = facts.id.0, lines = facts.lines, bytes = facts.bytes, ?reason, "sealed");
        hand_over(&self.shards, ShardSealed(facts), &self.meter).await?;
        Ok(())
    }
}
