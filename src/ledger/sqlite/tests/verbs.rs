//! Single verbs: what each does, and what it refuses.

use super::*;
use crate::domain::batch::{BatchEnd, Refusal, Usage};
use crate::domain::image::Reason;
use crate::domain::shard::ShardState;
use crate::domain::verdict::Verdict;
use crate::ledger::moves::ImageState;
use crate::ledger::records::{
    Culprit, Cursor, Ending, Enrolled, Hold, ImageVerdict, RawFile, Remeasured, Settled, TextOwner,
};

fn stale<T: std::fmt::Debug>(told: Result<T, LedgerError>) {
    assert!(matches!(told, Err(LedgerError::Stale(_))), "{told:?}");
}

fn ending(end: BatchEnd) -> Ending {
    let output = (end == BatchEnd::Completed).then(|| FileId("out".into()));
    Ending { end, output, errors: None, usage: None, model: None, refusal: None, named: Vec::new() }
}

const RAW: RawFile = RawFile { bytes: 9, sha256: [1; 32] };

fn judged(image: i64, verdict: Verdict) -> ImageVerdict {
    let text = matches!(verdict, Verdict::Accept | Verdict::Blank).then_some((TextOwner::Ours, [9; 16]));
    let usage = Some(Usage { prompt: 5, cached: 1, output: 2, reasoning: 0 });
    ImageVerdict { flags: vec!["blank", "loop"], usage, text, ..ImageVerdict::bare(ImageId(image), verdict) }
}

fn fetch(desk: &mut Desk, batch: BatchNo) {
    desk.done(|store| store.ended(batch, &ending(BatchEnd::Completed)));
    desk.done(|store| store.fetched(batch, Some(RAW), None));
}

#[test]
fn a_run_goes_on_and_a_new_account_begins_one() {
    let mut desk = Desk::in_memory();
    let first = desk.done(|store| store.begin_run(&new_run()));
    assert!(first.resumed && first.id == desk.run && first.name == "2026-11-22-a" && first.tag.0.len() == 12);
    let other = desk.done(|store| store.begin_run(&NewRun { identity: "other".into(), ..new_run() }));
    assert!(!other.resumed && other.name == "2026-11-22-b" && other.tag != first.tag);
}

#[test]
fn recipes_and_corpora_are_known_again() {
    let mut desk = Desk::in_memory();
    assert_eq!(desk.done(|store| store.recipe(&recipe())), desk.recipe);
    assert_ne!(desk.done(|store| store.recipe(&Recipe { step: 2, ..recipe() })), desk.recipe);
    assert_eq!(desk.done(|store| store.corpus(b"/pages", b"elsewhere")).id, desk.corpus);
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    assert_eq!(desk.done(|store| store.plan(shard)).given, b"pages");
}

#[test]
fn a_page_is_counted_and_a_second_look_changes_nothing() {
    let mut desk = Desk::in_memory();
    let corpus = desk.corpus;
    let page = [
        found("a.png", 1, owed()),
        found("b.png", 1, Fate::Failed(Reason::Unreadable)),
        found("c.png", 1, Fate::Skipped(Reason::TextPresent)),
    ];
    let told = desk.done(|store| store.enrol(corpus, &page));
    assert_eq!(told, Enrolled { owed: 1, failed: 1, skipped: 1, ..Enrolled::default() });
    let told = desk.done(|store| store.enrol(corpus, &page));
    assert_eq!(told, Enrolled { unchanged: 3, ..Enrolled::default() });
    let better = [found("b.png", 1, owed()), found("c.png", 1, owed()), found("a.png", 2, owed())];
    let told = desk.done(|store| store.enrol(corpus, &better));
    assert_eq!(told, Enrolled { owed: 2, changed: 1, ..Enrolled::default() });
    let fed = desk.done(|store| store.take_owed(corpus, Cursor::default(), 9));
    let order: Vec<_> = fed.images.iter().map(|image| (image.id.0, image.stamp.mtime_ms)).collect();
    assert_eq!(order, [(1, 2), (2, 1), (3, 1)], "a changed image keeps its place in the feed");
}

