//! Money: what a shard costs at most, what was billed, what is admitted.

use super::Desk;
use crate::domain::money::{Charge, ListPrice, Money, Price};
use crate::ledger::store::Store as _;

/// A millionth of a USD for a prompt token, half of it if cached, ten for an output token; ten of these at most in a line.
pub(super) fn charge() -> Charge {
    let price = Price { input: 1_000_000, cached: 500_000, output: 10_000_000 };
    Charge { list: ListPrice { price, as_of: "2026-11-01".into(), source: "a list".into() }, most_output: 10 }
}

#[test]
fn a_shard_keeps_its_price_and_its_worst_case() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 4);
    let mut sealed = |tag, images: &[i64], charge| {
        let plan = crate::domain::shard::NewShard { charge, ..desk.plan_of(tag, images) };
        desk.done(|store| store.seal(&plan)).worst
    };
    assert_eq!(sealed(1, &[1], None), None, "unknown, and not nothing");
    assert_eq!(sealed(2, &[2, 3], Some(charge())), Some(Money::from_micros(10 + 2 * 100)));
    let mut dear = charge();
    dear.list.price.output += 1;
    assert_eq!(sealed(3, &[4], Some(dear)), Some(Money::from_micros(10 + 100 + 1)), "rounded up");
    let sql = "SELECT group_concat(coalesce(p.model || ' ' || p.output_pusd, 'none'), ', ') FROM shard s
        LEFT JOIN price p ON p.id = s.price_id";
    let prices: String = desk.store.connection.query_row(sql, [], |row| row.get(0)).expect("prices");
    assert_eq!(prices, "none, m 10000000, m 10000001");
}
