//! Named crash points, where a test makes the process kill itself; and protections that a test can leave out, to see
//! whether its checks notice.
//!
//! A release build contains neither the names nor the check; a debug build reads `BATCHSCRIBE_CRASH=name:visit`, and writes
//! the name of each visited point as a line of the file `BATCHSCRIBE_VISITS`. `BATCHSCRIBE_WITHOUT=name` leaves a protection
//! out.

/// Kills the process with SIGKILL at the named point, if a test asked for it.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    armed::visit(name);
    #[cfg(not(debug_assertions))]
    let _unused = name;
}

/// Whether a test wants the program without this protection; never in a release build.
#[inline]
#[must_use]
pub fn without(protection: &str) -> bool {
    #[cfg(debug_assertions)]
    return armed::left_out(protection);
    #[cfg(not(debug_assertions))]
    {
        let _unused = protection;
        false
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Order {
        name: String,
        visit: u32,
        seen: AtomicU32,
    }

    static VISITS: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "an order of a test, never a setting")]
    fn order() -> Option<Order> {
        let text = std::env::var("BATCHSCRIBE_CRASH").ok()?;
        let (name, visit) = text.rsplit_once(':')?;
        Some(Order { name: name.to_owned(), visit: visit.parse().ok()?, seen: AtomicU32::new(0) })
    }

    #[expect(clippy::disallowed_methods, reason = "an order of a test, never a setting")]
    pub(super) fn left_out(protection: &str) -> bool {
        std::env::var("BATCHSCRIBE_WITHOUT").is_ok_and(|name| name == protection)
    }

    fn visits() -> Option<std::path::PathBuf> {
        std::env::var_os("BATCHSCRIBE_VISITS").map(Into::into)
    }

    /// One write a line, so that lines of several threads never mix.
    fn note(visits: &std::path::Path, name: &str) {
        let line = format!("{name}\n");
        let written = crate::kit::atomic_file::append_private(visits)
            .and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
        debug_assert!(written.is_ok(), "{written:?}");
    }

    pub(super) fn visit(name: &str) {
        if let Some(visits) = VISITS.get_or_init(visits) {
            note(visits, name);
        }
        let Some(order) = ORDER.get_or_init(order) else { return };
        if order.name == name && order.seen.fetch_add(1, Ordering::Relaxed) + 1 == order.visit {
            let _unreached = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
