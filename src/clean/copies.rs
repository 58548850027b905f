//! Texts of copies: what stands beside the original is written beside each of its copies, with the same rule about people's texts
//! and in the same order: text on disk before the ledger calls the copy done. Nothing is judged again.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::cleaner::CleanerSeams;
use super::text_file::{self, Existing};
use crate::corpus::{Corpus, rough};
use crate::domain::ids::{ImageId, ShardId};
use crate::domain::image::Reason;
use crate::kit::atomic_file::Mark;
use crate::kit::crash;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::folder::Folder;
use crate::kit::stop::StopLevel;
use crate::ledger::copies::{ReadyCopy, ServedCopy};
use crate::ledger::records::TextOwner;

/// Copies whose texts are written at a time.
const STRETCH: u32 = 256;

/// What became of a copy's text.
#[derive(Debug)]
enum Served {
    /// It stands.
    Stands(Box<ServedCopy>),
    /// The original's text is gone, or a person was at it: what it was is not known any more.
    Lacking,
    /// The folder of the copy is gone.
    Gone,
}

/// The Cleaner's work on copies.
pub(super) struct Copies {
    faults: Faults,
    /// A text could not be written: the next start tries again.
    stuck: bool,
}

impl Copies {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, stuck: false }
    }

    /// Ends the copies of images that have ended.
    pub(super) async fn serve_all(&mut self, seams: &CleanerSeams) -> Result<(), AnyFault> {
        if self.stuck {
            return Ok(());
        }
        seams.ledger.sort_copies().await?;
        let (mut after, mut disk) = (ImageId(0), None);
        loop {
            let copies = seams.ledger.ready_copies(after, STRETCH).await?;
            let Some(last) = copies.last() else { return self.mind(disk) };
            after = last.image;
            let unwritten = serve(seams, copies, true).await?;
            disk = disk.or(unwritten);
        }
    }

    /// Writes the texts of copies again whose originals' answers came with this shard and were judged again.
    pub(super) async fn serve_again(&mut self, seams: &CleanerSeams, shard: ShardId) -> Result<(), AnyFault> {
        let copies = seams.ledger.copies_of(shard).await?;
        let unwritten = serve(seams, copies, false).await?;
        self.mind(unwritten)
    }

    /// A copy whose text could not be written is still owed; nothing new is begun, as with any other text.
    fn mind(&mut self, unwritten: Option<io::Error>) -> Result<(), AnyFault> {
        let Some(cause) = unwritten else { return Ok(()) };
        self.stuck = true;
        if !text_file::is_of_one_folder(&cause) {
            return Err(cause.into());
        }
        self.faults.report("cleaner", cause, StopLevel::Drain);
        Ok(())
    }
}

/// Writes the texts of these copies; tells the first one that could not be written. `owed`: they are to be ended; otherwise they
/// have ended, and one whose text cannot be made stays as it is.
async fn serve(seams: &CleanerSeams, copies: Vec<ReadyCopy>, owed: bool) -> Result<Option<io::Error>, AnyFault> {
    if copies.is_empty() {
        return Ok(None);
    }
    let (corpus, mark, existing) = (Arc::clone(&seams.corpus), seams.mark.clone(), seams.rules.existing);
    let ids: Vec<ImageId> = copies.iter().map(|copy| copy.image).collect();
    let written = seams.pool.run(move || write(&*corpus, copies, existing, &mark)).await??;
    crash::point("copies.written");
    let (mut stand, mut alone, mut disk) = (Vec::new(), Vec::new(), None);
    for (image, one) in ids.into_iter().zip(written) {
        match one {
            Ok(Served::Stands(copy)) => stand.push(*copy),
            Ok(Served::Lacking) if owed => alone.push(image),
            Ok(Served::Gone) if owed => seams.ledger.cannot_ask(image, Reason::Missing).await?,
            Ok(Served::Lacking | Served::Gone) => {}
            Err(cause) => disk = disk.or(Some(cause)),
        }
    }
    seams.ledger.served(stand).await?;
    if !alone.is_empty() {
        seams.ledger.ask_alone(alone).await?;
    }
    crash::point("copies.recorded");
    Ok(disk)
}

/// On the pool: writes one text after the other, and syncs each folder once. A folder that cannot be synced is a fault of the disk.
fn write(
    corpus: &dyn Corpus,
    copies: Vec<ReadyCopy>,
    existing: Existing,
    mark: &Mark,
) -> io::Result<Vec<io::Result<Served>>> {
    let mut open = None;
    let mut served = Vec::with_capacity(copies.len());
    for copy in copies {
        // Copies of one folder come one after another, mostly.
        if open.as_ref().is_some_and(|(path, _): &Open| *path != copy.path.folder) {
            sync(&mut open)?;
        }
        served.push(write_one(corpus, copy, existing, mark, &mut open));
    }
    sync(&mut open)?;
    Ok(served)
}

/// The folder that texts are being written into, and where it lies below the root.
type Open = (Vec<u8>, Folder);

fn sync(open: &mut Option<Open>) -> io::Result<()> {
    open.take().map_or(Ok(()), |(_, folder)| folder.sync())
}

fn write_one(
    corpus: &dyn Corpus,
    copy: ReadyCopy,
    existing: Existing,
    mark: &Mark,
    open: &mut Option<Open>,
) -> io::Result<Served> {
    let of_original = corpus.text_folder(&copy.original)?;
    let text = of_original.map(|folder| {
        let name = if copy.rough { corpus.rough_name(&copy.original) } else { corpus.text_name(&copy.original) };
        rough::ours_in(&folder, &name, copy.text)
    });
    let Some(text) = text.transpose()?.flatten() else { return Ok(Served::Lacking) };
    let (clean, rough) = (corpus.text_name(&copy.path), corpus.rough_name(&copy.path));
    let (name, other) = if copy.rough { (rough, clean) } else { (clean, rough) };
    for _ in 0..2 {
        if open.is_none() {
            *open = corpus.text_folder(&copy.path)?.map(|folder| (copy.path.folder.clone(), folder));
        }
        let Some((_, folder)) = open.as_ref() else { return Ok(Served::Gone) };
        match text_file::place(folder, &name, &text, copy.known, existing, mark) {
            // Removed while it was open: in the mirror tree it is made again.
            Err(cause) if cause.kind() == ErrorKind::NotFound => *open = None,
            Err(cause) => return Err(cause),
            Ok(stands) => {
                if stands.0 == TextOwner::Ours {
                    // What stood for the image until now is not its text any more.
                    text_file::remove_ours(folder, &other, copy.known)?;
                }
                return Ok(Served::Stands(Box::new(ServedCopy { copy, stands })));
            }
        }
    }
    Ok(Served::Gone)
}
