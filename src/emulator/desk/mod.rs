//! What each request comes to, through whatever door it came: HTTP's routes and the simulation's [`direct`](super::direct)
//! ask the same desks.

pub(crate) mod batches;
pub(crate) mod chat;
pub(crate) mod files;

use serde::Serialize;

/// An answer as JSON, its members in the order in which the real service writes them.
pub(crate) type Json = Vec<u8>;

fn json(value: &impl Serialize) -> Json {
    // Cannot fail: the types are ours, their keys are strings.
    serde_json::to_vec(value).unwrap_or_default()
}