#[test]
fn the_feed_is_read_once_per_cursor() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 5);
    let corpus = desk.corpus;
    let first = desk.done(|store| store.take_owed(corpus, Cursor::default(), 3));
    assert_eq!(first.images.len(), 3);
    assert!(first.images.iter().all(|image| image.first && image.attempt == 1));
    let second = desk.done(|store| store.take_owed(corpus, first.next, 3));
    assert_eq!(second.images.iter().map(|image| image.id.0).collect::<Vec<_>>(), [4, 5]);
    let dry = desk.done(|store| store.take_owed(corpus, second.next, 3));
    assert_eq!((dry.images.len(), dry.next), (0, second.next));
    let other = desk.done(|store| store.corpus(b"/other", b"other")).id;
    assert_eq!(desk.done(|store| store.take_owed(other, Cursor::default(), 3)).images, []);
}

#[test]
fn a_plan_is_told_as_it_was_sealed() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 3);
    let plan = desk.plan_of(1, &[3, 1]);
    let facts = desk.done(|store| store.seal(&plan));
    assert_eq!((facts.lines, facts.bytes, facts.next_attempt, facts.state), (2, 200, 1, ShardState::Sealed));
    let told = desk.done(|store| store.plan(facts.id));
    let lines: Vec<_> = told.lines.iter().map(|line| (line.pos, line.image.0, line.bytes, line.attempt)).collect();
    assert_eq!(lines, [(1, 3, 100, 1), (2, 1, 100, 1)]);
    assert_eq!((told.recipe.clone(), told.root), (Recipe { id: Some(desk.recipe), ..recipe() }, b"/pages".to_vec()));
    let again = desk.plan_of(2, &[2, 1]);
    stale(desk.act(|store| store.seal(&again)));
    assert_eq!(desk.store.standing().packed, 2, "a refused plan packs nothing");
    let empty = desk.plan_of(3, &[]);
    stale(desk.act(|store| store.seal(&empty)));
}

#[test]
fn a_second_body_must_be_the_first_one() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.spooled(shard, BODY));
    desk.done(|store| store.spooled(shard, BODY));
    stale(desk.act(|store| store.spooled(shard, [8; 16])));
    stale(desk.act(|store| store.uploaded(shard, &FileId("f".into()), 5, [8; 16])));
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    let facts = desk.done(|store| store.shard(shard));
    assert_eq!((facts.state, facts.input), (ShardState::Uploaded, Some((FileId("f".into()), 5))));
    desk.intend(shard);
    stale(desk.act(|store| store.dissolve(shard, None)));
}

#[test]
fn a_file_that_keeps_changing_is_given_up() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 2);
    for round in 1..=3 {
        let plan = desk.plan_of(round, &[1, 2]);
        let shard = desk.done(|store| store.seal(&plan)).id;
        let mtime_ms = 100 + i64::try_from(round).expect("small");
        let now = Ok(Remeasured { stamp: Stamp { bytes: 11, mtime_ms }, fate: owed() });
        let culprit = Culprit { image: ImageId(1), now };
        desk.done(|store| store.dissolve(shard, Some(&culprit)));
        assert_eq!(desk.state(2), "owed");
        assert_eq!(desk.state(1), if round < 3 { "owed" } else { "failed changed" });
    }
    let corpus = desk.corpus;
    let feed = desk.done(|store| store.take_owed(corpus, Cursor::default(), 9)).images;
    assert_eq!((feed.len(), feed[0].attempt, feed[0].first), (1, 1, false), "nothing was counted against the other");
    let plan = desk.plan_of(9, &[2]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    let missing = Culprit { image: ImageId(2), now: Err(Reason::Missing) };
    let elsewhere = Culprit { image: ImageId(1), now: Err(Reason::Missing) };
    stale(desk.act(|store| store.dissolve(shard, Some(&elsewhere))));
    desk.done(|store| store.dissolve(shard, Some(&missing)));
    assert_eq!(desk.state(2), "failed missing_file");
}

