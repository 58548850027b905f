//! A plan's bytes on their way to the provider: uploaded once, or dissolved by the name of the file that changed. Nothing is
//! paid here, so everything may be tried again.

use super::send::{PAUSES, SendError, Sender};
use crate::domain::image::Reason;
use crate::domain::shard::{ShardFacts, ShardState};
use crate::kit::bodies::{Body, BodyDone, BodyError};
use crate::kit::clock::millis;
use crate::kit::{crash, random};
use crate::ledger::LedgerError;
use crate::ledger::records::{Culprit, Remeasured};
use crate::provider::UploadBody;
use crate::provider::failure::{Failure, Kind};
use crate::provider::wire::RemoteFile;

/// Uploads of one shard that arrive incomplete, after which something on the way cuts them, and not chance.
const MOST_TORN: u32 = 5;

impl Sender {
    /// sealed → uploaded, or dissolved.
    pub(super) async fn upload(&self, shard: &ShardFacts, look_first: bool) -> Result<(), SendError> {
        let name = self.upload_name(shard);
        if look_first && let Some(file) = self.left_behind(shard, &name).await? {
            // The file is there whole; its hash is still wanted, so the body runs into nothing.
            if let Ok(done) = self.hash_only(shard).await? {
                return self.record_upload(shard, &file, done).await;
            }
            return Ok(());
        }
        let (mut failures, mut torn) = (0, 0);
        loop {
            let body = match self.bodies.open(shard.id).await {
                Ok(body) => body,
                Err(error) => return self.spoiled(shard, error).await,
            };
            let (upload, end) = UploadBody::split(body);
            crash::point("upload.before");
            let answer = self.provider.upload_file(&name, upload).await;
            match answer {
                Ok(file) if file.bytes.is_none_or(|bytes| bytes == shard.bytes) => {
                    crash::point("upload.answered");
                    return match Body::ended(end).await {
                        Ok(done) => self.record_upload(shard, &file, done).await,
                        Err(error) => self.spoiled(shard, error).await,
                    };
                }
                Ok(file) => {
                    tracing::warn!(file = %file.id, got = file.bytes, want = shard.bytes, "a torn input file is deleted");
                    self.forget_file(&file).await;
                    torn += 1;
                    if torn == MOST_TORN {
                        let got = file.bytes.unwrap_or_default();
                        let words = format!("{got} bytes of an upload of {} arrived, {torn} times", shard.bytes);
                        return Err(Failure::new(Kind::Refused, self.provider.host(), words).into());
                    }
                }
                Err(failure) => {
                    if failure.kind == Kind::Body
                        && let Err(error @ (BodyError::Spoiled(_) | BodyError::Broken(_))) = Body::ended(end).await
                    {
                        return self.spoiled(shard, error).await;
                    }
                    if failure.kind == Kind::TooLarge && shard.lines > 1 {
                        return self.split(shard, &failure).await;
                    }
                    self.patience(failure, &mut failures).await?;
                }
            }
        }
    }

    /// A shard that the provider finds too large is dissolved before anything was paid; its images are asked again in
    /// shards of half its size at most.
    async fn split(&self, shard: &ShardFacts, failure: &Failure) -> Result<(), SendError> {
        self.ceiling.lower(shard.bytes / 2);
        let text = format!("{} refused shard {} as too large ({} bytes)", failure.host, shard.id, shard.bytes);
        self.news.warn("E311", text, "split and sent again, nothing counted");
        self.ledger.too_large(shard.id).await?;
        self.bodies.discard(shard.id).await;
        Ok(())
    }

    async fn record_upload(&self, shard: &ShardFacts, file: &RemoteFile, done: BodyDone) -> Result<(), SendError> {
        self.reached();
        if !done.contents.is_empty() {
            self.ledger.content_seen(done.contents).await?;
        }
        match self.ledger.uploaded(shard.id, file.id.clone(), file.created_at, done.hash).await {
            Ok(()) => {
                crash::point("upload.recorded");
                Ok(())
            }
            Err(LedgerError::Stale(why)) => self.not_recorded(shard, file, done.hash, &why).await,
            Err(other) => Err(other.into()),
        }
    }

    /// The ledger takes no such upload: is the shard spent, is the file another shard's, or are the bytes not what they were?
    async fn not_recorded(
        &self,
        shard: &ShardFacts,
        file: &RemoteFile,
        hash: [u8; 16],
        why: &str,
    ) -> Result<(), SendError> {
        let now = self.ledger.shard(shard.id).await?;
        match now.state {
            ShardState::Spent | ShardState::Gone => self.forget_file(file).await,
            ShardState::Sealed if now.body_hash.is_none_or(|first| first == hash) => {
                // Not deleted: a batch may be at work on the file. A batch made from it would be paid for the wrong images.
                let words =
                    format!("the server gave two uploads the same id, {}: nothing can be told apart there", file.id);
                return Err(Failure::new(Kind::Refused, self.provider.host(), words).into());
            }
            // Two bodies of one plan differ although every stamp held: a file changed behind its stamp.
            _ => {
                tracing::warn!(shard = shard.id.0, why, "the plan's bytes changed; it is dissolved");
                self.forget_file(file).await;
                self.ledger.dissolve(shard.id, None).await?;
            }
        }
        Ok(())
    }

