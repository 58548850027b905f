//! Which files have arrived, for folders that are walked again and again: a file that somebody is still copying is left alone,
//! and one that an earlier walk has looked at is not opened again.
//!
//! Nothing is remembered of files that are old by their own clock, so that memory does not grow with the corpus.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::image::{RelPath, Stamp};
use crate::kit::clock::{Clock, Millis};

/// What was changed before this is old, whatever the clock of a file server says: an hour of summer time, and one more.
const SURE: Millis = 2 * 3600 * 1000;
/// Young files that are remembered, at 8 bytes each; those beyond wait until they are old.
const MOST_YOUNG: usize = 1 << 18;
/// Every so many walks look at everything, for changes that leave no trace in times, such as another drive in the same place.
const FULL_EVERY: u32 = 100;

/// What a walk does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is looked at.
    Measure,
    /// It may still be growing: another walk decides.
    Wait,
    /// An earlier walk has looked at it, and it was not touched since.
    Known,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    /// When the system changed anything of it last; unlike the modification time nobody can set it. `None` where there is no such time.
    pub(super) changed_ms: Option<Millis>,
    /// Whether its folder, or one above, was changed lately: moved here, perhaps, with all that is in it.
    pub(super) in_young_folder: bool,
}

/// What decides about all files of one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    /// When the walk began.
    now: Millis,
    /// When the walk before began, if what it has seen may be passed over.
    before: Option<Millis>,
}

impl Moment {
    /// `same`: the walk before has seen it with this very stamp.
    fn look(self, file: &Seen, same: bool) -> Look {
        let latest = file.changed_ms.unwrap_or(file.stamp.mtime_ms).max(file.stamp.mtime_ms);
        let old = latest < self.now - SURE;
        let untouched = self.before.is_some_and(|before| latest < before - SURE);
        match () {
            () if untouched && file.changed_ms.is_some() && !file.in_young_folder => Look::Known,
            () if old || same => Look::Measure,
            () => Look::Wait,
        }
    }
}

/// What walks know of one another.
#[derive(Clone, Debug)]
pub struct Arrivals {
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    young: HashSet<u64>,
    /// When the last walk that came to its end began.
    began: Option<Millis>,
    walks: u32,
    hasher: RandomState,
}

/// What one walk knows of the one before, and leaves to the next.
#[derive(Debug)]
pub(super) struct Round {
    moment: Moment,
    before: HashSet<u64>,
    young: HashSet<u64>,
    hasher: RandomState,
}

impl Arrivals {
    /// Nothing has been seen yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, memory: Arc::default() }
    }

    /// A walk begins. One that does not come to its end leaves nothing to the next.
    pub(super) fn begin(&self) -> Round {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.walks = memory.walks.wrapping_add(1);
        let before = memory.began.take().filter(|_| !memory.walks.is_multiple_of(FULL_EVERY));
        Round {
            moment: Moment { now: self.clock.now(), before },
            before: std::mem::take(&mut memory.young),
            young: HashSet::new(),
            hasher: memory.hasher.clone(),
        }
    }

    /// A walk has come to its end.
    pub(super) fn end(&self, round: Round) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.young = round.young;
        memory.began = Some(round.moment.now);
    }
}

impl Round {
    /// What is to be done with a file.
    pub(super) fn look(&mut self, path: &RelPath, file: &Seen) -> Look {
        let mark = self.hasher.hash_one((&path.folder, &path.name, file.stamp.bytes, file.stamp.mtime_ms));
        let look = self.moment.look(file, self.before.contains(&mark));
        if !self.is_old(file.changed_ms.unwrap_or(file.stamp.mtime_ms).max(file.stamp.mtime_ms))
            && self.young.len() < MOST_YOUNG
        {
            self.young.insert(mark);
        }
        look
    }

    /// Whether something that was changed at `at` was there before the walk before this one began.
    pub(super) fn is_old(&self, at: Millis) -> bool {
        at < self.moment.before.unwrap_or(self.moment.now).min(self.moment.now) - SURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 100 * SURE;

    fn file(mtime_ms: Millis, changed_ms: Option<Millis>) -> Seen {
        Seen { stamp: Stamp { bytes: 9, mtime_ms }, changed_ms, in_young_folder: false }
    }

    #[test]
    fn files_that_may_still_grow_wait() {
        let first = Moment { now: NOW, before: None };
        let later = Moment { now: NOW, before: Some(NOW - 300_000) };
        let long_ago = NOW - 3 * SURE;
        let moved = Seen { in_young_folder: true, ..file(long_ago, Some(long_ago)) };
        for (name, moment, file, same, look) in [
            ("being written", first, file(NOW, Some(NOW)), false, Look::Wait),
            ("as it was", first, file(NOW - 1, Some(NOW - 1)), true, Look::Measure),
            ("from a clock ahead", first, file(NOW + SURE, Some(NOW + SURE)), false, Look::Wait),
            ("copied with its old time", first, file(long_ago, Some(NOW)), false, Look::Wait),
            ("old, first walk", first, file(long_ago, Some(long_ago)), false, Look::Measure),
            ("old, later walk", later, file(long_ago, Some(long_ago)), false, Look::Known),
            ("old, moved with its folder", later, moved, false, Look::Measure),
            ("old, no time of change", later, file(long_ago, None), false, Look::Measure),
            ("young, no time of change", later, file(NOW, None), false, Look::Wait),
            ("settled a while ago", later, file(NOW - SURE, Some(NOW - SURE)), true, Look::Measure),
            ("an hour of summer time", later, file(NOW - SURE / 2, Some(NOW - SURE / 2)), false, Look::Wait),
        ] {
            assert_eq!(moment.look(&file, same), look, "{name}");
        }
    }

    #[test]
    fn two_walks_that_see_the_same_stamp_let_a_file_in() {
        let clock = Clock::manual(NOW);
        let arrivals = Arrivals::new(clock.clone());
        let path = RelPath { folder: b"a".to_vec(), name: b"b.png".to_vec(), page: 1 };
        let look = |bytes: u64| {
            let mut round = arrivals.begin();
            let seen = Seen { stamp: Stamp { bytes, mtime_ms: NOW }, changed_ms: Some(NOW), in_young_folder: false };
            let look = round.look(&path, &seen);
            arrivals.end(round);
            clock.advance(std::time::Duration::from_secs(300));
            look
        };
        assert_eq!([1, 2, 2, 2].map(look), [Look::Wait, Look::Wait, Look::Measure, Look::Measure]);
        drop(arrivals.begin());
        assert_eq!(look(2), Look::Wait, "a walk that was cut short has seen nothing");
    }

    #[test]
    fn now_and_then_a_walk_looks_at_everything() {
        let clock = Clock::manual(NOW);
        let arrivals = Arrivals::new(clock.clone());
        let path = RelPath { folder: Vec::new(), name: b"b.png".to_vec(), page: 1 };
        let measured = (0..FULL_EVERY)
            .filter(|_| {
                let mut round = arrivals.begin();
                let look = round.look(&path, &file(0, Some(0)));
                arrivals.end(round);
                look == Look::Measure
            })
            .count();
        assert_eq!(measured, 2, "the first and the last of so many");
    }
}
