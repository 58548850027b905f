//! Money: prices, what was billed, what may still be billed.
//!
//! The sums are taken over the whole ledger, in the transaction that asks for them. Only the bills of settled batches, which never
//! change again, are carried along: that keeps the question cheap after a hundred thousand batches.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::events;
use super::fault::Outcome;
use super::rows::{column, count, int};
use crate::domain::batch::{Admission, Usage};
use crate::domain::ids::{BatchNo, RecipeId, ShardId};
use crate::domain::money::{Charge, Funds, ListPrice, Money, Price, Shortage};
use crate::kit::crash;

/// The event of a question that is asked directly: what it may cost at most, in picodollars.
pub(in crate::ledger) const ASKED: &str = "asked_directly";
/// The event of its answer: what of that it did not cost.
pub(in crate::ledger) const GIVEN_BACK: &str = "given_back";

/// What a batch costs is told by these.
const PRICED: &str =
    "SELECT b.state, b.ending, b.prompt_tokens, b.cached_tokens, b.output_tokens, b.reasoning_tokens, s.worst_musd,
    p.input_pusd, p.cached_pusd, p.output_pusd FROM batch b";
const WHOSE: &str = "CROSS JOIN shard s ON s.id = b.shard_id CROSS JOIN price p ON p.id = s.price_id";

/// What a batch has cost, or may still cost.
#[derive(Clone, Copy, Debug)]
enum Cost {
    /// As it was told; of one that was refused nothing ran.
    Told(Money),
    /// Without told tokens it counts as its worst case, whatever became of it.
    Worst(Money),
}

impl Cost {
    /// Tokens are whatever the provider says: the sums stay within their bounds and do not wrap.
    fn read(row: &Row<'_>) -> Outcome<Self> {
        let number = |name: &str| column::<Option<i64>>(row, name).map(|number| number.map(count));
        let state: String = column(row, "state")?;
        let ending: Option<String> = column(row, "ending")?;
        let is_over = !matches!(state.as_str(), "opening" | "open");
        if is_over && matches!(ending.as_deref(), Some("refused" | "turned_away")) {
            return Ok(Self::Told(Money::ZERO));
        }
        let (prompt, output) = (number("prompt_tokens")?, number("output_tokens")?);
        if !is_over || prompt.or(output).is_none() {
            return Ok(Self::Worst(Money::from_micros(number("worst_musd")?.unwrap_or(0))));
        }
        let usage = Usage {
            prompt: prompt.unwrap_or(0),
            cached: number("cached_tokens")?.unwrap_or(0),
            output: output.unwrap_or(0),
            reasoning: number("reasoning_tokens")?.unwrap_or(0),
        };
        let [input, cached, output] = ["input_pusd", "cached_pusd", "output_pusd"].map(number);
        let price = Price { input: input?.unwrap_or(0), cached: cached?.unwrap_or(0), output: output?.unwrap_or(0) };
        Ok(Self::Told(price.bill(&usage)))
    }

    fn money(self) -> Money {
        let (Self::Told(money) | Self::Worst(money)) = self;
        money
    }
}

/// What is spent for good, as the file says.
pub(in crate::ledger) fn spent(connection: &Connection) -> Outcome<Money> {
    let directly = format!(
        "SELECT coalesce(sum(CAST(detail AS INTEGER) * iif(what = '{ASKED}', 1, -1)), 0) FROM event
         WHERE what IN ('{ASKED}', '{GIVEN_BACK}')"
    );
    let directly: i64 = connection.query_row(&directly, [], |row| row.get(0))?;
    let mut statement = connection.prepare(&format!("{PRICED} {WHOSE} WHERE b.state = 'settled'"))?;
    let settled = statement.query_and_then([], Cost::read)?.collect::<Outcome<Vec<Cost>>>()?;
    Ok(settled.into_iter().map(Cost::money).sum::<Money>() + Money::from_picos(count(directly)))
}

/// A batch is settled: what it was billed is spent for good.
pub(super) fn settled(store: &mut SqliteStore, batch: BatchNo) -> Outcome<()> {
    let mut statement = store.connection.prepare_cached(&format!("{PRICED} {WHOSE} WHERE b.id = ?1"))?;
    let cost = statement.query_and_then([batch.0], Cost::read)?.next().transpose()?;
    store.books.spent += cost.map_or(Money::ZERO, Cost::money);
    Ok(())
}

/// What a batch has cost, where it has told its tokens and a price is known.
pub(super) fn told(store: &SqliteStore, batch: BatchNo) -> Outcome<Option<Money>> {
    let mut statement = store.connection.prepare_cached(&format!("{PRICED} {WHOSE} WHERE b.id = ?1"))?;
    let cost = statement.query_and_then([batch.0], Cost::read)?.next().transpose()?;
    Ok(if let Some(Cost::Told(bill)) = cost { Some(bill) } else { None })
}

/// How the ledger stands with money.
pub(super) fn funds(store: &SqliteStore) -> Outcome<Funds> {
    let mut funds = sums(&store.connection, store.books.spent)?;
    funds.limit = store.allowed.max_cost;
    if crash::without("reserve") {
        funds.reserved = Money::ZERO;
    }
    Ok(funds)
}

