//! The canary: before money goes into batches of settings that never brought an answer, it is found out whether the model
//! takes them at all. A wrong parameter fails every line alike, and without this a whole batch is lost on finding that out.
//!
//! *Directly*: one line is asked by itself, around a blank page of our own. It has every setting of the run and the framing of
//! its lines, because it is cut out of one; it has none of the user's pictures, so no image is paid for twice and none leaves
//! before its batch does. It costs some hundred tokens, a fraction of a cent, and says so. *By a batch*, where nobody can be
//! asked directly: one small batch goes alone, and the others follow once an answer of it was accepted. If none was, the next
//! one goes alone in its turn.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::send::{PAUSES, SendError, Sender};
use crate::domain::ids::RecipeId;
use crate::domain::money::{Charge, ListPrice, Money, Price, Shortage};
use crate::domain::shard::ShardFacts;
use crate::kit::clock::millis;
use crate::kit::crash;
use crate::kit::news::Notice;
use crate::kit::random;
use crate::kit::stop::StopLevel;
use crate::kit::watch;
use crate::ledger::records::Standing;
use crate::provider::errors::{self, IMAGE, Then};
use crate::provider::failure::{Failure, Kind};
use crate::provider::wire;

/// Lines of a batch that goes ahead alone.
pub const BATCH_LINES: usize = 10;
/// How often a question without a definite answer is asked: each may have been paid for.
const MOST_QUESTIONS: u32 = 3;
/// Bytes kept of an answer; that to a blank page is short.
const LONGEST_KEPT: usize = 64 << 10;
/// Longest pause between two questions, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the settings are tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One line is asked directly.
    Directly,
    /// A batch goes ahead alone.
    ByBatch,
    /// Not at all.
    Not,
}

/// What all journeys of one process know of the settings.
#[derive(Debug)]
pub struct Canary {
    way: Way,
    /// Nobody could be asked directly.
    unanswered: AtomicBool,
    taken: Mutex<HashSet<RecipeId>>,
    /// Who finds out; the others wait.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What a shard may do.
#[derive(Debug)]
pub(super) enum Leave {
    /// Be sent. With a turn it goes ahead alone: the turn is kept until its batch is open.
    Go(#[expect(dead_code, reason = "held, never read")] Option<OwnedMutexGuard<()>>),
    /// Wait for answers that nobody here waits for.
    NotNow,
    /// Nothing: what is left does not pay for the question.
    TooDear(Shortage),
    /// Never: its settings were changed before anybody answered them.
    GiveUp,
}

/// What the failure of a direct question says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Every line would be refused.
    Stop,
    /// Nothing; the same question again may help.
    Again,
    /// Nothing, and it never will.
    Nothing,
}

/// What a direct question came to.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The model takes the settings.
    Taken,
    /// Nobody could be asked.
    Unanswered,
    /// What is left does not pay for it.
    TooDear(Shortage),
}

impl Canary {
    /// A canary that has found out nothing.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { way, unanswered: AtomicBool::new(false), taken: Mutex::default(), turn: Arc::default() }
    }

    fn way(&self) -> Way {
        match self.way {
            Way::Directly if self.unanswered.load(Ordering::Relaxed) => Way::ByBatch,
            way => way,
        }
    }

    fn are_taken(&self, recipe: RecipeId) -> bool {
        self.way == Way::Not
            || crash::without("canary")
            || self.taken.lock().unwrap_or_else(PoisonError::into_inner).contains(&recipe)
    }

    fn take(&self, recipe: RecipeId) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(recipe);
    }
}

/// Sorts the failure of a direct question. The table of result lines decides, with two differences. The picture was ours and
/// good, so a refusal that names neither a setting nor a picture means every line, too. And a 404 that does not speak of the
/// model only says that there is nothing at this address.
fn says(failure: &Failure) -> Says {
    match failure.kind {
        Kind::Key | Kind::Forbidden | Kind::Money => Says::Stop,
        Kind::Unreached | Kind::Busy | Kind::QueueFull => Says::Again,
        Kind::Doubt => match failure.status {
            None | Some(408..=409 | 425 | 500 | 502..=599) => Says::Again,
            Some(_) => Says::Nothing,
        },
        Kind::NotFound if speaks_of_model(failure) => Says::Stop,
        Kind::NotFound | Kind::TooLarge | Kind::Body => Says::Nothing,
        Kind::Refused | Kind::NoSuchFile => {
            match errors::meaning(failure.status.unwrap_or(400), &failure.code, &failure.param, &failure.message) {
                Then::Again => Says::Again,
                Then::End(_) if IMAGE.is_told(&failure.code, "", &failure.message) => Says::Nothing,
                Then::Stop | Then::End(_) => Says::Stop,
            }
        }
    }
}

