//! Work for the processor, off the arbiter: own rayon pools, results by oneshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use tokio::sync::oneshot;

/// A job gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The job panicked; the pool lives on.
    #[error("the job panicked")]
    Panicked,
}

/// Where jobs run. A simulation uses [`Pool::in_step`], where nothing runs beside the caller.
#[derive(Clone)]
pub struct Pool {
    threads: Option<Arc<rayon::ThreadPool>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let threads = self.threads.as_ref().map_or(0, |pool| pool.current_num_threads());
        f.debug_struct("Pool").field("threads", &threads).finish()
    }
}

impl Pool {
    /// A pool of `threads` threads named `<name>-<n>`; 0 = one per core.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub fn new(name: &'static str, threads: usize) -> std::io::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |n| format!("{name}-{n}"))
            // Without a handler a panic in a spawned job would abort the process; the lost oneshot tells the caller.
            .panic_handler(|_| tracing::error!("a pool job panicked"))
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self { threads: Some(Arc::new(pool)) })
    }

    /// Runs each job on a thread of its own, because it may block, and goes on when it has ended.
    #[must_use]
    pub fn in_step() -> Self {
        Self { threads: None }
    }

    /// Runs `job` and waits for its value. A job whose caller has gone is not begun.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if the job panicked; leases that it held came back.
    pub async fn run<T, F>(&self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let span = tracing::Span::current();
        self.start(move || {
            if !sender.is_closed() {
                let value = span.in_scope(job);
                drop(sender.send(value));
            }
        });
        receiver.await.map_err(|_| PoolError::Panicked)
    }

    /// Starts `job` without waiting; its owner learns of its end by what the job holds.
    pub fn start(&self, job: impl FnOnce() + Send + 'static) {
        match &self.threads {
            Some(pool) => pool.spawn(job),
            None => in_step(job),
        }
    }

    /// Maps `items` in parallel, in their order; blocks the calling pool thread, which works along. A panic costs its own
    /// item and no other.
    pub fn map<I, T, F>(&self, items: Vec<I>, job: F) -> Vec<Result<T, PoolError>>
    where
        I: Send,
        T: Send,
        F: Fn(I) -> T + Send + Sync,
    {
        let one = |item| guarded(&job, item);
        match &self.threads {
            Some(pool) => pool.install(|| parallel(items, one)),
            None => items.into_iter().map(one).collect(),
        }
    }

    /// The same for items of which those with one `key` would stand in each other's way: one follows the other on one thread.
    pub fn map_by<I, K, T, F>(&self, items: Vec<I>, key: impl Fn(&I) -> K, job: F) -> Vec<Result<T, PoolError>>
    where
        I: Send,
        K: Ord,
        T: Send,
        F: Fn(I) -> T + Send + Sync,
    {
        let count = items.len();
        let mut groups: BTreeMap<K, Vec<(usize, I)>> = BTreeMap::new();
        for (at, item) in items.into_iter().enumerate() {
            groups.entry(key(&item)).or_default().push((at, item));
        }
        let one = |(at, item)| (at, guarded(&job, item));
        let mapped = self.map(groups.into_values().collect(), |group| group.into_iter().map(one).collect::<Vec<_>>());
        let mut ends: Vec<Result<T, PoolError>> = (0..count).map(|_| Err(PoolError::Panicked)).collect();
        for (at, end) in mapped.into_iter().flatten().flatten() {
            ends[at] = end;
        }
        ends
    }
}

/// A panic costs its own item.
fn guarded<I, T>(job: impl Fn(I) -> T, item: I) -> Result<T, PoolError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(item))).map_err(|_| PoolError::Panicked)
}

/// A panic costs the job alone, and what it holds.
fn in_step(job: impl FnOnce() + Send) {
    let ended = std::thread::scope(|scope| scope.spawn(job).join());
    if ended.is_err() {
        tracing::error!("a job panicked");
    }
}

#[expect(clippy::disallowed_methods, reason = "only called inside an own pool")]
fn parallel<I: Send, T: Send>(items: Vec<I>, job: impl Fn(I) -> T + Send + Sync) -> Vec<T> {
    items.into_par_iter().map(job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::budget::Budget;

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_its_lease() {
        for pool in [Pool::new("test", 1).expect("threads"), Pool::in_step()] {
            let budget = Budget::new(1);
            let lease = budget.lease(1).await.expect("open");
            let lost: Result<(), _> = pool
                .run(move || {
                    let _held = lease;
                    panic!("expected by this test");
                })
                .await;
            assert_eq!(lost, Err(PoolError::Panicked));
            assert_eq!(budget.lease(1).await.map(|_| ()), Ok(()));
            assert_eq!(pool.run(|| 7).await, Ok(7));
        }
    }

    #[test]
    fn a_panic_in_a_map_costs_its_own_item() {
        for pool in [Pool::new("test", 2).expect("threads"), Pool::in_step()] {
            let halves = pool.map(vec![2, 3, 4], |n| if n % 2 == 0 { n / 2 } else { panic!("expected by this test") });
            assert_eq!(halves, [Ok(1), Err(PoolError::Panicked), Ok(2)]);
        }
    }

    #[test]
    fn items_of_one_key_follow_each_other_and_all_keep_their_places() {
        use std::sync::Mutex;
        for pool in [Pool::new("test", 2).expect("threads"), Pool::in_step()] {
            let met = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
            let job = |n: usize| {
                // Nobody else is at items of this key.
                let mut met = met[n % 2].try_lock().expect("alone");
                met.push(n);
                drop(met);
                if n == 6 { panic!("expected by this test") } else { 10 * n }
            };
            let ends = pool.map_by((0..40).collect(), |n| n % 2, job);
            for (n, end) in ends.into_iter().enumerate() {
                assert_eq!(end, if n == 6 { Err(PoolError::Panicked) } else { Ok(10 * n) });
            }
            assert!(met.into_iter().all(|met| met.into_inner().expect("whole").is_sorted()));
        }
    }
}
