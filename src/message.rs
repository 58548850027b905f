//! The eleven messages, in order. All are facts that the ledger holds already; none asks for anything; none carries image
//! bytes. A message that stands for a scarce thing owns the lease on it: dropping the message anywhere gives it back.

use std::sync::Arc;

use actix::Message;

use crate::domain::answer::{Answer, LinesRead};
use crate::domain::batch::{EndedBatch, OpenBatch};
use crate::domain::image::OwedImage;
use crate::domain::recipe::Recipe;
use crate::domain::shard::ShardFacts;
use crate::kit::budget::Lease;

/// 1, Scanner → Encoder: an image is owed. Durable twin: image `owed`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ImageFound(pub OwedImage);

/// 2, Scanner → Encoder: nothing is owed and nothing in flight, or the program drains.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NoMoreImages;

/// 3, Encoder → Uploader: a plan is sealed. Durable twin: shard `sealed`, `uploaded` or `opening`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ShardSealed(pub ShardFacts);

/// 4, Encoder → Uploader.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NoMoreShards;

/// 5, Uploader → Poller: a batch is at the provider. Durable twin: batch `open`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct BatchOpened {
    /// The batch.
    pub batch: OpenBatch,
    slot: Lease,
}

/// 6, Uploader → Poller.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NoMoreBatches;

/// 7, Poller → Extractor: a batch has ended. Durable twin: batch `ended` or `fetched`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct BatchEnded {
    /// The batch.
    pub batch: EndedBatch,
    slot: Lease,
}

/// 8, Poller → Extractor.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NoMoreEnds;

/// 9, Extractor → Cleaner: answers of one batch, at most [`MOST_TOGETHER`](crate::domain::answer::MOST_TOGETHER) and 4 MiB. They are read again from the raw file if lost.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AnswersRead {
    /// The batch.
    pub batch: EndedBatch,
    /// What they were asked with.
    pub recipe: Arc<Recipe>,
    /// Its answers.
    pub answers: Vec<Answer>,
}

/// 10, Extractor → Cleaner: every line of a batch has been handed over. Durable twin: batch `fetched`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct BatchRead {
    /// The batch.
    pub batch: EndedBatch,
    /// What its lines came to.
    pub lines: LinesRead,
    slot: Lease,
}

/// 11, Extractor → Cleaner.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct NoMoreAnswers;

impl BatchOpened {
    /// The batch, and the slot that it occupies.
    #[must_use]
    pub fn new(batch: OpenBatch, slot: Lease) -> Self {
        Self { batch, slot }
    }

    /// Hands the slot on.
    pub fn into_parts(self) -> (OpenBatch, Lease) {
        (self.batch, self.slot)
    }
}

impl BatchEnded {
    /// The batch, and the slot that it still occupies.
    #[must_use]
    pub fn new(batch: EndedBatch, slot: Lease) -> Self {
        Self { batch, slot }
    }

    /// Hands the slot on.
    pub fn into_parts(self) -> (EndedBatch, Lease) {
        (self.batch, self.slot)
    }
}

impl BatchRead {
    /// The batch, and the slot that is free once its books are closed.
    #[must_use]
    pub fn new(batch: EndedBatch, lines: LinesRead, slot: Lease) -> Self {
        Self { batch, lines, slot }
    }

    /// Hands the slot on.
    pub fn into_parts(self) -> (EndedBatch, LinesRead, Lease) {
        (self.batch, self.lines, self.slot)
    }
}
