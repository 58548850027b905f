//! Money: what a shard costs at most, what was billed, what is admitted.

use super::{ALLOWED, BODY, Desk};
use crate::domain::batch::{Admission, BatchEnd, Usage};
use crate::domain::ids::{BatchId, BatchNo, FileId, ShardId};
use crate::domain::money::{Charge, Funds, ListPrice, Money, Price, Shortage};
use crate::domain::recipe::Kind;
use crate::domain::shard::NewShard;
use crate::kit::clock::Clock;
use crate::ledger::records::{Ending, Hold};
use crate::ledger::sqlite::SqliteStore;
use crate::ledger::store::Store as _;

/// A millionth of a USD for a prompt token, half of it if cached, ten for an output token; ten of these at most in a line.
pub(super) fn charge() -> Charge {
    let price = Price { input: 1_000_000, cached: 500_000, output: 10_000_000 };
    Charge {
        list: ListPrice { price, as_of: "2026-11-01".into(), source: "a list".into() },
        most_output: 10,
        input_percent: 100,
    }
}

#[test]
fn a_shard_keeps_its_price_and_its_worst_case() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 4);
    let mut sealed = |tag, images: &[i64], charge| {
        let plan = NewShard { charge, ..desk.plan_of(tag, images) };
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

fn micros(micros: u64) -> Money {
    Money::from_micros(micros)
}

/// A desk that may spend as many millionths of a USD.
fn limited(limit: u64) -> Desk {
    let mut desk = Desk::in_memory();
    desk.store.allowed.max_cost = Some(micros(limit));
    desk
}

/// Enrols an image, seals and uploads its shard: 10 prompt tokens and 10 of output, 110 millionths at most.
fn uploaded(desk: &mut Desk, number: usize) -> ShardId {
    desk.enrol(number - 1, 1);
    let plan = NewShard { charge: Some(charge()), ..desk.plan_of(number, &[i64::try_from(number).expect("small")]) };
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard, &FileId(format!("file-{number}")), 5, BODY));
    shard
}

fn opened(desk: &mut Desk, shard: ShardId) -> BatchNo {
    let batch = desk.intend(shard).no;
    desk.done(|store| store.opened(batch, &BatchId(format!("b{shard}")), None, false));
    batch
}

fn over(desk: &mut Desk, batch: BatchNo, end: BatchEnd, usage: Option<Usage>) {
    let ending = Ending { end, output: None, errors: None, usage, model: None, refusal: None, named: Vec::new() };
    desk.done(|store| store.ended(batch, &ending));
}

fn sums(desk: &mut Desk) -> [u64; 3] {
    let Funds { spent, reserved, waiting, .. } = desk.done(SqliteStore::funds);
    [spent, reserved, waiting].map(Money::micros_up)
}

#[test]
fn a_batch_tells_what_it_took_and_cost_once_it_has_ended() {
    let mut desk = limited(250);
    let shard = uploaded(&mut desk, 1);
    let batch = opened(&mut desk, shard);
    let told = desk.done(|store| store.batch_told(batch));
    assert_eq!((told.kind, told.took_ms, told.usage, told.cost), (Kind::Read, None, None, None));
    let usage = Usage { prompt: 10, cached: 6, output: 2, reasoning: 1 };
    over(&mut desk, batch, BatchEnd::Completed, Some(usage));
    let ended = desk.done(|store| store.batch_told(batch));
    assert_eq!((&ended.shard, ended.usage, ended.cost), (&told.shard, Some(usage), Some(micros(27))));
    assert!(ended.took_ms.is_some());
    let other = uploaded(&mut desk, 2);
    let silent = opened(&mut desk, other);
    over(&mut desk, silent, BatchEnd::Completed, None);
    let told = desk.done(|store| store.batch_told(silent));
    assert_eq!((told.usage, told.cost), (None, None), "its worst case is no bill");
}

