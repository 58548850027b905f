//! What refusals mean: the tables that decide. `docs/refusals.md` shows them, and a test compares the two.
//!
//! In each table the first row that fits decides. The rule behind them: what is not *surely* a refusal is [`Kind::Doubt`],
//! because a create that may have worked must not be sent again. Source: `batch-api` reference §2, §4 and §11.1.

use std::fmt;

use super::failure::Kind;
use crate::domain::batch::{QUEUE_CODES, QUEUE_WORDS, Refusal};

/// What a refusal speaks of: any of these codes, or any of these words in its message.
#[derive(Debug)]
pub struct Topic {
    /// Codes; some servers put them into `type`.
    pub codes: &'static [&'static str],
    /// Lower case.
    pub words: &'static [&'static str],
}

/// Whatever it says.
pub const ANYTHING: Topic = Topic { codes: &[], words: &[] };

/// A person has to pay or to allow something.
pub const MONEY: Topic = Topic {
    codes: &[
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
    ],
    words: &[],
};

/// The queue of tokens or batches is full.
pub const QUEUE: Topic = Topic { codes: &QUEUE_CODES, words: &QUEUE_WORDS };

/// The input file is not visible: not yet, or no longer.
pub const NO_FILE: Topic = Topic { codes: &[], words: &["cannot find file"] };

/// The input file is too large.
pub const TOO_LARGE: Topic = Topic { codes: &["file_too_large"], words: &["file is too large"] };

/// What all lines of a run have in common, so that every batch would be refused alike.
pub const SETTING: Topic = Topic {
    codes: &[
        "model_not_found",
        "mismatched_model",
        "model_mismatch",
        "invalid_url",
        "url_mismatch",
        "streaming_unsupported",
        "unsupported_parameter",
        "unsupported_value",
    ],
    words: &[
        "model parameter is required",
        "messages parameter is required",
        "missing required parameter: 'method'",
        "missing required parameter: 'url'",
        "missing required parameter: 'body'",
    ],
};

impl Topic {
    /// Whether a refusal with this code, `type` and message speaks of it.
    #[must_use]
    pub fn is_told(&self, code: &str, class: &str, message: &str) -> bool {
        let lower = message.to_lowercase();
        let is_anything = self.codes.is_empty() && self.words.is_empty();
        let by_code = self.codes.iter().any(|known| *known == code || *known == class);
        is_anything || by_code || self.words.iter().any(|words| lower.contains(words))
    }
}

/// Ranges of HTTP statuses, first and last; none = every status.
#[derive(Clone, Copy, Debug)]
pub struct Statuses(pub &'static [(u16, u16)]);

impl Statuses {
    /// Whether `status` is one of them.
    #[must_use]
    pub fn contain(self, status: u16) -> bool {
        self.0.is_empty() || self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}–{last}"),
        });
        f.write_str(&if self.0.is_empty() { "any other".to_owned() } else { each.collect::<Vec<_>>().join(", ") })
    }
}

/// What the body of an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Anything, or nothing.
    Any,
    /// JSON with an `error` object: the service itself speaks.
    Explained,
    /// Anything but a page of HTML, which some proxy has made.
    NoPage,
}

/// A row: an answer over HTTP that is no success.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub statuses: Statuses,
    /// Its body.
    pub body: Body,
    /// What it speaks of.
    pub about: Topic,
    /// What it is.
    pub kind: Kind,
}

const fn row(statuses: &'static [(u16, u16)], body: Body, about: Topic, kind: Kind) -> Answer {
    Answer { statuses: Statuses(statuses), body, about, kind }
}

/// Statuses of a refusal by the service; its words decide.
const REFUSED: &[(u16, u16)] = &[(400, 400), (402, 403), (422, 422)];
const FAULTY: &[(u16, u16)] = &[(400, 400), (422, 422)];

/// Every answer over HTTP that is no success.
pub const ANSWERS: [Answer; 14] = [
    row(&[(401, 401)], Body::Any, ANYTHING, Kind::Key),
    row(REFUSED, Body::Explained, MONEY, Kind::Money),
    row(&[(429, 429)], Body::Any, MONEY, Kind::Money),
    row(REFUSED, Body::Explained, QUEUE, Kind::QueueFull),
    row(&[(429, 429)], Body::Any, QUEUE, Kind::QueueFull),
    row(&[(429, 429)], Body::Any, ANYTHING, Kind::Busy),
    row(&[(402, 402)], Body::Explained, ANYTHING, Kind::Money),
    row(&[(403, 403)], Body::Explained, ANYTHING, Kind::Forbidden),
    row(FAULTY, Body::Explained, NO_FILE, Kind::NoSuchFile),
    row(FAULTY, Body::Explained, TOO_LARGE, Kind::TooLarge),
    row(FAULTY, Body::Explained, ANYTHING, Kind::Refused),
    row(&[(413, 413)], Body::Any, ANYTHING, Kind::TooLarge),
    row(&[(404, 404), (410, 410)], Body::NoPage, ANYTHING, Kind::NotFound),
    row(&[], Body::Any, ANYTHING, Kind::Doubt),
];

/// What a batch that was refused after its creation was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The moment: the same file is opened again later.
    Moment,
    /// What all lines have in common: the run stops, nothing is counted.
    Run,
    /// The line that it names: that image ends, the others are asked again. Without a line it is the run's.
    Line,
}

/// Every reason in `errors` of a batch that is `failed`; nothing of it ran, nothing is billed.
pub const VALIDATIONS: [(Topic, Blame); 5] = [
    (QUEUE, Blame::Moment),
    (NO_FILE, Blame::Moment),
    (MONEY, Blame::Run),
    (SETTING, Blame::Run),
    (ANYTHING, Blame::Line),
];

/// What a refusal by validation is to be blamed on.
#[must_use]
pub fn blame(refusal: &Refusal) -> Blame {
    let fits = |(about, _): &&(Topic, Blame)| about.is_told(&refusal.code, "", &refusal.message);
    VALIDATIONS.iter().find(fits).map_or(Blame::Line, |(_, blame)| *blame)
}
