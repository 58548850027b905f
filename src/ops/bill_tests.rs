use super::*;
use crate::domain::ids::BatchId;

const PRICE: Price = Price { input: 1_000_000, cached: 500_000, output: 5_000_000 };

fn asked(shard: i64, step: u32, price: bool) -> Asked {
    Asked {
        shard: ShardId(shard),
        run: "2026-11-22-a".to_owned(),
        model: "nobody-knows".to_owned(),
        deep: false,
        step,
        price: price.then(|| (PRICE, "2026-11-01".to_owned())),
        lines: 10,
        estimated: 1_000,
    }
}

fn usage(prompt: u64, output: u64) -> Usage {
    Usage { prompt, cached: prompt / 2, output, reasoning: 0 }
}

fn answers(asked: Asked, folder: &str, usable: bool, answers: u64, usage: Usage) -> AnswersRow {
    AnswersRow { asked, folder: folder.into(), usable, answers, silent: 0, usage }
}

fn batch(no: i64, asked: Asked, usage: Option<Usage>) -> ToldRow {
    let id = BatchId(format!("batch_{no}"));
    ToldRow {
        no: BatchNo(no),
        id,
        asked,
        state: BatchState::Settled,
        end: Some(BatchEnd::Completed),
        stray: false,
        usage,
    }
}

fn booked(by: By, rows: &[AnswersRow], batches: &[ToldRow]) -> Bill {
    booked_in(usize::MAX, by, rows, batches)
}

fn booked_in(room: usize, by: By, rows: &[AnswersRow], batches: &[ToldRow]) -> Bill {
    let models = Models::built_in();
    let mut books = Books::new(&models, by, room);
    for row in rows {
        books.answers(row);
    }
    for batch in batches {
        books.batch(batch.clone());
    }
    books.close()
}

fn named(bill: &Bill) -> Vec<(&str, u64, u64)> {
    bill.rows.iter().map(|(name, sum)| (name.as_str(), sum.answers, sum.usage.prompt)).collect()
}

const ALL: [By; 5] = [By::Run, By::Model, By::Folder, By::Attempt, By::Batch];

#[test]
fn every_grouping_has_one_total_and_it_is_the_batches() {
    let rows = [
        answers(asked(1, 1, true), "", true, 6, usage(600, 60)),
        answers(asked(1, 1, true), "tray", false, 2, usage(200, 20)),
        answers(asked(2, 2, true), "tray", true, 2, usage(200, 40)),
    ];
    // The first batch counts one answer more than came back.
    let batches =
        [batch(7, asked(1, 1, true), Some(usage(900, 90))), batch(8, asked(2, 2, true), Some(usage(200, 40)))];
    for by in ALL {
        let bill = booked(by, &rows, &batches);
        assert_eq!(bill.total.usage, usage(1_100, 130), "{by:?}");
        assert_eq!((bill.unanswered, bill.untold), (usage(100, 10), Usage::default()), "{by:?}");
        assert_eq!((bill.total.answers, bill.total.retries, bill.total.estimated), (10, 4, 1_000), "{by:?}");
        assert_eq!(bill.total.cost, PRICE.bill(&usage(1_100, 130)), "{by:?}");
        let retries = [usage(200, 20), usage(200, 40), usage(100, 10)].map(|usage| PRICE.bill(&usage));
        assert_eq!(bill.total.retries_cost, retries.into_iter().sum(), "{by:?}");
        assert!(!bill.total.is_at_least(), "{by:?}");
    }
    assert_eq!(named(&booked(By::Folder, &rows, &batches)), [(".", 6, 600), ("tray", 4, 400), (NO_ANSWER, 0, 100)]);
    assert_eq!(named(&booked(By::Attempt, &rows, &batches)), [("attempt 1", 8, 900), ("attempt 2", 2, 200)]);
    assert_eq!(named(&booked(By::Batch, &rows, &batches)), [("batch_7", 8, 900), ("batch_8", 2, 200)]);
}

#[test]
fn a_second_batch_of_a_shard_is_paid_too() {
    let rows = [answers(asked(1, 1, true), "", true, 10, usage(1_000, 100))];
    let stray = ToldRow { stray: true, ..batch(2, asked(1, 1, true), Some(usage(400, 40))) };
    let batches = [batch(1, asked(1, 1, true), Some(usage(1_000, 100))), stray];
    let bill = booked(By::Batch, &rows, &batches);
    assert_eq!(named(&bill), [("batch_1", 10, 1_000), ("batch_2", 0, 400)]);
    assert_eq!((bill.total.usage, bill.total.retries_cost), (usage(1_400, 140), PRICE.bill(&usage(400, 40))));
}

