//! Lines worth telling a person while the program works; a ring, so that a day's worth costs no memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Millis;
use crate::domain::batch::{Answered, BatchTold};

/// Notices kept; older ones are in the log.
const KEPT: usize = 256;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A batch changed.
    Batch(Box<BatchChange>),
    /// A file of requests was written for somebody else to send.
    Spooled {
        /// Where it lies.
        path: String,
        /// Lines in it.
        lines: u32,
        /// Its length.
        bytes: u64,
    },
    /// What was found out about the settings before the first batch.
    Canary {
        /// One sentence.
        text: String,
    },
    /// A warning.
    Warning {
        /// Code of the contracts, such as `E310`.
        code: &'static str,
        /// One sentence.
        text: String,
        /// What to do.
        hint: String,
    },
}

/// A batch that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchChange {
    /// Its name at the provider.
    pub id: String,
    /// What it was before, where it was known before.
    pub from: Option<&'static str>,
    /// What it became: `open`, the word of its end, `settled`.
    pub to: &'static str,
    /// Lines it was asked.
    pub lines: u32,
    /// What the ledger knows of it by now.
    pub told: BatchTold,
    /// What came back for its lines, once all of it was read.
    pub answered: Option<Answered>,
    /// More, in words.
    pub detail: String,
}

/// What became of an image whose answer was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNews {
    /// Its path below the root of the images.
    pub path: String,
    /// Its page, from 1.
    pub page: u32,
    /// Where it stands now, in the words of the contracts.
    pub state: &'static str,
    /// What is thought of the answer.
    pub verdict: &'static str,
    /// What was wrong with it; empty where nothing was.
    pub reason: &'static str,
    /// Flags of the answer.
    pub flags: Vec<&'static str>,
    /// The counted try that was answered, from 1.
    pub attempt: u32,
    /// What the next request asks otherwise, where it is owed again and that is known.
    pub next: Option<String>,
    /// The batch's name at the provider.
    pub batch: String,
}

/// What happens, for whoever follows a run while it happens.
#[derive(Clone, Copy, Debug)]
pub enum Happens<'a> {
    /// The run has begun.
    Run {
        /// Its name.
        name: &'a str,
        /// Whether an earlier process began it.
        resumed: bool,
    },
    /// Something worth a line.
    Notice(&'a Notice),
    /// An answer was judged.
    Image(&'a ImageNews),
}

/// Who follows a run: told of everything in its order. It is called from the loops that work: it must not wait.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Happens<'_>) + Send + Sync>);

impl Listener {
    /// A listener that does this with whatever happens.
    pub fn new(hear: impl Fn(Happens<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells it.
    pub fn hear(&self, what: Happens<'_>) {
        (self.0)(what);
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// How many answers came to which verdict, and for which reason; that is empty where a verdict needs none.
pub type Outcomes = BTreeMap<(&'static str, &'static str), u64>;

/// Notices and running counts, shared by the stages and read by whoever shows progress.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notices: Mutex<(VecDeque<Notice>, u64)>,
    sent_bytes: AtomicU64,
    batches_opened: AtomicU64,
    answers: AtomicU64,
    /// By verdict and reason.
    outcomes: Mutex<Outcomes>,
    /// 0 before the first.
    last_look: AtomicI64,
    open_plans: AtomicU64,
    listener: Option<Listener>,
}

impl News {
    /// News that `listener` is told of while they happen.
    #[must_use]
    pub fn heard_by(listener: Option<Listener>) -> Self {
        Self(Arc::new(Inner { listener, ..Inner::default() }))
    }

    /// Whether anybody follows: of images nobody else is told.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.0.listener.is_some()
    }

    /// Tells of an image, to whoever follows.
    pub fn image(&self, image: &ImageNews) {
        if let Some(listener) = &self.0.listener {
            listener.hear(Happens::Image(image));
        }
    }

    /// Notes how many plans hold lines and are not sealed.
    pub fn plan(&self, open: u64) {
        self.0.open_plans.store(open, Ordering::Relaxed);
    }

    /// How many plans hold lines and are not sealed.
    #[must_use]
    pub fn open_plans(&self) -> u64 {
        self.0.open_plans.load(Ordering::Relaxed)
    }

    /// Tells.
    pub fn tell(&self, notice: Notice) {
        if let Some(listener) = &self.0.listener {
            listener.hear(Happens::Notice(&notice));
        }
        let mut guard = self.0.notices.lock().unwrap_or_else(PoisonError::into_inner);
        let (notices, dropped) = &mut *guard;
        if notices.len() == KEPT {
            notices.pop_front();
            *dropped += 1;
        }
        notices.push_back(notice);
    }

    /// A warning in three words.
    pub fn warn(&self, code: &'static str, text: impl Into<String>, hint: impl Into<String>) {
        let (text, hint) = (text.into(), hint.into());
        tracing::warn!(code, text, hint);
        self.tell(Notice::Warning { code, text, hint });
    }

    /// Notices kept, and how many older ones were dropped.
    #[must_use]
    pub fn notices(&self) -> (Vec<Notice>, u64) {
        let guard = self.0.notices.lock().unwrap_or_else(PoisonError::into_inner);
        (guard.0.iter().cloned().collect(), guard.1)
    }

    /// Counts bytes that went into the lane of a body.
    pub fn sent(&self, bytes: u64) {
        self.0.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a batch that was opened.
    pub fn opened(&self) {
        self.0.batches_opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts judged answers, and what they came to: each a verdict, and its reason or nothing.
    pub fn judged(&self, answers: u64, outcomes: &[(&'static str, &'static str)]) {
        self.0.answers.fetch_add(answers, Ordering::Relaxed);
        let mut counts = self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            *counts.entry(*outcome).or_default() += 1;
        }
    }

    /// What answers came to so far.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the provider told of our batches.
    pub fn looked(&self, now: Millis) {
        self.0.last_look.store(now, Ordering::Relaxed);
    }

    /// When the provider told of our batches last (unix milliseconds).
    #[must_use]
    pub fn last_look(&self) -> Option<Millis> {
        Some(self.0.last_look.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// Bytes sent, batches opened, answers judged.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.0.sent_bytes), read(&self.0.batches_opened), read(&self.0.answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_notices_make_room_and_are_counted() {
        let news = News::default();
        for n in 0..KEPT + 3 {
            news.warn("E310", format!("{n}"), "");
        }
        let (notices, dropped) = news.notices();
        assert_eq!((notices.len(), dropped), (KEPT, 3));
    }

    #[test]
    fn answers_are_counted_by_what_they_came_to() {
        let news = News::default();
        // A third answer is none yet: a stray of its shard may bring one.
        news.judged(3, &[("accept", ""), ("reject", "refused")]);
        news.judged(1, &[("accept", "")]);
        assert_eq!(news.counts().2, 4);
        assert_eq!(news.outcomes(), [(("accept", ""), 2), (("reject", "refused"), 1)].into());
    }
}
