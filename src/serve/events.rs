//! The lines of `--json` for whoever listens: server-sent events, one line each.
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, section 9.2.5.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// Lines that a slow listener may be behind: the images of two full chunks of answers, and some more.
const KEPT: usize = 2_048;
/// Listeners at once.
const MOST_LISTENERS: usize = 16;

/// Where lines are told.
#[derive(Clone, Debug)]
pub struct Hub {
    lines: broadcast::Sender<Arc<str>>,
    listeners: Arc<AtomicUsize>,
    /// The last line that says how all of it stands: what a new listener is told first.
    latest: Arc<Mutex<Option<Arc<str>>>>,
}

/// One who listens; gives the place back when dropped.
#[derive(Debug)]
pub struct Listener {
    lines: broadcast::Receiver<Arc<str>>,
    listeners: Arc<AtomicUsize>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { lines: broadcast::Sender::new(KEPT), listeners: Arc::default(), latest: Arc::default() }
    }
}

impl Hub {
    /// Tells a line to all who listen; nobody is waited for.
    pub fn tell(&self, line: &str) {
        // Fails where nobody listens.
        drop(self.lines.send(line.into()));
    }

    /// Tells a line that says how all of it stands, and keeps it for those who come later.
    pub fn tell_status(&self, line: &str) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.into());
        self.tell(line);
    }

    /// How all of it stands, as it was told last.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<str>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// A place to listen from; `None` if all are taken.
    #[must_use]
    pub fn listen(&self) -> Option<Listener> {
        let room = |taken: usize| (taken < MOST_LISTENERS).then_some(taken + 1);
        self.listeners.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Listener { lines: self.lines.subscribe(), listeners: Arc::clone(&self.listeners) })
    }
}

impl Listener {
    /// The next event in its form; `None` when the server ends. A listener that was too slow is told how many lines it has missed.
    pub async fn next(&mut self) -> Option<String> {
        match self.lines.recv().await {
            Ok(line) => Some(form(&line)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(format!(": {missed} lines missed\n\n")),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A line as an event. JSON of one line has no line feed that could end it early.
#[must_use]
pub fn form(line: &str) -> String {
    format!("data: {line}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_slow_is_told_what_was_missed() {
        let hub = Hub::default();
        hub.tell("before");
        let mut listener = hub.listen().expect("room");
        for n in 0..KEPT + 2 {
            hub.tell(&format!("{{\"n\":{n}}}"));
        }
        assert_eq!(listener.next().await.as_deref(), Some(": 2 lines missed\n\n"));
        assert_eq!(listener.next().await.as_deref(), Some("data: {\"n\":2}\n\n"));
    }

    #[test]
    fn places_are_counted() {
        let hub = Hub::default();
        let all: Vec<_> = std::iter::from_fn(|| hub.listen()).collect();
        assert_eq!(all.len(), MOST_LISTENERS);
        drop(all);
        assert!(hub.listen().is_some() && !hub.is_heard());
    }
}