#[test]
fn another_account_gives_up_what_was_never_sent_and_nothing_else() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 5);
    let seal = |desk: &mut Desk, image: i64| {
        let plan = desk.plan_of(usize::try_from(image).expect("small"), &[image]);
        desk.done(|store| store.seal(&plan)).id
    };
    let [unsent, second, spooled, uploaded, void] = [1, 2, 3, 4, 5].map(|image| seal(&mut desk, image));
    desk.done(|store| store.spooled(spooled, BODY));
    for shard in [uploaded, void] {
        desk.done(|store| store.uploaded(shard, &FileId(format!("file-{shard}")), 5, BODY));
    }
    let intent = desk.intend(void);
    desk.done(|store| store.fenced(intent.no));
    desk.done(|store| store.voided(intent.no));
    let run = desk.run;
    assert_eq!(desk.done(|store| store.dissolve_unsent(run, 9)), 0, "they are this account's own");
    let other = NewRun { identity: "other".into(), ..new_run() };
    let begun = desk.done(|store| store.begin_run(&other));
    assert!(begun.foreign.is_some(), "what was written out, uploaded or tried");
    let many = [1, 1, 0].map(|expected| (desk.done(|store| store.dissolve_unsent(begun.id, 1)), expected));
    assert!(many.iter().all(|(told, expected)| told == expected), "{many:?}");
    let states = [unsent, second, spooled, uploaded, void].map(|shard| desk.done(|store| store.shard(shard)).state);
    let words = states.map(ShardState::word);
    assert_eq!(words, ["dissolved", "dissolved", "sealed", "uploaded", "sealed"]);
    assert_eq!([1, 2, 3, 4, 5].map(|image| desk.state(image)), ["owed", "owed", "packed", "packed", "packed"]);
}

#[test]
fn a_plan_that_was_never_sent_stands_in_nobodys_way() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    let other = NewRun { identity: "other".into(), ..new_run() };
    assert_eq!(desk.done(|store| store.begin_run(&other)).foreign, None);
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    assert!(desk.done(|store| store.begin_run(&other)).foreign.is_some());
}

#[test]
fn a_batch_that_was_surely_not_created_is_tried_again() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    stale(desk.act(|store| store.intend(shard)));
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    let intent = desk.intend(shard);
    stale(desk.act(|store| store.intend(shard)));
    let refusal = Refusal { code: "token_limit_exceeded".into(), message: "later".into(), line: None };
    desk.done(|store| store.not_created(intent.no, &refusal, Hold::Until(77)));
    let facts = desk.done(|store| store.shard(shard));
    assert_eq!((facts.state, facts.not_before, facts.next_attempt), (ShardState::Uploaded, 77, 2));
    assert_eq!(desk.store.standing().shards_returned, 1);
    assert_eq!(desk.intend(shard).attempt, 2);
}

#[test]
fn a_refusal_counts_only_while_it_is_the_last_word() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    let told = |desk: &mut Desk| {
        let refusal = desk.done(|store| store.last_refusal(shard));
        refusal.map(|refusal| refusal.code)
    };
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    assert_eq!(told(&mut desk), None, "not refused yet");
    let intent = desk.intend(shard);
    assert_eq!(told(&mut desk), None, "under way");
    let refusal = Refusal { code: "bad".into(), message: String::new(), line: None };
    desk.done(|store| store.not_created(intent.no, &refusal, Hold::Until(0)));
    assert_eq!(told(&mut desk).as_deref(), Some("bad"));
    desk.intend(shard);
    assert_eq!(told(&mut desk), None, "under way again");
}

#[test]
fn the_smallest_shard_that_was_too_large_is_remembered_for_its_account() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 5);
    let (large, small, run) = (desk.plan_of(1, &[1, 2, 3]), desk.plan_of(2, &[4, 5]), desk.run);
    assert_eq!(desk.done(|store| store.smallest_too_large(run)), None);
    for plan in [large, small] {
        let shard = desk.done(|store| store.seal(&plan)).id;
        desk.done(|store| store.too_large(shard));
        assert_eq!(desk.done(|store| store.shard(shard)).state, ShardState::Dissolved);
        stale(desk.act(|store| store.too_large(shard)));
    }
    assert_eq!(desk.done(|store| store.smallest_too_large(run)), Some(200));
    assert_eq!(desk.done(|store| store.smallest_too_large(RunId(99))), None);
    assert_eq!(desk.store.standing().owed, 5);
}

