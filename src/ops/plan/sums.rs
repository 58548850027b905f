//! The sums of a plan, image by image.

use std::collections::BTreeMap;

use super::others::Others;
use super::packing::Packing;
use super::{Ask, Correction, Lessons, Plan, Told, line_bytes, text_bytes};
use crate::domain::image::{Fate, Found, Looks, Needs, Pixels, Reason};
use crate::domain::recipe::WayOut;
use crate::domain::stale;
use crate::domain::tokens::Counting;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{KnownImage, Made};
use crate::ledger::second_look::{Act, judge};
use crate::settings::{ProviderKind, Settings};

/// Bytes of a JPEG for a thousand pixels of a page at quality 85. Counted: ten scanned pages in colour, 178.
const JPEG_PER_MILLE: u64 = 178;
/// Output tokens of a page before any was seen: at least, as expected.
const GUESS: [u64; 2] = [150, 600];

/// Sums under way.
pub(super) struct Sums<'a> {
    ask: &'a Ask<'a>,
    lessons: &'a Lessons,
    counting: Counting,
    packing: Packing,
    others: Others,
    largest_line: u64,
    /// What is known so far.
    pub(super) plan: Plan,
}

impl<'a> Sums<'a> {
    pub(super) fn new(ask: &'a Ask<'a>, lessons: &'a Lessons) -> Self {
        let settings = ask.settings;
        let counting = settings.models.counting(&ask.recipe.model, &ask.recipe.parameters.detail);
        let queue_limit = settings.batch.max_enqueued_tokens.or(lessons.queue_limit);
        let bounds = bounds(settings, queue_limit);
        let plan = Plan { queue_limit, correction: correction(ask, lessons, &ask.recipe.model), ..Plan::default() };
        let (packing, others) = (Packing::new(bounds), Others::new(ask, bounds));
        Self { ask, lessons, counting, packing, others, largest_line: 0, plan }
    }

    /// Counts one page of a file, or a copy of one; what a list says of it. A page that is new is passed over for a text that is
    /// there.
    pub(super) fn take(
        &mut self,
        found: &Found,
        (page, passed_over): (u32, bool),
        known: Option<&KnownImage>,
        made: &[Made],
        is_copy: bool,
    ) -> Option<Told> {
        self.plan.found += 1;
        if is_copy {
            self.plan.copies += 1;
            return None;
        }
        let Some(known) = known else { return Some(self.new_one(found, page, passed_over)) };
        // The walk of a run looks at it anew, and ends or asks about what has changed since.
        if matches!(judge(&known.last, found), Act::Ask { .. } | Act::End(..)) {
            return Some(self.by_fate(found, page));
        }
        let reason = || known.reason.clone().unwrap_or_default();
        match known.last.state {
            ImageState::Owed => Some(self.by_fate(found, page)),
            ImageState::Packed => {
                self.plan.in_flight += 1;
                None
            }
            ImageState::Done => self.done(known, made),
            ImageState::Rough => {
                self.plan.rough += 1;
                None
            }
            ImageState::Failed => Some(ended(&mut self.plan.failed, reason())),
            ImageState::Skipped => Some(ended(&mut self.plan.skipped, reason())),
        }
    }

    fn new_one(&mut self, found: &Found, page: u32, passed_over: bool) -> Told {
        if passed_over && matches!(found.fate, Fate::Owed(_)) {
            return ended(&mut self.plan.skipped, Reason::TextPresent.word().to_owned());
        }
        self.by_fate(found, page)
    }

    fn by_fate(&mut self, found: &Found, page: u32) -> Told {
        match &found.fate {
            Fate::Owed(looks) => {
                let (bytes, pixels) = self.sent(found.stamp.bytes, looks, page);
                self.owed(bytes, pixels);
                Told::Owed
            }
            Fate::Failed(reason) => ended(&mut self.plan.failed, reason.word().to_owned()),
            Fate::Skipped(reason) => ended(&mut self.plan.skipped, reason.word().to_owned()),
        }
    }

    /// Bytes and pixels of what is sent of a page; of a picture that is made here, as many bytes as its pixels let expect.
    fn sent(&mut self, bytes: u64, looks: &Looks, page: u32) -> (u64, Pixels) {
        let pixels = looks.of_page(page).unwrap_or(Pixels { width: 1, height: 1 });
        let how = self.ask.recipe.preparation();
        if how.way(looks.format, looks.needs, pixels) != WayOut::Prepared {
            return (bytes, pixels);
        }
        self.plan.converted += 1;
        let size = how.size_of(pixels);
        let made = size.count().saturating_mul(JPEG_PER_MILLE).div_ceil(1000);
        // What is only fitted is sent as it is where that is shorter.
        let is_own = looks.needs == Needs::Nothing && looks.format.goes_as_it_is() && how.only_fits(pixels);
        (if is_own { made.min(bytes) } else { made }, size)
    }

