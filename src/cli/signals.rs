//! Signals from outside, or Ctrl-C where there are none.

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// SIGINT or SIGTERM: an order to end.
    Stop,
    /// SIGHUP: the settings are to be read again.
    Reload,
    /// SIGUSR1: somebody wants to know how it stands.
    Tell,
}

/// SIGINT, SIGTERM and SIGUSR1; for a server SIGHUP, too, which ends every other verb as it does any program.
pub(super) struct Signals {
    #[cfg(unix)]
    stop: Option<(Stream, Stream)>,
    #[cfg(unix)]
    reload: Option<Stream>,
    #[cfg(unix)]
    tell: Option<Stream>,
    /// SIGXFSZ is held and never awaited: without it a file beyond `ulimit -f` ends the process without a word; with it
    /// the write fails and is told like a full disk.
    #[cfg(unix)]
    _file_limit: Option<Stream>,
}

#[cfg(unix)]
type Stream = tokio::signal::unix::Signal;

impl Signals {
    /// Listens from now on, within a runtime.
    #[cfg(unix)]
    pub(super) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
        Self {
            stop: stop.inspect_err(|cause| tracing::warn!(%cause, "signals end the program at once")).ok(),
            reload: None,
            tell: signal(SignalKind::user_defined1()).ok(),
            _file_limit: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).ok(),
        }
    }

    /// The same for a server.
    #[cfg(unix)]
    pub(super) fn of_server() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let reload = signal(SignalKind::hangup());
        let reload = reload.inspect_err(|cause| tracing::warn!(%cause, "SIGHUP ends the server")).ok();
        Self { reload, ..Self::listen() }
    }

    /// The next one.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> Heard {
        async fn of(stream: Option<&mut Stream>) {
            let heard = match stream {
                Some(stream) => stream.recv().await,
                None => None,
            };
            if heard.is_none() {
                std::future::pending::<()>().await;
            }
        }
        let (interrupt, terminate) = self.stop.as_mut().map(|(int, term)| (int, term)).unzip();
        tokio::select! {
            biased;
            () = of(interrupt) => Heard::Stop,
            () = of(terminate) => Heard::Stop,
            () = of(self.reload.as_mut()) => Heard::Reload,
            () = of(self.tell.as_mut()) => Heard::Tell,
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    pub(super) fn of_server() -> Self {
        Self::listen()
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> Heard {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Heard::Stop
    }
}
