//! The ledger once more, in plain vectors and without SQL: what random commands ought to come to.
//!
//! Numbers are places in the vectors; a row's id is its place plus one, because nothing is ever deleted.

use std::collections::BTreeMap;

use crate::domain::batch::BatchEnd;
use crate::domain::image::Reason;
use crate::ledger::moves::{BatchState, ImageState, ShardState};
use crate::ledger::records::Standing;

use super::ALLOWED;

/// What may be spent, in millionths of a USD.
pub(super) const LIMIT: u64 = 800;

/// What the walk may say of a file, in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Fine,
    Bad,
    Passed,
}

/// What may be thought of an answer, in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thought {
    Good,
    Cut,
    NeverRan,
    Hopeless,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) name: u8,
    pub(super) stamp: i64,
    pub(super) state: ImageState,
    pub(super) reason: Option<Reason>,
    pub(super) asked: u32,
    pub(super) gaps: u32,
    pub(super) shard: Option<usize>,
    changes: u32,
    /// Whether format and size are known: nothing else can be asked.
    measured: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) state: ShardState,
    pub(super) images: Vec<usize>,
    hash: Option<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) state: BatchState,
    pub(super) shard: usize,
    stray: bool,
    pub(super) fenced: bool,
    files: bool,
    /// Whether it told its tokens.
    told: bool,
    pub(super) end: BatchEnd,
    line: Option<usize>,
}

/// Everything that the tables hold, as far as moves depend on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) images: Vec<Image>,
    pub(super) shards: Vec<Shard>,
    pub(super) batches: Vec<Batch>,
    returned: u64,
    left_before: u64,
    /// Unusable answers that wait for another batch of the same shard, by shard and image.
    held: BTreeMap<(usize, usize), Thought>,
}

/// Whether a move is made; nothing else may have changed if it is not.
type Made = bool;

impl Model {
    pub(super) fn enrol(&mut self, name: u8, stamp: i64, look: Look) -> Made {
        let (state, reason) = match look {
            Look::Fine => (ImageState::Owed, None),
            Look::Bad => (ImageState::Failed, Some(Reason::Damaged)),
            Look::Passed => (ImageState::Skipped, Some(Reason::Excluded)),
        };
        let measured = look == Look::Fine;
        let new = Image { name, stamp, state, reason, asked: 0, gaps: 0, shard: None, changes: 0, measured };
        let Some(known) = self.images.iter_mut().find(|image| image.name == name) else {
            self.images.push(new);
            return true;
        };
        let same = known.stamp == stamp;
        let file_caused = matches!(
            known.reason,
            Some(Reason::Damaged | Reason::Excluded | Reason::KeepsChanging | Reason::Missing | Reason::TooLarge)
        );
        let taken = match (known.state, look) {
            (ImageState::Packed, _) => false,
            (_, Look::Fine) => !same || file_caused,
            (ImageState::Failed, Look::Bad) | (ImageState::Skipped, Look::Passed) => !same,
            _ => false,
        };
        if taken {
            let forgiven = known.reason == Some(Reason::KeepsChanging) && state == ImageState::Owed;
            let changes = if forgiven { 0 } else { known.changes };
            *known = Image { shard: known.shard, changes, ..new };
        }
        true
    }

    pub(super) fn cannot_ask(&mut self, image: usize) -> Made {
        let Some(image) = self.images.get_mut(image).filter(|image| image.state == ImageState::Owed) else {
            return false;
        };
        (image.state, image.reason) = (ImageState::Failed, Some(Reason::TooLarge));
        true
    }

    pub(super) fn ask_again(&mut self, images: &[usize]) -> Made {
        let ended = [ImageState::Done, ImageState::Failed, ImageState::Skipped];
        for at in images {
            let Some(image) = self.images.get_mut(*at).filter(|image| ended.contains(&image.state)) else { continue };
            if image.measured {
                (image.state, image.reason) = (ImageState::Owed, None);
                (image.asked, image.gaps, image.changes) = (0, 0, 0);
            }
        }
        true
    }

    pub(super) fn seal(&mut self, images: &[usize]) -> Made {
        let owed = |at: &usize| self.images.get(*at).is_some_and(|image| image.state == ImageState::Owed);
        if images.is_empty() || !images.iter().all(owed) {
            return false;
        }
        let shard = self.shards.len();
        for at in images {
            (self.images[*at].state, self.images[*at].shard) = (ImageState::Packed, Some(shard));
        }
        self.shards.push(Shard { state: ShardState::Sealed, images: images.to_vec(), hash: None });
        true
    }

