//! One look at the provider: what it tells of the batches that are waited for, and which of ours it knows that we do not.
//!
//! The list is read in any case when many are waited for, and it shows what no create ever told: a batch of one of our runs
//! that the ledger lacks is recorded, waited for and read. Preventing such a batch may rest on an assumption about the
//! server; finding it may not.

use std::collections::BTreeMap;
use std::io;

use super::status;
use crate::domain::batch::OpenBatch;
use crate::domain::ids::{BatchId, FileId, Tag};
use crate::domain::image::shown;
use crate::domain::layout::Layout;
use crate::kit::hash;
use crate::kit::news::{BatchChange, News, Notice};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{Listed, Recognised};
use crate::provider::failure::{Failure, Kind};
use crate::provider::wire::Batch;
use crate::provider::{SharedProvider, notice};

/// Pages of the list that are read where one is not enough: a thousand batches.
const MANY_PAGES: usize = 10;

/// Why a look did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The provider did not answer, or refused.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A notice cannot be written.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Batches that are waited for, each with its input file.
pub(super) type Asked = BTreeMap<BatchId, FileId>;

/// What the provider tells of a batch.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// How it is.
    Known(Box<Batch>),
    /// It does not know the batch, and it knows its input file and other batches of ours: the batch is gone.
    Gone,
    /// It does not know the batch, and nothing says that this key may see it: perhaps it is another project's key.
    Hidden,
}

impl Told {
    /// The batch, where the provider knows it.
    pub(super) fn known(&self) -> Option<&Batch> {
        match self {
            Self::Known(batch) => Some(batch),
            Self::Gone | Self::Hidden => None,
        }
    }
}

/// What one look told.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Each batch that was asked for.
    pub(super) told: BTreeMap<BatchId, Told>,
    /// Batches of ours that the ledger lacked until now.
    pub(super) found: Vec<OpenBatch>,
    /// Whether the provider showed any batch of this ledger: the key is one that may see them.
    pub(super) ours_seen: bool,
}

/// Looks.
pub struct Eyes {
    /// The service.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// News for people.
    pub news: News,
    /// Names of files.
    pub layout: Layout,
}

impl Eyes {
    /// Before anything is opened: reads the list for batches that this ledger lacks, such as one whose create came through
    /// after all, or all those that were opened after the backup that this ledger was restored from.
    ///
    /// # Errors
    /// The ledger's, or a notice that cannot be written.
    pub async fn sweep(&self) -> Result<(), LookError> {
        if !self.ledger.any_shard().await? {
            return Ok(());
        }
        self.try_list(&Asked::new(), MANY_PAGES, &mut Round::default()).await
    }

    /// Looks at the batches named; `sweep`: reads the first page of the list even where a single question would do.
    pub(super) async fn look(&self, asked: &Asked, sweep: bool) -> Result<Round, LookError> {
        let mut round = Round::default();
        if asked.len() > 1 {
            match self.list(asked, 1, &mut round).await {
                // Some servers keep no list; each batch can be asked for all the same.
                Err(LookError::Provider(failure)) if !failure.is_passing() && !failure.stops_the_run() => {
                    tracing::debug!(%failure, "there is no list of batches; they are asked for one by one");
                }
                listed => listed?,
            }
        } else if sweep {
            self.try_list(asked, 1, &mut round).await?;
        }
        let mut unknown = Vec::new();
        for (id, input) in asked {
            if round.told.contains_key(id) {
                continue;
            }
            match self.provider.batch(id).await {
                // Its end would be taken for the end of ours, whose answers are paid for.
                Ok(batch) if batch.id != *id && batch.input_file.as_ref() != Some(input) => {
                    return Err(self.another(&batch).into());
                }
                Ok(batch) => {
                    round.ours_seen = true;
                    round.told.insert(id.clone(), Told::Known(Box::new(batch)));
                }
                Err(failure) if failure.kind == Kind::NotFound => unknown.push((id, input)),
                Err(failure) => return Err(failure.into()),
            }
        }
        if !unknown.is_empty() && !round.ours_seen {
            // A batch of an earlier day tells as well that this key is the right one.
            self.try_list(asked, MANY_PAGES, &mut round).await?;
        }
        for (id, input) in unknown {
            let told = self.absent(input, round.ours_seen).await?;
            round.told.entry(id.clone()).or_insert(told);
        }
        Ok(round)
    }

    /// Some proxies have ids of their own; one that names our input file is ours.
    fn another(&self, batch: &Batch) -> Failure {
        let words = format!("asked for one batch, it told of another one, {}", shown(batch.id.as_str().as_bytes()));
        Failure::new(Kind::Doubt, self.provider.host(), words)
    }

