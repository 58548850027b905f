//! When is an answer good enough? A pure function of the answer and of what is known beside it, so it can be repeated at any time.
//!
//! Only a complete answer becomes a text. A cut, filtered, refused or empty one never does, not even in part. It is asked again
//! where something can be changed, because the same question buys the same answer; otherwise it ends with its reason. Only hard
//! evidence decides; suspicion is a flag for a person.

use super::chatter;
use super::content::{self, Content, Reading};
use super::letters;
use super::polish::{Polished, Step};
use super::refusal::is_refusal;
use super::repetition::{LoopLimits, deflates_away, is_repetitive, runs_away};
use crate::domain::answer::{Answer, Finish, Outcome};
use crate::domain::batch::{Refusal, Usage};
use crate::domain::image::Reason;
use crate::domain::ladder::{Ladder, Wish};
use crate::domain::recipe::Kind;
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

/// Thresholds of the settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// What counts as a loop.
    pub repetition: LoopLimits,
    /// Share of dark pixels below which a page counts as blank.
    pub blank_ink: f64,
    /// Letters from which on an answer counts as text, where the page is blank.
    pub blank_letters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { repetition: LoopLimits::default(), blank_ink: 0.003, blank_letters: 200 }
    }
}

/// Share of dark pixels from which on a page surely bears writing.
const WRITTEN_INK: f64 = 0.02;
/// Part of the output that is reasoning, from which on it is flagged.
const MUCH_REASONING: f64 = 0.20;
/// Part of the output that is reasoning, from which on it ate the answer.
const EATEN: f64 = 0.90;

/// What could be asked next about an image.
#[derive(Clone, Copy)]
pub enum Next<'a> {
    /// Nothing: this was the last word.
    Nothing,
    /// Whatever the ladder has.
    Step {
        /// The ladder.
        ladder: &'a Ladder,
        /// Page to text, or rough text to text.
        kind: Kind,
        /// The counted try that it would be.
        attempt: u32,
        /// A model that a person ordered.
        model: Option<&'a str>,
    },
}

impl Next<'_> {
    /// Whether asking again for this reason would ask something else.
    #[must_use]
    pub fn asks(&self, reason: Reason) -> bool {
        match *self {
            Self::Nothing => false,
            Self::Step { ladder, kind, attempt, model } => {
                ladder.has_step(&Wish { kind, attempt, after: Some(reason), model })
            }
        }
    }
}

/// What an answer is judged by, beside itself.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// How its content is read.
    pub reading: Reading<'a>,
    /// Thresholds.
    pub limits: &'a Limits,
    /// Share of dark pixels of the image, if it was measured.
    pub ink: Option<f64>,
    /// Why it was asked again, if it was.
    pub after: Option<Reason>,
    /// Hash of the text that was doubted before.
    pub said: Option<[u8; 16]>,
    /// Whether the bytes of the image's own file were sent.
    pub as_it_is: bool,
    /// What could be asked next.
    pub next: Next<'a>,
    /// The hash of texts.
    pub hash: fn(&[u8]) -> [u8; 16],
}

impl<'a> Question<'a> {
    /// An answer by itself: nothing is known beside it, and nothing can be asked any more.
    #[must_use]
    pub fn alone(reading: Reading<'a>, limits: &'a Limits) -> Self {
        let hash = crate::kit::hash::short;
        Self { reading, limits, ink: None, after: None, said: None, as_it_is: true, next: Next::Nothing, hash }
    }
}

/// What one answer came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What we think of it.
    pub verdict: Verdict,
    /// Flags, in the words of the contracts.
    pub flags: Vec<&'static str>,
    /// The text to write, for accepted, rough and (empty) blank ones.
    pub text: Option<String>,
    /// Hash of the text that is doubted.
    pub said: Option<[u8; 16]>,
    /// What cleaning did.
    pub steps: Vec<Step>,
    /// The verdict hangs on the ink of the image, which was not measured: judge again with it.
    pub needs_ink: bool,
    /// The ink that was measured for it.
    pub ink: Option<f64>,
    /// More, in words, for whoever asks about the image.
    pub detail: Option<String>,
}

