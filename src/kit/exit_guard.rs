//! Every actor and thread owns an [`ExitGuard`]: however it ends, the runner hears of it.
//!
//! actix tells nobody when an actor panics; the guard's drop does. The first notice that is not `Drained` is the cause,
//! later ones are echoes.

use tokio::sync::mpsc;

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Its input was over and everything was handed on.
    Drained,
    /// It vanished before its input was over: whoever held it let it go.
    Orphaned,
    /// It panicked.
    Died,
}

/// Who ended, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitNotice {
    /// Name of the actor or thread.
    pub who: &'static str,
    /// How it ended.
    pub exit: Exit,
    /// What went wrong, in words, where somebody knew.
    pub why: Option<String>,
}

/// Room for the notices of one process: each guard sends one, and there are fewer than twenty.
pub const NOTICES: usize = 64;

/// Reports its owner's end when dropped.
#[derive(Debug)]
pub struct ExitGuard {
    who: &'static str,
    exit: Exit,
    why: Option<String>,
    notices: mpsc::Sender<ExitNotice>,
}

impl ExitGuard {
    /// A guard for `who`, reporting to `notices`.
    #[must_use]
    pub fn new(who: &'static str, notices: mpsc::Sender<ExitNotice>) -> Self {
        Self { who, exit: Exit::Orphaned, why: None, notices }
    }

    /// A guard that nobody listens to: whoever starts its owner waits for what it makes, and sees its end by that.
    #[must_use]
    pub fn unheard(who: &'static str) -> Self {
        Self::new(who, mpsc::channel(1).0)
    }

    /// Marks the end as the good one.
    pub fn drained(&mut self) {
        self.exit = Exit::Drained;
    }

    /// Keeps what went wrong for the notice.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.exit = Exit::Died;
        self.why.get_or_insert(why.into());
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let exit = if std::thread::panicking() { Exit::Died } else { self.exit };
        let notice = ExitNotice { who: self.who, exit, why: self.why.take() };
        // The runner may be gone already, or the process be drowning in notices: then nobody is left to tell.
        drop(self.notices.try_send(notice));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ends_are_told_apart() {
        let (sender, mut notices) = mpsc::channel(NOTICES);
        let mut guard = ExitGuard::new("good", sender.clone());
        guard.drained();
        drop(guard);
        drop(ExitGuard::new("lost", sender.clone()));
        let panicking = ExitGuard::new("panicking", sender);
        let hand = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = panicking;
            panic!("expected by this test");
        }));
        assert!(hand.is_err());
        let ends: Vec<_> = std::iter::from_fn(|| notices.try_recv().ok()).map(|n| (n.who, n.exit)).collect();
        assert_eq!(ends, [("good", Exit::Drained), ("lost", Exit::Orphaned), ("panicking", Exit::Died)]);
    }
}