#[test]
fn what_answers_tell_beyond_their_batch_is_counted_and_told() {
    let rows = [answers(asked(1, 1, true), "", true, 10, usage(1_000, 100))];
    let bill = booked(By::Run, &rows, &[batch(1, asked(1, 1, true), Some(usage(800, 100)))]);
    assert_eq!((bill.total.usage, bill.untold), (usage(1_000, 100), usage(200, 0)));
}

#[test]
fn what_nobody_told_is_unknown_and_never_nothing() {
    // No price of that day, and none of today either.
    let rows = [answers(asked(1, 1, false), "", true, 10, usage(1_000, 100))];
    let bill = booked(By::Run, &rows, &[batch(1, asked(1, 1, false), None)]);
    assert_eq!((bill.total.known_cost(), bill.total.unpriced, bill.silent_batches), (None, 1_100, 1));
    // Texts without tokens.
    let silent = AnswersRow { silent: 10, ..answers(asked(1, 1, true), "", true, 0, Usage::default()) };
    let bill = booked(By::Run, &[silent], &[batch(1, asked(1, 1, true), None)]);
    assert_eq!((bill.total.known_cost(), bill.total.unknown), (None, 10));
    // A batch that vanished may have run.
    let gone = ToldRow { end: Some(BatchEnd::Vanished), ..batch(1, asked(1, 1, true), None) };
    let bill = booked(By::Batch, &[], &[gone]);
    assert_eq!((named(&bill), bill.total.unknown), (vec![("batch_1", 0, 0)], 10));
    // A batch that was refused did not.
    let refused = ToldRow { state: BatchState::Refused, ..batch(1, asked(1, 1, true), None) };
    assert_eq!(booked(By::Batch, &[], &[refused]), Bill::default());
}

#[test]
fn a_price_that_was_not_kept_is_todays() {
    let known = Asked { model: "gpt-4o-2024-11-20".to_owned(), ..asked(1, 1, false) };
    let rows = [answers(known.clone(), "", true, 10, usage(1_000, 100))];
    let bill = booked(By::Model, &rows, &[batch(1, known, Some(usage(1_000, 100)))]);
    assert_eq!(bill.total.cost.picos(), 1_000 * 1_250_000 + 100 * 5_000_000, "nothing off for the cache");
    assert_eq!((bill.priced_today, bill.price_days.iter().next().map(String::as_str)), (10, Some("2026-11-01")));
}

#[test]
fn batches_that_have_not_ended_are_still_open() {
    let open = ToldRow { state: BatchState::Open, end: None, ..batch(1, asked(1, 1, true), None) };
    let bill = booked(By::Batch, &[], &[open]);
    assert_eq!((bill.open, bill.silent_batches, bill.rows.len()), (1, 0, 0));
}

#[test]
fn of_many_folders_the_dear_ones_are_told_and_what_they_may_lack() {
    // A thousand folders, each in one shard, with two that are dear and one that comes again at the end.
    let cost_of = |folder: u64| if folder % 500 == 7 { 90_000 } else { 10 + folder % 5 };
    let of = |shard: u64, folder: u64| {
        let asked = asked(i64::try_from(shard).expect("small"), 1, true);
        answers(asked, &format!("f{folder}"), true, 1, usage(cost_of(folder), 0))
    };
    let mut rows: Vec<AnswersRow> = (1..=1_000).map(|folder| of(folder, folder)).collect();
    rows.push(of(1_001, 3));
    let exact = booked(By::Folder, &rows, &[]);
    let bounded = booked_in(20, By::Folder, &rows, &[]);
    assert!(exact.given_up.is_none() && bounded.rows.len() <= 20, "{}", bounded.rows.len());
    assert_eq!(bounded.total, exact.total);
    let given_up = bounded.given_up.as_ref().expect("some were given up");
    let told = bounded.rows.iter().fold(given_up.sum.clone(), |mut all, (_, sum)| {
        all.add(sum);
        all
    });
    assert_eq!(told, exact.total, "nothing is lost on the way");
    for name in ["f7", "f507"] {
        let of = |bill: &Bill| bill.rows.iter().find(|(told, _)| told == name).map(|(_, sum)| sum.clone());
        assert_eq!(of(&bounded), of(&exact), "{name} is dear, and never given up");
    }
    for (name, sum) in &bounded.rows {
        let whole = exact.rows.iter().find(|(told, _)| told == name).map_or(Money::ZERO, |(_, sum)| sum.cost);
        assert!(whole <= sum.cost + given_up.most_missing, "{name}: {whole} of {}", sum.cost);
    }
}
