//! When is an answer good enough? A pure function of the answer and the settings, so it can be repeated at any time.
//!
//! Only a complete answer becomes a text. A cut, filtered, refused or empty one never does, not even in part; and asking the
//! same again would buy the same, so it ends with its reason.

use super::content::{self, Content};
use super::polish::UnicodeForm;
use crate::domain::answer::{Answer, Finish, Outcome};
use crate::domain::batch::Refusal;
use crate::domain::image::Reason;
use crate::domain::verdict::Verdict;
use crate::provider::errors::{self, Then};
use crate::provider::policy::{self, Blame, MONEY};

/// An error that every further line would meet, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RunRefused {
    /// The provider's code.
    pub code: String,
    /// The parameter that it names, or empty.
    pub param: String,
    /// Its words.
    pub message: String,
    /// HTTP status of the line.
    pub status: u16,
}

impl RunRefused {
    /// Whether a person has to pay or allow something.
    #[must_use]
    pub fn is_about_money(&self) -> bool {
        MONEY.is_told(&self.code, "", &self.message)
    }

    /// Whether the account is at fault (money, key, permission) and no setting.
    #[must_use]
    pub fn is_about_account(&self) -> bool {
        self.is_about_money() || matches!(self.status, 401 | 403)
    }

    /// The code of the contracts that says it.
    #[must_use]
    pub fn told_as(&self) -> &'static str {
        match self.status {
            _ if self.is_about_money() => "E305",
            401 => "E301",
            403 => "E302",
            404 => "E308",
            _ if self.code == "model_not_found" => "E308",
            _ => "E307",
        }
    }
}

/// What an answer says against the run as a whole, if anything. Source: `batch-api` reference §2.
#[must_use]
pub fn against_the_run(outcome: &Outcome) -> Option<RunRefused> {
    let Outcome::Error { status, code, param, message } = outcome else { return None };
    let of_the_run = errors::meaning(*status, code, param, message) == Then::Stop;
    of_the_run.then(|| RunRefused {
        code: code.clone(),
        param: param.clone(),
        message: message.clone(),
        status: *status,
    })
}

/// What a refused batch says against the run as a whole.
#[must_use]
pub fn batch_against_the_run(refusal: &Refusal) -> Option<RunRefused> {
    // A reason that names no line is no line's.
    let names_none = refusal.line.is_none() && !(refusal.code.is_empty() && refusal.message.is_empty());
    (names_none || policy::blame(refusal) == Blame::Run).then(|| RunRefused {
        code: refusal.code.clone(),
        param: String::new(),
        message: refusal.message.clone(),
        status: 400,
    })
}

/// What one answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What we think of it.
    pub verdict: Verdict,
    /// Flags, in the words of the contracts.
    pub flags: Vec<&'static str>,
    /// The text to write, for accepted (and, empty, for blank) ones.
    pub text: Option<String>,
}

impl Judgement {
    fn without_text(verdict: Verdict) -> Self {
        Self { verdict, flags: Vec::new(), text: None }
    }

    fn flagged(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }
}

/// Judges an answer; `json` tells whether its text has to be JSON.
#[must_use]
pub fn judge(answer: &Answer, json: bool, form: UnicodeForm) -> Judgement {
    match &answer.outcome {
        Outcome::NeverRan { .. } => Judgement::without_text(nobodys_fault()),
        Outcome::Error { status, code, param, message } => error(*status, code, param, message),
        Outcome::Answered { content, refusal, finish } => {
            answered(content.as_deref().unwrap_or_default(), refusal.is_some(), finish, json, form)
        }
    }
}

fn nobodys_fault() -> Verdict {
    Verdict::AskAgain { reason: Reason::NeverRan, counted: false }
}

fn error(status: u16, code: &str, param: &str, message: &str) -> Judgement {
    match errors::meaning(status, code, param, message) {
        // The fault is ours, or nobody's, and not the image's: it stays owed, and nothing is counted.
        Then::Stop | Then::Again => Judgement::without_text(nobodys_fault()),
        Then::End(reason) => Judgement::without_text(Verdict::Reject(reason)),
    }
}