#[test]
fn nothing_is_void_without_a_fence() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard, &FileId("f".into()), 5, BODY));
    let intent = desk.intend(shard);
    desk.done(|store| store.doubted(intent.no));
    stale(desk.act(|store| store.voided(intent.no)));
    assert!(!desk.done(|store| store.intent(shard)).fenced);
    desk.done(|store| store.fenced(intent.no));
    assert!(desk.done(|store| store.intent(shard)).fenced);
    desk.done(|store| store.voided(intent.no));
    let facts = desk.done(|store| store.shard(shard));
    assert_eq!((facts.state, facts.input, facts.body_hash), (ShardState::Sealed, None, Some(BODY)));
    assert_eq!(desk.store.standing().sealed, 1);
    assert_eq!(desk.events(), ["uploaded", "intent", "doubted", "fenced", "voided"]);
}

#[test]
fn a_turned_away_batch_gives_its_file_to_the_next_one() {
    let mut desk = Desk::in_memory();
    let (shard, batch) = desk.open_shard(1, 2);
    let ended = desk.done(|store| store.ended(batch, &ending(BatchEnd::TurnedAway)));
    assert!(ended.refusal.is_some());
    desk.done(|store| store.turned_away(batch, Hold::Until(55)));
    let facts = desk.done(|store| store.shard(shard));
    assert_eq!((facts.state, facts.not_before, facts.next_attempt), (ShardState::Uploaded, 55, 2));
    assert!(facts.input.is_some());
    let (_, other) = desk.open_shard(2, 1);
    desk.done(|store| store.ended(other, &ending(BatchEnd::Completed)));
    stale(desk.act(|store| store.turned_away(other, Hold::Until(55))));
}

#[test]
fn a_shard_that_a_stray_answers_for_is_not_opened_again() {
    let mut desk = Desk::in_memory();
    let (shard, batch) = desk.open_shard(1, 2);
    let stray = desk.done(|store| store.stray(shard, &FileId("file-1".into()), &BatchId("second".into())));
    desk.done(|store| store.ended(batch, &ending(BatchEnd::TurnedAway)));
    stale(desk.act(|store| store.turned_away(batch, Hold::Until(55))));
    fetch(&mut desk, stray.no);
    desk.done(|store| store.verdicts(stray.no, &[judged(1, Verdict::Accept)]));
    desk.done(|store| store.settle(stray.no));
    stale(desk.act(|store| store.turned_away(batch, Hold::Until(55))));
    assert_eq!(desk.done(|store| store.unswept(9)).len(), 0, "its input file is still the other one's");
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 1, failed: 0 });
    assert_eq!(desk.state(1), "done");
}

#[test]
fn verdicts_move_their_images_once() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 5);
    let counted = Verdict::AskAgain { reason: Reason::Truncated, counted: true };
    let chunk = [
        judged(1, Verdict::Accept),
        judged(2, Verdict::Blank),
        judged(3, counted.clone()),
        judged(4, Verdict::Reject(Reason::Refused)),
    ];
    stale(desk.act(|store| store.verdicts(batch, &chunk)));
    fetch(&mut desk, batch);
    let [done, owed, failed] = [ImageState::Done, ImageState::Owed, ImageState::Failed].map(Some);
    for became in [[done, done, owed, failed], [None; 4]] {
        assert_eq!(desk.done(|store| store.verdicts(batch, &chunk)), became, "a repetition leaves them as they are");
        let states: Vec<_> = (1..=5).map(|image| desk.state(image)).collect();
        assert_eq!(states, ["done", "done", "owed", "failed refused", "packed"]);
    }
    assert!(!desk.events().contains(&"surplus".to_owned()), "a repetition is no news");
    desk.done(|store| store.verdicts(batch, &[judged(1, counted)]));
    assert_eq!((desk.state(1), desk.events().last().map(String::as_str)), ("done".into(), Some("surplus")));
    let settled = desk.done(|store| store.settle(batch));
    assert_eq!(settled, Settled { owed: 1, failed: 0 });
    let corpus = desk.corpus;
    let feed = desk.done(|store| store.take_owed(corpus, Cursor::default(), 9)).images;
    let tries: Vec<_> = feed.iter().map(|image| (image.id.0, image.attempt, image.first)).collect();
    assert_eq!(tries, [(3, 2, false), (5, 1, false)]);
    let known = desk.done(|store| store.known_texts(&[ImageId(1), ImageId(3)]));
    assert_eq!([known[0].hash, known[1].hash], [Some([9; 16]), None]);
    let naked = ImageVerdict { text: None, ..judged(1, Verdict::Accept) };
    let (_, next) = desk.open_shard(2, 1);
    fetch(&mut desk, next);
    stale(desk.act(|store| store.verdicts(next, &[ImageVerdict { image: ImageId(6), ..naked }])));
}