    pub(super) fn uploaded(&mut self, shard: usize, hash: u8) -> Made {
        let Some(shard) = self.shards.get_mut(shard) else { return false };
        if shard.state != ShardState::Sealed || *shard.hash.get_or_insert(hash) != hash {
            return false;
        }
        shard.state = ShardState::Uploaded;
        true
    }

    pub(super) fn dissolve(&mut self, shard: usize, culprit: Option<usize>, gone: bool) -> Made {
        let Some(at) =
            self.shards.get(shard).filter(|shard| matches!(shard.state, ShardState::Sealed | ShardState::Uploaded))
        else {
            return false;
        };
        let image = culprit.map(|line| at.images[line % at.images.len()]);
        self.shards[shard].state = ShardState::Dissolved;
        self.release(shard, 0);
        let Some(image) = image.map(|image| &mut self.images[image]) else { return true };
        image.changes += 1;
        let reason =
            if gone { Some(Reason::Missing) } else { Some(Reason::KeepsChanging).filter(|_| image.changes > 2) };
        match reason {
            Some(reason) => (image.state, image.reason) = (ImageState::Failed, Some(reason)),
            None => image.stamp += 10,
        }
        true
    }

    /// Another account takes over what was never sent.
    pub(super) fn dissolve_unsent(&mut self) -> Made {
        for at in 0..self.shards.len() {
            let Shard { state, hash, .. } = &self.shards[at];
            let was_tried = self.batches.iter().any(|batch| batch.shard == at);
            if *state == ShardState::Sealed && hash.is_none() && !was_tried {
                self.shards[at].state = ShardState::Dissolved;
                self.release(at, 0);
            }
        }
        true
    }

    /// Millionths of a USD that are spent, and that are reserved: 100 for each line and 10 for its prompt at most; ten prompt tokens
    /// and one of output where it is told.
    pub(super) fn funds(&self) -> [u64; 2] {
        let (mut spent, mut reserved) = (0, 0);
        for batch in &self.batches {
            let over = matches!(batch.state, BatchState::Ended | BatchState::Fetched | BatchState::Settled);
            let bill = match batch.state {
                BatchState::Refused | BatchState::Void => continue,
                _ if over && matches!(batch.end, BatchEnd::Refused | BatchEnd::TurnedAway) => 0,
                _ if over && batch.told => 20,
                _ => self.worst(batch.shard),
            };
            let known = batch.told || matches!(batch.end, BatchEnd::Refused | BatchEnd::TurnedAway);
            if batch.state == BatchState::Settled || over && known { spent += bill } else { reserved += bill }
        }
        [spent, reserved]
    }

    fn worst(&self, shard: usize) -> u64 {
        10 + 100 * self.shards[shard].images.len() as u64
    }

    pub(super) fn intend(&mut self, shard: usize) -> Made {
        let uploaded = self.shards.get(shard).is_some_and(|shard| shard.state == ShardState::Uploaded);
        if uploaded && self.funds().iter().sum::<u64>() + self.worst(shard) > LIMIT {
            return false;
        }
        let made = self.shard(shard, ShardState::Uploaded, ShardState::Opening);
        if made {
            self.batch(shard, BatchState::Opening, false);
        }
        made
    }

    pub(super) fn opened(&mut self, batch: usize) -> Made {
        let made = self.leave_opening(batch, BatchState::Open);
        made && self.shard(self.batches[batch].shard, ShardState::Opening, ShardState::Spent)
    }

    pub(super) fn not_created(&mut self, batch: usize) -> Made {
        let made = self.may_go_back(batch) && self.leave_opening(batch, BatchState::Refused);
        self.returned += u64::from(made);
        made && self.shard(self.batches[batch].shard, ShardState::Opening, ShardState::Uploaded)
    }

    pub(super) fn fenced(&mut self, batch: usize) -> Made {
        let Some(batch) = self.batches.get_mut(batch) else { return false };
        batch.fenced |= batch.state == BatchState::Opening;
        batch.state == BatchState::Opening
    }

    pub(super) fn voided(&mut self, batch: usize) -> Made {
        let fenced = self.batches.get(batch).is_some_and(|batch| batch.fenced);
        let made = fenced && self.may_go_back(batch) && self.leave_opening(batch, BatchState::Void);
        self.returned += u64::from(made);
        made && self.shard(self.batches[batch].shard, ShardState::Opening, ShardState::Sealed)
    }