impl Judgement {
    pub(super) fn of(verdict: Verdict) -> Self {
        let (flags, steps) = (Vec::new(), Vec::new());
        Self { verdict, flags, text: None, said: None, steps, needs_ink: false, ink: None, detail: None }
    }

    pub(super) fn flagged(mut self, flag: &'static str) -> Self {
        self.flag_if(flag, true);
        self
    }

    fn flag_if(&mut self, flag: &'static str, is: bool) {
        if is && !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    fn hangs_on_ink(mut self) -> Self {
        self.needs_ink = true;
        self
    }
}

/// Judges an answer.
#[must_use]
pub fn judge(answer: &Answer, question: &Question<'_>) -> Judgement {
    match &answer.outcome {
        Outcome::NeverRan { .. } => Judgement::of(nobodys_fault()),
        Outcome::Error { status, code, param, message } => {
            error(errors::meaning(*status, code, param, message), question)
        }
        Outcome::Answered { content, refusal, finish } => {
            let mut judgement = answered(content.as_deref(), refusal.is_some(), finish, answer.usage, question);
            let share = reasoning_share(answer.usage);
            judgement.flag_if("high_reasoning", share > MUCH_REASONING);
            judgement
        }
    }
}

fn nobodys_fault() -> Verdict {
    Verdict::AskAgain { reason: Reason::NeverRan, counted: false }
}

fn error(meaning: Then, question: &Question<'_>) -> Judgement {
    match meaning {
        // The fault is ours, or nobody's, and not the image's: it stays owed, and nothing is counted.
        Then::Stop | Then::Again => Judgement::of(nobodys_fault()),
        // Our own picture of it may be taken where its own bytes were not.
        Then::End(Reason::ImageRefused) if question.as_it_is && question.next.asks(Reason::ImageRefused) => {
            Judgement::of(Verdict::AskAgain { reason: Reason::ImageRefused, counted: true })
        }
        Then::End(reason) => Judgement::of(Verdict::Reject(reason)),
    }
}

fn reasoning_share(usage: Option<Usage>) -> f64 {
    usage.filter(|usage| usage.output > 0).map_or(0.0, |usage| usage.reasoning as f64 / usage.output as f64)
}

/// Asked again if that would ask something else; otherwise the end.
fn again(reason: Reason, question: &Question<'_>) -> Judgement {
    Judgement::of(if question.next.asks(reason) {
        Verdict::AskAgain { reason, counted: true }
    } else {
        Verdict::Reject(reason)
    })
}

fn answered(
    content: Option<&str>,
    refused: bool,
    finish: &Finish,
    usage: Option<Usage>,
    question: &Question<'_>,
) -> Judgement {
    match finish {
        Finish::ContentFilter => return Judgement::of(Verdict::Reject(Reason::ContentFilter)),
        _ if refused => return again(Reason::Refused, question).flagged("refused"),
        Finish::Length => return cut(content.unwrap_or_default(), usage, question),
        Finish::Stop | Finish::Other(_) => {}
    }
    // Where there is no content, nothing was said, not even that there is nothing.
    let Some(content) = content else { return again(Reason::Empty, question) };
    let judgement = match content::read(content, &question.reading) {
        Content::Text(polished, illegible) => text(polished, illegible, question),
        Content::Blank => blank(question),
        // What did not end by itself has not said that there is nothing.
        Content::Empty if *finish == Finish::Stop => empty(question),
        Content::Empty => again(Reason::Empty, question),
        Content::InvalidJson(why) => {
            let broken = again(Reason::JsonInvalid, question).flagged("json_invalid");
            Judgement { detail: Some(why), ..broken }
        }
        Content::Misfit(misfit) => {
            let misfits = again(Reason::SchemaMismatch, question).flagged("schema_mismatch");
            Judgement { detail: Some(misfit.to_string()), ..misfits }
        }
    };
    if matches!(finish, Finish::Other(_)) { judgement.flagged("unknown_finish") } else { judgement }
}

/// An answer that was cut at its token limit: never a text, not even in part.
fn cut(content: &str, usage: Option<Usage>, question: &Question<'_>) -> Judgement {
    let limits = &question.limits.repetition;
    if content.trim().is_empty() || reasoning_share(usage) >= EATEN {
        again(Reason::ReasoningAteBudget, question)
    } else if runs_away(content, limits) || deflates_away(content, limits) {
        again(Reason::Loop, question).flagged("loop")
    } else {
        again(Reason::Truncated, question).flagged("truncated")
    }
}

/// A page that the answer calls blank.
fn blank(question: &Question<'_>) -> Judgement {
    let blank = Judgement { text: Some(String::new()), ..Judgement::of(Verdict::Blank) }.flagged("blank");
    match question.ink {
        None => blank.hangs_on_ink(),
        Some(ink) if ink < WRITTEN_INK => blank,
        Some(_) if may_doubt_blankness(question) => doubted_blankness(),
        Some(_) => blank.flagged("blank_conflict"),
    }
}

/// Silence alone is not a blank page.
fn empty(question: &Question<'_>) -> Judgement {
    match question.ink {
        None => again(Reason::Empty, question).hangs_on_ink(),
        Some(ink) if ink < question.limits.blank_ink => {
            Judgement { text: Some(String::new()), ..Judgement::of(Verdict::Blank) }.flagged("blank")
        }
        Some(_) => again(Reason::Empty, question),
    }
}

/// A contradiction between answer and page is sent back once.
fn may_doubt_blankness(question: &Question<'_>) -> bool {
    question.after != Some(Reason::BlankConflict) && question.next.asks(Reason::BlankConflict)
}

fn doubted_blankness() -> Judgement {
    Judgement::of(Verdict::AskAgain { reason: Reason::BlankConflict, counted: true }).flagged("blank_conflict")
}

/// A complete text.
fn text(polished: Polished, illegible: bool, question: &Question<'_>) -> Judgement {
    // JSON is data: what its strings say is not said to us.
    let plain = !question.reading.json || question.reading.from != &content::TextFrom::Content;
    if plain && is_refusal(&polished.text) {
        return again(Reason::Refused, question).flagged("refused");
    }
    let loops = runs_away(&polished.text, &question.limits.repetition);
    if loops {
        let said = (question.hash)(polished.text.as_bytes());
        // What two answers say word for word stands on the page.
        if question.said != Some(said) {
            return Judgement { said: Some(said), ..again(Reason::Loop, question).flagged("loop") };
        }
    }
    let is_written = letters::count(&polished.text) >= question.limits.blank_letters;
    let invented = is_written && question.ink.is_some_and(|ink| ink < question.limits.blank_ink);
    if invented && may_doubt_blankness(question) {
        return doubted_blankness();
    }
    let mut judgement =
        Judgement::of(if plain && !polished.rough.is_empty() { Verdict::DeepClean } else { Verdict::Accept });
    judgement.needs_ink = is_written && question.ink.is_none();
    judgement.flag_if("blank_conflict", invented);
    judgement.flag_if("illegible", illegible);
    judgement.flag_if("repetition", plain && (loops || is_repetitive(&polished.text, &question.limits.repetition)));
    flag_cleaning(&mut judgement, &polished);
    judgement.steps = polished.steps;
    judgement.text = Some(polished.text);
    judgement
}

fn flag_cleaning(judgement: &mut Judgement, polished: &Polished) {
    let rough = |why: &str| polished.rough.contains(&why);
    judgement.flag_if("fenced", polished.was_changed_by("fence"));
    judgement.flag_if("escapes_decoded", polished.was_changed_by("escapes"));
    judgement.flag_if("replacement_char", polished.replacement);
    judgement.flag_if("prompt_echo", polished.was_changed_by(chatter::ECHOED) || rough("prompt_echo"));
    let machine = polished.rough.iter().any(|why| *why != "prompt_echo");
    judgement.flag_if("chatter", polished.was_changed_by(chatter::CHATTER) || machine);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::chunk::tests::recipe;
    use crate::clean::content::TextFrom;
    use crate::clean::polish::PolishOptions;
    use crate::domain::ids::ImageId;
    use crate::domain::image::RelPath;
    use crate::domain::ladder::Abilities;
    use crate::kit::hash::short;

    /// What is known beside an answer, by itself.
    struct Beside {
        json: bool,
        ink: Option<f64>,
        after: Option<Reason>,
        said: Option<[u8; 16]>,
        may_ask: bool,
        as_it_is: bool,
        usage: Option<Usage>,
    }

    const NOTHING: Beside =
        Beside { json: false, ink: None, after: None, said: None, may_ask: false, as_it_is: true, usage: None };
    const MORE: Beside = Beside { may_ask: true, ..NOTHING };

    fn by(beside: &Beside, outcome: Outcome) -> Judgement {
        let path = RelPath { folder: Vec::new(), name: b"a.jpg".to_vec(), page: 1 };
        let answer = Answer { image: ImageId(1), path, attempt: 1, outcome, usage: beside.usage };
        let polish = PolishOptions::default();
        let reading = Reading {
            json: beside.json,
            schema: None,
            from: &TextFrom::Content,
            polish: &polish,
            prompt: "Transcribe all text on this page.",
        };
        let ladder = ladder();
        let step = Next::Step { ladder: &ladder, kind: Kind::Read, attempt: 2, model: None };
        let question = Question {
            reading,
            limits: &Limits::default(),
            ink: beside.ink,
            after: beside.after,
            said: beside.said,
            as_it_is: beside.as_it_is,
            next: if beside.may_ask { step } else { Next::Nothing },
            hash: short,
        };
        judge(&answer, &question)
    }

    fn ladder() -> Ladder {
        let lookup = |_: &str| Abilities {
            efforts: vec!["none".to_owned()],
            temperature: false,
            details: &["low", "high"],
            max_output_tokens: 16_000,
            image: None,
        };
        Ladder::new(recipe(Kind::Read), recipe(Kind::Deep), None, lookup)
    }

    fn answered(content: &str, finish: Finish) -> Outcome {
        Outcome::Answered { content: Some(content.to_owned()), refusal: None, finish }
    }

    fn failed(status: u16, code: &str, param: &str, message: &str) -> Outcome {
        Outcome::Error { status, code: code.into(), param: param.into(), message: message.into() }
    }

    fn counted(reason: Reason) -> Verdict {
        Verdict::AskAgain { reason, counted: true }
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
            let judgement = by(&NOTHING, outcome.clone());
            assert_eq!((judgement.verdict, judgement.text.as_deref()), (verdict, text), "{outcome:?}");
        }
    }