fn speaks_of_model(failure: &Failure) -> bool {
    failure.code == "model_not_found" || failure.param == "model" || failure.message.to_lowercase().contains("model")
}

/// Tokens of an answer, as told.
fn tokens(answer: &Value) -> Option<u64> {
    answer.get("usage")?.get("total_tokens")?.as_u64()
}

impl Sender {
    /// Whether `shard` may be uploaded and paid for; asked before both.
    pub(super) async fn leave(&self, shard: &ShardFacts) -> Result<Leave, SendError> {
        let (canary, recipe) = (&self.canary, shard.recipe);
        if canary.are_taken(recipe) {
            return Ok(Leave::Go(None));
        }
        let turn = tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => return Err(SendError::Stopped),
            turn = Arc::clone(&canary.turn).lock_owned() => turn,
        };
        let mut standing = self.ledger.standing();
        loop {
            standing.borrow_and_update();
            if canary.are_taken(recipe) || self.ledger.is_proven(recipe).await? {
                canary.take(recipe);
                return Ok(Leave::Go(None));
            }
            if !self.ledger.is_on_its_way(recipe).await? {
                break;
            }
            if canary.way() == Way::Directly {
                // An earlier process has found out and sent its batches; what they bring is judged like any other.
                return Ok(Leave::Go(None));
            }
            if !self.options.answers_come {
                return Ok(Leave::NotNow);
            }
            self.something_moves(&mut standing).await?;
        }
        if !self.options.recipes.contains(recipe).await? {
            return Ok(Leave::GiveUp);
        }
        if canary.way() == Way::Directly {
            match self.asked_directly(shard).await? {
                Asked::Taken => {
                    canary.take(recipe);
                    return Ok(Leave::Go(None));
                }
                Asked::TooDear(shortage) => return Ok(Leave::TooDear(shortage)),
                Asked::Unanswered => {}
            }
        }
        tracing::info!(shard = shard.id.0, "goes ahead alone: its settings never brought an answer");
        Ok(Leave::Go(Some(turn)))
    }

    async fn something_moves(&self, standing: &mut watch::Receiver<Standing>) -> Result<(), SendError> {
        tokio::select! {
            biased;
            () = self.stop.reached(StopLevel::Drain) => Err(SendError::Stopped),
            // An error means that the ledger is closed, which the next question to it will say.
            _ = standing.changed() => Ok(()),
        }
    }

    /// What asking a line of `shard` directly came to.
    async fn asked_directly(&self, shard: &ShardFacts) -> Result<Asked, SendError> {
        let question = self.bodies.specimen(shard.id).await.map_err(|error| SendError::Body(error.to_string()))?;
        let charge = self.direct_charge(shard).await?;
        let worst = charge.as_ref().map(|charge| charge.worst(shard.est_tokens + question.len() as u64, 1));
        let (mut failures, mut unheard) = (0, 0);
        loop {
            if let Some(worst) = worst
                && let Err(shortage) = self.ledger.ask_directly(worst).await?
            {
                return Ok(Asked::TooDear(shortage));
            }
            let answer = tokio::select! {
                biased;
                () = self.stop.reached(StopLevel::Drain) => return Err(SendError::Stopped),
                answer = self.provider.ask(&shard.endpoint, question.clone()) => answer,
            };
            let failure = match answer {
                Ok(answer) => {
                    let bill = charge.zip(wire::usage(&answer)).map(|(charge, usage)| charge.list.price.bill(&usage));
                    self.give_back(worst, bill).await?;
                    return self.answered(&answer).await.map(|()| Asked::Taken);
                }
                Err(failure) => failure,
            };
            if !matches!(failure.kind, Kind::Doubt | Kind::Body) {
                // Refused, or never heard: nothing was charged. Anything else may have been answered.
                self.give_back(worst, Some(Money::ZERO)).await?;
            }
            failures += 1;
            if failure.kind == Kind::Unreached {
                // Nothing was asked, and nothing else could be sent either.
                self.still_unreached(&failure)?;
            } else {
                unheard += 1;
            }
            match says(&failure) {
                Says::Stop => return Err(failure.into()),
                Says::Again if unheard < MOST_QUESTIONS => {
                    let pause = failure.retry_after.unwrap_or_else(|| PAUSES.pause(failures, random::unit()));
                    self.pause_until(self.clock.now() + millis(pause.min(LONGEST_PAUSE))).await?;
                }
                Says::Again | Says::Nothing => {
                    self.unanswered(&failure);
                    return Ok(Asked::Unanswered);
                }
            }
        }
    }

    /// What a direct question is charged: twice the price through Batch. Source: OpenAI's Batch guide, "50 % lower costs".
    async fn direct_charge(&self, shard: &ShardFacts) -> Result<Option<Charge>, SendError> {
        let recipe = self.options.recipes.kept(shard.recipe).await?;
        let charge = (self.options.charges)(&recipe);
        Ok(charge.map(|Charge { list, most_output, input_percent }| {
            let price =
                Price { input: 2 * list.price.input, cached: 2 * list.price.cached, output: 2 * list.price.output };
            Charge { list: ListPrice { price, ..list }, most_output, input_percent }
        }))
    }

    /// Gives back what a question did not cost of its worst case; all of that counts where its bill is unknown.
    async fn give_back(&self, worst: Option<Money>, bill: Option<Money>) -> Result<(), SendError> {
        if let Some((worst, bill)) = worst.zip(bill) {
            self.ledger.give_back(worst.less(bill)).await?;
        }
        Ok(())
    }

    /// The blank page is nobody's image: its answer is kept with its cost, which is told, and goes nowhere else.
    async fn answered(&self, answer: &Value) -> Result<(), SendError> {
        self.reached();
        let tokens =
            tokens(answer).map_or_else(|| "at an unknown cost".to_owned(), |tokens| format!("{tokens} tokens"));
        let text = format!("{} takes these settings (a blank page was asked directly, {tokens})", self.provider.host());
        // Whatever was paid for is kept as it came.
        let mut kept = answer.to_string();
        kept.truncate(kept.floor_char_boundary(LONGEST_KEPT));
        self.ledger.note_event("canary".to_owned(), None, kept).await?;
        self.news.tell(Notice::Canary { text });
        Ok(())
    }

    fn unanswered(&self, failure: &Failure) {
        self.canary.unanswered.store(true, Ordering::Relaxed);
        let text = format!(
            "{} could not be asked directly whether it takes these settings: {}",
            failure.host, failure.message
        );
        let hint =
            "the first batch goes alone, the others follow its answers; run.canary = \"batch\" spares the question";
        self.news.warn("E317", text, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::failure::{Hints, classify};

    #[test]
    fn a_direct_question_stops_the_run_only_for_what_every_line_would_meet() {
        let error = |members: &str| format!("{{\"error\":{{{members}}}}}");
        let table = [
            (401, String::new(), Says::Stop),
            (429, error(r#""code":"insufficient_quota""#), Says::Stop),
            (429, String::new(), Says::Again),
            (500, String::new(), Says::Again),
            (503, "<html>".to_owned(), Says::Again),
            (408, String::new(), Says::Again),
            (501, String::new(), Says::Nothing),
            (405, error(""), Says::Nothing),
            (404, "<html>".to_owned(), Says::Nothing),
            (404, r#"{"detail":"Not Found"}"#.to_owned(), Says::Nothing),
            (404, error(r#""message":"Invalid URL (POST /v1/chat/completions)""#), Says::Nothing),
            (404, error(r#""message":"The model `x` does not exist.","code":404"#), Says::Stop),
            (404, error(r#""code":"model_not_found""#), Says::Stop),
            (400, error(r#""code":"unsupported_value","param":"temperature""#), Says::Stop),
            (400, error(r#""message":"Invalid schema","param":"response_format""#), Says::Stop),
            (400, error(r#""message":"This model does not see images.""#), Says::Stop),
            (400, error(r#""code":"image_too_small""#), Says::Nothing),
            (400, "no".to_owned(), Says::Nothing),
            (413, "<html>".to_owned(), Says::Nothing),
        ];
        for (status, body, expected) in table {
            let failure = classify("host", status, Hints::default(), body.as_bytes());
            assert_eq!(says(&failure), expected, "{status} {body}");
        }
        assert_eq!(says(&Failure::new(Kind::Unreached, "host", "refused")), Says::Again);
        assert_eq!(says(&Failure::new(Kind::Doubt, "host", "timed out")), Says::Again);
    }
}
