//! What takes a walk over all images to tell: made by a thread of its own, one at a time, and told again for a while.
//!
//! Of many images nobody waits for a walk but whoever comes before the first one has ended: what was made last is told, with the
//! moment that it is of, while the next one is under way. Whoever waits holds no thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kit::clock::{Clock, Millis, Stopwatch, millis};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::holding;
use crate::kit::thread;
use crate::kit::watch::Sender;

/// A ledger of so many images is walked in the time that a page takes anyway.
pub(super) const FEW: u64 = 10_000;
/// In times of what a walk takes: how long holds what a person has made untrue, so that he who goes on doing so keeps one thread
/// busy for half of its time at most.
const AFTER_A_DEED: u32 = 2;

/// Something that is told again for a while; clones are the same.
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Shelf<T>>);

#[derive(Debug)]
struct Shelf<T> {
    last: Mutex<Last<T>>,
    /// The number of the walk that has ended last.
    ended: Sender<u64>,
}

/// What is told.
#[derive(Debug)]
pub(super) struct Told<T> {
    pub(super) what: Arc<T>,
    /// When it was begun to be made (unix milliseconds).
    pub(super) at: Millis,
    /// Whether a newer one is being made.
    pub(super) is_renewed: bool,
}

#[derive(Debug)]
struct Last<T> {
    made: Option<Made<T>>,
    /// The walk that came to nothing last, and why.
    failed: Option<(u64, String)>,
    under_way: Option<Walk<T>>,
    /// Walks that were begun.
    begun: u64,
}

#[derive(Debug)]
struct Made<T> {
    what: Arc<T>,
    /// The number of its walk.
    number: u64,
    at: Millis,
    took: Duration,
    /// Whether a person has done something since it was begun by which it is another.
    outdated: bool,
}

struct Walk<T> {
    outdated: bool,
    /// What it may have read too early to see.
    mends: Vec<Mend<T>>,
}

/// Makes true what a person has made untrue.
type Mend<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

impl<T> std::fmt::Debug for Walk<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("outdated", &self.outdated).finish_non_exhaustive()
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let last = Last { made: None, failed: None, under_way: None, begun: 0 };
        Self(Arc::new(Shelf { last: Mutex::new(last), ended: Sender::new(0) }))
    }
}

/// How long holds what was told of a ledger of `found` images and took so long to make.
fn holds(found: u64, took: Duration, outdated: bool) -> Duration {
    match (found <= FEW, outdated) {
        (true, _) => Duration::ZERO,
        (false, true) => took * AFTER_A_DEED,
        (false, false) => holding::holds(took),
    }
}

/// What becomes of somebody who asks.
enum Step<T> {
    Tell(Told<T>),
    Fail(String),
    Wait,
}

impl<T> Last<T> {
    /// The first walk that is new enough for somebody who comes now. Of few images it has to begin after he came, so that he sees
    /// what he did; it is one for all who wait for it. Of many any will do.
    fn first(&self, found: u64) -> u64 {
        let under_way = u64::from(found > FEW && self.under_way.is_some());
        self.begun + 1 - under_way
    }

    /// What becomes of him, and the number of the walk that he has to begin, if he has to.
    fn step(&mut self, now: Millis, found: u64, first: u64) -> (Step<T>, Option<u64>) {
        let made = self.made.as_ref().filter(|made| found > FEW || made.number >= first);
        let is_due = match made {
            Some(made) => found > FEW && !made.is_new(now, found),
            None => self.failed.as_ref().is_none_or(|(number, _)| *number < first),
        };
        let begins = is_due && self.under_way.is_none();
        let is_renewed = self.under_way.is_some() || begins;
        let step = match (made, &self.failed) {
            (Some(made), _) => Step::Tell(Told { what: Arc::clone(&made.what), at: made.at, is_renewed }),
            (None, Some((_, why))) if !is_due => Step::Fail(why.clone()),
            (None, _) => Step::Wait,
        };
        let begins = begins.then(|| {
            self.begun += 1;
            self.under_way = Some(Walk { outdated: false, mends: Vec::new() });
            self.begun
        });
        (step, begins)
    }
}

