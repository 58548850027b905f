//! The seam between who makes a shard's bytes and who sends them.
//!
//! A [`Body`] is a number of bytes known beforehand, a lane that they come through, and at its end a hash or a named
//! error. It knows nothing of images.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::hash::Short;
use crate::domain::ids::{ImageId, ShardId};
use crate::domain::image::{Found, Reason};

/// Chunks a lane holds; two more are in the hands of its ends.
pub const LANE_CHUNKS: usize = 4;

/// How a body ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDone {
    /// XXH3-128 of all its bytes.
    pub hash: [u8; 16],
    /// BLAKE3 of each image, taken while it streamed; empty if that is not wanted.
    pub contents: Vec<(ImageId, Short)>,
}

/// Tells how a body ended.
pub type BodyEnd = oneshot::Receiver<Result<BodyDone, BodyError>>;

/// A file that is not what its plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoiler {
    /// The image.
    pub image: ImageId,
    /// Its path, for people.
    pub path: String,
    /// What is wrong, in words.
    pub what: String,
    /// What it is now, measured at once; or why it has no measure.
    pub now: Result<Found, Reason>,
}

/// Why a body ended badly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A file changed, vanished or cannot be read.
    #[error("{}: {}", .0.path, .0.what)]
    Spoiled(Box<Spoiler>),
    /// The plan itself could not be read, or the body's task died.
    #[error("the body could not be made: {0}")]
    Broken(String),
    /// Nobody listens any more, or the program stops.
    #[error("the body was given up")]
    GivenUp,
}

/// A shard's bytes while they are made.
#[derive(Debug)]
pub struct Body {
    /// Exact number of bytes that will come.
    pub length: u64,
    /// The bytes; closed early if the body fails. Dropping it ends the body's task at its next chunk.
    pub lane: mpsc::Receiver<Bytes>,
    /// Hash of all bytes, or why there are fewer.
    pub end: BodyEnd,
}

impl Body {
    /// How the body ended; a vanished task counts as broken.
    ///
    /// # Errors
    /// The [`BodyError`] that ended it.
    pub async fn ended(end: BodyEnd) -> Result<BodyDone, BodyError> {
        end.await.unwrap_or_else(|_| Err(BodyError::Broken("its task died".into())))
    }
}

/// Makes the bytes of sealed shards, as often as somebody asks.
#[async_trait::async_trait]
pub trait ShardBodies: Send + Sync {
    /// Waits for a free place among the open bodies, then begins the body of `shard`.
    ///
    /// # Errors
    /// [`BodyError::GivenUp`] if the program stops, [`BodyError::Broken`] if the plan cannot be read.
    async fn open(&self, shard: ShardId) -> Result<Body, BodyError>;

    /// The request of a line of `shard`, around a picture that is not the user's: what may be asked to find out whether such
    /// lines are answered at all.
    ///
    /// # Errors
    /// [`BodyError::Broken`] if the plan cannot be read.
    async fn specimen(&self, shard: ShardId) -> Result<Bytes, BodyError>;

    /// The batch of `shard` is open: a spooled copy of its bytes is not needed any more.
    async fn sent(&self, shard: ShardId);

    /// Removes what was kept for `shard` alone; called once its books are closed.
    async fn discard(&self, shard: ShardId);
}
