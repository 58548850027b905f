//! What takes a walk over all images to tell: made by one request at a time, and told again for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::kit::clock::{Clock, Millis, Stopwatch, millis};
use crate::kit::holding;

/// A ledger of so many images is walked in the time that a page takes anyway.
pub(super) const FEW: u64 = 10_000;

/// Something that is told again for a while.
#[derive(Debug)]
pub(super) struct Kept<T> {
    last: Mutex<Last<T>>,
    /// Held while it is made: each walk has its pages of the ledger in memory.
    making: Mutex<()>,
}

#[derive(Debug)]
struct Last<T> {
    told: Option<Arc<T>>,
    /// When it was made (unix milliseconds), and how long it holds; `None`: something has happened since.
    made: Option<(Millis, Duration)>,
    /// How often something has happened.
    deeds: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Mutex::new(Last { told: None, made: None, deeds: 0 }), making: Mutex::default() }
    }
}

/// How long holds what was told of a ledger of `found` images and took so long to make.
fn holds(found: u64, took: Duration) -> Duration {
    if found <= FEW { Duration::ZERO } else { holding::holds(took) }
}

impl<T> Kept<T> {
    /// What was told last, while it holds; otherwise it is made of a ledger of `found` images. Whoever comes while that is done gets
    /// the last one, unless something has happened here since.
    pub(super) fn told<E>(&self, clock: &Clock, found: u64, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some(told) = self.last().at(clock.now(), found) {
            return Ok(told);
        }
        let _alone = match self.making.try_lock() {
            Ok(alone) => alone,
            // Whoever panicked while he made it has left none.
            Err(TryLockError::Poisoned(left)) => left.into_inner(),
            Err(TryLockError::WouldBlock) => {
                if let Some(told) = self.last().until_a_deed(found) {
                    return Ok(told);
                }
                self.making.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Perhaps whoever was waited for has made it.
        if let Some(told) = self.last().at(clock.now(), found) {
            return Ok(told);
        }
        let (deeds, began, watch) = (self.last().deeds, clock.now(), Stopwatch::start());
        let told = Arc::new(make()?);
        let mut last = self.last();
        last.told = Some(Arc::clone(&told));
        last.made = (last.deeds == deeds).then(|| (began, holds(found, watch.elapsed())));
        Ok(told)
    }

    /// What was told last, however long ago.
    pub(super) fn as_told(&self) -> Option<Arc<T>> {
        self.last().told.clone()
    }

    /// Something has happened by which it is another: it is made anew for the next who asks.
    pub(super) fn forget(&self) {
        let mut last = self.last();
        last.made = None;
        last.deeds += 1;
    }

    fn last(&self) -> MutexGuard<'_, Last<T>> {
        // Nobody panics while he holds it.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Last<T> {
    /// What holds now; nothing where the clock was put back behind its making.
    fn at(&self, now: Millis, found: u64) -> Option<Arc<T>> {
        let (at, holds) = self.made.filter(|_| found > FEW)?;
        let is_new = (0..millis(holds)).contains(&now.saturating_sub(at));
        self.told.clone().filter(|_| is_new)
    }

    /// What nothing has happened to since; of few images nothing is told twice.
    fn until_a_deed(&self, found: u64) -> Option<Arc<T>> {
        self.told.clone().filter(|_| found > FEW && self.made.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::mpsc;

    use super::*;

    const MANY: u64 = FEW + 1;

    /// Tells the number of the walk.
    fn told(kept: &Kept<u32>, clock: &Clock, found: u64, walks: &mut u32) -> u32 {
        let made = kept.told(clock, found, || {
            *walks += 1;
            Ok::<_, Infallible>(*walks)
        });
        let Ok(made) = made;
        *made
    }

    #[test]
    fn many_images_are_walked_once_a_minute_and_few_each_time() {
        let (kept, clock, mut walks) = (Kept::default(), Clock::manual(0), 0);
        let mut tell = |clock: &Clock, found| told(&kept, clock, found, &mut walks);
        assert_eq!([tell(&clock, MANY), tell(&clock, MANY)], [1, 1]);
        clock.advance(Duration::from_millis(59_999));
        assert_eq!(tell(&clock, MANY), 1);
        clock.put(-100_000);
        assert_eq!(tell(&clock, MANY), 2, "a clock that is put back keeps nothing for ever");
        assert_eq!([tell(&clock, FEW), tell(&clock, FEW)], [3, 4]);
        assert_eq!(kept.as_told().as_deref(), Some(&4));
    }

    #[test]
    fn a_long_walk_holds_longer() {
        assert_eq!(holds(FEW, Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(holds(MANY, Duration::from_secs(1)), Duration::from_secs(60));
        assert_eq!(holds(MANY, Duration::from_secs(9)), Duration::from_secs(180));
    }

    #[test]
    fn what_happens_here_is_seen_at_once_even_if_it_happens_during_a_walk() {
        let (kept, clock, mut walks) = (Kept::default(), Clock::manual(0), 0);
        assert_eq!(told(&kept, &clock, MANY, &mut walks), 1);
        kept.forget();
        let Ok(second) = kept.told(&clock, MANY, || {
            kept.forget();
            Ok::<_, Infallible>(7)
        });
        assert_eq!(*second, 7);
        assert_eq!(told(&kept, &clock, MANY, &mut walks), 2, "7 was made of what was there before");
        assert_eq!(told(&kept, &clock, MANY, &mut walks), 2);
    }

    #[test]
    fn nobody_waits_for_the_walk_of_another_who_has_something_to_be_told() {
        let (kept, clock, mut walks) = (Kept::default(), Clock::manual(0), 0);
        assert_eq!(told(&kept, &clock, MANY, &mut walks), 1);
        clock.advance(holding::holds(Duration::ZERO));
        let (begun, is_begun) = mpsc::channel();
        let (end, is_to_end) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let walk = scope.spawn(|| {
                kept.told(&clock, MANY, move || {
                    begun.send(()).expect("somebody waits");
                    is_to_end.recv().expect("a word");
                    Ok::<_, Infallible>(9)
                })
            });
            is_begun.recv().expect("the walk begins");
            assert_eq!(told(&kept, &clock, MANY, &mut walks), 1, "the last one");
            end.send(()).expect("it listens");
            assert!(walk.join().is_ok_and(|made| made.is_ok_and(|made| *made == 9)));
        });
        assert_eq!(told(&kept, &clock, MANY, &mut walks), 9);
    }
}
