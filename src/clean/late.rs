//! Errors wait until every line of their batch is read: an answer to the same image beats them, wherever in the files it stands.
//! One that was judged at once might end its image, or have it asked and paid for again, before its answer is reached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::answer::{Answer, MOST_TOGETHER, Outcome};
use crate::domain::ids::{BatchNo, ImageId};
use crate::message::AnswersRead;

/// The errors so far of batches that are being read.
#[derive(Default)]
pub(super) struct Late(HashMap<BatchNo, Held>);

#[derive(Default)]
struct Held {
    answered: HashSet<ImageId>,
    /// Images that have an error: their first one counts, and a file that repeats them takes no more memory.
    failed: HashSet<ImageId>,
    errors: Option<AnswersRead>,
}

impl Late {
    /// Keeps the errors of a chunk, and gives its answers back.
    pub(super) fn hold(&mut self, chunk: AnswersRead) -> AnswersRead {
        let AnswersRead { batch, recipe, answers } = chunk;
        let is_answer = |answer: &Answer| matches!(answer.outcome, Outcome::Answered { .. });
        let (answers, errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(is_answer);
        let held = self.0.entry(batch.no).or_default();
        held.answered.extend(answers.iter().map(|answer| answer.image));
        let errors: Vec<Answer> = errors.into_iter().filter(|error| held.failed.insert(error.image)).collect();
        if !errors.is_empty() {
            let none = || AnswersRead { batch: batch.clone(), recipe: Arc::clone(&recipe), answers: Vec::new() };
            held.errors.get_or_insert_with(none).answers.extend(errors);
        }
        AnswersRead { batch, recipe, answers }
    }

    /// The errors of a batch whose lines are all read, in chunks as they came; not those of images that have an answer.
    pub(super) fn release(&mut self, batch: BatchNo) -> Vec<AnswersRead> {
        let Some(Held { answered, errors: Some(held), .. }) = self.0.remove(&batch) else { return Vec::new() };
        let AnswersRead { batch, recipe, mut answers } = held;
        answers.retain(|error| !answered.contains(&error.image));
        let mut chunks = Vec::new();
        while !answers.is_empty() {
            let rest = answers.split_off(answers.len().min(MOST_TOGETHER));
            let (batch, recipe) = (batch.clone(), Arc::clone(&recipe));
            chunks.push(AnswersRead { batch, recipe, answers: std::mem::replace(&mut answers, rest) });
        }
        chunks
    }
}
