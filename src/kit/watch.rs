//! A value that many watch: the newest one wins, nobody waits to send.
//!
//! As tokio's `watch`, but whoever waits is woken in the order of waiting. tokio's keeps its waiters in eight lists and
//! picks one by chance, and then two days of the simulation with the same seed would not be the same day.

use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Nobody is left who could send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("whoever told it is gone")]
pub struct Closed;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    news: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    version: u64,
    senders: usize,
}

/// The side that tells.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The side that watches.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value while it is looked at; nobody can send meanwhile.
#[derive(Debug)]
pub struct Ref<'a, T>(MutexGuard<'a, State<T>>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// A sender and a receiver that has seen `value`.
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// A sender whose receivers come later.
    #[must_use]
    pub fn new(value: T) -> Self {
        let state = Mutex::new(State { value, version: 0, senders: 1 });
        Self(Arc::new(Shared { state, news: Notify::new() }))
    }

    /// A receiver that has seen the value of now.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.0.state().version;
        Receiver { shared: Arc::clone(&self.0), seen }
    }

    /// The value of now.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.state())
    }

    /// Changes the value; `false` from `change` says that it did not, and nobody is woken.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut state = self.0.state();
        if change(&mut state.value) {
            state.version += 1;
            drop(state);
            self.0.news.notify_waiters();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.news.notify_waiters();
    }
}

impl<T> Receiver<T> {
    /// The value of now; a change that was not seen stays unseen.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.state())
    }

    /// The value of now, seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.state();
        self.seen = state.version;
        Ref(state)
    }

    /// Whether there is a change that was not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.state().version != self.seen
    }

    /// Waits for a change that was not seen, and sees it.
    ///
    /// # Errors
    /// [`Closed`] if no more change can come.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            let mut news = pin!(self.shared.news.notified());
            // Counted as waiting before the look, so that nothing is sent between look and wait.
            news.as_mut().enable();
            {
                let state = self.shared.state();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.senders == 0 {
                    return Err(Closed);
                }
            }
            news.await;
        }
    }

    /// Waits until the value is as wanted, and sees it.
    ///
    /// # Errors
    /// [`Closed`] if it never will be.
    pub async fn wait_for(&mut self, wanted: impl Fn(&T) -> bool) -> Result<(), Closed> {
        loop {
            if wanted(&self.borrow_and_update()) {
                return Ok(());
            }
            self.changed().await?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_value_is_seen_once_and_the_end_is_told() {
        let (sender, mut receiver) = channel(1);
        sender.send_if_modified(|value| {
            *value = 2;
            true
        });
        sender.send_if_modified(|_| false);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.borrow(), 2);
        let second = sender.clone();
        drop(sender);
        let waiting = receiver.clone();
        let (told, ()) = tokio::join!(receiver.changed(), async { drop(second) });
        assert_eq!(told, Err(Closed));
        let mut waiting = waiting;
        assert_eq!(waiting.wait_for(|value| *value > 2).await, Err(Closed));
        assert_eq!(waiting.wait_for(|value| *value == 2).await, Ok(()));
    }

    #[tokio::test]
    async fn who_waits_first_is_woken_first() {
        let (sender, receiver) = channel(0);
        let order = Mutex::new(Vec::new());
        let wait = |name: usize| {
            let (mut receiver, order) = (receiver.clone(), &order);
            async move {
                receiver.changed().await.expect("open");
                order.lock().expect("order").push(name);
            }
        };
        let all = futures_util::future::join_all((0..40).map(wait));
        let send = async {
            sender.send_if_modified(|value| {
                *value += 1;
                true
            });
        };
        tokio::join!(all, send);
        assert_eq!(*order.lock().expect("order"), (0..40).collect::<Vec<_>>());
    }
}