    fn owed(&mut self, image: u64, pixels: Pixels) {
        let recipe = self.ask.recipe;
        let line = [1, line_bytes(recipe, image), self.counting.line(pixels, text_bytes(recipe))];
        self.packing.add(line);
        self.others.add(recipe, image, pixels);
        self.plan.owed += 1;
        self.plan.bytes += line[1];
        self.plan.tokens_in += line[2];
        self.largest_line = self.largest_line.max(line[2]);
    }

    fn done(&mut self, known: &KnownImage, made: &[Made]) -> Option<Told> {
        self.plan.done += 1;
        let row = known.made_by?;
        let real = is_real(self.ask.settings);
        if known.built_in == real {
            self.plan.built_in += u64::from(real);
            return None;
        }
        let recipe = &made.iter().find(|one| one.row == row)?.recipe;
        let changed = stale::changed(recipe, self.ask.recipe);
        if changed.is_empty() {
            return None;
        }
        self.plan.stale += 1;
        Some(Told::Stale(changed))
    }

    pub(super) fn close(self) -> Plan {
        let (settings, model) = (self.ask.settings, &self.ask.recipe.model);
        let mut plan = self.plan;
        let corrected = |tokens: u64| plan.correction.map_or(tokens, |correction| correction.apply(tokens));
        let most = u64::from(settings.request.max_output_tokens);
        plan.largest_page = corrected(self.largest_line) + most;
        plan.tokens_in = corrected(plan.tokens_in);
        plan.batches = self.packing.batches();
        plan.binds = self.packing.binds();
        plan.measured = self.lessons.output.is_some();
        plan.tokens_out = tokens_out(plan.owed, self.lessons.output, most);
        if is_real(settings) {
            let price = settings.models.price(model);
            plan.cost = price.map(|price| plan.tokens_out.map(|tokens| price.of(plan.tokens_in, tokens)));
            let correction = |model: &str| correction(self.ask, self.lessons, model);
            plan.others = self.others.close(self.ask, plan.tokens_out[1], correction);
        }
        plan
    }
}

/// Output tokens of so many pages: at least, as expected, at most. Answers so far say more than any guess.
fn tokens_out(pages: u64, output: Option<[u64; 2]>, most: u64) -> [u64; 3] {
    match output {
        Some([tokens, answers]) => {
            let expected = u128::from(tokens) * u128::from(pages) / u128::from(answers.max(1));
            let expected = u64::try_from(expected).unwrap_or(u64::MAX).min(most * pages);
            [expected, expected, most * pages]
        }
        None => [GUESS[0].min(most) * pages, GUESS[1].min(most) * pages, most * pages],
    }
}

/// Whether a provider reads that costs money.
pub(super) fn is_real(settings: &Settings) -> bool {
    settings.provider.name == ProviderKind::OpenAi
}

/// The correction of `model`'s estimate. Where a person has written how its images are counted, earlier batches were off by
/// another rule.
fn correction(ask: &Ask<'_>, lessons: &Lessons, model: &str) -> Option<Correction> {
    let row = ask.settings.models.find(model);
    let is_counted_otherwise = row.is_some_and(|row| row.is_own && row.image.is_some());
    Correction::of(model, &lessons.estimates).filter(|_| !is_counted_otherwise)
}

/// Most lines, bytes and tokens of a batch; two batches have to fit into the queue.
fn bounds(settings: &Settings, queue_limit: Option<u64>) -> [u64; 3] {
    let tokens = [settings.shard.max_shard_tokens, queue_limit.map(|limit| (limit / 2).max(1))];
    [
        u64::from(settings.max_images_per_batch.min(settings.provider.max_lines)),
        settings.most_shard_bytes(),
        tokens.into_iter().flatten().min().unwrap_or(u64::MAX),
    ]
}

fn ended(reasons: &mut BTreeMap<String, u64>, reason: String) -> Told {
    *reasons.entry(reason.clone()).or_default() += 1;
    Told::Skipped(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_so_far_say_more_than_a_guess() {
        assert_eq!(tokens_out(10, None, 4000), [1_500, 6_000, 40_000]);
        assert_eq!(tokens_out(10, None, 100), [1_000; 3], "no answer is longer than it may be");
        assert_eq!(tokens_out(395, Some([9_100, 20]), 4000), [179_725, 179_725, 1_580_000]);
        assert_eq!(tokens_out(0, Some([0, 0]), 4000), [0; 3]);
    }
}