    #[test]
    fn what_can_be_asked_otherwise_is_asked_again() {
        let run = "and the man said to him ".repeat(40);
        let cases = [
            (answered("half a te", Finish::Length), Reason::Truncated, vec!["truncated"]),
            (answered(" ", Finish::Length), Reason::ReasoningAteBudget, vec![]),
            (answered("", Finish::Stop), Reason::Empty, vec![]),
            (
                answered("I'm sorry, but I can't assist with that request.", Finish::Stop),
                Reason::Refused,
                vec!["refused"],
            ),
            (answered(&run, Finish::Stop), Reason::Loop, vec!["loop"]),
            (answered(&run, Finish::Length), Reason::Loop, vec!["loop"]),
        ];
        for (outcome, reason, flags) in cases {
            let judgement = by(&MORE, outcome.clone());
            assert_eq!((judgement.verdict, judgement.flags), (counted(reason), flags), "{outcome:?}");
            assert_eq!(judgement.text, None);
        }
        let broken = by(&Beside { json: true, ..MORE }, answered("{\"a\":", Finish::Stop));
        assert_eq!(broken.verdict, counted(Reason::JsonInvalid));
        assert!(broken.detail.is_some_and(|why| why.contains("EOF")));
        let eaten = Usage { prompt: 1000, cached: 0, output: 100, reasoning: 95 };
        let judgement = by(&Beside { usage: Some(eaten), ..MORE }, answered("a few wor", Finish::Length));
        assert_eq!((judgement.verdict, judgement.flags), (counted(Reason::ReasoningAteBudget), vec!["high_reasoning"]));
    }