    /// Waits until the provider has looked through the input file, where it wants that to be waited for.
    pub(super) async fn until_ready(&self, shard: &ShardFacts) -> Result<(), SendError> {
        let Some((id, _)) = shard.input.as_ref().filter(|_| self.options.wait_for_file) else { return Ok(()) };
        let (mut failures, mut looks) = (0, 0);
        loop {
            match self.provider.file(id).await {
                Ok(file) if file.ready => return Ok(()),
                Ok(file) if file.failed => {
                    let words = format!("the input file {id} cannot be used: the provider gave it up");
                    return Err(Failure::new(Kind::Refused, self.provider.host(), words).into());
                }
                Ok(_) => {
                    self.reached();
                    looks += 1;
                    self.pause_until(self.clock.now() + millis(PAUSES.pause(looks, random::unit()))).await?;
                }
                // The create is refused then, and its road leads to a new upload.
                Err(failure) if failure.kind == Kind::NotFound => return Ok(()),
                Err(failure) => self.patience(failure, &mut failures).await?,
            }
        }
    }

    /// An upload of an earlier process whose answer was never recorded.
    async fn left_behind(&self, shard: &ShardFacts, name: &str) -> Result<Option<RemoteFile>, SendError> {
        let mut failures = 0;
        loop {
            match self.provider.find_files(name).await {
                Ok(files) => {
                    self.reached();
                    let (mut whole, torn): (Vec<_>, Vec<_>) =
                        files.into_iter().partition(|file| file.bytes == Some(shard.bytes));
                    for file in torn.iter().chain(whole.get(1..).unwrap_or_default()) {
                        self.forget_file(file).await;
                    }
                    whole.truncate(1);
                    return Ok(whole.pop());
                }
                // Some servers list no files: then the upload is simply made again, which costs storage and no money.
                Err(failure) if !failure.is_passing() && !failure.stops_the_run() => return Ok(None),
                Err(failure) => self.patience(failure, &mut failures).await?,
            }
        }
    }

    /// A plan that is not sent any more, of which an earlier process may have sent a file: that is deleted first, as nobody would ask
    /// for it again.
    pub(super) async fn withdraw(&self, shard: &ShardFacts) -> Result<(), SendError> {
        tracing::info!(shard = shard.id.0, "the settings are others by now; planned anew");
        if let Some(file) = self.left_behind(shard, &self.upload_name(shard)).await? {
            self.forget_file(&file).await;
        }
        self.plan_anew(shard).await
    }

    /// Runs the body into nothing; the inner error means that the shard was dissolved.
    async fn hash_only(&self, shard: &ShardFacts) -> Result<Result<BodyDone, ()>, SendError> {
        let opened = self.bodies.open(shard.id).await;
        let ended = match opened {
            Ok(mut body) => {
                while body.lane.recv().await.is_some() {}
                Body::ended(body.end).await
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(done) => Ok(Ok(done)),
            Err(error) => self.spoiled(shard, error).await.map(Err),
        }
    }

    /// A body that cannot be made: its shard is dissolved before anything was paid, all others of it are owed again.
    async fn spoiled(&self, shard: &ShardFacts, error: BodyError) -> Result<(), SendError> {
        let spoiler = match error {
            BodyError::Spoiled(spoiler) => spoiler,
            other => return Err(SendError::Body(other.to_string())),
        };
        let text = format!("{}: {}", spoiler.path, spoiler.what);
        let (code, hint) = match spoiler.now {
            Err(Reason::ProgramError) => ("E514", "it failed, the others are asked again; please report it"),
            _ => ("E207", "measured and asked again, nothing counted; after three times failed"),
        };
        self.news.warn(code, text, hint);
        crash::point("body.changed");
        let now = spoiler.now.map(|found| Remeasured { stamp: found.stamp, fate: found.fate });
        self.ledger.dissolve(shard.id, Some(Culprit { image: spoiler.image, now })).await?;
        crash::point("dissolve.recorded");
        self.bodies.discard(shard.id).await;
        Ok(())
    }

    fn upload_name(&self, shard: &ShardFacts) -> String {
        format!("{}-{}-{}-{}.jsonl", self.options.jsonl_file_base, shard.run, shard.tag, shard.next_attempt)
    }

    async fn forget_file(&self, file: &RemoteFile) {
        if let Err(failure) = self.provider.delete_file(&file.id).await {
            tracing::warn!(file = %file.id, %failure, "a leftover stays at the provider");
        }
    }

    /// Waits after a failure that may pass; any other ends the journey.
    async fn patience(&self, failure: Failure, failures: &mut u32) -> Result<(), SendError> {
        if !failure.is_passing() && failure.kind != Kind::Body {
            return Err(failure.into());
        }
        *failures += 1;
        tracing::warn!(%failure, failures, "an upload failed");
        let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(*failures, random::unit()));
        // A server that answers nothing but errors is as far away as one that does not answer.
        if matches!(failure.kind, Kind::Unreached | Kind::Doubt) {
            self.still_unreached(&failure)?;
        }
        if *failures == 3 {
            let text = format!("{} takes no upload: {}", failure.host, failure.message);
            self.news.warn("E310", text, "tried again; nothing is lost");
        }
        self.pause_until(self.clock.now() + millis(pause)).await
    }
}
