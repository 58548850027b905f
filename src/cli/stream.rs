//! The lines of `--json` on their way to the standard output, on a thread of their own: a reader that is slow, or reads no more, holds
//! up neither the work nor the signals. Only so many lines wait; what finds no place is counted, and the count is told.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::kit::exit_guard::ExitGuard;
use crate::kit::thread;
use crate::pipeline::mission::{Happens, Listener};

use super::events::{Events, Start};
use super::out::Out;

/// Lines that wait for a slow reader, each a few hundred bytes: those of eight full chunks of answers.
const LINES: usize = 4_096;

/// Where lines are told.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    events: Events,
    /// The first line, until it was told.
    start: Arc<Mutex<Option<Start>>>,
    lines: SyncSender<Option<String>>,
    missed: Arc<AtomicU64>,
}

/// The thread that writes them.
pub(super) struct Writer {
    lines: SyncSender<Option<String>>,
    thread: JoinHandle<()>,
}

impl Stream {
    /// Begins to write to the standard output; `start` comes before everything else, as soon as the run has begun.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread.
    pub(super) fn open(out: &Out, events: &Events, start: Start) -> io::Result<(Self, Writer)> {
        let (out, of_writer) = (out.clone(), events.clone());
        // Whoever has read enough has left: that is no reason to stop the work.
        Self::writing(events, Some(start), move |missed, told| {
            write(&told, &missed, &of_writer, |line| drop(out.data(line)))
        })
    }

    fn writing(
        events: &Events,
        start: Option<Start>,
        write: impl FnOnce(Arc<AtomicU64>, Receiver<Option<String>>) + Send + 'static,
    ) -> io::Result<(Self, Writer)> {
        let (lines, told) = sync_channel(LINES);
        let missed = Arc::new(AtomicU64::new(0));
        let of_writer = Arc::clone(&missed);
        let thread = thread::spawn("stream", ExitGuard::unheard("stream"), move |guard| {
            write(of_writer, told);
            guard.drained();
        })?;
        let (events, start) = (events.clone(), Arc::new(Mutex::new(start)));
        Ok((Self { events, start, lines: lines.clone(), missed }, Writer { lines, thread }))
    }

    /// What its lines are made by.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Tells a line; never waits.
    pub(super) fn tell(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Some(line)) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells the first line, unless it was told.
    pub(super) fn begin(&self, resumed: bool) {
        if let Some(start) = self.start().take() {
            self.tell(self.events.start(&start, resumed));
            start.warning().into_iter().for_each(|warning| self.tell(self.events.late(warning)));
        }
    }

    /// Whether the first line was told.
    pub(super) fn has_begun(&self) -> bool {
        self.start().is_none()
    }

    fn start(&self) -> MutexGuard<'_, Option<Start>> {
        // Whoever panicked while he held it has left a whole line.
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happens.
    pub(super) fn hear(&self, what: Happens<'_>) {
        if let Happens::Run { resumed, .. } = what {
            self.events.hear(what);
            self.begin(resumed);
        } else if let Some(line) = self.events.hear(what) {
            self.tell(line);
        }
    }

    /// Whoever follows the run for it.
    pub(super) fn listener(&self) -> Listener {
        let stream = self.clone();
        Listener::new(move |what| stream.hear(what))
    }
}

impl Writer {
    /// Comes back when every line is written.
    pub(super) fn end(self) {
        // Both fail only if the thread has died.
        drop(self.lines.send(None));
        drop(self.thread.join());
    }
}

fn write(told: &Receiver<Option<String>>, missed: &AtomicU64, events: &Events, mut out: impl FnMut(&str)) {
    let tell_missed = |out: &mut dyn FnMut(&str)| match missed.swap(0, Ordering::Relaxed) {
        0 => {}
        lines => out(&events.missed(lines)),
    };
    while let Ok(Some(line)) = told.recv() {
        tell_missed(&mut out);
        out(&line);
    }
    tell_missed(&mut out);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::kit::clock::Clock;

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_was_missed() {
        let events = Events::new(Clock::manual(0));
        let written: Arc<Mutex<Vec<String>>> = Arc::default();
        let (ready, reads) = sync_channel::<()>(0);
        let (seen, of_writer) = (Arc::clone(&written), events.clone());
        let (stream, writer) = Stream::writing(&events, None, move |missed, told| {
            reads.recv().expect("the reader comes at last");
            write(&told, &missed, &of_writer, |line| seen.lock().expect("whole").push(line.to_owned()));
        })
        .expect("a thread");
        for n in 0..LINES + 3 {
            stream.tell(format!("{n}"));
        }
        ready.send(()).expect("the writer waits");
        writer.end();
        let written = written.lock().expect("whole");
        assert!(written[0].contains("\"type\":\"missed\"") && written[0].contains("\"lines\":3"), "{}", written[0]);
        assert_eq!((written.len(), written[1].as_str()), (LINES + 1, "0"));
    }
}
