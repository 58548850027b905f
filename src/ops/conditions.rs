//! `--where`: which images are meant, by what became of them.

use crate::domain::image::Reason;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::EDITED;
use crate::settings::Problem;

/// The flags of an answer.
const FLAGS: [&str; 22] = [
    "blank",
    "blank_conflict",
    "illegible",
    "truncated",
    "loop",
    "repetition",
    "refused",
    "chatter",
    "prompt_echo",
    "fenced",
    "escapes_decoded",
    "json_invalid",
    "schema_mismatch",
    "too_short",
    "too_long",
    "replacement_char",
    "deep_cleaned",
    EDITED,
    "rotated",
    "shrunk",
    "high_reasoning",
    "unknown_finish",
];
/// States that can be asked for.
pub(super) const STATES: [ImageState; 4] =
    [ImageState::Failed, ImageState::Rough, ImageState::Done, ImageState::Skipped];

/// What an image has to be; one of the values of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    State(ImageState),
    Reason(&'static str),
    Flag(String),
    /// It failed because all its counted tries are used up.
    Worn,
}

impl Test {
    fn holds(&self, image: &Traits<'_>, attempts: u32) -> bool {
        match self {
            Self::State(state) => image.state == *state,
            Self::Reason(reason) => image.reason == Some(reason),
            Self::Flag(flag) => image.flags.contains(flag),
            Self::Worn => image.state == ImageState::Failed && image.asked >= attempts,
        }
    }
}

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits<'a> {
    /// Where it stands.
    pub(super) state: ImageState,
    /// Why it ended, if it ended without a text.
    pub(super) reason: Option<&'a str>,
    /// Flags of its last answer.
    pub(super) flags: &'a [String],
    /// Counted tries so far.
    pub(super) asked: u32,
}

/// Conditions that hold together.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// All of them have to hold, of each one value.
    all: Vec<Vec<Test>>,
    /// Counted tries allowed.
    attempts: u32,
}

impl Conditions {
    /// Reads conditions such as `code=E501|E502`; `reason_of` knows the reason behind a code.
    ///
    /// # Errors
    /// What is wrong with one of them, and what would be right.
    pub fn read(
        conditions: &[String],
        attempts: u32,
        reason_of: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, Problem> {
        let read = |condition: &String| read_condition(condition, &reason_of);
        Ok(Self { all: conditions.iter().map(read).collect::<Result<_, _>>()?, attempts })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any of them looks for texts that people have changed, which the ledger may not know of yet.
    pub(super) fn look_for_edited(&self) -> bool {
        self.all.iter().flatten().any(|test| matches!(test, Test::Flag(flag) if flag == EDITED))
    }

    /// Whether all of them hold.
    pub(super) fn hold(&self, image: &Traits<'_>) -> bool {
        self.all.iter().all(|tests| tests.iter().any(|test| test.holds(image, self.attempts)))
    }
}

fn read_condition(condition: &str, reason_of: &impl Fn(&str) -> Option<&'static str>) -> Result<Vec<Test>, Problem> {
    let Some((key, values)) = condition.split_once('=') else { return Err(no_condition(condition)) };
    values.split('|').map(|value| read_test(condition, key.trim(), value.trim(), reason_of)).collect()
}

fn read_test(
    condition: &str,
    key: &str,
    value: &str,
    reason_of: &impl Fn(&str) -> Option<&'static str>,
) -> Result<Test, Problem> {
    let unknown =
        |words: String| Err(Problem::new("", format!("--where {condition}: `{value}` is no {key}")).hint(words));
    match key {
        "state" => match ImageState::from_word(value).filter(|state| STATES.contains(state)) {
            Some(state) => Ok(Test::State(state)),
            None => unknown(format!("states are {}", STATES.map(ImageState::word).join(", "))),
        },
        "reason" => match Reason::from_word(value) {
            Some(reason) => Ok(Test::Reason(reason.word())),
            None => unknown(format!("reasons are {}", Reason::ALL.map(Reason::word).join(", "))),
        },
        "flag" => match FLAGS.contains(&value) {
            true => Ok(Test::Flag(value.to_owned())),
            false => unknown(format!("flags are {}", FLAGS.join(", "))),
        },
        "code" => match (value.to_ascii_uppercase().as_str(), reason_of(value)) {
            ("E507", _) => Ok(Test::State(ImageState::Rough)),
            ("E513", _) => Ok(Test::Worn),
            (_, Some(reason)) => Ok(Test::Reason(reason)),
            _ => unknown(
                "codes of images are E201 to E209 and E501 to E514; batchscribe help E501  explains one".to_owned(),
            ),
        },
        _ => Err(no_condition(condition)),
    }
}

fn no_condition(condition: &str) -> Problem {
    Problem::new("", format!("--where {condition} is no condition"))
        .hint("a condition is code=E501, reason=refused, flag=too_short or state=failed")
        .hint("reason=refused|empty  means one or the other; several --where have to hold together")
}
