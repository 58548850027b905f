//! Closing the books of a batch: settle, then sweep. What a crash leaves behind is swept at the next start.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use crate::corpus::{Corpus, rough};
use crate::domain::ids::FileId;
use crate::domain::layout::Layout;
use crate::kit::atomic_file::{move_file, private_folder};
use crate::kit::bodies::ShardBodies;
use crate::kit::crash;
use crate::kit::stop::Stop;
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{SpentRough, Unswept};
use crate::provider::SharedProvider;

/// Removes what a settled batch leaves behind.
#[derive(Clone)]
pub struct Sweeper {
    /// The service; absent where nothing remote is to be removed.
    pub provider: SharedProvider,
    /// The ledger.
    pub ledger: Ledger,
    /// Names of files.
    pub layout: Layout,
    /// Removes what was kept for a shard.
    pub bodies: Arc<dyn ShardBodies>,
    /// Where rough texts lie.
    pub corpus: Arc<dyn Corpus>,
    /// Keep our files at the provider.
    pub keep_remote: bool,
}

/// Why something could not be swept.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A notice cannot be moved.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Sweeper {
    /// Sweeps what earlier lives left, then whatever is settled now: `next` waits for it. Nothing more once the program drains.
    ///
    /// # Errors
    /// As [`Sweeper::sweep`].
    pub async fn sweep_all(
        &self,
        stop: &Stop,
        mut next: impl AsyncFnMut() -> Option<Unswept>,
    ) -> Result<(), SweepError> {
        for batch in self.ledger.unswept(u32::MAX).await? {
            if stop.is_stopping() {
                return Ok(());
            }
            self.sweep(&batch).await?;
        }
        while let Some(batch) = next().await {
            if !stop.is_stopping() {
                self.sweep(&batch).await?;
            }
        }
        Ok(())
    }

    /// Moves the notice, removes local and remote leftovers, records it. A remote file that cannot be deleted now leaves the
    /// batch on the list for the next start.
    ///
    /// # Errors
    /// The ledger's, or the operating system's with the path.
    pub async fn sweep(&self, batch: &Unswept) -> Result<(), SweepError> {
        let id = batch.id.as_str();
        complete_notice(&self.layout.notice(id), &self.layout.completed_notice(id), &self.layout.completed)?;
        crash::point("sweep.notice_moved");
        self.bodies.discard(batch.shard).await;
        for spent in self.ledger.spent_roughs(batch.shard).await? {
            remove_rough(&*self.corpus, &spent)?;
            crash::point("sweep.rough_removed");
        }
        if !self.keep_remote && !self.delete_remote(batch).await {
            return Ok(());
        }
        crash::point("sweep.remote_deleted");
        self.ledger.swept(batch.no).await?;
        crash::point("sweep.recorded");
        Ok(())
    }

    /// Input, output and error file; `true` if none is left.
    async fn delete_remote(&self, batch: &Unswept) -> bool {
        let files: Vec<&FileId> =
            [Some(&batch.input), batch.output.as_ref(), batch.errors.as_ref()].into_iter().flatten().collect();
        let mut all_gone = true;
        for file in files {
            if let Err(failure) = self.provider.delete_file(file).await {
                tracing::warn!(%file, %failure, "a file stays at the provider; it is deleted at the next start");
                all_gone = false;
            }
        }
        all_gone
    }
}

/// Removes a rough text whose clean one stands; not one that a person was at.
fn remove_rough(corpus: &dyn Corpus, spent: &SpentRough) -> io::Result<()> {
    if rough::read(corpus, &spent.path, spent.hash)?.is_none() {
        return Ok(());
    }
    match corpus.text_folder(&spent.path)?.map(|folder| folder.remove(&corpus.rough_name(&spent.path))) {
        Some(Err(cause)) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn complete_notice(open: &Path, completed: &Path, folder: &Path) -> io::Result<()> {
    private_folder(folder)?;
    match move_file(open, completed) {
        // Swept up to here by a process that died.
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}
