//! A result file, byte for byte: to a `.part` first, its length checked, synced, then under its name.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::domain::ids::FileId;
use crate::kit::atomic_file::{self, Access, Draft, Durability};
use crate::kit::backoff::Backoff;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::hash::Sha256;
use crate::kit::pool::{Pool, PoolError};
use crate::kit::random;
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::records::RawFile;
use crate::provider::failure::Failure;
use crate::provider::patience::{Patience, Unreachable};
use crate::provider::{Download, SharedProvider};

/// Bytes gathered before they are written: large enough that a write is rare, small enough to be forgotten.
const WRITE: usize = 1024 * 1024;
/// A file whose length does not fit so often, which is about ten minutes, is taken as it is.
const MOST_MISFITS: u32 = 10;
/// Bytes after which a stream that goes on is measured against the length that the file object tells: it might have no end.
const MEASURED_EVERY: u64 = 64 * 1024 * 1024;
/// A file that is not there is looked for at least so long, however soon a list shows what was created: nothing brings back
/// the answers of one that was given up too soon.
pub const GONE_AFTER: Duration = Duration::from_secs(600);
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(120) };

/// Why a result file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The provider rejects us.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// Unreachable for too long.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The file is not there for this key: gone, or another project's.
    #[error("the result file is not at the provider: {0}")]
    NotThere(Failure),
    /// Its length never is the one that the provider tells; what came is kept.
    #[error("{got} bytes came, and that is not the length that the provider tells; kept as {}", .aside.display())]
    NeverWhole {
        /// Bytes that came the last time.
        got: u64,
        /// Where they are kept.
        aside: PathBuf,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The pool lost the job.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The program drains; nothing is wrong.
    #[error("stopped")]
    Stopped,
}

/// Fetches files.
#[derive(Clone)]
pub struct Fetcher {
    /// The service.
    pub provider: SharedProvider,
    /// Where bytes are written and hashed.
    pub pool: Pool,
    /// The clock.
    pub clock: Clock,
    /// Ends pauses at the second signal.
    pub stop: Stop,
    /// Unreachable for so long: given up for this life.
    pub give_up_after: Duration,
    /// A fresh result file may answer 404 for some minutes; after so long it is believed.
    pub gone_after: Duration,
}

impl Fetcher {
    /// Fetches `id` to `target`; goes on through passing failures, each time from where the last one broke off.
    ///
    /// # Errors
    /// [`FetchError`]; the `.part` is gone then.
    pub async fn fetch(&self, id: &FileId, target: &Path) -> Result<RawFile, FetchError> {
        let folder = atomic_file::folder_of(target).to_path_buf();
        atomic_file::private_folder(&folder)?;
        let mut part = Part { draft: Draft::create(&folder, Access::Private)?, bytes: 0, sha256: Sha256::default() };
        let (mut trouble, mut misfits) = (self.trouble(), 0);
        loop {
            let (back, ended) = self.stream(id, part).await?;
            part = back;
            match ended {
                Ok(()) if self.is_whole(id, part.bytes).await? => break,
                Ok(()) => {
                    tracing::warn!(file = %id, bytes = part.bytes, "a result file is incomplete (E315); fetched again");
                    misfits += 1;
                    if misfits == MOST_MISFITS {
                        return Err(self.give_up(part, target, folder).await?);
                    }
                    part =
                        Part { draft: Draft::create(&folder, Access::Private)?, bytes: 0, sha256: Sha256::default() };
                    self.pause(misfits, None).await?;
                }
                Err(failure) => self.patience(failure, &mut trouble).await?,
            }
        }
        crash::point("fetch.half");
        self.publish(part, target.to_path_buf(), folder).await
    }

    /// Streams from where `part` ends; gives the part back with how the stream ended.
    async fn stream(&self, id: &FileId, part: Part) -> Result<(Part, Result<(), Failure>), FetchError> {
        let mut download = match self.provider.read_file(id, part.bytes).await {
            Ok(download) => download,
            Err(failure) => return Ok((part, Err(failure))),
        };
        let mut part = self.align(part, &download).await?;
        let (mut gathered, mut measured): (Vec<u8>, u64) = (Vec::new(), part.bytes);
        loop {
            match download.bytes.next().await {
                Some(Ok(chunk)) => {
                    gathered.extend_from_slice(&chunk);
                    if gathered.len() >= WRITE {
                        part = self.append(part, std::mem::take(&mut gathered)).await?;
                    }
                    if part.bytes - measured >= MEASURED_EVERY {
                        measured = part.bytes;
                        if self.is_endless(id, part.bytes).await {
                            return Ok((part, Ok(())));
                        }
                    }
                }
                Some(Err(failure)) => return Ok((self.append(part, gathered).await?, Err(failure))),
                None => return Ok((self.append(part, gathered).await?, Ok(()))),
            }
        }
    }