#[test]
fn tries_and_returns_have_an_end() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 2);
    for round in 1..=3 {
        let images: &[i64] = &[1, 2];
        let plan = desk.plan_of(round, images);
        let shard = desk.done(|store| store.seal(&plan)).id;
        let name = format!("{round}");
        desk.done(|store| store.uploaded(shard, &FileId(name.clone()), 5, BODY));
        let batch = desk.intend(shard).no;
        desk.done(|store| store.opened(batch, &BatchId(name), None, true));
        desk.done(|store| store.ended(batch, &ending(BatchEnd::Completed)));
        desk.done(|store| store.fetched(batch, Some(RAW), None));
        let counted = judged(1, Verdict::AskAgain { reason: Reason::JsonInvalid, counted: true });
        desk.done(|store| store.verdicts(batch, &[counted]));
        desk.done(|store| store.settle(batch));
    }
    assert_eq!((desk.state(1).as_str(), desk.state(2).as_str()), ("failed json_invalid", "failed missing"));
    assert!(desk.store.standing().closes());
}

#[test]
fn what_vanished_is_asked_again_by_a_person_only() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 2);
    desk.done(|store| store.ended(batch, &ending(BatchEnd::Vanished)));
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 0, failed: 2 });
    assert_eq!(desk.state(1), "failed results_gone");
    let (_, batch) = desk.open_shard(2, 1);
    desk.done(|store| store.ended(batch, &ending(BatchEnd::Completed)));
    stale(desk.act(|store| store.settle(batch)));
    desk.done(|store| store.results_gone(batch));
    desk.done(|store| store.settle(batch));
    assert_eq!(desk.state(3), "failed results_gone");
}

#[test]
fn a_refusal_that_names_a_line_spares_the_others() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 3);
    let refusal = Some(Refusal { code: "invalid".into(), message: "line 2".into(), line: Some(2) });
    let refused = Ending { refusal, ..ending(BatchEnd::Refused) };
    desk.done(|store| store.ended(batch, &refused));
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 2, failed: 1 });
    assert_eq!([1, 2, 3].map(|image| desk.state(image)), ["owed", "failed provider_error", "owed"]);
}

#[test]
fn every_line_that_a_refusal_names_fails_its_image() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 4);
    let refusal = Some(Refusal { code: "invalid_json_line".into(), message: "no".into(), line: Some(4) });
    let refused = Ending { refusal: refusal.clone(), named: vec![4, 2, 99], ..ending(BatchEnd::Refused) };
    assert_eq!(desk.done(|store| store.ended(batch, &refused)).refusal, refusal);
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 2, failed: 2 });
    let failed = "failed provider_error";
    assert_eq!([1, 2, 3, 4].map(|image| desk.state(image)), ["owed", failed, "owed", failed]);
}

