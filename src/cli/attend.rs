//! The thread that attends a run: signals, `max_duration`, the screen. It dies with the run and never holds it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::kit::clock::{Clock, io_pause};
use crate::kit::exit_guard::{ExitGuard, NOTICES};
use crate::kit::stop::{StopLevel, StopSwitch};
use crate::kit::thread;
use crate::pipeline::mission::Tally;

use super::exit::Exit;
use super::screen::{FRAME, Screen};
use super::signals::{Heard, Signals};
use super::words;

/// How long a second signal waits for an orderly end before it takes the process down.
const PATIENCE: Duration = Duration::from_secs(3);

/// What happened from outside while the run went on.
#[derive(Debug, Default)]
struct Happened {
    signals: AtomicU8,
    timed_out: AtomicBool,
}

/// A run being attended.
pub(super) struct Attendant {
    happened: Arc<Happened>,
    over: oneshot::Sender<()>,
    closed: oneshot::Receiver<()>,
    leaving: Leaving,
    tally: watch::Receiver<Tally>,
}

/// The way out of the process, on which a second signal still ends at once: whatever is waited for after the pipeline, such
/// as a page that the built-in engine has begun, the promise was given to a person.
pub(super) struct Leaving {
    /// Dropped to let the thread go.
    gone: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        drop(self.gone.take());
        // One that panicked has told its guard.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// What the attendant is given.
pub(super) struct Charge {
    pub(super) stop: StopSwitch,
    pub(super) clock: Clock,
    pub(super) max_duration: Option<Duration>,
    pub(super) screen: Screen,
}

impl Attendant {
    /// Begins to attend a run that publishes its progress through the sender.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub(super) fn begin(charge: Charge) -> std::io::Result<(Self, watch::Sender<Tally>)> {
        let (progress, tally) = watch::channel(Tally::default());
        let watched = tally.clone();
        let (over, run_over) = oneshot::channel();
        let happened = Arc::new(Happened::default());
        let seen = Arc::clone(&happened);
        // Listened for before the work begins, so that no signal meets a process that is not ready for it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::listen()
        };
        // Nobody listens to this guard: an attendant that dies takes only the picture away.
        let (notices, _) = mpsc::channel(NOTICES);
        let (told_closed, closed) = oneshot::channel();
        let (gone, left) = oneshot::channel();
        let thread = thread::spawn("attend", ExitGuard::new("attend", notices), move |guard| {
            runtime.block_on(async {
                attend(charge, &mut signals, watched, run_over, &seen).await;
                // Fails only if nobody waits for it.
                let _unheard = told_closed.send(());
                see_out(&mut signals, left, &seen).await;
            });
            guard.drained();
        })?;
        let leaving = Leaving { gone: Some(gone), thread: Some(thread) };
        Ok((Self { happened, over, closed, leaving, tally }, progress))
    }

    /// The run is over: the last picture is drawn, the terminal is free again. Tells what happened, and the last tally. Until
    /// the third is dropped, a second signal ends the process at once.
    pub(super) fn end(self) -> (Ended, Tally, Leaving) {
        // Both fail only if the attendant is gone already.
        let _unheard = self.over.send(());
        let _gone = self.closed.blocking_recv();
        let signals = self.happened.signals.load(Ordering::Relaxed);
        let timed_out = self.happened.timed_out.load(Ordering::Relaxed);
        let last = self.tally.borrow().clone();
        (Ended { signals, timed_out }, last, self.leaving)
    }
}

/// What the outside did to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// SIGINT and SIGTERM, and the first SIGHUP.
    pub(super) signals: u8,
    /// Whether `max_duration` passed.
    pub(super) timed_out: bool,
}

