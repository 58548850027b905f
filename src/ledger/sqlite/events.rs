//! Money moves and oddities, append-only: what a person reads when figures surprise.

use rusqlite::params;

use super::SqliteStore;
use super::fault::Outcome;
use crate::domain::ids::{BatchNo, ImageId, ShardId};

/// What an event is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    pub(super) shard: Option<ShardId>,
    pub(super) batch: Option<BatchNo>,
    pub(super) image: Option<ImageId>,
}

impl From<ShardId> for About {
    fn from(shard: ShardId) -> Self {
        Self { shard: Some(shard), ..Self::default() }
    }
}

impl From<BatchNo> for About {
    fn from(batch: BatchNo) -> Self {
        Self { batch: Some(batch), ..Self::default() }
    }
}

impl From<ImageId> for About {
    fn from(image: ImageId) -> Self {
        Self { image: Some(image), ..Self::default() }
    }
}

/// Appends one event about the newest run.
pub(super) fn append_to_run(store: &SqliteStore, what: &str, detail: &str) -> Outcome<()> {
    const SQL: &str =
        "INSERT INTO event (at, epoch, what, run_id, detail) SELECT ?1, ?2, ?3, (SELECT max(id) FROM run), ?4";
    store.connection.prepare_cached(SQL)?.execute(params![store.clock.now(), store.epoch, what, detail])?;
    Ok(())
}

/// Appends one event; `detail` may be empty.
pub(super) fn append(store: &SqliteStore, what: &str, about: impl Into<About>, detail: &str) -> Outcome<()> {
    const SQL: &str =
        "INSERT INTO event (at, epoch, what, shard_id, batch, image_id, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let About { shard, batch, image } = about.into();
    let detail = (!detail.is_empty()).then_some(detail);
    store.connection.prepare_cached(SQL)?.execute(params![
        store.clock.now(),
        store.epoch,
        what,
        shard.map(|id| id.0),
        batch.map(|no| no.0),
        image.map(|id| id.0),
        detail
    ])?;
    Ok(())
}
