//! Money: prices, what was billed, what may still be billed.

use rusqlite::params;

use super::SqliteStore;
use super::fault::Outcome;
use super::rows::int;
use crate::domain::ids::RecipeId;
use crate::domain::money::{Charge, ListPrice};

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