    #[test]
    fn what_is_said_twice_word_for_word_stands_on_the_page() {
        let run = answered(&"Amen, and again ".repeat(40), Finish::Stop);
        let first = by(&MORE, run.clone());
        let twice = Beside { said: first.said, after: Some(Reason::Loop), ..MORE };
        let second = by(&twice, run);
        assert_eq!((second.verdict, second.flags), (Verdict::Accept, vec!["repetition"]));
        assert!(second.text.is_some());
    }

    #[test]
    fn a_contradiction_between_ink_and_answer_is_sent_back_once() {
        let letters: String = (100..130).map(|n| format!("Of word {n} nothing stands on it. ")).collect();
        let (white, black) = (Some(0.0002), Some(0.05));
        let told_blank = || answered("[blank page]", Finish::Stop);
        let conflict = counted(Reason::BlankConflict);
        let again = Some(Reason::BlankConflict);
        let cases = [
            (told_blank(), white, None, Verdict::Blank, false),
            (told_blank(), black, None, conflict.clone(), true),
            (told_blank(), black, again, Verdict::Blank, true),
            (answered(&letters, Finish::Stop), white, None, conflict, true),
            (answered(&letters, Finish::Stop), white, again, Verdict::Accept, true),
            (answered(&letters, Finish::Stop), black, None, Verdict::Accept, false),
            (answered("No. 5", Finish::Stop), white, None, Verdict::Accept, false),
            (answered("", Finish::Stop), white, None, Verdict::Blank, false),
            (answered("", Finish::Stop), black, None, counted(Reason::Empty), false),
        ];
        for (outcome, ink, after, verdict, flagged) in cases {
            let judgement = by(&Beside { ink, after, ..MORE }, outcome.clone());
            assert!(!judgement.needs_ink);
            let flag = judgement.flags.contains(&"blank_conflict");
            assert_eq!((judgement.verdict, flag), (verdict, flagged), "{outcome:?} {ink:?} {after:?}");
        }
        for outcome in [told_blank(), answered(&letters, Finish::Stop), answered("", Finish::Stop)] {
            assert!(by(&MORE, outcome).needs_ink, "nobody has measured it");
        }
        assert!(!by(&MORE, answered("No. 5", Finish::Stop)).needs_ink);
    }

