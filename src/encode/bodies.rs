//! The one value behind [`ShardBodies`]: opens bodies, a counted number at a time, streamed or through a spool file.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::body::{self, Lane, Makings};
use super::line::Framer;
use super::spool::{self, Spooler};
use crate::corpus::Corpus;
use crate::domain::ids::ShardId;
use crate::domain::shard::Plan;
use crate::kit::base64::CHUNK_OUT;
use crate::kit::bodies::{Body, BodyDone, BodyError, LANE_CHUNKS, ShardBodies};
use crate::kit::budget::Budget;
use crate::kit::hash::BodyHasher;
use crate::kit::news::News;
use crate::kit::pool::Pool;
use crate::ledger::keeper::Ledger;

/// Where spooled shards lie, and who writes them.
#[derive(Clone, Debug)]
pub struct Spool {
    /// The thread that writes.
    pub spooler: Spooler,
    /// The folder.
    pub folder: PathBuf,
    /// `jsonl_file_base`.
    pub base: String,
}

/// What bodies are made with.
#[derive(Clone)]
pub struct BodyOptions {
    /// What bodies are made with.
    pub makings: Makings,
    /// Set if each shard is written to disk first.
    pub spool: Option<Spool>,
}

/// Opens the bodies of sealed shards.
pub struct Bodies {
    ledger: Ledger,
    corpus: Arc<dyn Corpus>,
    /// As many threads as open bodies: a slow network blocks these and no others.
    pool: Pool,
    places: Budget,
    news: News,
    options: BodyOptions,
}

impl Bodies {
    /// `places` counts the bodies that may be open at once; `pool` has a thread for each.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        corpus: Arc<dyn Corpus>,
        pool: Pool,
        places: Budget,
        news: News,
        options: BodyOptions,
    ) -> Self {
        Self { ledger, corpus, pool, places, news, options }
    }
}

#[async_trait::async_trait]
impl ShardBodies for Bodies {
    async fn open(&self, shard: ShardId) -> Result<Body, BodyError> {
        let place = self.places.lease(1).await.map_err(|_| BodyError::GivenUp)?;
        let plan = self.ledger.plan(shard).await.map_err(|cause| BodyError::Broken(cause.to_string()))?;
        let length = plan.shard.bytes;
        let (sender, lane) = mpsc::channel(LANE_CHUNKS);
        let (done, end) = oneshot::channel();
        let (corpus, options) = (Arc::clone(&self.corpus), self.options.clone());
        let mut counted = Counted { lane: sender, news: self.news.clone() };
        self.pool.start(move || {
            let _place = place;
            let ended = make(&plan, &*corpus, &options, &mut counted);
            // The lane is closed first, so that whoever hears of the end has seen every byte.
            drop(counted);
            drop(done.send(ended));
        });
        Ok(Body { length, lane, end })
    }

    async fn specimen(&self, shard: ShardId) -> Result<Bytes, BodyError> {
        let plan = self.ledger.plan(shard).await.map_err(|cause| BodyError::Broken(cause.to_string()))?;
        let request = Framer::new(&plan.recipe, &plan.given).and_then(|framer| framer.specimen());
        request.map(Bytes::from).map_err(|cause| BodyError::Broken(cause.to_string()))
    }

    async fn sent(&self, shard: ShardId) {
        if let Some(spool) = &self.options.spool {
            remove(&spool::file_name(&spool.folder, &spool.base, shard.0));
        }
    }

    async fn discard(&self, shard: ShardId) {
        self.sent(shard).await;
        // For most corpora nothing is ever prepared, and no plan is read.
        let Some(files) = self.options.makings.prepared().filter(|files| !files.is_empty()) else { return };
        match self.ledger.plan(shard).await {
            Ok(plan) => {
                files.discard(plan.lines.into_iter().filter_map(|line| line.prepared).map(|it| (it.file, it.bytes)))
            }
            Err(cause) => tracing::warn!(%shard, %cause, "prepared pictures stay; they are removed at the next start"),
        }
    }
}

/// Counts what goes through, for the screen.
struct Counted {
    lane: mpsc::Sender<Bytes>,
    news: News,
}

impl Lane for Counted {
    fn push(&mut self, chunk: Bytes) -> bool {
        let bytes = chunk.len() as u64;
        let taken = self.lane.push(chunk);
        if taken {
            self.news.sent(bytes);
        }
        taken
    }
}

fn make(plan: &Plan, corpus: &dyn Corpus, options: &BodyOptions, lane: &mut dyn Lane) -> Result<BodyDone, BodyError> {
    let Some(spool) = &options.spool else {
        return body::run(plan, corpus, &options.makings, lane);
    };
    let path = spool::file_name(&spool.folder, &spool.base, plan.shard.id.0);
    if let Some(hash) = plan.shard.body_hash
        && is_whole(&path, plan.shard.bytes, hash)
    {
        return copy(&path, lane).map(|hash| BodyDone { hash, contents: Vec::new() });
    }
    let contents = write_spool(plan, corpus, &options.makings, spool, path.clone())?.contents;
    copy(&path, lane).map(|hash| BodyDone { hash, contents })
}

/// Writes the body of `plan` as a file of the spool.
///
/// # Errors
/// The body's own, or [`BodyError::Broken`] if the file cannot be written.
pub fn write_spool(
    plan: &Plan,
    corpus: &dyn Corpus,
    makings: &Makings,
    spool: &Spool,
    path: PathBuf,
) -> Result<BodyDone, BodyError> {
    let broken = |cause: std::io::Error| BodyError::Broken(cause.to_string());
    let mut file = spool.spooler.begin(path).map_err(broken)?;
    let made = body::run(plan, corpus, makings, &mut file.chunks);
    file.finish(made.is_ok()).map_err(broken)?;
    made
}

/// Whether a spooled file is the body that the ledger knows.
fn is_whole(path: &Path, bytes: u64, hash: [u8; 16]) -> bool {
    let Ok(file) = File::open(path) else { return false };
    if file.metadata().map(|facts| facts.len()).ok() != Some(bytes) {
        return false;
    }
    let mut hasher = BodyHasher::default();
    read_chunks(file, |chunk| {
        hasher.update(&chunk);
        true
    })
    .is_ok_and(|()| hasher.finish() == hash)
}

fn copy(path: &Path, lane: &mut dyn Lane) -> Result<[u8; 16], BodyError> {
    let broken = |cause: std::io::Error| match cause.kind() {
        ErrorKind::Interrupted => BodyError::GivenUp,
        _ => BodyError::Broken(format!("{}: {cause}", path.display())),
    };
    let mut hasher = BodyHasher::default();
    read_chunks(File::open(path).map_err(broken)?, |chunk| {
        hasher.update(&chunk);
        lane.push(chunk)
    })
    .map_err(broken)?;
    Ok(hasher.finish())
}

/// Reads a file chunk by chunk; `Interrupted` once `each` wants no more.
fn read_chunks(mut file: File, mut each: impl FnMut(Bytes) -> bool) -> std::io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_OUT);
        (&mut file).take(CHUNK_OUT as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(());
        }
        if !each(Bytes::from(chunk)) {
            return Err(ErrorKind::Interrupted.into());
        }
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %cause, "a spool file stays")
        }
        _ => {}
    }
}
