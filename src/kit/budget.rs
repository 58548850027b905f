//! Scarce amounts, and the leases on them.
//!
//! A [`Budget`] is an amount; a [`Lease`] is a held part of it that comes back when dropped, wherever that happens.
//! Waiting is fair: a large request waits its turn and small ones wait behind it, which is the price of no starvation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, TryAcquireError};

use super::clock::Stopwatch;

/// The budget was closed because the process is ending: whoever waited gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the budget was closed because the program is stopping")]
pub struct Closed;

/// A scarce amount in some unit (places, open batches, open bodies).
#[derive(Clone, Debug)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: u32,
    free: Semaphore,
    /// Granted beyond `total` to what already existed at start; paid back from leases as they return.
    debt: Mutex<u32>,
    waited_micros: AtomicU64,
}

impl Budget {
    /// A budget of `total` units.
    #[must_use]
    pub fn new(total: u32) -> Self {
        let inner = Inner {
            total,
            free: Semaphore::new(total as usize),
            debt: Mutex::new(0),
            waited_micros: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Waits for `units`; a request above the whole budget is granted when the budget is otherwise empty.
    ///
    /// # Errors
    /// [`Closed`] once [`Budget::close`] was called.
    pub async fn lease(&self, units: u32) -> Result<Lease, Closed> {
        let asked = units.min(self.inner.total.max(1));
        if let Some(lease) = self.try_lease(asked) {
            return Ok(lease);
        }
        let watch = Stopwatch::start();
        let permit = self.inner.free.acquire_many(asked).await.map_err(|_| Closed)?;
        permit.forget();
        self.inner.waited_micros.fetch_add(watch.micros(), Ordering::Relaxed);
        Ok(Lease { inner: Arc::clone(&self.inner), units: asked })
    }

    fn try_lease(&self, units: u32) -> Option<Lease> {
        self.inner.free.try_acquire_many(units).ok()?.forget();
        Some(Lease { inner: Arc::clone(&self.inner), units })
    }

    /// A lease for something that exists already, granted even above the limit; nothing new is admitted until the
    /// sum is below the limit again.
    pub fn overdraw(&self, units: u32) -> Lease {
        let mut debt = self.inner.debt.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..units {
            match self.inner.free.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => *debt += 1,
            }
        }
        Lease { inner: Arc::clone(&self.inner), units }
    }

    /// Wakes everybody who waits, with [`Closed`]; nothing is granted afterwards.
    pub fn close(&self) {
        self.inner.free.close();
    }

    /// Units that could be leased at once.
    #[must_use]
    pub fn free(&self) -> u32 {
        u32::try_from(self.inner.free.available_permits()).unwrap_or(u32::MAX)
    }

    /// Units that are held, those beyond the limit among them.
    #[must_use]
    pub fn used(&self) -> u32 {
        let debt = *self.inner.debt.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.total.saturating_sub(self.free()) + debt
    }

    /// Time that callers have waited for this budget, in microseconds.
    #[must_use]
    pub fn waited_micros(&self) -> u64 {
        self.inner.waited_micros.load(Ordering::Relaxed)
    }
}

/// A held part of a [`Budget`]; dropping it gives the part back.
#[derive(Debug)]
#[must_use = "a lease that is dropped at once protects nothing"]
pub struct Lease {
    inner: Arc<Inner>,
    units: u32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut debt = self.inner.debt.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = self.units.min(*debt);
        *debt -= paid;
        self.inner.free.add_permits((self.units - paid) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_comes_back_when_dropped() {
        let budget = Budget::new(3);
        let lease = budget.lease(2).await.expect("open");
        assert_eq!(budget.free(), 1);
        drop(lease);
        assert_eq!(budget.free(), 3);
    }

    #[tokio::test]
    async fn an_oversize_request_takes_the_whole_budget() {
        let budget = Budget::new(3);
        let lease = budget.lease(50).await.expect("open");
        assert_eq!(budget.free(), 0);
        drop(lease);
        assert_eq!(budget.free(), 3);
    }

    #[test]
    fn an_overdraft_is_paid_back_before_anything_new_is_admitted() {
        let budget = Budget::new(2);
        let leases: Vec<Lease> = (0..5).map(|_| budget.overdraw(1)).collect();
        assert_eq!(budget.used(), 5);
        let mut free = Vec::new();
        for lease in leases {
            drop(lease);
            free.push(budget.free());
        }
        assert_eq!(free, [0, 0, 0, 1, 2]);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn closing_wakes_who_waits() {
        let budget = Budget::new(1);
        let held = budget.lease(1).await.expect("open");
        let (waiter, ()) = tokio::join!(budget.lease(1), async { budget.close() });
        assert_eq!(waiter.err(), Some(Closed));
        drop(held);
    }
}