    pub(super) fn stray(&mut self, shard: usize) -> Made {
        let states = [ShardState::Opening, ShardState::Spent, ShardState::Gone, ShardState::Dissolved];
        let taken = self.shards.get(shard).is_some_and(|shard| states.contains(&shard.state));
        if taken {
            self.batch(shard, BatchState::Open, true);
        }
        taken
    }

    /// Whether no stray has answered for a shard, or still may.
    fn unanswered(&self, shard: usize) -> bool {
        let packed = |at: &usize| {
            let image = &self.images[*at];
            image.state == ImageState::Packed && image.shard == Some(shard)
        };
        let living = [BatchState::Open, BatchState::Ended, BatchState::Fetched];
        self.shards[shard].images.iter().all(packed)
            && !self.held.keys().any(|(of, _)| *of == shard)
            && !self.batches.iter().any(|batch| batch.stray && batch.shard == shard && living.contains(&batch.state))
    }

    fn may_go_back(&self, batch: usize) -> bool {
        self.batches.get(batch).is_some_and(|batch| self.unanswered(batch.shard))
    }

    pub(super) fn ended(&mut self, batch: usize, end: BatchEnd, files: bool, line: Option<usize>) -> Made {
        let Some(batch) = self.batches.get_mut(batch).filter(|batch| batch.state == BatchState::Open) else {
            return false;
        };
        *batch = Batch { state: BatchState::Ended, end, files, told: files, line, ..*batch };
        true
    }

    pub(super) fn turned_away(&mut self, at: usize) -> Made {
        let Some(batch) = self.batches.get_mut(at) else { return false };
        if batch.state != BatchState::Ended || batch.end != BatchEnd::TurnedAway {
            return false;
        }
        let (stray, shard) = (batch.stray, batch.shard);
        if !stray && !self.unanswered(shard) {
            return false;
        }
        let batch = &mut self.batches[at];
        batch.state = BatchState::Refused;
        if batch.stray {
            return true;
        }
        self.returned += 1;
        let shard = batch.shard;
        self.shard(shard, ShardState::Spent, ShardState::Uploaded)
    }

    pub(super) fn fetched(&mut self, batch: usize) -> Made {
        let Some(batch) = self.batches.get_mut(batch).filter(|batch| batch.state == BatchState::Ended) else {
            return false;
        };
        batch.state = BatchState::Fetched;
        true
    }

    pub(super) fn results_gone(&mut self, batch: usize) -> Made {
        let Some(batch) = self.batches.get_mut(batch).filter(|batch| batch.state == BatchState::Ended) else {
            return false;
        };
        (batch.files, batch.end) = (false, BatchEnd::Vanished);
        true
    }

    pub(super) fn verdict(&mut self, at: usize, line: usize, thought: Thought) -> Made {
        let Some(batch) = self.batches.get(at) else { return false };
        if !matches!(batch.state, BatchState::Ended | BatchState::Fetched) {
            return false;
        }
        let shard = batch.shard;
        let images = &self.shards[shard].images;
        let image = images[line % images.len()];
        if self.images[image].state != ImageState::Packed || self.images[image].shard != Some(shard) {
            return true;
        }
        let living = [BatchState::Opening, BatchState::Open, BatchState::Ended, BatchState::Fetched];
        let others = self.batches.iter().enumerate().filter(|(other, _)| *other != at);
        let contested = others.into_iter().any(|(_, other)| other.shard == shard && living.contains(&other.state));
        if contested && matches!(thought, Thought::Cut | Thought::Hopeless) {
            self.held.insert((shard, image), thought);
            return true;
        }
        self.held.remove(&(shard, image));
        self.takes_effect(image, thought);
        true
    }

    fn takes_effect(&mut self, image: usize, thought: Thought) {
        let image = &mut self.images[image];
        let again =
            |worn: bool, reason| if worn { (ImageState::Failed, Some(reason)) } else { (ImageState::Owed, None) };
        (image.state, image.reason) = match thought {
            Thought::Good => (ImageState::Done, None),
            Thought::Hopeless => (ImageState::Failed, Some(Reason::Refused)),
            Thought::Cut => {
                image.asked += 1;
                again(image.asked >= ALLOWED.attempts, Reason::Truncated)
            }
            Thought::NeverRan => {
                image.gaps += 1;
                again(image.gaps > ALLOWED.returns, Reason::NeverRan)
            }
        };
    }

