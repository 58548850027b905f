//! The texts of a stretch of answers on their way to their places: each is written under a temporary name, all are made durable
//! at once where the disk can do that, and then each gets its name. So a text that bears its name is complete, also after a
//! power cut, and the disk is waited for once and not once a text.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chunk::Hands;
use super::pages;
use super::text_file::{self, Written};
use crate::domain::image::RelPath;
use crate::domain::recipe::Kind;
use crate::kit::crash;
use crate::kit::disks::Disks;
use crate::kit::folder::Folder;
use crate::kit::hash::Short;
use crate::ledger::moves::ImageState;
use crate::ledger::records::{KnownText, TextOwner};

/// Which of an image's two texts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// The text: it exists, so it is complete and clean.
    Clean,
    /// The rough text.
    Rough,
}

/// Whose text stands, and its hash; `None` if the image's own folder is gone.
type Placed = Option<(TextOwner, Short)>;

/// A text on its way.
pub(super) enum Begun {
    /// It is there.
    Placed(Placed),
    /// It is written, and has no name yet.
    Written(Goal, Written<Arc<Folder>>),
}

/// Where a text goes.
pub(super) struct Goal {
    folder: Arc<Folder>,
    kind: TextKind,
    name: Vec<u8>,
    /// Name of the other one of the image's two texts.
    other: Vec<u8>,
}

/// The folders that the texts of a stretch are written into, each opened once.
pub(super) struct Texts<'a> {
    hands: &'a Hands,
    open: Mutex<BTreeMap<Vec<u8>, Arc<Folder>>>,
    disks: Disks,
}

impl<'a> Texts<'a> {
    /// No texts yet; there will be `most` at most.
    pub(super) fn new(hands: &'a Hands, most: usize) -> Self {
        Self { hands, open: Mutex::default(), disks: Disks::new(most) }
    }

    /// Writes a text, as far as it can be without its name.
    pub(super) fn begin(&self, image: &RelPath, kind: TextKind, text: &[u8], known: &KnownText) -> io::Result<Begun> {
        let Some(goal) = self.goal(image, kind)? else { return Ok(Begun::Placed(None)) };
        if known.one_of_many && kind == TextKind::Clean {
            return self.keep_page(&goal, text, known).map(Some).map(Begun::Placed);
        }
        if let Some(hash) = persons(&goal, known)? {
            return Ok(Begun::Placed(Some((TextOwner::Kept, hash))));
        }
        let Hands { rules, mark, .. } = self.hands;
        match text_file::begin(&goal.folder, &goal.name, text, known.hash, rules.existing, mark) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                self.again(image, kind, text, known).map(Begun::Placed)
            }
            Err(cause) => Err(cause),
            Ok(text_file::Begun::Stands(owner, hash)) => {
                self.stands(&goal, owner, known)?;
                Ok(Begun::Placed(Some((owner, hash))))
            }
            Ok(text_file::Begun::Written(mut written)) => {
                self.disks.close(written.file())?;
                Ok(Begun::Written(goal, written))
            }
        }
    }

    /// Makes the bytes of all that is written durable.
    pub(super) fn make_durable(&self) -> io::Result<()> {
        self.disks.sync()?;
        crash::point("text.synced");
        Ok(())
    }

    /// Gives a text its name.
    pub(super) fn name(&self, image: &RelPath, begun: Begun, text: &[u8], known: &KnownText) -> io::Result<Placed> {
        let (goal, written) = match begun {
            Begun::Placed(placed) => return Ok(placed),
            Begun::Written(goal, written) => (goal, written),
        };
        match written.publish(&goal.name) {
            Ok(Some(hash)) => {
                self.stands(&goal, TextOwner::Ours, known)?;
                Ok(Some((TextOwner::Ours, hash)))
            }
            // Somebody wrote there meanwhile.
            Ok(None) => self.place(&goal, text, known).map(Some),
            Err(cause) if cause.kind() == ErrorKind::NotFound => self.again(image, goal.kind, text, known),
            Err(cause) => Err(cause),
        }
    }

    /// Makes the names of all texts durable.
    pub(super) fn sync_folders(self) -> io::Result<()> {
        held(&self.open).values().try_for_each(|folder| folder.sync())
    }

    /// The folder of an image's text; `None` if the image's own folder is gone.
    fn folder_of(&self, image: &RelPath) -> io::Result<Option<Arc<Folder>>> {
        let mut open = held(&self.open);
        if let Some(folder) = open.get(&image.folder) {
            return Ok(Some(Arc::clone(folder)));
        }
        let Some(folder) = self.hands.corpus.text_folder(image)?.map(Arc::new) else { return Ok(None) };
        open.insert(image.folder.clone(), Arc::clone(&folder));
        Ok(Some(folder))
    }

    /// Where a text goes; `None` if the image's own folder is gone.
    fn goal(&self, image: &RelPath, kind: TextKind) -> io::Result<Option<Goal>> {
        let Some(folder) = self.folder_of(image)? else { return Ok(None) };
        let (clean, rough) = (self.hands.corpus.text_name(image), self.hands.corpus.rough_name(image));
        let (name, other) = if kind == TextKind::Clean { (clean, rough) } else { (rough, clean) };
        Ok(Some(Goal { folder, kind, name, other }))
    }

    /// The folder was removed while it was open: in the mirror tree it is made again.
    fn again(&self, image: &RelPath, kind: TextKind, text: &[u8], known: &KnownText) -> io::Result<Placed> {
        held(&self.open).remove(&image.folder);
        let Some(goal) = self.goal(image, kind)? else { return Ok(None) };
        match self.place(&goal, text, known) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            placed => placed.map(Some),
        }
    }

    fn place(&self, goal: &Goal, text: &[u8], known: &KnownText) -> io::Result<(TextOwner, Short)> {
        let Hands { rules, mark, .. } = self.hands;
        let placed = text_file::place(&goal.folder, &goal.name, text, known.hash, rules.existing, mark)?;
        self.stands(goal, placed.0, known)?;
        Ok(placed)
    }

    /// The text of one page waits for those of its file.
    fn keep_page(&self, goal: &Goal, text: &[u8], known: &KnownText) -> io::Result<(TextOwner, Short)> {
        let hash = pages::keep(&self.hands.pages, known.image, text)?;
        self.stands(goal, TextOwner::Ours, known)?;
        Ok((TextOwner::Page, hash))
    }

    /// What stood for the image until now is not its text any more. It can be made again from the saved answer.
    fn stands(&self, goal: &Goal, owner: TextOwner, known: &KnownText) -> io::Result<()> {
        if owner == TextOwner::Ours && self.hands.recipe.kind == Kind::Read {
            text_file::remove_ours(&goal.folder, &goal.other, known.hash)?;
        }
        Ok(())
    }
}

/// Done, and with no text of ours: a person's stands, by this hash. A rough one is not put beside it again.
fn persons(goal: &Goal, known: &KnownText) -> io::Result<Option<Short>> {
    let is_done = known.state == Some(ImageState::Done) && known.hash.is_none();
    if goal.kind == TextKind::Clean || !is_done {
        return Ok(None);
    }
    text_file::hash_there(&goal.folder, &goal.other)
}

/// What a thread that panicked left is whole: nothing is half done under these locks.
fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
