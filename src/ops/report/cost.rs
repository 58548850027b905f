//! What was paid for which folder and at which try: the bill of the report, by other rows.

use serde_json::{Value, json};

use super::page::sum_of;
use crate::domain::money::Money;
use crate::ledger::LedgerError;
use crate::ledger::reader::Reader;
use crate::ops::bill::{self, By, GivenUp, Sum};
use crate::settings::models::Models;

/// Folders that are told one by one: the dearest. The others are told as one sum.
const MOST: usize = 200;
/// Folders whose sums are in memory at once, so that it does not grow with the corpus: a hundred times those that are told.
const ROOM: usize = 20_000;

/// Sums with their names.
type Rows = Vec<(String, Sum)>;

/// The bill by folder and by attempt. Looks at every answer.
///
/// # Errors
/// The ledger's.
pub fn bill(reader: &Reader, models: &Models) -> Result<Value, LedgerError> {
    let by_folder = bill::bill_of(reader, models, By::Folder, ROOM)?;
    let by_attempt = bill::bill(reader, models, By::Attempt)?;
    let total = &by_folder.total;
    let (folders, others) = dearest(by_folder.rows, MOST);
    let others = others_of(others, by_folder.given_up.as_ref());
    let rows = |rows: &[(String, Sum)]| rows.iter().map(|(name, sum)| row(name, sum, total.cost)).collect::<Vec<_>>();
    Ok(json!({
        "total": sum_of("together", total),
        "folders": rows(&folders),
        "others": others.map(|(name, sum)| row(&name, &sum, total.cost)),
        "room": by_folder.given_up.as_ref().map(|_| ROOM),
        "most_missing": by_folder.given_up.map(|given_up| given_up.most_missing.to_string()),
        "attempts": rows(&by_attempt.rows),
        "open": by_folder.open,
        "price_days": by_folder.price_days,
    }))
}

/// What is spent and reserved, and how much of the limit that is; by sums of batches, so it may be asked each time.
///
/// # Errors
/// The ledger's.
pub fn funds(reader: &Reader, limit: Option<Money>) -> Result<Value, LedgerError> {
    let funds = reader.funds()?;
    Ok(json!({
        "spent": funds.spent.to_string(),
        "reserved": funds.reserved.to_string(),
        "is_at_least": reader.unpriced_images()? > 0,
        "limit": limit.map(|limit| json!({
            "told": limit.to_string(),
            "percent": percent(funds.spent + funds.reserved, limit),
        })),
    }))
}

fn row(name: &str, sum: &Sum, whole: Money) -> Value {
    let mut row = sum_of(name, sum);
    row["percent"] = percent(sum.cost, whole).into();
    row
}

/// The rows that cost most, dearest first, at most `most` of them; and how many others there are, with their sum.
fn dearest(mut rows: Rows, most: usize) -> (Rows, Option<(usize, Sum)>) {
    // By name where they cost the same, which is the order in which they come.
    rows.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.cost));
    let others = rows.split_off(most.min(rows.len()));
    let sum = others.iter().fold(Sum::default(), |mut all, (_, sum)| {
        all.add(sum);
        all
    });
    let many = others.len();
    (rows, (many > 0).then_some((many, sum)))
}

/// The row of all that are not told one by one. How many they are nobody knows where some were given up on the way.
fn others_of(others: Option<(usize, Sum)>, given_up: Option<&GivenUp>) -> Option<(String, Sum)> {
    let Some(given_up) = given_up else { return others.map(|(many, sum)| (format!("{many} others"), sum)) };
    let mut sum = others.map(|(_, sum)| sum).unwrap_or_default();
    sum.add(&given_up.sum);
    Some(("all others".to_owned(), sum))
}

/// `part` of `whole` in percent, to one digit, at most 100.
#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn percent(part: Money, whole: Money) -> f64 {
    let share = part.picos() as f64 / whole.picos().max(1) as f64;
    (share * 1_000.0).round().min(1_000.0) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_rows_are_told_and_the_others_summed() {
        let row = |name: &str, micros| {
            (name.to_owned(), Sum { answers: 1, cost: Money::from_micros(micros), ..Sum::default() })
        };
        let rows = vec![row("a", 5), row("b", 40), row("c", 5), row("d", 1)];
        let (told, others) = dearest(rows.clone(), 2);
        assert_eq!(told, [row("b", 40), row("a", 5)]);
        let others = others.expect("two others");
        assert_eq!((others.0, others.1.answers, others.1.cost), (2, 2, Money::from_micros(6)));
        assert_eq!(dearest(rows, 9).1, None);
        let given_up = GivenUp { sum: others.1.clone(), most_missing: Money::from_micros(1) };
        assert_eq!(others_of(Some(others.clone()), None).map(|row| row.0).as_deref(), Some("2 others"));
        let (name, sum) = others_of(Some(others), Some(&given_up)).expect("others");
        assert_eq!((name.as_str(), sum.answers, sum.cost), ("all others", 4, Money::from_micros(12)));
        assert_eq!(others_of(None, Some(&given_up)).map(|row| row.1.answers), Some(2));
        assert_eq!(others_of(None, None), None);
    }

    #[test]
    fn shares_for_bars() {
        let of = |part, whole| percent(Money::from_micros(part), Money::from_micros(whole));
        assert_eq!([of(1, 4), of(0, 0), of(9, 3), of(1, 3)], [25.0, 0.0, 100.0, 33.3]);
    }
}
