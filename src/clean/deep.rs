//! Deep cleaning: a rough text went back to the model without its page, and what came back is taken only if the guard finds every
//! word and number of it again, but for those that were recognised as the machine's.

use super::chunk::Hands;
use super::judge::{self, Judgement};
use super::polish::{Step, polish};
use super::{chatter, guard};
use crate::corpus::rough;
use crate::domain::answer::BLANK_PAGE;
use crate::domain::answer::{Answer, Finish, Outcome};
use crate::domain::image::Reason;
use crate::domain::verdict::Verdict;
use crate::kit::hash::{self, Short};
use crate::ledger::records::KnownText;

/// The name under which its difference is kept.
pub(super) const RULE: &str = "deep_clean";

/// Judges the answer to a rough text.
pub(super) fn judge(answer: &Answer, known: &KnownText, hands: &Hands) -> Judgement {
    let Outcome::Answered { content, refusal, finish } = &answer.outcome else {
        return judge::judge(answer, &hands.rules.question(&hands.recipe, None, answer, known));
    };
    let is_whole = matches!(finish, Finish::Stop | Finish::Other(_)) && refusal.is_none();
    let Some(content) = content.as_deref().filter(|_| is_whole) else { return refused(Vec::new()) };
    if hands.again {
        return stands(content, known, hands);
    }
    let Some((hash, before)) = known.hash.and_then(|hash| Some((hash, the_rough_text(hands, answer, hash)?))) else {
        // A person was at it: it is his now.
        return Judgement::of(Verdict::Reject(Reason::DeepRejected));
    };
    compared(content, &before, hash, hands)
}

/// Judged again: the rough text is gone, so all that can be said is whether this answer made the text that we wrote.
fn stands(content: &str, known: &KnownText, hands: &Hands) -> Judgement {
    let text = polish(content, &hands.rules.polish, &hands.rules.ladder.base().prompt).text;
    if known.hash != Some(hash::short(text.as_bytes())) {
        return Judgement::of(Verdict::AskAgain { reason: Reason::NeverRan, counted: false });
    }
    Judgement { text: Some(text), ..Judgement::of(Verdict::Accept).flagged("deep_cleaned") }
}

fn the_rough_text(hands: &Hands, answer: &Answer, hash: Short) -> Option<String> {
    rough::read(&*hands.corpus, &answer.path, hash).ok().flatten()
}

fn compared(content: &str, before: &str, hash: Short, hands: &Hands) -> Judgement {
    let rules = &hands.rules;
    let prompt = &rules.ladder.base().prompt;
    let polished = polish(content, &rules.polish, prompt);
    let is_text = !matches!(polished.text.trim(), "" | BLANK_PAGE);
    let difference = guard::compare(before, &polished.text, &chatter::spans(before, prompt));
    let accepted = is_text && difference.is_accepted(rules.deep_changed_words);
    let step = Step { rule: RULE, took: String::new(), rough: Some(hash::hex(&hash)), difference: Some(difference) };
    if !accepted {
        return refused(vec![step]);
    }
    let mut judgement = Judgement::of(Verdict::Accept).flagged("deep_cleaned");
    if !polished.rough.is_empty() {
        // The model let it stand, so it may be the page's: for a person to see.
        judgement = judgement.flagged("chatter");
    }
    judgement.steps = vec![step];
    judgement.text = Some(polished.text);
    judgement
}

/// Asked once more, and then the rough text stays.
fn refused(steps: Vec<Step>) -> Judgement {
    Judgement { steps, ..Judgement::of(Verdict::AskAgain { reason: Reason::DeepRejected, counted: true }) }
}
