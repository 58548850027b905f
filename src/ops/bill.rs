//! What was paid for what: answers and batches of a real provider, as they told their tokens, at the price of their day.
//!
//! Two accounts stand in the ledger. Each answer tells its tokens, and each batch tells the sum of its answers. The bill follows
//! the batches, because they are what the provider counts by; what they tell beyond the answers that were read belongs to no image
//! and is told apart, and so is the opposite.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::batch::{BatchEnd, Usage};
use crate::domain::ids::{BatchNo, ShardId};
use crate::domain::image::shown;
use crate::domain::money::{Money, Price};
use crate::ledger::LedgerError;
use crate::ledger::moves::BatchState;
use crate::ledger::reader::{AnswersRow, Asked, Direct, Reader, ToldRow};
use crate::settings::models::Models;

/// Shards or batches asked for at once.
const PAGE: u32 = 64;
/// Where tokens stand that no answer tells.
pub const NO_ANSWER: &str = "(in no answer)";

/// Where questions stand that were asked directly, such as whether a model takes the settings.
pub const DIRECTLY: &str = "(asked directly)";

/// What the rows of a bill are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The runs.
    Run,
    /// The models.
    Model,
    /// The folders of the images.
    Folder,
    /// The counted tries.
    Attempt,
    /// The batches.
    Batch,
}

/// A sum of a bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Answers that told their tokens.
    pub answers: u64,
    /// All tokens.
    pub usage: Usage,
    /// What those of them cost whose price is known.
    pub cost: Money,
    /// Tokens whose price is not known, prompt and output together: with one of them `cost` is the least that it may be.
    pub unpriced: u64,
    /// Answers with a text whose tokens nobody told: they cost something, and nobody knows what.
    pub unknown: u64,
    /// Of the answers, those of later attempts and those that no text came of.
    pub retries: u64,
    /// Cost of the retries, and of tokens that no answer tells.
    pub retries_cost: Money,
    /// Prompt tokens that were estimated for the answers.
    pub estimated: u64,
}

impl Sum {
    /// Whether there is more to pay than `cost` says.
    #[must_use]
    pub fn is_at_least(&self) -> bool {
        self.unpriced > 0 || self.unknown > 0
    }

    /// The cost, as far as any of it is known.
    #[must_use]
    pub fn known_cost(&self) -> Option<Money> {
        let nothing_known = self.is_at_least() && self.cost == Money::ZERO;
        (!nothing_known).then_some(self.cost)
    }

    pub(in crate::ops) fn add(&mut self, more: &Self) {
        self.answers += more.answers;
        self.usage = plus(self.usage, more.usage);
        self.cost += more.cost;
        self.unpriced += more.unpriced;
        self.unknown += more.unknown;
        self.retries += more.retries;
        self.retries_cost += more.retries_cost;
        self.estimated += more.estimated;
    }
}

/// A bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Its rows, in the order of their names; batches in the order of their creation.
    pub rows: Vec<(String, Sum)>,
    /// The sum of all rows, and of those that were given up.
    pub total: Sum,
    /// Tokens that batches tell beyond their answers: of answers that never came, or were not read yet.
    pub unanswered: Usage,
    /// Tokens that answers tell beyond their batches: one of the two accounts is wrong.
    pub untold: Usage,
    /// Batches that have not ended: what they cost is still open.
    pub open: u64,
    /// Batches that ended without telling their tokens: their answers alone are counted.
    pub silent_batches: u64,
    /// Answers at today's price, because that of their day was not kept.
    pub priced_today: u64,
    /// Days of the prices used.
    pub price_days: BTreeSet<String>,
    /// What was given up one by one, because there was no room for so many rows; `None`: all of them are there.
    pub given_up: Option<GivenUp>,
}

/// Rows that were added up before the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Their sum.
    pub sum: Sum,
    /// What a row that is there may lack at most, because it was given up before it came again.
    pub most_missing: Money,
}

/// Adds everything up.
///
/// # Errors
/// The ledger's.
pub fn bill(reader: &Reader, models: &Models, by: By) -> Result<Bill, LedgerError> {
    bill_of(reader, models, by, usize::MAX)
}

