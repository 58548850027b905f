//! What the provider still has: its list of batches, input files, answers that were never fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::disk::{Known, run_of};
use super::input::{Input, InputReader};
use super::{Error, Told};
use crate::domain::ids::{BatchId, FileId, Tag};
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{Access, Draft, Durability, folder_of, private_folder, sync_folder};
use crate::kit::backoff::Backoff;
use crate::kit::clock::Clock;
use crate::kit::random;
use crate::ledger::lost::Saved;
use crate::provider::SharedProvider;
use crate::provider::failure::{Failure, Kind};
use crate::provider::wire::Batch;

/// Pages of the batch list that are read at most: a million batches.
const MOST_PAGES: usize = 10_000;
/// How often a question is asked that was not answered; afterwards the command has to be given again.
const TRIES: u32 = 6;
const PAUSES: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// The provider, where it may be asked.
#[derive(Clone)]
pub struct Remote {
    /// The service.
    pub provider: SharedProvider,
    /// How long a listing may lag behind a create.
    pub settle: Duration,
    /// The clock.
    pub clock: Clock,
}

/// What became of a batch at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its answers are on disk now.
    Fetched,
    /// It has ended, and none of its files is there any more.
    Nothing,
    /// It goes on.
    Running,
    /// This key does not see it.
    Unknown,
}

impl Remote {
    /// Reads the whole list of batches for those of `runs`; tells which other runs it names, and how often.
    pub(super) async fn list(&self, runs: &BTreeSet<Tag>, known: &mut Known) -> Result<BTreeMap<Tag, u64>, Error> {
        let mut others = BTreeMap::new();
        let mut after: Option<BatchId> = None;
        for _ in 0..MOST_PAGES {
            let page = self.patiently(|| self.provider.list_batches(after.as_ref())).await?;
            let last = page.batches.last().map(|batch| batch.id.clone());
            for batch in &page.batches {
                match run_of(batch) {
                    Some(run) if runs.contains(&run) => known.hear(batch, false),
                    Some(run) => *others.entry(run).or_default() += 1,
                    None => {}
                }
            }
            if !page.has_more {
                return Ok(others);
            }
            if last.is_none() || last == after {
                break;
            }
            after = last;
        }
        // Half a list would leave batches out, and what is left out is paid for again.
        Err(Failure::new(Kind::Doubt, self.provider.host(), "the list of batches repeats itself or has no end").into())
    }

    /// What an input file holds, and the server's time of its creation; `None` if it is gone.
    pub(super) async fn input(&self, file: &FileId) -> Result<Option<(Input, i64)>, Error> {
        let Some(facts) = gone_is_none(self.patiently(|| self.provider.file(file)).await)? else { return Ok(None) };
        let read = || async {
            let mut download = self.provider.read_file(file, 0).await?;
            let mut reader = InputReader::default();
            while let Some(chunk) = download.bytes.next().await {
                reader.push(&chunk?);
            }
            let input = reader.finish();
            match facts.bytes {
                Some(bytes) if bytes != input.bytes => {
                    let words = format!("{} bytes of {bytes} came of the input file {file}", input.bytes);
                    Err(Failure::new(Kind::Doubt, self.provider.host(), words))
                }
                _ => Ok(input),
            }
        };
        Ok(gone_is_none(self.patiently(read).await)?.map(|input| (input, facts.created_at)))
    }

    /// Fetches the answers of a batch whose input file is gone, so that they tell whom it asked for.
    pub(super) async fn answers(&self, id: &BatchId, layout: &Layout, known: &mut Known) -> Result<Left, Error> {
        let Some(batch) = gone_is_none(self.patiently(|| self.provider.batch(id)).await)? else {
            return Ok(Left::Unknown);
        };
        if !matches!(batch.status.as_str(), "completed" | "expired" | "cancelled" | "canceled" | "failed") {
            return Ok(Left::Running);
        }
        known.told.insert(id.clone(), Told::of(&batch));
        let Batch { output_file, error_file, .. } = batch;
        let targets = [(output_file, layout.raw_output(id.as_str())), (error_file, layout.raw_errors(id.as_str()))];
        let mut left = Left::Nothing;
        for (file, target) in targets {
            if let Some(file) = file
                && self.fetch(&file, &target).await?
            {
                left = Left::Fetched;
            }
        }
        Ok(left)
    }

    /// Whether what is on disk is all that the provider has of a batch's answers.
    pub(super) async fn is_whole(&self, saved: &Saved, told: Option<&Told>) -> Result<bool, Error> {
        let Some(told) = told else { return Ok(true) };
        for (file, saved) in [(&told.output, &saved.output), (&told.errors, &saved.errors)] {
            let Some(file) = file else { continue };
            let Some((_, raw)) = saved else { return Ok(false) };
            // One that is gone cannot be fetched again.
            let facts = gone_is_none(self.patiently(|| self.provider.file(file)).await)?;
            if facts.and_then(|facts| facts.bytes).is_some_and(|bytes| bytes != raw.bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fetches a result file; `false` if it is gone.
    async fn fetch(&self, file: &FileId, target: &Path) -> Result<bool, Error> {
        let Some(facts) = gone_is_none(self.patiently(|| self.provider.file(file)).await)? else { return Ok(false) };
        private_folder(folder_of(target)).map_err(Error::Disk)?;
        let fetched = self.patiently(|| self.copy(file, target, facts.bytes)).await;
        match gone_is_none(fetched)? {
            None => Ok(false),
            Some(written) => written.map_err(Error::Disk).map(|()| true),
        }
    }

    /// Copies a file once; the inner error is the disk's.
    async fn copy(&self, file: &FileId, target: &Path, bytes: Option<u64>) -> Result<io::Result<()>, Failure> {
        let mut download = self.provider.read_file(file, 0).await?;
        let mut draft = match Draft::create(folder_of(target), Access::Private) {
            Ok(draft) => draft,
            Err(cause) => return Ok(Err(cause)),
        };
        let mut came = 0;
        while let Some(chunk) = download.bytes.next().await {
            let chunk = chunk?;
            came += chunk.len() as u64;
            if let Err(cause) = draft.fill(&chunk) {
                return Ok(Err(cause));
            }
        }
        if bytes.is_some_and(|bytes| bytes != came) {
            let words = format!("{came} bytes came of the result file {file}, which has more");
            return Err(Failure::new(Kind::Doubt, self.provider.host(), words));
        }
        Ok(draft.publish(target, Durability::Synced).and_then(|()| sync_folder(folder_of(target))))
    }

    /// Asks until there is an answer, for as long as one that was asked by hand may take.
    async fn patiently<T, F: Future<Output = Result<T, Failure>>>(&self, ask: impl Fn() -> F) -> Result<T, Failure> {
        let mut failures = 0;
        loop {
            match ask().await {
                Err(failure) if failure.is_passing() && failures + 1 < TRIES => {
                    failures += 1;
                    tracing::warn!(%failure, failures, "the provider did not answer");
                    let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(failures, random::unit()));
                    self.clock.sleep(pause).await;
                }
                answer => return answer,
            }
        }
    }
}

/// A thing that is gone, or that nobody may read any more, is none; every other failure is one.
fn gone_is_none<T>(answer: Result<T, Failure>) -> Result<Option<T>, Error> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NoSuchFile | Kind::Refused) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}
