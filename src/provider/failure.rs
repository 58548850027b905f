//! Why a request to the provider failed; the kind says who acts, and how.

use std::time::Duration;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection came about: surely nothing happened. Try again later.
    Unreached,
    /// The request may or may not have had its effect: connection lost, time-out, 404, 408, 409, 5xx, an unreadable answer.
    Doubt,
    /// Too many requests, no money involved: wait.
    Busy,
    /// The queue of tokens or batches is full: wait until a batch ends.
    QueueFull,
    /// The provider wants money.
    Money,
    /// The key was rejected (401).
    Key,
    /// The key may not do this (403).
    Forbidden,
    /// The thing does not exist (404).
    NotFound,
    /// The file is too large (413, or a 400 that says so).
    TooLarge,
    /// A just uploaded file that is not visible yet, or one that is gone.
    NoSuchFile,
    /// Refused with a proper error object: asking again would give the same.
    Refused,
    /// The upload's own body ended early; its end tells why.
    Body,
}

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host}: {message}")]
pub struct Failure {
    /// What to do about it.
    pub kind: Kind,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The provider's code, or empty.
    pub code: String,
    /// The parameter that it names, or empty.
    pub param: String,
    /// One sentence; never holds the key.
    pub message: String,
    /// Host, for people.
    pub host: String,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Whether a create that failed so has surely created nothing.
    #[must_use]
    pub fn surely_not_created(&self) -> bool {
        match self.kind {
            Kind::Unreached | Kind::Key | Kind::Busy | Kind::Money | Kind::QueueFull | Kind::NoSuchFile => true,
            Kind::Forbidden | Kind::Refused | Kind::TooLarge => true,
            Kind::Doubt | Kind::NotFound | Kind::Body => false,
        }
    }

    /// Whether asking again later may help, for requests that may be repeated.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Unreached | Kind::Doubt | Kind::Busy | Kind::QueueFull)
    }

    /// Whether the whole run has to stop.
    #[must_use]
    pub fn stops_the_run(&self) -> bool {
        matches!(self.kind, Kind::Key | Kind::Forbidden | Kind::Money)
    }
}