    /// A server that ignores the range begins anew, and so does the part.
    async fn align(&self, part: Part, download: &Download) -> Result<Part, FetchError> {
        if download.offset == part.bytes {
            return Ok(part);
        }
        Ok(self.pool.run(move || part.begin_anew()).await??)
    }

    async fn append(&self, part: Part, bytes: Vec<u8>) -> Result<Part, FetchError> {
        if bytes.is_empty() {
            return Ok(part);
        }
        Ok(self.pool.run(move || part.append(&bytes)).await??)
    }

    /// Whether the length is the one that the file object tells; a server that tells none is believed. One that cannot
    /// answer now is asked again: a file that was cut would pass for a whole one, and be deleted at the provider.
    async fn is_whole(&self, id: &FileId, bytes: u64) -> Result<bool, FetchError> {
        let fits = async || match self.provider.file(id).await {
            Ok(file) => Ok(file.bytes.is_none_or(|told| told == bytes)),
            Err(failure) if failure.is_passing() || failure.stops_the_run() => Err(failure),
            Err(_) => Ok(true),
        };
        self.patiently(fits).await
    }

    /// Asks a small question until there is an answer.
    pub(super) async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T, Failure>) -> Result<T, FetchError> {
        let mut trouble = self.trouble();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.is_passing() => self.patience(failure, &mut trouble).await?,
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Whether so much came that the file cannot be meant: a stream without an end would fill the disk. A length that is told
    /// a little wrong is no reason to stop.
    async fn is_endless(&self, id: &FileId, bytes: u64) -> bool {
        let file = self.provider.file(id).await;
        let told = file.ok().and_then(|file| file.bytes);
        told.is_some_and(|told| bytes > told.saturating_mul(2).saturating_add(MEASURED_EVERY))
    }

    async fn publish(&self, part: Part, target: PathBuf, folder: PathBuf) -> Result<RawFile, FetchError> {
        let published = move || -> io::Result<RawFile> {
            let raw = RawFile { bytes: part.bytes, sha256: part.sha256.finish() };
            crash::point("fetch.whole");
            part.draft.publish(&target, Durability::Synced)?;
            crash::point("fetch.renamed");
            atomic_file::sync_folder(&folder)?;
            crash::point("fetch.synced");
            Ok(raw)
        };
        Ok(self.pool.run(published).await??)
    }

    fn trouble(&self) -> Trouble {
        let patience = Patience::new(self.clock.clone(), self.give_up_after);
        Trouble { failures: 0, patience, waited: Duration::ZERO }
    }

    async fn patience(&self, failure: Failure, trouble: &mut Trouble) -> Result<(), FetchError> {
        trouble.failures += 1;
        tracing::warn!(%failure, failures = trouble.failures, "a result file could not be fetched");
        match failure.kind {
            _ if failure.is_passing() => trouble.patience.bear(&failure)?,
            _ if failure.stops_the_run() => return Err(failure.into()),
            // Whatever reason it gives, it has no such file for us. One refused file must not stop all runs for ever.
            _ if trouble.waited >= self.gone_after => return Err(FetchError::NotThere(failure)),
            _ => {}
        }
        trouble.waited += self.pause(trouble.failures, failure.retry_after).await?;
        Ok(())
    }

    /// Pauses; tells for how long.
    async fn pause(&self, failures: u32, asked: Option<Duration>) -> Result<Duration, FetchError> {
        let pause = asked.unwrap_or_else(|| PAUSES.pause(failures, random::unit()));
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => Err(FetchError::Stopped),
            () = self.clock.sleep(pause) => Ok(pause),
        }
    }

    /// Keeps what came of a file whose length never fits, under a name of its own, because its whole lines are paid answers.
    async fn give_up(&self, part: Part, target: &Path, folder: PathBuf) -> Result<FetchError, FetchError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".incomplete");
        let aside = PathBuf::from(name);
        let got = part.bytes;
        // What an earlier life kept is not more.
        match std::fs::remove_file(&aside) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause.into()),
            _ => {}
        }
        self.publish(part, aside.clone(), folder).await?;
        Ok(FetchError::NeverWhole { got, aside })
    }
}

/// How long a file has not come.
struct Trouble {
    failures: u32,
    patience: Patience,
    /// Sum of the pauses: what a clock that was put forward by a day does not lengthen.
    waited: Duration,
}

struct Part {
    draft: Draft,
    bytes: u64,
    sha256: Sha256,
}

impl Part {
    fn append(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.draft.file()?.write_all(bytes)?;
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(self)
    }

    fn begin_anew(mut self) -> io::Result<Self> {
        let file: &mut File = self.draft.file()?;
        file.set_len(0)?;
        io::Seek::rewind(file)?;
        (self.bytes, self.sha256) = (0, Sha256::default());
        Ok(self)
    }
}
