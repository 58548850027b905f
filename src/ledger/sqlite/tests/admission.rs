//! The provider's queue: what is admitted, when, and what is learned from refusals.

use std::time::Duration;

use super::{BODY, Desk};
use crate::domain::batch::{Admission, BatchEnd, Refusal, Usage};
use crate::domain::ids::{BatchId, FileId, ShardId};
use crate::domain::shard::ShardState;
use crate::ledger::records::{Ending, Hold};
use crate::ledger::store::{Frame as _, Store as _};

/// A batch that ran, without files.
fn ran(end: BatchEnd) -> Ending {
    Ending { end, output: None, errors: None, usage: None, model: None, refusal: None, named: Vec::new() }
}

/// Seals and uploads a shard of one image: ten estimated tokens.
fn uploaded_shard(desk: &mut Desk, shard: usize, image: i64) -> ShardId {
    let plan = desk.plan_of(shard, &[image]);
    let shard_id = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard_id, &FileId(format!("file-{shard}")), 5, BODY));
    shard_id
}

fn told(words: &str) -> Refusal {
    Refusal { code: "token_limit_exceeded".into(), message: words.into(), line: None }
}

#[test]
fn a_shard_is_opened_only_if_the_sum_of_what_is_enqueued_allows_it() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 4);
    let (run, recipe) = (desk.run, desk.recipe);
    assert_eq!(desk.done(|store| store.token_limit(run, recipe)), None, "nothing is known at first");
    let [first, second, third] = [1, 2, 3].map(|n| uploaded_shard(&mut desk, n, i64::try_from(n).expect("small")));
    let batch = desk.intend(first).no;
    desk.done(|store| store.opened(batch, &BatchId("b1".into()), None, false));

    // The first refusal names the limit: two shards fit, and everything of the model waits a minute.
    let refused = desk.intend(second).no;
    let refusal = told("Enqueued token limit reached for m. Limit: 20 enqueued tokens.");
    let hold = Hold::Queue { limit: refusal.queue_limit(), spread: 0.5 };
    desk.done(|store| store.not_created(refused, &refusal, hold));
    assert_eq!(desk.done(|store| store.token_limit(run, recipe)), Some(20));
    let until = desk.store.clock.now() + 60_000;
    let full = Admission::Full { used: 10, limit: Some(20), until: Some(until) };
    assert_eq!(desk.done(|store| store.intend(third)), full);

    desk.store.clock.advance(Duration::from_secs(61));
    let batch = desk.intend(second).no;
    let full = Admission::Full { used: 20, limit: Some(20), until: None };
    assert_eq!(desk.done(|store| store.intend(third)), full);
    assert_eq!(desk.done(|store| store.shard(third)).state, ShardState::Uploaded, "nothing was written");
    let left = desk.store.standing().queue_left;
    desk.done(|store| store.opened(batch, &BatchId("b2".into()), None, false));
    desk.done(|store| store.ended(batch, &ran(BatchEnd::Completed)));
    assert_eq!(desk.store.standing().queue_left, left + 1);
    desk.intend(third);
}

#[test]
fn a_plan_that_was_refused_alone_is_made_anew_though_its_estimate_would_fit() {
    for (limit, remembered) in [(12, 9), (30, 30)] {
        let mut desk = Desk::in_memory();
        desk.enrol(0, 2);
        let (run, recipe) = (desk.run, desk.recipe);
        let shard = uploaded_shard(&mut desk, 1, 1);
        let refused = desk.intend(shard).no;
        desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: Some(limit), spread: 0.5 }));
        assert_eq!(desk.done(|store| store.token_limit(run, recipe)), Some(remembered), "{limit}");
        desk.store.clock.advance(Duration::from_secs(61));
        // Others may have filled a queue that is much larger than the plan.
        let again = desk.done(|store| store.intend(shard));
        assert_eq!(matches!(again, Admission::TooLarge { limit: 9 }), limit == 12, "{again:?}");
    }
}

#[test]
fn pauses_grow_until_a_batch_runs_and_a_clock_that_jumped_is_not_believed() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 2);
    let shard = uploaded_shard(&mut desk, 1, 1);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let refused = desk.intend(shard).no;
        desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: None, spread: 0.5 }));
        let Admission::Full { until: Some(until), .. } = desk.done(|store| store.intend(shard)) else { panic!("held") };
        pauses.push((until - desk.store.clock.now()) / 60_000);
        desk.store.clock.advance(Duration::from_secs(2 * 3600));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);

    let batch = desk.intend(shard).no;
    desk.done(|store| store.opened(batch, &BatchId("b1".into()), None, false));
    desk.done(|store| store.ended(batch, &ran(BatchEnd::Expired)));
    let other = uploaded_shard(&mut desk, 2, 2);
    let refused = desk.intend(other).no;
    desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: None, spread: 0.5 }));
    let Admission::Full { until, .. } = desk.done(|store| store.intend(other)) else { panic!("held") };
    assert_eq!(until, Some(desk.store.clock.now() + 60_000), "a batch ran: from the beginning");

    desk.store.connection.execute("UPDATE allowance SET penalty_until = penalty_until + 86400000", []).expect("a jump");
    desk.intend(other);
}

#[test]
fn a_plan_above_the_limit_never_fits_and_is_dissolved() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 2);
    let [first, second] = [1, 2].map(|n| uploaded_shard(&mut desk, n, i64::try_from(n).expect("small")));
    let refused = desk.intend(first).no;
    desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: Some(9), spread: 0.5 }));
    assert_eq!(desk.done(|store| store.intend(second)), Admission::TooLarge { limit: 9 });
    desk.done(|store| store.dissolve(second, None));
    assert_eq!((desk.state(2), desk.done(|store| store.shard(second)).state), ("owed".into(), ShardState::Dissolved));
}

#[test]
fn what_batches_told_corrects_the_limit() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 1);
    desk.done(|store| {
        let usage = Some(Usage { prompt: 20, ..Usage::default() });
        store.ended(batch, &Ending { usage, ..ran(BatchEnd::Completed) })
    });
    desk.done(|store| store.settle(batch));
    let shard = {
        desk.enrol(1, 1);
        uploaded_shard(&mut desk, 2, 2)
    };
    let refused = desk.intend(shard).no;
    desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: Some(1000), spread: 0.5 }));
    let (run, recipe) = (desk.run, desk.recipe);
    assert_eq!(desk.done(|store| store.token_limit(run, recipe)), Some(500), "twice as many were told as estimated");
}

#[test]
fn a_limit_is_asked_for_again_after_a_week() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let shard = uploaded_shard(&mut desk, 1, 1);
    let (run, recipe) = (desk.run, desk.recipe);
    let refused = desk.intend(shard).no;
    desk.done(|store| store.not_created(refused, &told(""), Hold::Queue { limit: Some(9), spread: 0.5 }));
    desk.store.clock.advance(Duration::from_secs(6 * 24 * 3600));
    assert_eq!(desk.done(|store| store.intend(shard)), Admission::TooLarge { limit: 9 });
    desk.store.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(desk.done(|store| store.token_limit(run, recipe)), None);
    desk.intend(shard);
}
