//! The first half, stage by stage: from a folder to bytes on a socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::figures::Sample;
use super::ground::{Ground, IMAGES, sample, walk};
use super::meter::Meter;
use super::stage::Stage;
use crate::corpus::Corpus;
use crate::domain::ids::{ImageId, RecipeId, ShardId, Tag};
use crate::domain::image::{Fate, Found, Looks};
use crate::domain::money::Money;
use crate::domain::recipe::Recipe;
use crate::domain::shard::{NewLine, Plan, PlanLine, SealReason, ShardFacts, ShardState};
use crate::encode::body::{self, Lane, Makings};
use crate::encode::line::Framer;
use crate::encode::pack::{Candidate, Limits, OpenPlan};
use crate::kit::bodies::LANE_CHUNKS;
use crate::kit::clock::Stopwatch;
use crate::kit::pool::Pool;
use crate::kit::runtime::Runtime;
use crate::provider::http::Options;
use crate::provider::openai::OpenAi;
use crate::provider::{Provider as _, UploadBody};
use crate::settings::Settings;

/// Lists the corpus and measures every image in it.
pub(super) fn scan(ground: &Ground) -> io::Result<Sample> {
    let corpus = ground.corpus(&ground.settings(&[])?)?;
    let (mut images, mut bytes) = (0, 0);
    let mut meter = Meter::default();
    meter.window(|| {
        walk(&*corpus, |page| {
            images += page.len() as u64;
            bytes += page.iter().map(|found| found.stamp.bytes).sum::<u64>();
        })
    })?;
    // Its waiting is for the disk, and no edge counts it. Bytes are those of the images, of which the first are read.
    Ok(sample(Stage::Scan, images, bytes, &meter, &[]))
}

/// Plans every shard of the corpus.
pub(super) fn pack(ground: &Ground) -> io::Result<Sample> {
    let front = Front::of(ground)?;
    let mut meter = Meter::default();
    let plans = meter.window(|| front.plans())?;
    let lines = plans.iter().map(|plan| plan.lines.len() as u64).sum();
    Ok(sample(Stage::Pack, lines, 0, &meter, &[]))
}

/// Makes all bodies, one after the other.
pub(super) fn encode(ground: &Ground) -> io::Result<Sample> {
    let front = Front::of(ground)?;
    let plans = front.plans()?;
    let makings = Makings::new(front.settings.encode.hash_images, 1);
    let (mut meter, mut dropped) = (Meter::default(), Dropped(0));
    meter.window(|| plans.iter().try_for_each(|plan| made(body::run(plan, &*front.corpus, &makings, &mut dropped))))?;
    Ok(sample(Stage::Encode, lines(&plans), dropped.0, &meter, &[]))
}

/// Sends all bodies, as many at once as the settings say.
pub(super) fn upload(ground: &Ground) -> io::Result<Sample> {
    let front = Front::of(ground)?;
    let plans = front.plans()?;
    let (items, bytes) = (lines(&plans), plans.iter().map(|plan| plan.shard.bytes).sum());
    let provider = client(ground.server()?, &front.settings)?;
    let places = front.settings.shard.max_bodies as usize;
    let sender = Sender {
        makings: Makings::new(front.settings.encode.hash_images, places),
        corpus: Arc::clone(&front.corpus),
        pool: Pool::new("bodies", places)?,
        waited: Arc::default(),
    };
    let runtime = Runtime::new()?;
    let mut meter = Meter::default();
    meter.window(|| {
        runtime.wait(async {
            let sent = stream::iter(plans).map(|plan| sender.send(&provider, Arc::new(plan))).buffer_unordered(places);
            sent.collect::<Vec<io::Result<()>>>().await.into_iter().collect::<io::Result<()>>()
        })
    })?;
    let waits = [("network_wait", sender.waited.load(Ordering::Relaxed))];
    Ok(sample(Stage::Upload, items, bytes, &meter, &waits))
}

