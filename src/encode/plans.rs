//! The open plans: one for each recipe in use, because a batch is asked with one recipe.

use super::line::Framer;
use super::pack::{Candidate, Closed, Limits, OpenPlan, Outside};
use super::workshop::Ready;
use crate::domain::ids::RecipeId;
use crate::domain::image::{OwedImage, Pixels};
use crate::domain::money::{Charge, Money};
use crate::domain::shard::SealReason;
use crate::domain::tokens::Counting;
use crate::kit::clock::Millis;

/// What is sent of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sent {
    /// The bytes of its file.
    Itself,
    /// A picture that was made of it.
    Prepared(Ready),
    /// Its rough text, so many bytes long in JSON.
    Rough(u64),
}

/// The plan that lines of one recipe go into.
#[derive(Debug)]
pub(super) struct Open {
    /// The recipe's row.
    pub(super) recipe: RecipeId,
    /// Frames its lines.
    pub(super) framer: Framer,
    /// How the tokens of its lines are estimated.
    pub(super) counting: Counting,
    /// What its lines are charged, where that is known.
    pub(super) charge: Option<Charge>,
    /// Its lines so far.
    pub(super) plan: OpenPlan,
    /// Bounds of the plan.
    pub(super) limits: Limits,
    /// Estimated tokens that the provider enqueues at most, when the plan was begun.
    pub(super) queue_limit: Option<u64>,
}

impl Open {
    /// What `image` adds to the plan, by what is sent of it.
    pub(super) fn candidate(&self, image: &OwedImage, sent: &Sent) -> Candidate {
        let format = if let Sent::Prepared(ready) = sent { ready.prepared.format } else { image.format };
        let frame = self.framer.frame(&image.path, format);
        let prompt = self.framer.prompt_bytes();
        let (bytes, tokens) = match sent {
            Sent::Rough(escaped) => (frame.around(*escaped), Counting::text(prompt + escaped)),
            Sent::Itself => (frame.line_bytes(image.stamp.bytes), self.counting.line(image.pixels, prompt)),
            Sent::Prepared(Ready { prepared, .. }) => {
                let pixels = Pixels { width: prepared.width, height: prepared.height };
                (frame.line_bytes(prepared.bytes), self.counting.line(pixels, prompt))
            }
        };
        let worst = self.charge.as_ref().map_or(Money::ZERO, |charge| charge.worst(tokens, 1));
        Candidate { image: image.id, bytes, tokens, worst, first: image.first }
    }
}

/// All of them. A plan that was sealed leaves its place for the next one of its recipe: there are only so many.
#[derive(Debug, Default)]
pub(super) struct Plans(Vec<Open>);

impl Plans {
    /// The plan of a recipe, if it ever had one.
    pub(super) fn of(&mut self, recipe: RecipeId) -> Option<&mut Open> {
        self.0.iter_mut().find(|open| open.recipe == recipe)
    }

    /// Makes room for the plan of another recipe.
    pub(super) fn begin(&mut self, open: Open) {
        self.0.push(open);
    }

    /// How many of them hold lines.
    pub(super) fn begun(&self) -> u64 {
        self.0.iter().filter(|open| !open.plan.is_empty()).count() as u64
    }

    /// Lines of all open plans.
    fn lines(&self) -> u64 {
        self.0.iter().map(|open| open.plan.len() as u64).sum()
    }

    /// The first plan whose turn has come, closed.
    pub(super) fn due(&mut self, outside: Outside, now: Millis) -> Option<(RecipeId, Closed)> {
        let outside = Outside { planned: self.lines(), ..outside };
        self.0.iter_mut().find_map(|open| {
            let reason = open.plan.due(&outside, &open.limits, now)?;
            Some((open.recipe, open.plan.close(reason)?))
        })
    }

    /// Any plan that has lines, closed: nothing more comes, or there is no room for more.
    pub(super) fn rest(&mut self, reason: SealReason) -> Option<(RecipeId, Closed)> {
        self.0.iter_mut().find_map(|open| Some((open.recipe, open.plan.close(reason)?)))
    }

    /// When the next plan is sealed for its age at the latest (unix milliseconds).
    pub(super) fn age_deadline(&self) -> Option<Millis> {
        self.0.iter().filter_map(|open| open.plan.age_deadline(&open.limits)).min()
    }
}
