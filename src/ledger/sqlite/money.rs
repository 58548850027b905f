//! Money: prices, what was billed, what may still be billed.
//!
//! The sums are taken over the whole ledger, in the transaction that asks for them. Only the bills of settled batches, which never
//! change again, are carried along: that keeps the question cheap after a hundred thousand batches.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::events;
use super::fault::Outcome;
use super::rows::{count, int};
use crate::domain::batch::Admission;
use crate::domain::ids::{BatchNo, RecipeId, ShardId};
use crate::domain::money::{Charge, Funds, ListPrice, Money, Shortage};
use crate::kit::crash;

/// The event of a question that is asked directly: what it may cost at most, in picodollars.
const ASKED: &str = "asked_directly";
/// The event of its answer: what of that it did not cost.
const GIVEN_BACK: &str = "given_back";

/// What a batch that has ended was billed, in picodollars. Without told tokens it counts as its worst case; of one that was
/// refused nothing ran. Unknown where no price is known.
const BILL: &str = "CASE WHEN b.ending IN ('refused', 'turned_away') THEN 0
    WHEN coalesce(b.prompt_tokens, b.output_tokens) IS NULL THEN s.worst_musd * 1000000
    ELSE (coalesce(b.prompt_tokens, 0) - min(coalesce(b.cached_tokens, 0), coalesce(b.prompt_tokens, 0))) * p.input_pusd
    + min(coalesce(b.cached_tokens, 0), coalesce(b.prompt_tokens, 0)) * p.cached_pusd + coalesce(b.output_tokens, 0) * p.output_pusd END";
const PRICED: &str = "CROSS JOIN shard s ON s.id = b.shard_id CROSS JOIN price p ON p.id = s.price_id";

/// What is spent for good, as the file says.
pub(in crate::ledger) fn spent(connection: &Connection) -> Outcome<Money> {
    let sql = format!(
        "SELECT coalesce((SELECT sum({BILL}) FROM batch b {PRICED} WHERE b.state = 'settled'), 0)
         + coalesce((SELECT sum(CAST(detail AS INTEGER) * iif(what = '{ASKED}', 1, -1)) FROM event
         WHERE what IN ('{ASKED}', '{GIVEN_BACK}')), 0)"
    );
    Ok(Money::from_picos(count(connection.query_row(&sql, [], |row| row.get(0))?)))
}

/// A batch is settled: what it was billed is spent for good.
pub(super) fn settled(store: &mut SqliteStore, batch: BatchNo) -> Outcome<()> {
    let sql = format!("SELECT {BILL} FROM batch b {PRICED} WHERE b.id = ?1");
    let bill: Option<i64> = store.connection.prepare_cached(&sql)?.query_row([batch.0], |row| row.get(0)).optional()?;
    store.books.spent += Money::from_picos(bill.map_or(0, count));
    Ok(())
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
    let live = format!(
        "SELECT b.state IN ('ended', 'fetched') AND coalesce(b.prompt_tokens, b.output_tokens) IS NOT NULL
         OR coalesce(b.ending IN ('refused', 'turned_away'), 0) AS known,
         sum(iif(b.state IN ('ended', 'fetched'), {BILL}, s.worst_musd * 1000000))
         FROM batch b INDEXED BY batch_todo {PRICED} WHERE b.state IN ('opening', 'open', 'ended', 'fetched') GROUP BY 1"
    );
    const WAITING: &str = "SELECT coalesce(sum(worst_musd), 0) FROM shard INDEXED BY shard_todo
        WHERE state IN ('sealed', 'uploaded', 'opening') AND state IN ('sealed', 'uploaded')";
    const LIVING: &str = "SELECT EXISTS (SELECT 1 FROM batch INDEXED BY batch_todo WHERE state IN ('opening', 'open', 'ended', 'fetched'))";
    let mut funds = Funds { spent, ..Funds::default() };
    let mut statement = connection.prepare_cached(&live)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let sum = if row.get(0)? { &mut funds.spent } else { &mut funds.reserved };
        *sum += Money::from_picos(count(row.get(1)?));
    }
    let waiting: i64 = connection.prepare_cached(WAITING)?.query_row([], |row| row.get(0))?;
    funds.waiting = Money::from_micros(count(waiting));
    funds.living = connection.prepare_cached(LIVING)?.query_row([], |row| row.get(0))?;
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