/// The client of a server that asks for no key.
///
/// # Errors
/// What is wrong with the address.
pub(super) fn client(base_url: &str, settings: &Settings) -> io::Result<OpenAi> {
    let options = Options {
        base_url: base_url.to_owned(),
        key: None,
        key_header: settings.provider.key_header.as_written(),
        organization: None,
        project: None,
        stall_timeout: settings.retry.stall_timeout,
        user_agent: concat!("batchscribe/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    OpenAi::new(&options).map_err(|cause| io::Error::other(cause.to_string()))
}

fn lines(plans: &[Plan]) -> u64 {
    plans.iter().map(|plan| plan.lines.len() as u64).sum()
}

fn made<T>(done: Result<T, impl std::fmt::Display>) -> io::Result<()> {
    done.map(drop).map_err(|cause| io::Error::other(cause.to_string()))
}

/// Counts chunks and drops them.
struct Dropped(u64);

impl Lane for Dropped {
    fn push(&mut self, chunk: Bytes) -> bool {
        self.0 += chunk.len() as u64;
        true
    }
}

/// Opens bodies on their own threads and hands them to the client.
struct Sender {
    makings: Makings,
    corpus: Arc<dyn Corpus>,
    pool: Pool,
    /// Microseconds that bodies waited for room in their lanes.
    waited: Arc<AtomicU64>,
}

impl Sender {
    async fn send(&self, provider: &OpenAi, plan: Arc<Plan>) -> io::Result<()> {
        let (lane, chunks) = mpsc::channel(LANE_CHUNKS);
        let mut lane = Watched { lane, waited: Arc::clone(&self.waited) };
        let (corpus, makings, length) = (Arc::clone(&self.corpus), self.makings.clone(), plan.shard.bytes);
        let body = self.pool.run(move || made(body::run(&plan, &*corpus, &makings, &mut lane)));
        let sent = provider.upload_file("bench.jsonl", UploadBody { length, lane: chunks });
        let (made, sent) = tokio::join!(body, sent);
        made.map_err(io::Error::other)??;
        sent.map(drop).map_err(|cause| io::Error::other(cause.to_string()))
    }
}

/// A lane whose waiting is counted.
struct Watched {
    lane: mpsc::Sender<Bytes>,
    waited: Arc<AtomicU64>,
}

impl Lane for Watched {
    fn push(&mut self, chunk: Bytes) -> bool {
        let watch = Stopwatch::start();
        let taken = self.lane.push(chunk);
        self.waited.fetch_add(watch.micros(), Ordering::Relaxed);
        taken
    }
}

/// A corpus that was walked, and how it is asked.
struct Front {
    settings: Settings,
    recipe: Recipe,
    corpus: Arc<dyn Corpus>,
    found: Vec<Found>,
}

impl Front {
    fn of(ground: &Ground) -> io::Result<Self> {
        let settings = ground.settings(&[])?;
        let (recipe, corpus) = (ground.recipe(&settings)?, ground.corpus(&settings)?);
        let mut found = Vec::new();
        walk(&*corpus, |page| found.extend(page))?;
        Ok(Self { settings, recipe, corpus, found })
    }

    /// The plans of the whole corpus, in the order of the walk.
    fn plans(&self) -> io::Result<Vec<Plan>> {
        let settings = &self.settings;
        let limits = Limits {
            lines: settings.max_images_per_batch as usize,
            bytes: settings.shard.max_shard_bytes,
            tokens: settings.shard.max_shard_tokens.unwrap_or(0),
            money: None,
            age_ms: 0,
        };
        let framer = Framer::new(&self.recipe, IMAGES.as_bytes())?;
        let counting = settings.models.counting(&self.recipe.model, &self.recipe.parameters.detail);
        let (mut open, mut plans) = (OpenPlan::default(), Vec::new());
        for (number, found) in self.found.iter().enumerate() {
            let Fate::Owed(looks) = &found.fate else { continue };
            let Some(pixels) = looks.pages.first() else { continue };
            let next = Candidate {
                image: ImageId(number as i64),
                bytes: framer.frame(&found.path, looks.format).line_bytes(found.stamp.bytes),
                tokens: counting.line(*pixels, framer.prompt_bytes()),
                worst: Money::ZERO,
                first: true,
            };
            if let Some(seal) = open.full_for(&next, &limits) {
                plans.extend(open.close(seal).map(|closed| self.plan(plans.len(), closed.lines)));
            }
            open.push(&next, None, 0);
        }
        plans.extend(open.close(SealReason::Dry).map(|closed| self.plan(plans.len(), closed.lines)));
        Ok(plans)
    }

    /// A plan as the ledger would give it back.
    fn plan(&self, number: usize, lines: Vec<NewLine>) -> Plan {
        let looked = |line: &NewLine| {
            let found = self.found.get(usize::try_from(line.image.0).ok()?)?;
            match &found.fate {
                Fate::Owed(looks) => Some((found, looks)),
                Fate::Failed(_) | Fate::Skipped(_) => None,
            }
        };
        let line = |(pos, line): (u32, &NewLine)| {
            let (found, looks): (&Found, &Looks) = looked(line)?;
            Some(PlanLine {
                image: line.image,
                pos,
                bytes: line.bytes,
                path: found.path.clone(),
                stamp: found.stamp,
                format: looks.format,
                prepared: None,
                attempt: 1,
                rough: None,
            })
        };
        let lines: Vec<PlanLine> = (1u32..).zip(&lines).filter_map(line).collect();
        let shard = ShardFacts {
            id: ShardId(number as i64),
            tag: Tag("bench".into()),
            run: Tag("bench".into()),
            state: ShardState::Sealed,
            lines: lines.len() as u32,
            bytes: lines.iter().map(|line| line.bytes).sum(),
            est_tokens: 1,
            worst: None,
            recipe: RecipeId(1),
            endpoint: self.recipe.endpoint.clone(),
            input: None,
            body_hash: None,
            not_before: 0,
            next_attempt: 1,
        };
        Plan { shard, recipe: self.recipe.clone(), given: IMAGES.into(), root: Vec::new(), lines }
    }
}
