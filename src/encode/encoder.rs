//! The Encoder: the actor that fills plans and seals them. It touches no byte of an image.

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use super::line::Framer;
use super::pack::{self, Candidate, Limits, OpenPlan, Outside};
use crate::domain::ids::{RecipeId, RunId, TAG_LENGTH, Tag};
use crate::domain::image::{OwedImage, Reason};
use crate::domain::shard::{NewShard, SealReason};
use crate::domain::tokens::Counting;
use crate::kit::ceiling::Ceiling;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::edge::{EdgeMeter, hand_over, take};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::random;
use crate::kit::stop::StopLevel;
use crate::kit::watch;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::Standing;
use crate::message::{ImageFound, NoMoreImages, NoMoreShards, ShardSealed};

/// What plans are made with.
#[derive(Clone, Debug)]
pub struct EncoderOptions {
    /// Upper bounds of a shard; a queue limit that the ledger knows narrows the tokens further.
    pub limits: Limits,
    /// How the tokens of a line are estimated.
    pub counting: Counting,
    /// What the provider has shown to be too large, in bytes.
    pub ceiling: Ceiling,
    /// The run that pays.
    pub run: RunId,
    /// The recipe's row.
    pub recipe: RecipeId,
    /// Frames the lines of that recipe.
    pub framer: Framer,
    /// Whether second tries are sealed without waiting for what is in flight.
    pub eager: bool,
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
    plan: OpenPlan,
    /// Bounds of the open plan.
    limits: Limits,
    /// Estimated tokens that the provider enqueues at most, when the plan was begun.
    queue_limit: Option<u64>,
}

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
        let plan = OpenPlan::default();
        let limits = options.limits;
        let work =
            Work { options, ledger, clock, intake: inputs, shards, over, meter, plan, limits, queue_limit: None };
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
            self.seal_if_due(&mut standing).await?;
            let clock = self.clock.clone();
            // No further ahead than the age itself, should the clock have been put back.
            let oldest = clock.now().saturating_add(self.options.limits.age_ms);
            let deadline = self.plan.age_deadline(&self.options.limits).map_or(i64::MAX, |due| due.min(oldest));
            tokio::select! {
                biased;
                input = self.intake.recv() => match input {
                    Some(Input::Image(image)) => self.admit(&image).await?,
                    Some(Input::NoMore) => break,
                    // The feed vanished without its last word: its own guard tells why.
                    None => return Ok(()),
                },
                changed = standing.changed() => changed.map_err(|_| "the ledger is closed")?,
                () = clock.sleep_until(deadline) => {}
            }
        }
        self.seal(SealReason::Drain).await?;
        hand_over(&self.over, NoMoreShards, &self.meter).await?;
        Ok(())
    }

    async fn admit(&mut self, image: &OwedImage) -> Result<(), AnyFault> {
        let frame = self.options.framer.frame(&image.path, image.format);
        let next = Candidate {
            image: image.id,
            bytes: frame.line_bytes(image.stamp.bytes),
            tokens: self.options.counting.line(image.pixels, self.options.framer.prompt_bytes()),
            first: image.first,
        };
        let limits = Limits { bytes: self.options.ceiling.over(self.limits.bytes), ..self.limits };
        if let Some(reason) = self.plan.full_for(&next, &limits) {
            self.seal(reason).await?;
        }
        if self.plan.is_empty() {
            // Refusals teach the limit while plans are made: each new one knows the newest.
            self.queue_limit = self.ledger.token_limit(self.options.run, self.options.recipe).await?;
            self.limits.tokens = pack::token_limit(self.options.limits.tokens, self.queue_limit);
            self.limits.lines = self.lines_of_next().await?;
        }
        if self.queue_limit.is_some_and(|limit| next.tokens > limit) {
            return Ok(self.ledger.cannot_ask(image.id, Reason::OverAllowance).await?);
        }
        self.plan.push(&next, self.clock.now());
        Ok(())
    }

    /// The first plan of a process is small if its batch goes ahead alone; all others are whole.
    async fn lines_of_next(&mut self) -> Result<usize, AnyFault> {
        let (whole, recipe) = (self.options.limits.lines, self.options.recipe);
        match self.options.ahead.take() {
            Some(few) if !self.ledger.is_on_its_way(recipe).await? && !self.ledger.is_proven(recipe).await? => {
                Ok(few.min(whole))
            }
            _ => Ok(whole),
        }
    }

    async fn seal_if_due(&mut self, standing: &mut watch::Receiver<Standing>) -> Result<(), AnyFault> {
        let now = *standing.borrow_and_update();
        let outside = Outside { walking: now.walking, owed: now.owed, packed: now.packed, eager: self.options.eager };
        match self.plan.due(&outside, &self.limits, self.clock.now()) {
            Some(reason) => self.seal(reason).await,
            None => Ok(()),
        }
    }

    async fn seal(&mut self, reason: SealReason) -> Result<(), AnyFault> {
        let Some(plan) = self.plan.close(reason) else { return Ok(()) };
        let shard = NewShard {
            tag: Tag(random::letters(TAG_LENGTH)?),
            run: self.options.run,
            recipe: self.options.recipe,
            seal: plan.seal,
            lines: plan.lines,
            est_tokens: plan.tokens,
        };
        crash::point("seal.before");
        let facts = self.ledger.seal(shard).await?;
        crash::point("seal.recorded");
        tracing::debug!(shard = facts.id.0, lines = facts.lines, bytes = facts.bytes, ?reason, "sealed");
        hand_over(&self.shards, ShardSealed(facts), &self.meter).await?;
        Ok(())
    }
}
