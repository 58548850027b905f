//! How long a figure is told again that is dear to make.

use std::time::Duration;

/// At least so long.
const LEAST: Duration = Duration::from_secs(60);
/// In times of what making it takes, so that it costs a small part of the time of one thread.
const TIMES: u32 = 20;

/// How long a figure holds that took so long to make.
#[must_use]
pub fn holds(took: Duration) -> Duration {
    LEAST.max(took * TIMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_holds_longer() {
        let secs = Duration::from_secs;
        assert_eq!([secs(0), secs(3), secs(30)].map(holds), [secs(60), secs(60), secs(600)]);
    }
}