    pub(super) fn settle(&mut self, at: usize) -> Made {
        let Some(batch) = self.batches.get(at).cloned() else { return false };
        let bare = batch.state == BatchState::Ended && !batch.files;
        let living = |other: &Batch| {
            other.stray && matches!(other.state, BatchState::Open | BatchState::Ended | BatchState::Fetched)
        };
        let waits = self.batches.iter().any(|other| other.shard == batch.shard && living(other));
        if !(bare || batch.state == BatchState::Fetched) || (waits && !batch.stray) {
            return false;
        }
        self.batches[at].state = BatchState::Settled;
        if batch.stray {
            return true;
        }
        for image in self.shards[batch.shard].images.clone() {
            if let Some(thought) = self.held.remove(&(batch.shard, image)) {
                self.takes_effect(image, thought);
            }
        }
        for (line, image) in self.shards[batch.shard].images.iter().enumerate() {
            let image = &mut self.images[*image];
            if image.state != ImageState::Packed || image.shard != Some(batch.shard) {
                continue;
            }
            if batch.end == BatchEnd::Vanished {
                (image.state, image.reason) = (ImageState::Failed, Some(Reason::ResultsGone));
            } else if batch.end == BatchEnd::Refused && batch.line == Some(line + 1) {
                (image.state, image.reason) = (ImageState::Failed, Some(Reason::ProviderError));
            } else if image.gaps >= ALLOWED.returns {
                image.gaps += 1;
                (image.state, image.reason) = (ImageState::Failed, Some(Reason::NeverRan));
            }
        }
        self.release(batch.shard, 1);
        self.shard(batch.shard, ShardState::Spent, ShardState::Gone)
    }

    /// Batches that no longer wait at the provider.
    fn left(&self) -> u64 {
        let waits = |state| matches!(state, BatchState::Opening | BatchState::Open);
        self.batches.iter().filter(|batch| !waits(batch.state)).count() as u64
    }

    /// The counts that the store should carry.
    pub(super) fn standing(&self) -> Standing {
        let images = |state| self.images.iter().filter(|image| image.state == state).count() as u64;
        let shards = |state| self.shards.iter().filter(|shard| shard.state == state).count() as u64;
        let batches = |state| self.batches.iter().filter(|batch| batch.state == state).count() as u64;
        Standing {
            walking: false,
            found: self.images.len() as u64,
            owed: images(ImageState::Owed),
            packed: images(ImageState::Packed),
            done: images(ImageState::Done),
            rough: 0,
            failed: images(ImageState::Failed),
            skipped: images(ImageState::Skipped),
            shards_waiting: shards(ShardState::Sealed) + shards(ShardState::Uploaded) + shards(ShardState::Opening),
            sealed: shards(ShardState::Sealed),
            uploaded: shards(ShardState::Uploaded),
            opening: shards(ShardState::Opening),
            shards_returned: self.returned,
            queue_left: self.left() - self.left_before,
            batches_open: batches(BatchState::Open),
            batches_ended: batches(BatchState::Ended) + batches(BatchState::Fetched),
            batches_fetched: batches(BatchState::Fetched),
            copies: 0,
            copies_ended: 0,
            copies_ready: 0,
        }
    }

    /// A new life of the keeper counts what comes back from zero.
    pub(super) fn reopened(&mut self) {
        self.returned = 0;
        self.left_before = self.left();
    }

    fn release(&mut self, shard: usize, gaps: u32) {
        for image in
            self.images.iter_mut().filter(|image| image.state == ImageState::Packed && image.shard == Some(shard))
        {
            image.state = ImageState::Owed;
            image.gaps += gaps;
        }
    }

    fn shard(&mut self, shard: usize, from: ShardState, to: ShardState) -> Made {
        let Some(shard) = self.shards.get_mut(shard).filter(|shard| shard.state == from) else { return false };
        shard.state = to;
        true
    }

    fn batch(&mut self, shard: usize, state: BatchState, stray: bool) {
        let end = BatchEnd::Completed;
        self.batches.push(Batch { state, shard, stray, fenced: false, files: false, told: false, end, line: None });
    }

    fn leave_opening(&mut self, batch: usize, to: BatchState) -> Made {
        let Some(batch) = self.batches.get_mut(batch).filter(|batch| batch.state == BatchState::Opening) else {
            return false;
        };
        batch.state = to;
        true
    }
}
