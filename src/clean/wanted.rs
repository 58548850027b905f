//! Which answers of a chunk end an image.

use std::collections::HashMap;

use super::chunk::Work as Judging;
use crate::domain::answer::{Answer, Outcome};
use crate::domain::ids::{ImageId, ShardId};
use crate::ledger::LedgerError;
use crate::ledger::keeper::Ledger;
use crate::ledger::moves::ImageState;

/// The answers that end an image of this shard, each with the hash of the text that we wrote there last. A second answer
/// to one image stays raw: of several, the first that has a text counts, otherwise the first. `again`: they are judged once more.
pub(super) async fn wanted(
    ledger: &Ledger,
    again: bool,
    shard: ShardId,
    answers: Vec<Answer>,
) -> Result<Vec<Judging>, LedgerError> {
    let images = answers.iter().map(|answer| answer.image).collect();
    let known = ledger.known_texts(images).await?;
    let mut wanted: Vec<Judging> = Vec::with_capacity(answers.len());
    let mut places: HashMap<ImageId, usize> = HashMap::with_capacity(answers.len());
    let has_text = |answer: &Answer| matches!(answer.outcome, Outcome::Answered { .. });
    for (answer, text) in answers.into_iter().zip(known) {
        let judged = matches!(text.state, Some(ImageState::Done | ImageState::Rough | ImageState::Failed));
        let at_hand = if again { judged } else { text.packed_in.is_some() };
        if !at_hand || text.shard != Some(shard) {
            continue;
        }
        match places.get(&answer.image) {
            None => {
                places.insert(answer.image, wanted.len());
                wanted.push((answer, text));
            }
            Some(place) if has_text(&answer) && !has_text(&wanted[*place].0) => wanted[*place].0 = answer,
            Some(_) => tracing::warn!(path = %answer.path.shown(), "a second answer to one image stays raw"),
        }
    }
    Ok(wanted)
}
