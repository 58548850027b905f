//! Threads that carry an exit guard.

use std::thread::JoinHandle;

use super::exit_guard::ExitGuard;

/// Starts a named thread; `work` marks the guard drained when its end is the good one.
///
/// # Errors
/// The operating system's, if it refuses a thread.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub fn spawn(
    name: &str,
    mut guard: ExitGuard,
    work: impl FnOnce(&mut ExitGuard) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&mut guard))
}