impl<T> Made<T> {
    /// Whether it holds; not where the clock was put back behind its making.
    fn is_new(&self, now: Millis, found: u64) -> bool {
        (0..millis(holds(found, self.took, self.outdated))).contains(&now.saturating_sub(self.at))
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// What `make` makes of a ledger of `found` images, or has made before.
    ///
    /// # Errors
    /// Why it could not be made, in words.
    pub(super) async fn told(
        &self,
        clock: &Clock,
        found: u64,
        make: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<Told<T>, String> {
        let mut ended = self.0.ended.subscribe();
        let first = self.last().first(found);
        // Who has begun a walk waits for none but that one.
        let mut make = Some(make);
        loop {
            let (step, begins) = self.last().step(clock.now(), found, first);
            if let Some(number) = begins
                && let Some(make) = make.take()
            {
                self.walk(number, clock.now(), make);
            }
            match step {
                Step::Tell(told) => return Ok(told),
                Step::Fail(why) => return Err(why),
                Step::Wait => ended.changed().await.map_err(|closed| closed.to_string())?,
            }
        }
    }

    /// What was told last, however long ago.
    pub(super) fn as_told(&self) -> Option<Told<T>> {
        let last = self.last();
        let made = last.made.as_ref()?;
        Some(Told { what: Arc::clone(&made.what), at: made.at, is_renewed: last.under_way.is_some() })
    }

    /// Something has happened by which it is another: it is made anew soon, once for all that happens meanwhile.
    pub(super) fn outdate(&self) {
        let mut last = self.last();
        last.made.iter_mut().for_each(|made| made.outdated = true);
        last.under_way.iter_mut().for_each(|walk| walk.outdated = true);
    }

    /// Something has happened that `mend` can bring into it, as often as it is done: no walk is needed.
    pub(super) fn mend(&self, mend: impl Fn(&mut T) + Send + Sync + 'static)
    where
        T: Clone,
    {
        let mut last = self.last();
        last.made.iter_mut().for_each(|made| mend(Arc::make_mut(&mut made.what)));
        if let Some(walk) = &mut last.under_way {
            walk.mends.push(Arc::new(mend));
        }
    }

    fn walk(&self, number: u64, at: Millis, make: impl FnOnce() -> Result<T, String> + Send + 'static) {
        let broken = || Err("the program broke off while it counted".to_owned());
        let kept = self.clone();
        let spawned = thread::spawn("walk", ExitGuard::unheard("walk"), move |guard| {
            let mut walking = Walking { kept, number, at, watch: Stopwatch::start(), made: broken() };
            walking.made = make();
            drop(walking);
            guard.drained();
        });
        if let Err(cause) = spawned {
            self.end(number, at, Duration::ZERO, Err(cause.to_string()));
        }
    }

    fn end(&self, number: u64, at: Millis, took: Duration, made: Result<T, String>) {
        let mut last = self.last();
        let walk = last.under_way.take();
        match made {
            Ok(mut what) => {
                let outdated = walk.as_ref().is_some_and(|walk| walk.outdated);
                walk.iter().flat_map(|walk| &walk.mends).for_each(|mend| mend(&mut what));
                last.made = Some(Made { what: Arc::new(what), number, at, took, outdated });
                last.failed = None;
            }
            Err(why) => {
                tracing::warn!(why, "a walk over all images came to nothing");
                last.failed = Some((number, why));
            }
        }
        drop(last);
        self.0.ended.send_if_modified(|ended| {
            *ended = number;
            true
        });
    }
}

impl<T> Kept<T> {
    fn last(&self) -> MutexGuard<'_, Last<T>> {
        // Whoever panicked while he held it has left a whole one.
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A walk under way; whoever waits is told of its end even if it panics.
struct Walking<T: Send + Sync + 'static> {
    kept: Kept<T>,
    number: u64,
    at: Millis,
    watch: Stopwatch,
    made: Result<T, String>,
}

impl<T: Send + Sync + 'static> Drop for Walking<T> {
    fn drop(&mut self) {
        let made = std::mem::replace(&mut self.made, Err(String::new()));
        self.kept.end(self.number, self.at, self.watch.elapsed(), made);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use futures_util::future::{join, join_all};

    use super::*;
    use crate::kit::wait::wait_for;

    const MANY: u64 = FEW + 1;

    /// Something that tells the number of its walk, at a clock that stands.
    struct Scene {
        kept: Kept<u32>,
        clock: Clock,
        walks: Arc<AtomicU32>,
    }

    impl Scene {
        fn new() -> Self {
            Self { kept: Kept::default(), clock: Clock::manual(0), walks: Arc::default() }
        }

        fn ask(&self, found: u64) -> Result<Told<u32>, String> {
            let walks = Arc::clone(&self.walks);
            let make = move || Ok(walks.fetch_add(1, Ordering::Relaxed) + 1);
            wait_for(self.kept.told(&self.clock, found, make)).expect("a runtime")
        }

        fn told(&self, found: u64) -> u32 {
            *self.ask(found).expect("a number").what
        }

        /// Waits until so many walks have ended.
        fn rest(&self, walks: u64) {
            let mut ended = self.kept.0.ended.subscribe();
            wait_for(ended.wait_for(|ended| *ended >= walks)).expect("a runtime").expect("it lives");
        }

        /// Begins a walk that ends when the sender says what it comes to.
        fn hold(&self) -> (mpsc::Sender<Result<u32, String>>, Told<u32>) {
            let (end, is_to_end) = mpsc::channel();
            let walk = self.kept.told(&self.clock, MANY, move || is_to_end.recv().expect("a word"));
            (end, wait_for(walk).expect("a runtime").expect("the last one"))
        }
    }

    #[test]
    fn many_images_are_walked_once_a_minute_and_few_each_time() {
        let scene = Scene::new();
        assert_eq!([scene.told(MANY), scene.told(MANY)], [1, 1]);
        scene.clock.advance(Duration::from_millis(59_999));
        assert_eq!(scene.told(MANY), 1);
        scene.clock.put(-100_000);
        assert_eq!(scene.told(MANY), 1, "nobody waits");
        scene.rest(2);
        assert_eq!(scene.told(MANY), 2, "a clock that is put back keeps nothing for ever");
        assert_eq!([scene.told(FEW), scene.told(FEW)], [3, 4]);
        assert_eq!(scene.kept.as_told().map(|told| *told.what), Some(4));
    }

    #[test]
    fn a_long_walk_holds_longer() {
        let secs = Duration::from_secs;
        assert_eq!(holds(FEW, secs(9), false), Duration::ZERO);
        assert_eq!([1, 9].map(|took| holds(MANY, secs(took), false)), [60, 180].map(secs));
        assert_eq!([1, 9].map(|took| holds(MANY, secs(took), true)), [2, 18].map(secs), "a person has done something");
    }

    #[test]
    fn nobody_waits_for_a_walk_who_has_something_to_be_told() {
        let scene = Scene::new();
        assert_eq!(scene.told(MANY), 1);
        scene.kept.outdate();
        scene.clock.advance(Duration::from_secs(3_600));
        let (end, told) = scene.hold();
        assert_eq!((*told.what, told.at, told.is_renewed), (1, 0, true));
        for _ in 0..9 {
            let told = scene.ask(MANY).expect("a number");
            assert_eq!((*told.what, told.at, told.is_renewed), (1, 0, true), "and no second walk is begun");
        }
        end.send(Ok(7)).expect("it listens");
        scene.rest(2);
        let told = scene.ask(MANY).expect("a number");
        assert_eq!((*told.what, told.at, told.is_renewed), (7, 3_600_000, false));
    }

    #[test]
    fn what_happens_during_a_walk_is_one_more_walk_for_all() {
        let scene = Scene::new();
        assert_eq!(scene.told(MANY), 1);
        scene.clock.advance(Duration::from_secs(60));
        let (end, _) = scene.hold();
        (0..5).for_each(|_| scene.kept.outdate());
        end.send(Ok(7)).expect("it listens");
        scene.rest(2);
        scene.clock.advance(Duration::from_secs(59));
        assert_eq!([scene.told(MANY), scene.told(MANY)], [7, 7]);
        scene.rest(3);
        assert_eq!([scene.told(MANY), scene.told(MANY)], [2, 2]);
        assert_eq!(scene.walks.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn all_who_wait_share_a_walk_and_hold_no_thread() {
        let scene = Scene::new();
        let (begun, is_begun) = mpsc::channel();
        let (end, is_to_end) = mpsc::channel::<()>();
        let held = scene.kept.told(&scene.clock, FEW, move || {
            begun.send(()).expect("somebody waits");
            is_to_end.recv().expect("a word");
            Ok(100)
        });
        let later = || {
            let walks = Arc::clone(&scene.walks);
            scene.kept.told(&scene.clock, FEW, move || Ok(walks.fetch_add(1, Ordering::Relaxed) + 1))
        };
        let all = join(held, async {
            // All of this is one thread: the walk ends only if nobody who waits for it holds that.
            is_begun.recv().expect("the walk begins");
            let waiting = join_all([later(), later(), later()].map(Box::pin));
            join(waiting, async { end.send(()).expect("it listens") }).await.0
        });
        let (held, waited) = wait_for(all).expect("a runtime");
        assert_eq!(held.map(|told| *told.what), Ok(100));
        let waited: Vec<u32> = waited.into_iter().map(|told| *told.expect("a number").what).collect();
        assert_eq!(waited, [1, 1, 1], "they came after the first one was begun, and share the second");
    }

    #[test]
    fn what_is_mended_stays_so_even_if_a_walk_has_read_too_early() {
        let scene = Scene::new();
        assert_eq!(scene.told(MANY), 1);
        scene.clock.advance(Duration::from_secs(60));
        let (end, _) = scene.hold();
        scene.kept.mend(|number| *number |= 0x100);
        assert_eq!(scene.told(MANY), 0x101);
        end.send(Ok(7)).expect("it listens");
        scene.rest(2);
        assert_eq!(scene.told(MANY), 0x107);
    }

    #[test]
    fn a_walk_that_fails_tells_why_and_is_begun_again_for_the_next_who_asks() {
        let scene = Scene::new();
        let fail = |what: Option<&'static str>| {
            let make = move || Err(what.expect("nothing is wrong with it").to_owned());
            wait_for(scene.kept.told(&scene.clock, MANY, make)).expect("a runtime").map(|told| *told.what)
        };
        assert_eq!(fail(Some("no disk")), Err("no disk".to_owned()));
        assert_eq!(fail(None), Err("the program broke off while it counted".to_owned()));
        assert_eq!(scene.told(MANY), 1);
        scene.clock.advance(Duration::from_secs(60));
        assert_eq!(fail(Some("no disk")), Ok(1), "the older one is told");
    }
}
