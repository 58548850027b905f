//! The Scanner: the actor that enrols the walk and feeds what is owed. The walk never waits for the pipeline, and the feed
//! reads the ledger alone: first attempts and retries take the same road.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Recipient, fut::wrap_future};
use tokio::sync::mpsc;

use super::copies::Finder;
use super::feed::FeedEnd;
use super::lots::Lots;
use crate::corpus::{PassedOver, Walked};
use crate::domain::ids::CorpusId;
use crate::domain::image::OwedImage;
use crate::kit::clock::Clock;
use crate::kit::crash;
use crate::kit::edge::{EdgeMeter, hand_over};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::faults::{AnyFault, Faults};
use crate::kit::stop::{Stop, StopLevel};
use crate::ledger::keeper::Ledger;
use crate::ledger::records::{Cursor, PILOT};
use crate::message::{ImageFound, NoMoreImages};

/// Images read from the feed at a time.
const STRETCH: u32 = 256;

/// The image folder cannot be listed at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the image folder: {0}")]
pub struct RootUnreadable(pub std::io::Error);

/// What the Scanner works with.
#[derive(Clone, Debug)]
pub struct ScannerOptions {
    /// The corpus's row.
    pub corpus: CorpusId,
    /// What the mode waits for.
    pub end: FeedEnd,
    /// Images handed on by this process at most; 0 = all.
    pub limit: u64,
    /// Nothing but what is drawn by lot is handed on.
    pub lots: Option<Lot>,
    /// Takes copies of other images out of the feed; without it, each is asked.
    pub copies: Option<Finder>,
}

/// What lots are drawn with.
#[derive(Clone, Debug)]
pub struct Lot {
    /// The seed; recorded with what was drawn.
    pub seed: String,
    /// Images at most.
    pub images: usize,
}

/// How the folder is listed again and again.
pub struct Rescan {
    /// Time from the end of a walk to the beginning of the next.
    pub every: Duration,
    /// The clock.
    pub clock: Clock,
    /// Begins a walk.
    pub walk: Box<dyn Fn() -> std::io::Result<mpsc::Receiver<Walked>>>,
}

/// What the walk passed over, for the screen.
pub type SharedPassedOver = Arc<Mutex<PassedOver>>;

/// The actor: one loop that enrols, one that feeds.
pub struct Scanner {
    enrolling: Option<Enrolling>,
    feeding: Option<Feeding>,
    faults: Faults,
    guard: ExitGuard,
}

struct Enrolling {
    walk: mpsc::Receiver<Walked>,
    rescan: Option<Rescan>,
    corpus: CorpusId,
    ledger: Ledger,
    stop: Stop,
    passed_over: SharedPassedOver,
}

struct Feeding {
    options: ScannerOptions,
    ledger: Ledger,
    stop: Stop,
    images: Recipient<ImageFound>,
    over: Recipient<NoMoreImages>,
    meter: EdgeMeter,
}

impl Scanner {
    /// A Scanner of the files that come through `walk`; the ledger knows already that the walk has begun.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is one seam; a struct for one call would only rename them")]
    pub fn new(
        options: ScannerOptions,
        (walk, rescan): (mpsc::Receiver<Walked>, Option<Rescan>),
        ledger: Ledger,
        stop: Stop,
        next: (Recipient<ImageFound>, Recipient<NoMoreImages>),
        meter: EdgeMeter,
        passed_over: SharedPassedOver,
        faults: Faults,
        guard: ExitGuard,
    ) -> Self {
        let corpus = options.corpus;
        let enrolling = Enrolling { walk, rescan, corpus, ledger: ledger.clone(), stop: stop.clone(), passed_over };
        let (images, over) = next;
        let feeding = Feeding { options, ledger, stop, images, over, meter };
        Self { enrolling: Some(enrolling), feeding: Some(feeding), faults, guard }
    }
}

impl Actor for Scanner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (Some(enrolling), Some(feeding)) = (self.enrolling.take(), self.feeding.take()) else { return };
        ctx.spawn(wrap_future::<_, Self>(enrolling.run()).map(|ended, actor, _| {
            if let Err(fault) = ended {
                actor.faults.report("scanner", fault, StopLevel::Drain);
            }
        }));
        ctx.spawn(wrap_future::<_, Self>(feeding.run()).map(|ended, actor, ctx| {
            match ended {
                Ok(()) => actor.guard.drained(),
                Err(fault) => actor.faults.report("scanner", fault, StopLevel::Now),
            }
            ctx.stop();
        }));
    }
}