    #[test]
    fn flags_tell_what_cleaning_found() {
        let cases: [(&str, Verdict, &[&str]); 6] = [
            ("```\ntext\n```", Verdict::Accept, &["fenced"]),
            ("Here is the transcription:\n\ntext", Verdict::Accept, &["chatter"]),
            ("text\nThe image shows a stamp.", Verdict::DeepClean, &["chatter"]),
            ("te\u{fffd}t", Verdict::Accept, &["replacement_char"]),
            ("[illegible]", Verdict::Accept, &["illegible"]),
            ("one\none\none\none\none", Verdict::Accept, &["repetition"]),
        ];
        for (content, verdict, flags) in cases {
            let judgement = by(&NOTHING, answered(content, Finish::Stop));
            assert_eq!((judgement.verdict, judgement.flags.as_slice()), (verdict, flags), "{content}");
            assert!(judgement.text.is_some());
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
            let judgement = by(&NOTHING, outcome.clone());
            assert_eq!((judgement.verdict, against_the_run(&outcome).is_some()), (verdict, stops), "{outcome:?}");
        }
        let refused = |beside: &Beside| by(beside, failed(400, "invalid_image_format", "", "")).verdict;
        let remade = Verdict::AskAgain { reason: Reason::ImageRefused, counted: true };
        assert_eq!(refused(&MORE), remade, "a picture of ours may be taken");
        assert_eq!(refused(&Beside { as_it_is: false, ..MORE }), Verdict::Reject(Reason::ImageRefused));
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
