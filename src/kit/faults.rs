//! The first fault wins: it is kept with its type, raises the stop, and later ones are echoes.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use super::stop::{StopLevel, StopSwitch};

/// An error of any room; the runner looks at its type.
pub type AnyFault = Box<dyn Error + Send + Sync>;

/// Where every stage reports what it cannot go on with.
#[derive(Clone, Debug)]
pub struct Faults {
    first: Arc<Mutex<Option<(&'static str, AnyFault)>>>,
    stop: StopSwitch,
}

impl Faults {
    /// No fault yet; the first one raises `stop`.
    #[must_use]
    pub fn new(stop: StopSwitch) -> Self {
        Self { first: Arc::default(), stop }
    }

    /// Keeps `fault` if it is the first, and stops the program as strongly as `level` says.
    pub fn report(&self, who: &'static str, fault: impl Into<AnyFault>, level: StopLevel) {
        let fault = fault.into();
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            tracing::error!(who, %fault, "stopping");
            *first = Some((who, fault));
        } else {
            tracing::warn!(who, %fault, "an echo of the first fault");
        }
        drop(first);
        self.stop.raise(level);
    }

    /// Whether anything was reported.
    #[must_use]
    pub fn any(&self) -> bool {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes the first fault out.
    #[must_use]
    pub fn take(&self) -> Option<(&'static str, AnyFault)> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::stop::stop_switch;

    #[test]
    fn the_first_fault_is_the_cause() {
        let (switch, stop) = stop_switch();
        let faults = Faults::new(switch);
        faults.report("uploader", "first", StopLevel::Drain);
        faults.report("poller", "second", StopLevel::Now);
        let (who, fault) = faults.take().expect("reported");
        assert_eq!((who, fault.to_string().as_str()), ("uploader", "first"));
        assert_eq!(stop.level(), StopLevel::Now);
    }
}