async fn attend(
    mut charge: Charge,
    signals: &mut Signals,
    mut tally: watch::Receiver<Tally>,
    mut over: oneshot::Receiver<()>,
    happened: &Happened,
) {
    let until = charge.max_duration.map(|most| charge.clock.now() + crate::kit::clock::millis(most));
    loop {
        let clock = charge.clock.clone();
        let deadline = async move {
            match until {
                Some(until) => clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let waiting = !happened.timed_out.load(Ordering::Relaxed);
        tokio::select! {
            biased;
            _ = &mut over => break,
            heard = signals.next() => match heard {
                Heard::Stop => signalled(&mut charge, tally.borrow().standing.batches_open, happened),
                // As often as it comes: what it asks for is the orderly end, never the one at once.
                Heard::HangUp if happened.signals.load(Ordering::Relaxed) > 0 => {}
                Heard::HangUp => signalled(&mut charge, tally.borrow().standing.batches_open, happened),
                Heard::Tell | Heard::Reload => {
                    let now = tally.borrow().clone();
                    charge.screen.tell(&now);
                }
            },
            () = deadline, if waiting => {
                happened.timed_out.store(true, Ordering::Relaxed);
                charge.screen.interject("run.max_duration has passed: stopping cleanly");
                charge.stop.raise(StopLevel::Drain);
            }
            () = io_pause(FRAME) => {
                let now = tally.borrow_and_update().clone();
                charge.screen.update(&now);
            }
        }
    }
    let last = tally.borrow_and_update().clone();
    charge.screen.close(&last);
}

/// Listens on after the run, until everything is put away. The first signal changes nothing, as the end is under way.
async fn see_out(signals: &mut Signals, mut left: oneshot::Receiver<()>, happened: &Happened) {
    loop {
        tokio::select! {
            biased;
            _ = &mut left => return,
            heard = signals.next() => {
                if heard == Heard::Stop && happened.signals.fetch_add(1, Ordering::Relaxed) > 0 {
                    take_down(Exit::Interrupted);
                }
            }
        }
    }
}

fn signalled(charge: &mut Charge, open: u64, happened: &Happened) {
    let before = happened.signals.fetch_add(1, Ordering::Relaxed);
    if before == 0 {
        let batches = match open {
            0 => "no batch is open".to_owned(),
            _ => format!("{} open; run again to collect", words::count(open, "batch stays", "batches stay")),
        };
        charge
            .screen
            .interject(&format!("Stopping: what is under way is finished, {batches}. Ctrl-C again ends at once."));
        charge.stop.raise(StopLevel::Drain);
        return;
    }
    charge.stop.raise(StopLevel::Now);
    if before == 1 {
        take_down_later(PATIENCE, Exit::Interrupted);
    } else {
        take_down(Exit::Interrupted);
    }
}

/// The run ends by itself within moments; if it hangs in a system call, it is taken down.
pub(super) fn take_down_later(patience: Duration, exit: Exit) {
    let (notices, _) = mpsc::channel(1);
    let outcome = thread::spawn("take-down", ExitGuard::new("take-down", notices), move |guard| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(io_pause(patience));
        }
        guard.drained();
        take_down(exit);
    });
    if outcome.is_err() {
        take_down(exit);
    }
}

#[expect(clippy::disallowed_methods, reason = "a second Ctrl-C promises an end at once; the ledger has everything")]
fn take_down(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.number()))
}

/// How often something is done while nothing happens.
const BEAT: Duration = Duration::from_secs(5);

/// Waits on this thread until SIGINT, SIGTERM or SIGHUP: for verbs that only serve; now and then, something is done `meanwhile`.
pub(super) fn wait_for_signal(meanwhile: impl Fn(), asked: impl Fn()) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen();
        loop {
            tokio::select! {
                biased;
                heard = signals.next() => match heard {
                    Heard::Stop | Heard::HangUp => break,
                    Heard::Tell => asked(),
                    Heard::Reload => {}
                },
                () = io_pause(BEAT) => meanwhile(),
            }
        }
    });
    Ok(())
}

/// Waits on this thread until `pause` has passed, or SIGINT, SIGTERM or SIGHUP comes: whether one came.
pub(super) fn pause(pause: Duration) -> std::io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let mut signals = Signals::listen();
        let stopped = async { while !matches!(signals.next().await, Heard::Stop | Heard::HangUp) {} };
        tokio::select! {
            () = stopped => true,
            () = io_pause(pause) => false,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::out::Out;
    use crate::cli::progress::terms_of_a_test;
    use crate::kit::stop::stop_switch;

    #[test]
    fn max_duration_drains() {
        let clock = Clock::manual(0);
        let (stop, watcher) = stop_switch();
        let out = Out::silent();
        let screen = Screen::new(&out, &clock, FRAME, None, terms_of_a_test());
        let max_duration = Some(Duration::from_secs(60));
        let charge = Charge { stop, clock: clock.clone(), max_duration, screen };
        let (attendant, _progress) = Attendant::begin(charge).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        // The attendant reads the clock first; it is moved again and again until it has.
        runtime.block_on(async {
            while !watcher.is_stopping() {
                clock.advance(Duration::from_secs(61));
                io_pause(Duration::from_millis(5)).await;
            }
        });
        assert_eq!(attendant.end().0, Ended { signals: 0, timed_out: true });
    }
}
