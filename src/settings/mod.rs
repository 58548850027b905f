//! What the user wrote becomes what the program uses; all mistakes are reported at once.
//!
//! *Job*: precedence, units, bounds, keys. *In*: flags, variables, files. *Out*: [`Settings`]-like values that cannot be wrong.
//! *Owns*: nothing. *Bound*: none. *If it crashes here*: nothing has begun.

/// Placeholder of the skeleton.
#[derive(Clone, Debug)]
pub struct Settings {}