fn answered(content: &str, refused: bool, finish: &Finish, json: bool, form: UnicodeForm) -> Judgement {
    let reject = |reason| Judgement::without_text(Verdict::Reject(reason));
    match finish {
        Finish::ContentFilter => return reject(Reason::ContentFilter),
        _ if refused => return reject(Reason::Refused).flagged("refused"),
        Finish::Length if content.trim().is_empty() => return reject(Reason::ReasoningAteBudget),
        Finish::Length => return reject(Reason::Truncated).flagged("truncated"),
        Finish::Stop | Finish::Other(_) => {}
    }
    let judgement = match content::read(content, json, form) {
        Content::Text(polished) => {
            let mut judgement = Judgement { text: Some(polished.text), ..Judgement::without_text(Verdict::Accept) };
            if polished.fenced {
                judgement = judgement.flagged("fenced");
            }
            if polished.replacement { judgement.flagged("replacement_char") } else { judgement }
        }
        Content::Blank => {
            Judgement { text: Some(String::new()), ..Judgement::without_text(Verdict::Blank) }.flagged("blank")
        }
        Content::Empty => reject(Reason::Empty),
        Content::InvalidJson(_) => reject(Reason::JsonInvalid).flagged("json_invalid"),
    };
    if matches!(finish, Finish::Other(_)) { judgement.flagged("unknown_finish") } else { judgement }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;

    fn judged(outcome: Outcome) -> Judgement {
        let path = RelPath { folder: Vec::new(), name: b"a.jpg".to_vec() };
        let answer = Answer { image: ImageId(1), path, attempt: 1, outcome, usage: None };
        judge(&answer, false, UnicodeForm::Nfc)
    }

    fn answered(content: &str, finish: Finish) -> Outcome {
        Outcome::Answered { content: Some(content.to_owned()), refusal: None, finish }
    }

    fn failed(status: u16, code: &str, param: &str, message: &str) -> Outcome {
        Outcome::Error { status, code: code.into(), param: param.into(), message: message.into() }
    }

    #[test]
    fn only_a_complete_answer_becomes_a_text() {
        let refusal = Outcome::Answered { content: None, refusal: Some("no".into()), finish: Finish::Stop };
        let cases = [
            (answered("text", Finish::Stop), Verdict::Accept, Some("text\n")),
            (answered("text", Finish::Other("tool".into())), Verdict::Accept, Some("text\n")),
            (answered("[blank page]", Finish::Stop), Verdict::Blank, Some("")),
            (answered("half a te", Finish::Length), Verdict::Reject(Reason::Truncated), None),
            (answered("", Finish::Length), Verdict::Reject(Reason::ReasoningAteBudget), None),
            (answered("text", Finish::ContentFilter), Verdict::Reject(Reason::ContentFilter), None),
            (answered("", Finish::Stop), Verdict::Reject(Reason::Empty), None),
            (refusal, Verdict::Reject(Reason::Refused), None),
        ];
        for (outcome, verdict, text) in cases {
            let judgement = judged(outcome.clone());
            assert_eq!((judgement.verdict, judgement.text.as_deref()), (verdict, text), "{outcome:?}");
        }
    }

    #[test]
    fn errors_are_told_apart_by_whose_fault_they_are() {
        let again = nobodys_fault();
        let cases = [
            (failed(500, "server_error", "", ""), again.clone(), false),
            (failed(429, "rate_limit_exceeded", "", ""), again.clone(), false),
            (failed(429, "insufficient_quota", "", ""), again.clone(), true),
            (failed(401, "invalid_api_key", "", ""), again.clone(), true),
            (failed(400, "unsupported_value", "temperature", ""), again.clone(), true),
            (failed(400, "invalid_value", "messages[1].content[0].image_url.detail", ""), again.clone(), true),
            (failed(400, "", "response_format.json_schema.schema", ""), again.clone(), true),
            (failed(400, "", "max_tokens_of_another_day", ""), Verdict::Reject(Reason::ProviderError), false),
            (failed(403, "", "", ""), again.clone(), true),
            (failed(404, "model_not_found", "", ""), again.clone(), true),
            (failed(500, "model_not_found", "model", ""), again.clone(), false),
            (failed(400, "invalid_value", "", "Timeout while downloading …"), again.clone(), false),
            (failed(400, "invalid_image_format", "", ""), Verdict::Reject(Reason::ImageRefused), false),
            (failed(400, "context_length_exceeded", "messages", ""), Verdict::Reject(Reason::ProviderError), false),
            (Outcome::NeverRan { code: "batch_expired".into() }, again, false),
        ];
        for (outcome, verdict, stops) in cases {
            let judgement = judged(outcome.clone());
            assert_eq!((judgement.verdict, against_the_run(&outcome).is_some()), (verdict, stops), "{outcome:?}");
        }
    }

    #[test]
    fn a_refusal_of_the_run_has_its_code_of_the_contracts() {
        let told = |outcome: Outcome| against_the_run(&outcome).expect("of the run").told_as();
        assert_eq!(told(failed(429, "insufficient_quota", "", "")), "E305");
        assert_eq!(told(failed(401, "", "", "")), "E301");
        assert_eq!(told(failed(403, "", "", "")), "E302");
        assert_eq!(told(failed(404, "model_not_found", "", "")), "E308");
        assert_eq!(told(failed(400, "unsupported_value", "temperature", "")), "E307");
    }
}