#[test]
fn a_batch_is_opened_only_if_its_worst_case_fits_beside_all_others() {
    let mut desk = limited(250);
    let [first, second, third] = [1, 2, 3].map(|number| uploaded(&mut desk, number));
    assert_eq!(sums(&mut desk), [0, 0, 330]);
    let batch = opened(&mut desk, first);
    let refused = desk.intend(second).no;
    assert_eq!(sums(&mut desk), [0, 220, 110], "an intent reserves");
    let short = |spent, reserved| {
        let (spent, reserved, limit, need) = (micros(spent), micros(reserved), micros(250), micros(110));
        Admission::NoMoney(Shortage { spent, reserved, limit, need })
    };
    assert_eq!(desk.done(|store| store.intend(third)), short(0, 220));

    // What was surely not created gives everything back.
    let refusal = crate::domain::batch::Refusal { code: String::new(), message: String::new(), line: None };
    desk.done(|store| store.not_created(refused, &refusal, Hold::Until(0)));
    assert_eq!(sums(&mut desk), [0, 110, 220]);
    opened(&mut desk, third);

    // 4 fresh prompt tokens, 6 cached ones, 2 of output: 4 + 3 + 20.
    let usage = Usage { prompt: 10, cached: 6, output: 2, reasoning: 1 };
    over(&mut desk, batch, BatchEnd::Completed, Some(usage));
    assert_eq!(sums(&mut desk), [27, 110, 110], "told at its end");
    desk.done(|store| store.settle(batch));
    assert_eq!(sums(&mut desk), [27, 110, 110], "and for good");
    desk.intend(second);
    assert!(desk.done(SqliteStore::funds).living);
}

#[test]
fn what_told_nothing_counts_as_its_worst_case_and_a_second_batch_as_well() {
    let mut desk = limited(10_000);
    let shards = [1, 2, 3].map(|number| uploaded(&mut desk, number));
    let [silent, refused, lost] = shards.map(|shard| opened(&mut desk, shard));
    let stray = desk.done(|store| store.stray(shards[0], &FileId("twin".into()), &BatchId("twin".into()))).no;
    assert_eq!(sums(&mut desk), [0, 440, 0]);
    over(&mut desk, stray, BatchEnd::Expired, Some(Usage { output: 1, ..Usage::default() }));
    assert_eq!(sums(&mut desk), [10, 330, 0]);
    over(&mut desk, silent, BatchEnd::Expired, None);
    over(&mut desk, refused, BatchEnd::Refused, None);
    over(&mut desk, lost, BatchEnd::Vanished, None);
    assert_eq!(sums(&mut desk), [10, 220, 0], "nothing ran of a refused one");
    for batch in [stray, silent, refused, lost] {
        desk.done(|store| store.settle(batch));
    }
    assert_eq!(sums(&mut desk), [230, 0, 0]);
    assert!(!desk.done(SqliteStore::funds).living);
}

#[test]
fn without_a_price_nothing_is_opened_under_a_limit() {
    let mut desk = limited(10_000);
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    assert_eq!(desk.done(|store| store.intend(shard)), Admission::NoPrice);
    desk.store.allowed.max_cost = None;
    desk.intend(shard);
    assert_eq!(sums(&mut desk), [0, 0, 0], "unknown is in no sum");
}

#[test]
fn a_direct_question_is_paid_from_the_same_purse_and_opening_anew_forgets_nothing() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let mut desk = Desk::at(&path);
    desk.store.allowed.max_cost = Some(micros(150));
    let shortage = Shortage { spent: Money::ZERO, reserved: Money::ZERO, limit: micros(150), need: micros(151) };
    assert_eq!(desk.done(|store| store.ask_directly(micros(151))), Err(shortage));
    assert_eq!(desk.done(|store| store.ask_directly(micros(50))), Ok(()));
    desk.done(|store| store.give_back(micros(20)));
    let shard = uploaded(&mut desk, 1);
    let batch = opened(&mut desk, shard);
    over(&mut desk, batch, BatchEnd::Completed, Some(Usage { prompt: 7, ..Usage::default() }));
    desk.done(|store| store.settle(batch));
    assert_eq!(sums(&mut desk), [37, 0, 0]);
    drop(desk);
    let mut store = SqliteStore::open(&path, Clock::manual(1_000), ALLOWED).expect("file");
    assert_eq!(store.funds().expect("funds").spent, micros(37));
}

#[test]
fn estimates_that_were_too_low_raise_the_worst_case() {
    let mut desk = limited(10_000);
    let (run, recipe) = (desk.run, desk.recipe);
    assert_eq!(desk.done(|store| store.told_percent(run, recipe)), 100, "nothing is known");
    for (number, prompt, expected) in [(1, 5, 100), (2, 30, 175), (3, 1000, 300)] {
        let shard = uploaded(&mut desk, number);
        let batch = opened(&mut desk, shard);
        over(&mut desk, batch, BatchEnd::Completed, Some(Usage { prompt, ..Usage::default() }));
        desk.done(|store| store.settle(batch));
        assert_eq!(desk.done(|store| store.told_percent(run, recipe)), expected, "ten were estimated of each");
    }
    desk.enrol(3, 1);
    let plan = NewShard { charge: Some(Charge { input_percent: 175, ..charge() }), ..desk.plan_of(9, &[4]) };
    assert_eq!(desk.done(|store| store.seal(&plan)).worst, Some(micros(18 + 100)), "17.5 prompt tokens, rounded up");
}
