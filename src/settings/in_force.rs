//! The settings that hold now, for those that outlive a reload.

use std::sync::{Arc, Mutex, PoisonError};

use super::Settings;

/// The settings in force; clones show the same ones.
#[derive(Clone, Debug)]
pub struct InForce(Arc<Mutex<Arc<Settings>>>);

impl InForce {
    /// These, until others are agreed on.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(settings))))
    }

    /// Those of now: they stay the same while they are held.
    #[must_use]
    pub fn now(&self) -> Arc<Settings> {
        // Nobody panics while he holds it; what was put in last is whole.
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Others hold from now on.
    pub fn agree(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}
