//! Signals from outside, or Ctrl-C where there are none.

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// SIGINT or SIGTERM: an order to end.
    Stop,
    /// SIGHUP, to a server: the settings are to be read again.
    Reload,
    /// SIGHUP, to every other verb: the terminal is gone. It may come twice, from the shell and from the system.
    HangUp,
    /// SIGUSR1: somebody wants to know how it stands.
    Tell,
}

/// SIGINT, SIGTERM, SIGUSR1 and SIGHUP; the last one is left alone where whoever started the program wants it ignored, as `nohup` does.
pub(super) struct Signals {
    #[cfg(unix)]
    stop: Option<(Stream, Stream)>,
    /// SIGHUP, and what it means.
    #[cfg(unix)]
    hang_up: Option<(Stream, Heard)>,
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
            hang_up: if may_be_hung_up() { hang_up(Heard::HangUp) } else { None },
            tell: signal(SignalKind::user_defined1()).ok(),
            _file_limit: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).ok(),
        }
    }

    /// The same for a server, which is asked by SIGHUP to read its settings again, whoever started it.
    #[cfg(unix)]
    pub(super) fn of_server() -> Self {
        Self { hang_up: hang_up(Heard::Reload), ..Self::listen() }
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
        let meant = self.hang_up.as_ref().map_or(Heard::HangUp, |(_, meant)| *meant);
        tokio::select! {
            biased;
            () = of(interrupt) => Heard::Stop,
            () = of(terminate) => Heard::Stop,
            () = of(self.hang_up.as_mut().map(|(stream, _)| stream)) => meant,
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

#[cfg(unix)]
fn hang_up(meant: Heard) -> Option<(Stream, Heard)> {
    use tokio::signal::unix::{SignalKind, signal};
    let stream = signal(SignalKind::hangup());
    let stream = stream.inspect_err(|cause| tracing::warn!(%cause, "SIGHUP ends the program at once")).ok()?;
    Some((stream, meant))
}

/// Whether SIGHUP may be listened to: not where it is ignored from the start. Only Linux tells without unsafe code; elsewhere it does
/// what it was set to do, so that `nohup` goes on working.
#[cfg(unix)]
fn may_be_hung_up() -> bool {
    let status = if cfg!(target_os = "linux") { fs_err::read_to_string("/proc/self/status").ok() } else { None };
    status.is_some_and(|status| !ignores_hang_up(&status))
}

/// Whether a process of this `/proc/PID/status` ignores SIGHUP, which is the first signal. Source: proc_pid_status(5), `SigIgn`.
#[cfg(unix)]
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // What cannot be read is left as it was.
    mask.is_none_or(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignores_hang_up;

    #[test]
    fn who_ignores_the_hang_up_is_told_by_the_first_bit() {
        let status =
            |mask: &str| format!("Name:\tbatchscribe\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        for (mask, ignores) in
            [("0000000000001000", false), ("0000000000001001", true), ("0000000000000000", false), ("odd", true)]
        {
            assert_eq!(ignores_hang_up(&status(mask)), ignores, "{mask}");
        }
        assert!(ignores_hang_up(""));
    }
}
