//! Words for a supervisor that speaks the protocol of `sd_notify`: ready, stopping, how it stands, still alive.
//! Source: <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::time::Duration;

/// The supervisor of this process; says nothing where there is none.
#[derive(Debug, Default)]
pub struct Supervisor {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that these variables name: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID` (of this process, `pid`).
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Self {
        let of_others = variable("WATCHDOG_PID").is_some_and(|of| of.parse() != Ok(pid));
        let usec = variable("WATCHDOG_USEC").and_then(|usec| usec.parse().ok()).filter(|usec| *usec > 0 && !of_others);
        Self {
            #[cfg(unix)]
            socket: variable("NOTIFY_SOCKET").and_then(|address| connected(&address)),
            // Half of the time, as the manual advises.
            watchdog: usec.map(|usec: u64| Duration::from_micros(usec / 2)),
        }
    }

    /// How often it wants to hear that the process lives, if at all.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The server is up.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// It ends.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// It lives.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// How it stands, in one line.
    pub fn status(&self, line: &str) {
        self.say(&format!("STATUS={}", line.replace('\n', " ")));
    }

    #[cfg(unix)]
    fn say(&self, words: &str) {
        if let Some(Err(cause)) = self.socket.as_ref().map(|socket| socket.send(words.as_bytes())) {
            tracing::debug!(%cause, "the supervisor does not listen");
        }
    }

    #[cfg(not(unix))]
    fn say(&self, _: &str) {}
}

/// A path, or with `@` in front a name that lies in no folder.
#[cfg(unix)]
fn connected(address: &str) -> Option<std::os::unix::net::UnixDatagram> {
    let connect = || {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        // A supervisor that is busy is not waited for.
        socket.set_nonblocking(true)?;
        match address.strip_prefix('@') {
            #[cfg(target_os = "linux")]
            Some(name) => {
                use std::os::linux::net::SocketAddrExt as _;
                socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
            }
            _ => socket.connect(address)?,
        }
        Ok::<_, std::io::Error>(socket)
    };
    connect().inspect_err(|cause| tracing::warn!(%cause, address, "the supervisor cannot be told anything")).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut words = [0; 256];
        let read = socket.recv(&mut words).expect("a datagram");
        String::from_utf8_lossy(&words[..read]).into_owned()
    }

    fn supervisor(address: &str) -> Supervisor {
        Supervisor::of(|name| (name == "NOTIFY_SOCKET").then(|| address.to_owned()), 1)
    }

    #[test]
    fn a_socket_in_a_folder_hears_the_words() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("socket");
        let supervisor = supervisor(&path.to_string_lossy());
        supervisor.ready();
        supervisor.status("found 3\n= 3 done");
        supervisor.alive();
        supervisor.stopping();
        let words: Vec<String> = (0..4).map(|_| heard(&socket)).collect();
        assert_eq!(words, ["READY=1", "STATUS=found 3 = 3 done", "WATCHDOG=1", "STOPPING=1"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_in_no_folder_hears_them_too() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("batchscribe-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("name")).expect("socket");
        supervisor(&format!("@{name}")).ready();
        assert_eq!(heard(&socket), "READY=1");
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let variables = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let watchdog = |pairs| Supervisor::of(variables(pairs), 7).watchdog();
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "30000000")]), Some(Duration::from_secs(15)));
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "7")]), Some(Duration::from_secs(15)));
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "8")]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(watchdog(&[]), None);
    }

    #[test]
    fn nobody_there_is_no_mistake() {
        supervisor("/nowhere/at/all").ready();
        Supervisor::default().ready();
    }
}