    /// What it means that a batch is not known. Its answers may be paid for, and giving it up ends its images, so it counts
    /// as gone only where both speak for the right key: its own input file, which belongs to the same project, and any other
    /// batch of this ledger. Other batches alone would not do, because a wrong key may have opened them a minute ago.
    async fn absent(&self, input: &FileId, ours_seen: bool) -> Result<Told, Failure> {
        if !ours_seen {
            return Ok(Told::Hidden);
        }
        match self.provider.file(input).await {
            Ok(_) => Ok(Told::Gone),
            Err(failure) if failure.is_passing() || failure.stops_the_run() => Err(failure),
            Err(_) => Ok(Told::Hidden),
        }
    }

    /// Reads the list for batches of ours that the ledger lacks. A provider that cannot list now, or at all, is asked again
    /// another time: nothing depends on this one.
    async fn try_list(&self, asked: &Asked, pages: usize, round: &mut Round) -> Result<(), LookError> {
        match self.list(asked, pages, round).await {
            Err(LookError::Provider(failure)) => {
                tracing::debug!(%failure, "the list of batches could not be read for strays");
                Ok(())
            }
            listed => listed,
        }
    }

    async fn list(&self, asked: &Asked, pages: usize, round: &mut Round) -> Result<(), LookError> {
        let mut after: Option<BatchId> = None;
        for _ in 0..pages {
            let page = self.provider.list_batches(after.as_ref()).await?;
            let last = page.batches.last().map(|batch| batch.id.clone());
            let (waited, others): (Vec<Batch>, Vec<Batch>) =
                page.batches.into_iter().partition(|batch| asked.contains_key(&batch.id));
            round.ours_seen |= !waited.is_empty();
            round.told.extend(waited.into_iter().map(|batch| (batch.id.clone(), Told::Known(Box::new(batch)))));
            self.recognise(&others, round).await?;
            // Some servers ignore the cursor and show the same page for ever.
            if !page.has_more || last.is_none() || last == after {
                break;
            }
            after = last;
        }
        Ok(())
    }

    async fn recognise(&self, others: &[Batch], round: &mut Round) -> Result<(), LookError> {
        let ours: Vec<&Batch> = others.iter().filter(|batch| listed(batch).is_some()).collect();
        let listed: Vec<Listed> = ours.iter().filter_map(|batch| listed(batch)).collect();
        if listed.is_empty() {
            return Ok(());
        }
        for (batch, recognised) in ours.into_iter().zip(self.ledger.recognise(listed).await?) {
            round.ours_seen |= recognised != Recognised::Foreign;
            match recognised {
                Recognised::Foreign | Recognised::Known => {}
                Recognised::Adopted(open) => {
                    round.found.push(self.tell(open, batch, "found in the list of batches").await?)
                }
                Recognised::Stray(open) => {
                    self.cancel(batch).await;
                    let detail = "a second batch of one shard, found in the list of batches";
                    round.found.push(self.tell(open, batch, detail).await?);
                }
            }
        }
        Ok(())
    }

    async fn tell(&self, open: OpenBatch, batch: &Batch, detail: &str) -> Result<OpenBatch, LookError> {
        tracing::warn!(batch = %open.id, detail, "a batch that the ledger lacked");
        let (id, detail) = (open.id.to_string(), detail.to_owned());
        let (lines, told) = (open.lines, self.ledger.batch_told(open.no).await?);
        let change = BatchChange { id, from: None, to: "open", lines, told, answered: None, detail };
        self.news.tell(Notice::Batch(Box::new(change)));
        notice::write(&self.layout, batch)?;
        Ok(open)
    }

    /// What ran of it is paid for and read; the rest need not run.
    async fn cancel(&self, batch: &Batch) {
        if status::read(batch).is_some() {
            return;
        }
        if let Err(failure) = self.provider.cancel_batch(&batch.id).await {
            tracing::warn!(batch = %batch.id, %failure, "a stray batch could not be cancelled; it is read when it ends");
        }
    }
}

/// What a batch says of its origin, if it bears the marks of this program.
fn listed(batch: &Batch) -> Option<Listed> {
    let mark = |key: &str| batch.metadata.get(key);
    Some(Listed {
        id: batch.id.clone(),
        run: Tag(mark("run")?.clone()),
        shard: Tag(mark("shard")?.clone()),
        body_hash: mark("xxh3").and_then(|hex| hash::unhex(hex)),
        input: batch.input_file.clone(),
        created_at: batch.created_at,
        expires_at: batch.expires_at,
        failed: batch.status == "failed",
    })
}
