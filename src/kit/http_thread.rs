//! An HTTP server on a thread of its own with its own System, so that nobody's requests hold anybody else up.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::{Server, ServerHandle};
use actix_web::rt::System;

use super::exit_guard::ExitGuard;
use super::thread;

/// What becomes of the connections when a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Requests under way are answered, for as long as the server was built to linger.
    Answer,
    /// They are cut: somebody who listens to a stream would stay for ever.
    Cut,
}

/// A running server; dropping it stops it, and waits until it has.
#[derive(Debug)]
pub struct HttpThread {
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    end: End,
}

impl HttpThread {
    /// Starts the thread, and waits until the server that `build` makes there speaks. `guard` tells how it ended.
    ///
    /// # Errors
    /// The operating system's, if it refuses a thread; `Other` if `build` failed, which the guard tells.
    pub fn start(
        name: &'static str,
        guard: ExitGuard,
        end: End,
        build: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, started) = mpsc::sync_channel(1);
        let thread = thread::spawn(name, guard, move |guard| {
            let ended = System::new().block_on(async {
                let server = build()?;
                // Fails if the starter has given up, which stops nothing: its drop of the handle is not a stop.
                drop(sender.send(server.handle()));
                server.await
            });
            match ended {
                Ok(()) => guard.drained(),
                Err(cause) => guard.failed(cause.to_string()),
            }
        })?;
        let handle = started.recv().map_err(|_| io::Error::other("the HTTP server did not start"))?;
        Ok(Self { handle, thread: Some(thread), end })
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        // The order to stop is given by the call; its future only waits, and the join does that.
        drop(self.handle.stop(self.end == End::Answer));
        // A thread that panicked has told its guard.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