/// The sums, with what is spent for good.
pub(in crate::ledger) fn sums(connection: &Connection, spent: Money) -> Outcome<Funds> {
    // The first condition is that of the index, word for word.
    const LIVING: &str = "b.state IN ('opening', 'open', 'ended', 'fetched')";
    const WAITING: &str = "SELECT coalesce(sum(worst_musd), 0) FROM shard INDEXED BY shard_todo
        WHERE state IN ('sealed', 'uploaded', 'opening') AND state IN ('sealed', 'uploaded')";
    let mut funds = Funds { spent, ..Funds::default() };
    let live = format!("{PRICED} INDEXED BY batch_todo {WHOSE} WHERE {LIVING}");
    let mut statement = connection.prepare_cached(&live)?;
    for cost in statement.query_and_then([], Cost::read)? {
        match cost? {
            Cost::Told(bill) => funds.spent += bill,
            Cost::Worst(worst) => funds.reserved += worst,
        }
    }
    let waiting: i64 = connection.prepare_cached(WAITING)?.query_row([], |row| row.get(0))?;
    funds.waiting = Money::from_micros(count(waiting));
    // Also those that no price is known for.
    let any = format!("SELECT 1 FROM batch b INDEXED BY batch_todo WHERE {LIVING}");
    funds.living = connection.prepare_cached(&any)?.exists([])?;
    Ok(funds)
}

/// Why an uploaded shard may not be opened now for want of money, if it may not. Its own worst case counts once: nothing of it is
/// reserved before its intent.
pub(super) fn refused(store: &SqliteStore, shard: ShardId) -> Outcome<Option<Admission>> {
    const SQL: &str = "SELECT worst_musd FROM shard WHERE id = ?1 AND state = 'uploaded'";
    let Some(limit) = store.allowed.max_cost else { return Ok(None) };
    let worst: Option<Option<i64>> =
        store.connection.prepare_cached(SQL)?.query_row([shard.0], |row| row.get(0)).optional()?;
    let Some(worst) = worst else { return Ok(None) };
    let Some(need) = worst.map(|micros| Money::from_micros(count(micros))) else { return Ok(Some(Admission::NoPrice)) };
    let funds = funds(store)?;
    let Funds { spent, reserved, .. } = funds;
    let short = !funds.allow(need, Money::ZERO);
    Ok(short.then_some(Admission::NoMoney(Shortage { spent, reserved, limit, need })))
}

/// Reserves what a question that is asked directly costs at most, if the limit allows it.
pub(super) fn ask_directly(store: &mut SqliteStore, worst: Money) -> Outcome<Result<(), Shortage>> {
    let funds = funds(store)?;
    if let Some(limit) = funds.limit.filter(|_| !funds.allow(worst, Money::ZERO)) {
        let Funds { spent, reserved, .. } = funds;
        return Ok(Err(Shortage { spent, reserved, limit, need: worst }));
    }
    events::append(store, ASKED, events::About::default(), &worst.picos().to_string())?;
    store.books.spent += worst;
    Ok(Ok(()))
}

/// Gives back what a question that was asked directly has not cost.
pub(super) fn give_back(store: &mut SqliteStore, unused: Money) -> Outcome<()> {
    events::append(store, GIVEN_BACK, events::About::default(), &unused.picos().to_string())?;
    store.books.spent = store.books.spent.less(unused);
    Ok(())
}

/// The row of the price of a shard about to be written, and its worst case in millionths of a USD, rounded up; both unknown where
/// the charge is.
pub(super) fn charged(
    store: &SqliteStore,
    recipe: RecipeId,
    charge: Option<&Charge>,
    prompt: u64,
    lines: u64,
) -> Outcome<(Option<i64>, Option<i64>)> {
    let Some(charge) = charge else { return Ok((None, None)) };
    Ok((Some(price(store, recipe, &charge.list)?), Some(int(charge.worst(prompt, lines).micros_up()))))
}

/// The row of a price for the model of `recipe`.
fn price(store: &SqliteStore, recipe: RecipeId, list: &ListPrice) -> Outcome<i64> {
    const NEW: &str = "INSERT INTO price (model, as_of, source, input_pusd, cached_pusd, output_pusd)
        SELECT model, ?2, ?3, ?4, ?5, ?6 FROM recipe WHERE id = ?1 ON CONFLICT DO NOTHING";
    const ROW: &str = "SELECT p.id FROM price p JOIN recipe r ON r.model = p.model WHERE r.id = ?1
        AND (as_of, source, input_pusd, cached_pusd, output_pusd) = (?2, ?3, ?4, ?5, ?6)";
    let ListPrice { price, as_of, source } = list;
    let values = params![recipe.0, as_of, source, int(price.input), int(price.cached), int(price.output)];
    store.connection.prepare_cached(NEW)?.execute(values)?;
    Ok(store.connection.prepare_cached(ROW)?.query_row(values, |row| row.get(0))?)
}