impl Enrolling {
    async fn run(mut self) -> Result<(), AnyFault> {
        loop {
            let walked = tokio::select! {
                biased;
                () = self.stop.reached(StopLevel::Drain) => return Ok(()),
                walked = self.walk.recv() => walked,
            };
            match walked {
                Some(Walked::Page(page, passed)) => {
                    self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).add(passed);
                    crash::point("enrol.before");
                    self.ledger.enrol(self.corpus, page).await?;
                    crash::point("enrol.recorded");
                }
                Some(Walked::Over) => {
                    self.ledger.walk_over(self.corpus).await?;
                    match self.next_walk().await? {
                        Some(walk) => self.walk = walk,
                        None => return Ok(()),
                    }
                }
                Some(Walked::Broken(cause)) => return Err(RootUnreadable(cause).into()),
                // The walk thread died: its guard tells; the walk is not over, so nothing is concluded from its absence.
                None => return Ok(()),
            }
        }
    }
}

impl Enrolling {
    /// The next listing, when it is time; `None` if there is none, or the program drains before.
    async fn next_walk(&self) -> Result<Option<mpsc::Receiver<Walked>>, AnyFault> {
        let Some(rescan) = &self.rescan else { return Ok(None) };
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => return Ok(None),
            () = rescan.clock.sleep(rescan.every) => {}
        }
        self.ledger.walk_begins(self.corpus).await?;
        *self.passed_over.lock().unwrap_or_else(PoisonError::into_inner) = PassedOver::default();
        Ok(Some((rescan.walk)()?))
    }
}

impl Feeding {
    async fn run(self) -> Result<(), AnyFault> {
        match &self.options.lots {
            Some(lot) => {
                for image in self.draw(lot).await? {
                    hand_over(&self.images, ImageFound(image), &self.meter).await?;
                }
            }
            None => self.feed().await?,
        }
        hand_over(&self.over, NoMoreImages, &self.meter).await?;
        Ok(())
    }

    /// Draws from everything that is owed once the walk is over; nothing if the program drains before.
    async fn draw(&self, lot: &Lot) -> Result<Vec<OwedImage>, AnyFault> {
        let mut standing = self.ledger.standing();
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => return Ok(Vec::new()),
            over = standing.wait_for(|now| !now.walking) => over.map_err(|_| "the ledger is closed")?,
        }
        let (mut lots, mut cursor) = (Lots::new(&lot.seed, lot.images), Cursor::default());
        loop {
            let stretch = self.ledger.take_owed(self.options.corpus, cursor, STRETCH).await?;
            if stretch.images.is_empty() {
                break;
            }
            cursor = stretch.next;
            self.sift(stretch.images).await?.into_iter().for_each(|image| lots.take(image));
        }
        let drawn = lots.drawn();
        let ids: Vec<i64> = drawn.iter().map(|image| image.id.0).collect();
        let detail = serde_json::json!({ "seed": lot.seed, "images": ids }).to_string();
        self.ledger.note_event(PILOT.to_owned(), None, detail).await?;
        Ok(drawn)
    }

    /// Images that are copies of others wait in the ledger.
    async fn sift(&self, stretch: Vec<OwedImage>) -> Result<Vec<OwedImage>, AnyFault> {
        let Some(finder) = &self.options.copies else { return Ok(stretch) };
        let many = stretch.len();
        crash::point("copies.before");
        let asked = finder.sift(self.options.corpus, stretch).await?;
        if asked.len() < many {
            crash::point("copies.found");
        }
        Ok(asked)
    }

    async fn feed(&self) -> Result<(), AnyFault> {
        let mut standing = self.ledger.standing();
        let mut cursor = Cursor::default();
        let mut left = if self.options.limit == 0 { u64::MAX } else { self.options.limit };
        while left > 0 && !self.stop.is_stopping() {
            // Seen before the question, so that a commit between question and wait is not missed.
            let now = *standing.borrow_and_update();
            if now.copies_ended > 0 {
                self.ledger.sort_copies().await?;
            }
            let stretch = self.ledger.take_owed(self.options.corpus, cursor, STRETCH).await?;
            cursor = stretch.next;
            if stretch.images.is_empty() {
                if self.options.end.is_reached(&now) {
                    break;
                }
                tokio::select! {
                    biased;
                    () = self.stop.reached(StopLevel::Drain) => break,
                    changed = standing.changed() => changed.map_err(|_| "the ledger is closed")?,
                }
                continue;
            }
            for image in self.sift(stretch.images).await? {
                if left == 0 || self.stop.is_stopping() {
                    break;
                }
                left -= 1;
                hand_over(&self.images, ImageFound(image), &self.meter).await?;
            }
        }
        Ok(())
    }
}
