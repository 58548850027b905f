//! What stands in an actor's place where a mode ends early: it takes the messages and keeps the leases to the end.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use actix::{ResponseActFuture, fut::wrap_future};
use tokio::sync::mpsc;

use crate::corpus::Corpus;
use crate::domain::ids::ShardId;
use crate::domain::shard::{ShardFacts, ShardState};
use crate::encode::bodies::{Spool, write_spool};
use crate::encode::body::Makings;
use crate::encode::spool;
use crate::kit::bodies::BodyError;
use crate::kit::edge::take;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::news::{News, Notice};
use crate::kit::pool::Pool;
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{Culprit, Remeasured};
use crate::message::{BatchOpened, NoMoreBatches, NoMoreShards, ShardSealed};

/// In the Poller's place (`upload`): keeps the slots until the last batch is open.
pub(super) struct BatchTerminus {
    held: Vec<BatchOpened>,
    guard: ExitGuard,
}

impl BatchTerminus {
    pub(super) fn new(guard: ExitGuard) -> Self {
        Self { held: Vec::new(), guard }
    }
}

impl Actor for BatchTerminus {
    type Context = Context<Self>;
}

impl Handler<BatchOpened> for BatchTerminus {
    type Result = ();

    fn handle(&mut self, message: BatchOpened, _: &mut Self::Context) {
        self.held.push(message);
    }
}

impl Handler<NoMoreBatches> for BatchTerminus {
    type Result = ();

    fn handle(&mut self, _: NoMoreBatches, ctx: &mut Self::Context) {
        self.held.clear();
        self.guard.drained();
        ctx.stop();
    }
}

/// In the Uploader's place (`upload --spool-only`): every plan becomes a file.
pub(super) struct ShardTerminus {
    intake: mpsc::Sender<Input>,
    work: Option<Work>,
    faults: Faults,
    guard: ExitGuard,
}

enum Input {
    Shard(ShardFacts),
    NoMore,
}

/// What plans are written with.
pub(super) struct SpoolSeams {
    pub(super) ledger: Ledger,
    pub(super) corpus: Arc<dyn Corpus>,
    pub(super) pool: Pool,
    pub(super) spool: Spool,
    pub(super) stop: Stop,
    pub(super) news: News,
    pub(super) makings: Makings,
}

struct Work {
    seams: SpoolSeams,
    intake: mpsc::Receiver<Input>,
}

impl ShardTerminus {
    pub(super) fn new(seams: SpoolSeams, faults: Faults, guard: ExitGuard) -> Self {
        let (intake, inputs) = mpsc::channel(1);
        Self { intake, work: Some(Work { seams, intake: inputs }), faults, guard }
    }
}

impl Actor for ShardTerminus {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        ctx.spawn(wrap_future::<_, Self>(work.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("spool", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Handler<ShardSealed> for ShardTerminus {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, message: ShardSealed, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::Shard(message.0))
    }
}

impl Handler<NoMoreShards> for ShardTerminus {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: NoMoreShards, _: &mut Self::Context) -> Self::Result {
        take(&self.intake, Input::NoMore)
    }
}

impl Work {
    async fn run(mut self) -> Result<(), AnyFault> {
        let mut after: Option<ShardId> = None;
        loop {
            let shards = self.seams.ledger.shards_to_open(after, 64).await?;
            let Some(last) = shards.last() else { break };
            after = Some(last.id);
            for shard in shards {
                self.write(&shard).await?;
            }
        }
        while let Some(Input::Shard(shard)) = self.intake.recv().await {
            self.write(&shard).await?;
        }
        Ok(())
    }

    async fn write(&self, shard: &ShardFacts) -> Result<(), AnyFault> {
        if shard.state != ShardState::Sealed || self.seams.stop.is_stopping() {
            return Ok(());
        }
        let SpoolSeams { ledger, spool, pool, news, .. } = &self.seams;
        let plan = ledger.plan(shard.id).await?;
        let path: PathBuf = spool::file_name(&spool.folder, &spool.base, shard.id.0);
        let shown = path.display().to_string();
        let (corpus, spool, makings) = (Arc::clone(&self.seams.corpus), spool.clone(), self.seams.makings.clone());
        let made = pool.run(move || write_spool(&plan, &*corpus, &makings, &spool, path)).await?;
        match made {
            Ok(done) => {
                if !done.contents.is_empty() {
                    ledger.content_seen(done.contents).await?;
                }
                ledger.spooled(shard.id, done.hash).await?;
                news.sent(shard.bytes);
                news.tell(Notice::Spooled { path: shown, lines: shard.lines, bytes: shard.bytes });
            }
            Err(BodyError::Spoiled(spoiler)) => {
                let text = format!("{}: {}", spoiler.path, spoiler.what);
                news.warn("E207", text, "measured and planned again; after three times failed");
                let now = spoiler.now.map(|found| Remeasured { stamp: found.stamp, fate: found.fate });
                ledger.dissolve(shard.id, Some(Culprit { image: spoiler.image, now })).await?;
            }
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }
}
