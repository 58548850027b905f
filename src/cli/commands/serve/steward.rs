//! The thread that attends a server for its whole life: signals, the screen, events, the metrics file, the supervisor. It
//! holds nothing up, and nothing holds it up.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::Invitations;
use super::orders::Orders;
use crate::cli::attend::take_down_later;
use crate::cli::events::Events;
use crate::cli::exit::Exit;
use crate::cli::progress;
use crate::cli::screen::{FRAME, Screen};
use crate::cli::signals::{Heard, Signals};
use crate::kit::atomic_file::{Access, Durability, write};
use crate::kit::clock::{Clock, Stopwatch, io_pause};
use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;
use crate::pipeline::mission::Tally;
use crate::serve::Board;
use crate::serve::health::Phase;
use crate::serve::supervisor::Supervisor;
use crate::settings::InForce;

/// A drain may take so long: whoever stops a service loses patience after 30 s, as a rule.
const DRAIN: Duration = Duration::from_secs(24);
/// What is dropped then ends at once; a process that hangs all the same is taken down after this.
const PATIENCE: Duration = Duration::from_secs(4);
/// A pipeline that tells nothing for so long hangs: it tells four times a second.
const HANGS: Duration = Duration::from_secs(120);
const EVERY_METRICS: Duration = Duration::from_secs(15);
const EVERY_STATUS: Duration = Duration::from_secs(5);

/// What the steward is given.
pub(super) struct Charge {
    pub(super) orders: Orders,
    pub(super) board: Board,
    pub(super) screen: Screen,
    pub(super) events: Events,
    pub(super) clock: Clock,
    pub(super) invitations: Invitations,
    /// What the screen tells of.
    pub(super) in_force: InForce,
    pub(super) metrics_file: Option<PathBuf>,
    pub(super) supervisor: Supervisor,
}

/// A server being attended.
pub(super) struct Steward {
    over: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Steward {
    /// Begins; signals are heard from now on.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub(super) fn begin(charge: Charge) -> std::io::Result<Self> {
        let (over, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::of_server()
        };
        let thread = thread::spawn("steward", ExitGuard::unheard("steward"), move |guard| {
            runtime.block_on(Attending::new(charge).attend(signals, ended));
            guard.drained();
        })?;
        Ok(Self { over, thread })
    }

    /// The server is over: the last picture is drawn.
    pub(super) fn end(self) {
        // Both fail only if the steward is gone already.
        let _unheard = self.over.send(());
        drop(self.thread.join());
    }
}

/// Something that is due again and again.
struct Bell {
    every: Duration,
    since: Option<Stopwatch>,
}

impl Bell {
    fn new(every: Duration) -> Self {
        Self { every, since: None }
    }

    /// Whether it is time; at first it is.
    fn rings(&mut self) -> bool {
        let due = self.since.is_none_or(|since| since.elapsed() >= self.every);
        if due {
            self.since = Some(Stopwatch::start());
        }
        due
    }
}

struct Attending {
    charge: Charge,
    progress: watch::Receiver<Tally>,
    /// Since the pipeline told something.
    told: Stopwatch,
    metrics: Bell,
    status: Bell,
    watchdog: Option<Bell>,
    /// Since the first signal.
    draining: Option<Stopwatch>,
    cut: bool,
}

impl Attending {
    fn new(charge: Charge) -> Self {
        Self {
            progress: charge.board.progress().subscribe(),
            told: Stopwatch::start(),
            metrics: Bell::new(EVERY_METRICS),
            status: Bell::new(EVERY_STATUS),
            watchdog: charge.supervisor.watchdog().map(Bell::new),
            draining: None,
            cut: false,
            charge,
        }
    }

    async fn attend(mut self, mut signals: Signals, mut over: oneshot::Receiver<()>) {
        self.charge.supervisor.ready();
        loop {
            tokio::select! {
                biased;
                _ = &mut over => break,
                heard = signals.next() => self.hear(heard),
                () = io_pause(FRAME) => self.look(),
            }
        }
        let last = self.charge.board.tally();
        self.charge.screen.close(&last);
        self.write_metrics();
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Stop => self.stop(),
            Heard::Reload | Heard::HangUp => {
                self.charge.screen.interject("SIGHUP: the settings are read again");
                self.charge.orders.reload();
            }
            Heard::Tell => {
                let now = self.charge.board.tally();
                self.charge.screen.tell(&now);
                if let Some(line) = self.charge.invitations.told() {
                    self.charge.screen.answer(&line);
                }
            }
        }
    }

    fn stop(&mut self) {
        self.charge.supervisor.stopping();
        self.charge.board.enter(Phase::Stopping);
        if self.charge.orders.stop() > 1 {
            take_down_later(PATIENCE, Exit::Interrupted);
            return;
        }
        self.draining = Some(Stopwatch::start());
        self.charge.screen.interject("Stopping: what is under way is finished. The same command goes on.");
    }

    fn look(&mut self) {
        self.charge.board.beat();
        self.charge.orders.tick(self.charge.clock.now());
        if self.progress.has_changed().unwrap_or(false) {
            self.told = Stopwatch::start();
        }
        let now = self.progress.borrow_and_update().clone();
        self.charge.screen.agree(progress::Terms::of(&self.charge.in_force.now()));
        self.charge.screen.update(&now);
        if self.status.rings() {
            let snapshot = self.charge.screen.snapshot(&now);
            self.charge.board.hub().tell_status(&self.charge.events.status(&snapshot));
            self.charge.supervisor.status(&progress::line(&snapshot));
        }
        if self.metrics.rings() {
            self.write_metrics();
        }
        let hangs = self.charge.board.phase() == Phase::Working && self.told.elapsed() > HANGS;
        if !hangs && self.watchdog.as_mut().is_some_and(Bell::rings) {
            self.charge.supervisor.alive();
        }
        if !self.cut && self.draining.is_some_and(|since| since.elapsed() > DRAIN) {
            self.cut = true;
            self.charge.screen.interject("What is still under way is dropped, and begun again by the next start.");
            self.charge.orders.cut();
            take_down_later(PATIENCE, Exit::Done);
        }
    }

    fn write_metrics(&self) {
        let Some(path) = &self.charge.metrics_file else { return };
        if let Err(cause) = publish(path, &self.charge.board.metrics()) {
            tracing::warn!(%cause, "the metrics file cannot be written");
        }
    }
}

/// Whole or not at all: a collector never reads half of it. Others have to be able to read it.
fn publish(path: &Path, text: &str) -> std::io::Result<()> {
    write(path, text.as_bytes(), Access::Umask, Durability::Derived)
}
