//! Whether the work goes on, as two questions: does the loop answer, and is anything in its way.

use std::time::Duration;

use crate::kit::clock::{Millis, millis};

/// What the server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was begun yet.
    Starting,
    /// The pipeline works, or waits for images and answers.
    Working,
    /// Something is in the way; it is tried again later.
    Held {
        /// What, in one sentence.
        why: String,
        /// What a person may do about it.
        advice: Vec<String>,
        /// When it is tried again (unix milliseconds); `None`: when somebody asks for it.
        until: Option<Millis>,
    },
    /// It ends.
    Stopping,
    /// Nothing is worked on here: another process may.
    Watching,
}

impl Phase {
    /// One word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Held { .. } => "held",
            Self::Stopping => "stopping",
            Self::Watching => "watching",
        }
    }
}

/// What decides whether it is ready.
#[derive(Clone, Copy, Debug)]
pub struct Vitals<'a> {
    /// What the server is doing.
    pub phase: &'a Phase,
    /// Batches that answers are awaited of.
    pub batches_open: u64,
    /// When the provider told of them last (unix milliseconds).
    pub last_look: Option<Millis>,
    /// When the pipeline began (unix milliseconds).
    pub began: Millis,
    /// Longest time between two looks.
    pub longest_pause: Duration,
    /// Now (unix milliseconds).
    pub now: Millis,
}

/// Whether nothing is in the way.
///
/// # Errors
/// What is, in one sentence.
pub fn ready(vitals: &Vitals<'_>) -> Result<(), String> {
    match vitals.phase {
        Phase::Starting => return Err("the pipeline has not begun yet".to_owned()),
        Phase::Stopping => return Err("the server is stopping".to_owned()),
        Phase::Held { why, .. } => return Err(why.clone()),
        Phase::Watching => return Ok(()),
        Phase::Working => {}
    }
    let since = vitals.last_look.unwrap_or(vitals.began).max(vitals.began);
    let silent = vitals.now - since;
    if vitals.batches_open > 0 && silent > 3 * millis(vitals.longest_pause) {
        return Err(format!("the provider has not told of open batches for {} s", silent / 1000));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_works_and_hears_of_batches() {
        let held = Phase::Held { why: "no money".to_owned(), advice: Vec::new(), until: Some(9) };
        let minute = 60_000;
        for (phase, batches_open, last_look, now, expected) in [
            (&Phase::Starting, 0, None, 0, Err("the pipeline has not begun yet")),
            (&Phase::Working, 0, None, 100 * minute, Ok(())),
            (&Phase::Working, 1, None, 14 * minute, Ok(())),
            (&Phase::Working, 1, None, 16 * minute, Err("the provider has not told of open batches for 960 s")),
            (&Phase::Working, 1, Some(10 * minute), 16 * minute, Ok(())),
            (&Phase::Working, 1, Some(-minute), 14 * minute, Ok(())),
            (&held, 0, None, 0, Err("no money")),
            (&Phase::Stopping, 0, None, 0, Err("the server is stopping")),
            (&Phase::Watching, 7, None, 100 * minute, Ok(())),
        ] {
            let longest_pause = Duration::from_secs(300);
            let vitals = Vitals { phase, batches_open, last_look, began: 0, longest_pause, now };
            assert_eq!(ready(&vitals), expected.map_err(str::to_owned), "{vitals:?}");
        }
    }
}