#[test]
fn a_batch_refused_for_the_runs_sake_counts_nothing_against_its_images() {
    let mut desk = Desk::in_memory();
    let (_, batch) = desk.open_shard(1, 2);
    fetch(&mut desk, batch);
    desk.done(|store| store.verdicts(batch, &[judged(1, Verdict::Accept)]));
    assert_eq!(desk.done(|store| store.settle_uncounted(batch)), Settled { owed: 1, failed: 0 });
    let gaps = |desk: &Desk, image: i64| -> i64 {
        let sql = "SELECT gaps FROM image WHERE id = ?1";
        desk.store.connection.query_row(sql, [image], |row| row.get(0)).expect("image")
    };
    assert_eq!((desk.state(2).as_str(), gaps(&desk, 2)), ("owed", 0));
    let refused = Some(Refusal { code: "x".into(), message: "line 1".into(), line: Some(1) });
    let (_, batch) = desk.open_shard(2, 1);
    desk.done(|store| store.ended(batch, &Ending { refusal: refused, ..ending(BatchEnd::Refused) }));
    assert_eq!(desk.done(|store| store.settle_uncounted(batch)), Settled { owed: 1, failed: 0 });
    assert_eq!((desk.state(3).as_str(), gaps(&desk, 3)), ("owed", 0), "nobody fails for the run's sake");
}

#[test]
fn what_may_stand_under_another_name_was_asked() {
    let mut desk = Desk::in_memory();
    let tries = |desk: &Desk, image: i64| -> (i64, i64) {
        let sql = "SELECT asked, gaps FROM image WHERE id = ?1";
        desk.store.connection.query_row(sql, [image], |row| Ok((row.get(0)?, row.get(1)?))).expect("image")
    };
    let (_, mut batch) = desk.open_shard(1, 2);
    let mut images = vec![1, 2];
    for asked in 1..=ALLOWED.attempts {
        fetch(&mut desk, batch);
        if asked == 1 {
            desk.done(|store| store.verdicts(batch, &[judged(1, Verdict::Accept)]));
            images.remove(0);
        }
        let last = asked == ALLOWED.attempts;
        let expected = if last { Settled { owed: 0, failed: 1 } } else { Settled { owed: 1, failed: 0 } };
        assert_eq!(desk.done(|store| store.settle_asked(batch)), expected, "{asked}");
        assert_eq!((desk.state(1).as_str(), tries(&desk, 2)), ("done", (asked.into(), 0)));
        if !last {
            let plan = desk.plan_of(1 + asked as usize, &images);
            let shard = desk.done(|store| store.seal(&plan)).id;
            desk.done(|store| store.uploaded(shard, &FileId(format!("again-{asked}")), 5, BODY));
            let intent = desk.intend(shard);
            desk.done(|store| store.opened(intent.no, &BatchId(format!("again-{asked}")), None, false));
            batch = intent.no;
        }
    }
    assert_eq!(desk.state(2), "failed provider_error");
}

#[test]
fn a_recipe_is_proven_by_an_accepted_answer() {
    let mut desk = Desk::in_memory();
    let (recipe, (_, batch)) = (desk.recipe, desk.open_shard(1, 2));
    fetch(&mut desk, batch);
    desk.done(|store| store.verdicts(batch, &[judged(1, Verdict::Reject(Reason::Refused))]));
    assert!(!desk.done(|store| store.is_proven(recipe)));
    desk.done(|store| store.verdicts(batch, &[judged(2, Verdict::Accept)]));
    assert!(desk.done(|store| store.is_proven(recipe)));
}

#[test]
fn a_recipe_is_on_its_way_while_a_batch_of_it_is_not_settled() {
    let mut desk = Desk::in_memory();
    let recipe = desk.recipe;
    let on_its_way = |desk: &mut Desk| desk.done(|store| store.is_on_its_way(recipe));
    assert!(!on_its_way(&mut desk), "nothing was sent");
    let (_, batch) = desk.open_shard(1, 2);
    assert!(on_its_way(&mut desk), "open");
    fetch(&mut desk, batch);
    assert!(on_its_way(&mut desk), "read and not judged");
    desk.done(|store| store.settle(batch));
    assert!(!on_its_way(&mut desk), "settled");
}