/// The same with at most `room` rows in memory: where there are more, the cheapest half of them becomes one sum. Images of one folder
/// are asked one after the other, so that what is dear has mostly come whole before there are so many; [`GivenUp`] says how far that
/// can be wrong. The sum of all is right in any case.
///
/// # Errors
/// The ledger's.
pub fn bill_of(reader: &Reader, models: &Models, by: By, room: usize) -> Result<Bill, LedgerError> {
    let mut books = Books::new(models, by, room);
    let last = reader.last_shard()?;
    let mut after = None;
    // Shards without an answer have no row, so the pages go by shard and not by what the last one held.
    while after.unwrap_or(ShardId(0)) < last {
        let rows = reader.answers(after, PAGE)?;
        for row in &rows {
            books.answers(row);
        }
        after = reader.shards(after, PAGE)?.last().copied().or(Some(last));
    }
    let mut after = None;
    loop {
        let batches = reader.told_batches(after, PAGE)?;
        let Some(next) = batches.last().map(|batch| batch.no) else {
            books.direct(reader.direct()?);
            return Ok(books.close());
        };
        after = Some(next);
        for batch in batches {
            books.batch(batch);
        }
    }
}

/// What is kept until the end, which is little: a sum for each group, of which there are `room` at most, and for each shard.
struct Books<'a> {
    models: &'a Models,
    by: By,
    room: usize,
    bill: Bill,
    groups: BTreeMap<Key, Sum>,
    /// Sums of the answers of each shard.
    shards: BTreeMap<ShardId, Sum>,
    batches: BTreeMap<ShardId, Vec<ToldRow>>,
}

/// The order of the rows, and their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(i64, String);

impl<'a> Books<'a> {
    fn new(models: &'a Models, by: By, room: usize) -> Self {
        Self {
            models,
            by,
            room,
            bill: Bill::default(),
            groups: BTreeMap::new(),
            shards: BTreeMap::new(),
            batches: BTreeMap::new(),
        }
    }

    fn answers(&mut self, row: &AnswersRow) {
        let asked = &row.asked;
        let price = if row.answers > 0 { self.price(asked, row.answers) } else { None };
        let is_retry = asked.step > 1 || !row.usable;
        let (cost, unpriced) = priced(price, &row.usage);
        let sum = Sum {
            answers: row.answers,
            usage: row.usage,
            cost,
            unpriced,
            unknown: if row.usable { row.silent } else { 0 },
            retries: if is_retry { row.answers } else { 0 },
            retries_cost: if is_retry { cost } else { Money::ZERO },
            estimated: share(asked.estimated, row.answers, asked.lines),
        };
        if self.by != By::Batch {
            let key = self.key(asked, Some(&row.folder));
            self.groups.entry(key).or_default().add(&sum);
            if self.groups.len() > self.room {
                self.make_room();
            }
        }
        self.shards.entry(asked.shard).or_default().add(&sum);
    }

    /// Makes one sum of the cheapest half of the rows.
    fn make_room(&mut self) {
        let mut rows: Vec<(Money, Key)> = self.groups.iter().map(|(key, sum)| (sum.cost, key.clone())).collect();
        rows.sort_unstable();
        rows.truncate(rows.len().div_ceil(2));
        let given_up = self.bill.given_up.get_or_insert_default();
        given_up.most_missing += rows.last().map_or(Money::ZERO, |(cost, _)| *cost);
        for (_, key) in rows {
            given_up.sum.add(&self.groups.remove(&key).unwrap_or_default());
        }
    }

    fn batch(&mut self, batch: ToldRow) {
        match batch.state {
            BatchState::Opening | BatchState::Open => self.bill.open += 1,
            // A batch that never ran costs nothing and tells nothing.
            BatchState::Refused | BatchState::Void if batch.usage.is_none() => return,
            _ if batch.usage.is_none() => self.bill.silent_batches += 1,
            _ => {}
        }
        self.batches.entry(batch.asked.shard).or_default().push(batch);
    }

    /// What was asked directly is in no batch and of no image; without it the sum would not be what was paid.
    fn direct(&mut self, asked: Direct) {
        let Direct { answers, usage, cost } = asked;
        let sum = Sum { answers, usage, cost, ..Sum::default() };
        self.groups.entry(Key(i64::MAX, DIRECTLY.to_owned())).or_default().add(&sum);
    }

    fn close(mut self) -> Bill {
        for (shard, batches) in std::mem::take(&mut self.batches) {
            let answered = self.shards.remove(&shard).unwrap_or_default();
            self.shard(answered, &batches);
        }
        // Answers whose batch has no row, as those of a ledger that was pieced together.
        for (shard, sum) in std::mem::take(&mut self.shards) {
            if self.by == By::Batch && sum != Sum::default() {
                self.groups.entry(Key(i64::MAX, format!("(shard {shard})"))).or_default().add(&sum);
            }
        }
        self.groups.retain(|_, sum| *sum != Sum::default());
        for sum in self.groups.values() {
            self.bill.total.add(sum);
        }
        if let Some(given_up) = &self.bill.given_up {
            self.bill.total.add(&given_up.sum);
        }
        self.bill.rows = self.groups.into_iter().map(|(key, sum)| (key.1, sum)).collect();
        self.bill
    }

