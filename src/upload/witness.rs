//! Whether this key belongs to the project that a create in doubt was sent to. A key of another project sees no such batch and no
//! such input file either, and takes both for gone: what exists and is paid for there would be paid for once more here.
//!
//! Batches that this key has opened since prove nothing. What does is a thing that was seen by the key which sent the create.

use std::time::Duration;

use super::adopt::{Doubt, DoubtError};
use crate::domain::batch::Intent;
use crate::domain::ids::{BatchId, FileId};
use crate::kit::backoff::Backoff;
use crate::kit::{crash, random};
use crate::provider::failure::Failure;
use crate::provider::patience::Patience;
use crate::provider::{Deletion, UploadBody};

/// The whole witness: a line that nobody will ever ask.
const WITNESS: &[u8] =
    b"{\"custom_id\":\"witness\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{}}\n";
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };

impl Doubt {
    /// Whether this key sees the input file, or anything else that was there for the key which sent the create.
    pub(super) async fn is_ours(&self, intent: &Intent) -> Result<bool, DoubtError> {
        if self.own || self.sees_file(&intent.input).await? {
            return Ok(true);
        }
        let witnesses = self.ledger.witnesses(intent.no).await?;
        for file in &witnesses.files {
            if self.sees_file(file).await? {
                return Ok(true);
            }
        }
        for batch in &witnesses.batches {
            if self.sees_batch(batch).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn sees_file(&self, file: &FileId) -> Result<bool, DoubtError> {
        self.patiently(async || seen(self.provider.file(file).await)).await
    }

    async fn sees_batch(&self, batch: &BatchId) -> Result<bool, DoubtError> {
        self.patiently(async || seen(self.provider.batch(batch).await)).await
    }

    /// Deletes the input file until the answer is definite; tells whether that is a fence: for a key that does not belong to its
    /// project, the file is not there either.
    pub(super) async fn fence(&self, intent: &Intent) -> Result<bool, DoubtError> {
        let is_ours = self.is_ours(intent).await?;
        if is_ours {
            self.leave_witness(intent).await?;
        }
        let deletion = self.patiently(async || self.provider.delete_file(&intent.input).await).await?;
        if !is_ours && deletion == Deletion::NotThere {
            return Ok(false);
        }
        crash::point("doubt.fenced");
        self.ledger.fenced(intent.no).await?;
        crash::point("doubt.fence_recorded");
        Ok(true)
    }

    /// The fence takes away what a later start would tell this key by. A small file, by which it can as well, is left before.
    pub(super) async fn leave_witness(&self, intent: &Intent) -> Result<(), DoubtError> {
        if !self.ledger.witnesses(intent.no).await?.files.is_empty() {
            return Ok(());
        }
        let upload = async || match self.provider.upload_file(&self.witness, UploadBody::of(WITNESS.into())).await {
            Ok(file) => Ok(Some(file.id)),
            // Without it a later start may have to stop and ask; nothing is paid twice for that.
            Err(failure) if is_no(&failure) => Ok(None),
            Err(failure) => Err(failure),
        };
        if let Some(file) = self.patiently(upload).await? {
            crash::point("doubt.witness_left");
            self.ledger.note_event("witness".to_owned(), Some(intent.no), file.to_string()).await?;
            crash::point("doubt.witness_recorded");
        }
        Ok(())
    }

    /// The doubt is over, and that is recorded: nothing has to be told by a witness any more.
    pub(super) async fn forget_witness(&self, intent: &Intent) -> Result<(), DoubtError> {
        for file in self.ledger.witnesses(intent.no).await?.files {
            if let Err(failure) = self.provider.delete_file(&file).await {
                tracing::warn!(%file, %failure, "a leftover stays at the provider");
            }
        }
        Ok(())
    }

    /// Asks until there is an answer, or for `run.give_up_after` in vain: then the shard stays where it is.
    pub(super) async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T, Failure>) -> Result<T, DoubtError> {
        let patience = Patience::new(self.clock.clone(), self.give_up_after);
        let mut failures = 0;
        loop {
            let failure = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.stops_the_run() => return Err(failure.into()),
                Err(failure) => failure,
            };
            patience.bear(&failure)?;
            failures += 1;
            tracing::warn!(%failure, failures, "no definite answer about a batch in doubt");
            if failures == 3 {
                let text =
                    format!("{} gives no definite answer about a batch in doubt: {}", failure.host, failure.message);
                self.news.warn("E313", text, "asked again; nothing is paid for meanwhile");
            }
            let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(failures, random::unit()));
            self.clock.sleep(pause).await;
        }
    }
}

/// A definite no: asking again would give the same.
fn is_no(failure: &Failure) -> bool {
    matches!(failure.status, Some(405 | 501)) || (!failure.is_passing() && !failure.stops_the_run())
}

/// Whether what was asked for is there; an error if that is unknown.
fn seen<T>(answer: Result<T, Failure>) -> Result<bool, Failure> {
    match answer {
        Ok(_) => Ok(true),
        Err(failure) if is_no(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}