#[test]
fn an_unusable_answer_ends_no_image_while_another_batch_may_have_a_good_one() {
    let mut desk = Desk::in_memory();
    let (shard, batch) = desk.open_shard(1, 3);
    let stray = desk.done(|store| store.stray(shard, &FileId("file-1".into()), &BatchId("second".into())));
    fetch(&mut desk, batch);
    let cut = Verdict::AskAgain { reason: Reason::Truncated, counted: true };
    let refused = Verdict::Reject(Reason::Refused);
    let chunk = [judged(1, refused.clone()), judged(2, refused.clone()), judged(3, cut)];
    for _repeated in 0..2 {
        assert_eq!(desk.done(|store| store.verdicts(batch, &chunk)), [Some(ImageState::Packed); 3]);
        assert_eq!([1, 2, 3].map(|image| desk.state(image)), ["packed", "packed", "packed"]);
    }
    fetch(&mut desk, stray.no);
    let empty = Verdict::Reject(Reason::Empty);
    desk.done(|store| store.verdicts(stray.no, &[judged(1, Verdict::Accept), judged(2, empty)]));
    assert_eq!([1, 2, 3].map(|image| desk.state(image)), ["done", "packed", "packed"]);
    desk.done(|store| store.settle(stray.no));
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 1, failed: 1 });
    assert_eq!([2, 3].map(|image| desk.state(image)), ["failed empty", "owed"]);
    let held: i64 = desk
        .store
        .connection
        .query_row("SELECT count(*) FROM line WHERE verdict LIKE 'held%'", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(held, 0);
}

#[test]
fn the_shard_waits_for_its_strays() {
    let mut desk = Desk::in_memory();
    let (shard, batch) = desk.open_shard(1, 2);
    let stray = desk.done(|store| store.stray(shard, &FileId("file-1".into()), &BatchId("second".into())));
    stale(desk.act(|store| store.stray(shard, &FileId("file-1".into()), &BatchId("second".into()))));
    fetch(&mut desk, batch);
    stale(desk.act(|store| store.settle(batch)));
    assert_eq!(desk.done(|store| store.open_batches()).iter().map(|open| open.no).collect::<Vec<_>>(), [stray.no]);
    fetch(&mut desk, stray.no);
    desk.done(|store| store.verdicts(stray.no, &[judged(1, Verdict::Accept)]));
    assert_eq!(desk.done(|store| store.settle(stray.no)), Settled::default());
    assert_eq!(desk.state(2), "packed", "the stray closed its own books only");
    assert_eq!(desk.done(|store| store.settle(batch)), Settled { owed: 1, failed: 0 });
    assert_eq!(desk.done(|store| store.unswept(9)).len(), 2);
    desk.done(|store| store.swept(batch));
    assert_eq!(desk.done(|store| store.unswept(9)).iter().map(|left| left.no).collect::<Vec<_>>(), [stray.no]);
}

#[test]
fn a_refused_command_takes_no_neighbour_with_it() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 3);
    let (good, bad) = (desk.plan_of(1, &[1]), desk.plan_of(2, &[2, 1]));
    desk.store.begin().expect("begin");
    for plan in [&good, &bad] {
        desk.store.savepoint().expect("savepoint");
        let keep = desk.store.seal(plan).is_ok();
        desk.store.release(keep).expect("release");
    }
    desk.store.commit().expect("commit");
    let standing = desk.store.standing();
    assert_eq!((standing.packed, standing.owed, standing.sealed), (1, 2, 1));
    desk.store.begin().expect("begin");
    let other = desk.plan_of(3, &[2]);
    desk.store.seal(&other).expect("seal");
    desk.store.rollback();
    assert_eq!(desk.store.standing(), standing);
}

#[test]
fn walking_is_told_while_it_lasts() {
    let mut desk = Desk::in_memory();
    let corpus = desk.corpus;
    assert!(!desk.store.standing().walking);
    desk.done(|store| store.walk_begins(corpus));
    assert!(desk.store.standing().walking);
    desk.done(|store| store.walk_over(corpus));
    assert!(!desk.store.standing().walking);
    stale(desk.act(|store| store.walk_over(CorpusId(99))));
}

#[test]
fn contents_and_events_are_kept() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    desk.done(|store| store.content_seen(&[(ImageId(1), [3; 16])]));
    stale(desk.act(|store| store.content_seen(&[(ImageId(9), [3; 16])])));
    desk.done(|store| store.note_event("odd", None, "why"));
    assert_eq!(desk.events(), ["odd"]);
    assert!(desk.store.connection.execute("DELETE FROM event", []).is_err());
    assert!(desk.store.connection.execute("DELETE FROM image", []).is_err());
}