    /// Both accounts of one shard: `answered` are its answers.
    fn shard(&mut self, answered: Sum, batches: &[ToldRow]) {
        let told = batches.iter().filter_map(|batch| batch.usage).reduce(plus);
        // Where one batch is silent, the others say nothing about the sum.
        let told = told.filter(|_| batches.iter().all(|batch| batch.usage.is_some()));
        let (more, less) =
            told.map_or_else(Default::default, |told| (beyond(told, answered.usage), beyond(answered.usage, told)));
        self.bill.unanswered = plus(self.bill.unanswered, more);
        self.bill.untold = plus(self.bill.untold, less);
        let Some(main) = batches.iter().find(|batch| !batch.stray).or(batches.first()) else { return };
        let lost = batches.iter().filter(|batch| batch.end == Some(BatchEnd::Vanished) && batch.usage.is_none());
        let unknown = lost.map(|batch| batch.asked.lines).sum();
        let rest = self.rest(&main.asked, more, unknown);
        if self.by != By::Batch {
            let key = self.key(&main.asked, None);
            self.groups.entry(key).or_default().add(&rest);
            return;
        }
        // Each batch has what it told itself; the answers stand with the shard's own batch.
        let strays = batches.iter().filter(|batch| batch.no != main.no);
        let mut left = rest;
        for stray in strays {
            let own = self.rest(&stray.asked, common(left.usage, stray.usage.unwrap_or_default()), 0);
            left = self.rest(&main.asked, beyond(left.usage, own.usage), left.unknown);
            self.groups.entry(key_of(stray.no, stray)).or_default().add(&own);
        }
        let entry = self.groups.entry(key_of(main.no, main)).or_default();
        entry.add(&answered);
        entry.add(&left);
    }

    /// Tokens that belong to no answer, as a sum: paid, and without a text. `unknown` answers may have been paid besides.
    fn rest(&mut self, asked: &Asked, usage: Usage, unknown: u64) -> Sum {
        let price = if usage == Usage::default() { None } else { self.price(asked, 0) };
        let (cost, unpriced) = priced(price, &usage);
        Sum { usage, cost, unpriced, unknown, retries_cost: cost, ..Sum::default() }
    }

    /// Price of the day, else the table's of today.
    fn price(&mut self, asked: &Asked, answers: u64) -> Option<Price> {
        if let Some((price, day)) = &asked.price {
            self.bill.price_days.insert(day.clone());
            return Some(*price);
        }
        let model = self.models.find(&asked.model)?;
        let price = model.price()?;
        self.bill.priced_today += answers;
        self.bill.price_days.insert(model.as_of.clone());
        Some(price)
    }

    fn key(&self, asked: &Asked, folder: Option<&[u8]>) -> Key {
        match (self.by, folder) {
            (By::Run, _) => Key(0, asked.run.clone()),
            (By::Model, _) => Key(0, asked.model.clone()),
            (By::Folder, Some([])) => Key(0, ".".to_owned()),
            (By::Folder, Some(folder)) => Key(1, shown(folder)),
            (By::Folder | By::Batch, _) => Key(i64::MAX, NO_ANSWER.to_owned()),
            (By::Attempt, _) => {
                let what = if asked.deep { "deep cleaning, attempt" } else { "attempt" };
                Key(
                    i64::from(asked.step) + if asked.deep { i64::from(u32::MAX) } else { 0 },
                    format!("{what} {}", asked.step),
                )
            }
        }
    }
}

fn key_of(no: BatchNo, batch: &ToldRow) -> Key {
    Key(no.0, batch.id.as_str().to_owned())
}

/// What `usage` costs, and the tokens that have no price.
fn priced(price: Option<Price>, usage: &Usage) -> (Money, u64) {
    match price {
        Some(price) => (price.bill(usage), 0),
        None => (Money::ZERO, usage.prompt + usage.output),
    }
}

fn plus(one: Usage, other: Usage) -> Usage {
    each(one, other, u64::saturating_add)
}

/// What `one` has more than `other`.
fn beyond(one: Usage, other: Usage) -> Usage {
    each(one, other, u64::saturating_sub)
}

/// What both have.
fn common(one: Usage, other: Usage) -> Usage {
    each(one, other, u64::min)
}

fn each(one: Usage, other: Usage, act: impl Fn(u64, u64) -> u64) -> Usage {
    Usage {
        prompt: act(one.prompt, other.prompt),
        cached: act(one.cached, other.cached),
        output: act(one.output, other.output),
        reasoning: act(one.reasoning, other.reasoning),
    }
}

/// `part` of `whole` of `amount`, rounded down.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
