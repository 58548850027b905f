//! The service as one process sees it: it may die before each request or before it hears the answer, and a create that got
//! stuck on its way may arrive when nobody waits for it any more.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use batchscribe::domain::ids::{BatchId, FileId};
use batchscribe::emulator::direct::Direct;
use batchscribe::kit::clock::{Clock, Millis};
use batchscribe::kit::random::split_mix;
use batchscribe::provider::failure::{Failure, Kind};
use batchscribe::provider::wire::{Batch, BatchPage, NewBatch, RemoteFile};
use batchscribe::provider::{Cancelled, Deletion, Download, Provider, UploadBody};
use bytes::Bytes;
use serde_json::Value;

use crate::fate::Fate;
use crate::plan::Late;

type Result<T> = std::result::Result<T, Failure>;

/// The service and the wire to it; both outlive every process.
pub(crate) struct Wire {
    service: Arc<Direct>,
    clock: Clock,
    quiet_at: Millis,
    late: Late,
    chance: Mutex<u64>,
    /// Creates on their way, and when they arrive.
    stuck: Mutex<Vec<(Millis, NewBatch)>>,
}

impl Wire {
    pub(crate) fn new(service: Arc<Direct>, clock: Clock, quiet_at: Millis, late: Late, seed: u64) -> Arc<Self> {
        let (chance, stuck) = (Mutex::new(seed ^ 0x1a7e), Mutex::default());
        Arc::new(Self { service, clock, quiet_at, late, chance, stuck })
    }

    /// What has happened at the service since the last request.
    async fn catch_up(&self) {
        let now = self.clock.now();
        let due: Vec<NewBatch> = {
            let mut stuck = self.stuck.lock().expect("stuck");
            let (due, later) = std::mem::take(&mut *stuck).into_iter().partition(|(at, _)| *at <= now);
            *stuck = later;
            let due: Vec<(Millis, NewBatch)> = due;
            due.into_iter().map(|(_, batch)| batch).collect()
        };
        for batch in due {
            // Nobody hears what came of it.
            drop(self.service.create_batch(&batch).await);
        }
        if now >= self.quiet_at {
            self.service.calm();
        }
    }

    /// Whether this create gets stuck on its way; and when it arrives then.
    fn gets_stuck(&self) -> Option<Millis> {
        let drawn = split_mix(&mut self.chance.lock().expect("chance"));
        let now = self.clock.now();
        (now < self.quiet_at && drawn % 100 < self.late.percent).then_some(now + self.late.by)
    }
}

/// One process's end of the wire.
pub(crate) struct Mortal {
    pub(crate) wire: Arc<Wire>,
    pub(crate) fate: Fate,
}

impl Mortal {
    /// One request; a process that died waits for its answer for ever.
    async fn ask<T>(&self, what: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.fate.lets(what) {
            return std::future::pending().await;
        }
        self.wire.catch_up().await;
        let answer = request.await;
        let heard = match &answer {
            Ok(_) => format!("{what}: done"),
            Err(failure) => format!("{what}: {:?} {}", failure.kind, failure.message),
        };
        if self.fate.lets(&heard) { answer } else { std::future::pending().await }
    }
}

#[async_trait]
impl Provider for Mortal {
    fn host(&self) -> &str {
        self.wire.service.host()
    }

    async fn upload_file(&self, name: &str, body: UploadBody) -> Result<RemoteFile> {
        self.ask("upload", self.wire.service.upload_file(name, body)).await
    }

    async fn file(&self, id: &FileId) -> Result<RemoteFile> {
        self.ask("file", self.wire.service.file(id)).await
    }

    async fn find_files(&self, name: &str) -> Result<Vec<RemoteFile>> {
        self.ask("files", self.wire.service.find_files(name)).await
    }

    async fn read_file(&self, id: &FileId, offset: u64) -> Result<Download> {
        self.ask("read", self.wire.service.read_file(id, offset)).await
    }

    async fn delete_file(&self, id: &FileId) -> Result<Deletion> {
        self.ask("delete", self.wire.service.delete_file(id)).await
    }

    async fn create_batch(&self, batch: &NewBatch) -> Result<Batch> {
        let Some(arrives) = self.wire.gets_stuck() else {
            return self.ask("create", self.wire.service.create_batch(batch)).await;
        };
        let stuck = async {
            self.wire.stuck.lock().expect("stuck").push((arrives, batch.clone()));
            Err(Failure::new(Kind::Doubt, self.host(), "no answer"))
        };
        self.ask("create, which gets stuck", stuck).await
    }

    async fn batch(&self, id: &BatchId) -> Result<Batch> {
        self.ask("batch", self.wire.service.batch(id)).await
    }

    async fn list_batches(&self, after: Option<&BatchId>) -> Result<BatchPage> {
        self.ask("list", self.wire.service.list_batches(after)).await
    }

    async fn cancel_batch(&self, id: &BatchId) -> Result<Cancelled> {
        self.ask("cancel", self.wire.service.cancel_batch(id)).await
    }

    async fn ask(&self, endpoint: &str, body: Bytes) -> Result<Value> {
        Self::ask(self, "question", self.wire.service.ask(endpoint, body)).await
    }
}
