//! Batches of the provider's list: told apart, adopted, or read as strays.

use super::*;
use crate::domain::batch::BatchEnd;
use crate::domain::shard::ShardState;
use crate::ledger::records::{Ending, Listed, Recognised, Witnesses};

fn listed(desk: &mut Desk, id: &str, shard: usize) -> Listed {
    let run = desk.done(|store| store.begin_run(&new_run())).tag;
    Listed {
        id: BatchId(id.into()),
        run,
        shard: Tag(format!("tag{shard:09}")),
        body_hash: Some(BODY),
        input: Some(FileId("found".into())),
        created_at: 7,
        expires_at: Some(9),
        failed: false,
    }
}

fn recognised(desk: &mut Desk, listed: Listed) -> Recognised {
    desk.done(|store| store.recognise(&[listed])).remove(0)
}

/// A shard of two images that is sealed; `uploaded`: and its input file is there.
fn waiting(desk: &mut Desk, uploaded: bool) -> ShardId {
    desk.enrol(0, 2);
    let plan = desk.plan_of(1, &[1, 2]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    if uploaded {
        desk.done(|store| store.uploaded(shard, &FileId("own".into()), 5, BODY));
    }
    shard
}

#[test]
fn the_batch_of_a_shard_that_has_none_is_adopted() {
    for uploaded in [false, true] {
        let mut desk = Desk::in_memory();
        let shard = waiting(&mut desk, uploaded);
        let batch = listed(&mut desk, "b", 1);
        let Recognised::Adopted(open) = recognised(&mut desk, batch.clone()) else { panic!("adopted") };
        assert_eq!((open.shard, open.input.as_str()), (shard, "found"));
        assert_eq!(desk.done(|store| store.shard(shard)).state, ShardState::Spent);
        assert_eq!(desk.done(|store| store.open_batches()), [open]);
        let standing = desk.store.standing();
        assert_eq!((standing.batches_open, standing.shards_waiting, standing.sealed), (1, 0, 0));
        assert_eq!(recognised(&mut desk, batch), Recognised::Known, "once");
    }
}

#[test]
fn a_batch_beside_another_of_its_shard_is_a_stray() {
    let mut desk = Desk::in_memory();
    let (shard, batch) = desk.open_shard(1, 2);
    let second = listed(&mut desk, "second", 1);
    let Recognised::Stray(stray) = recognised(&mut desk, second) else { panic!("a stray") };
    assert!(stray.shard == shard && stray.no != batch);
    let known = listed(&mut desk, "batch-1", 1);
    assert_eq!(recognised(&mut desk, known), Recognised::Known);
}

#[test]
fn the_batch_of_a_dissolved_shard_is_read_and_swept() {
    let mut desk = Desk::in_memory();
    let shard = waiting(&mut desk, false);
    desk.done(|store| store.dissolve(shard, None));
    let late = listed(&mut desk, "late", 1);
    let Recognised::Stray(stray) = recognised(&mut desk, late) else { panic!("a stray") };
    let (output, errors) = (None, None);
    let ending =
        Ending { end: BatchEnd::Cancelled, output, errors, usage: None, model: None, refusal: None, named: Vec::new() };
    desk.done(|store| store.ended(stray.no, &ending));
    desk.done(|store| store.settle(stray.no));
    assert_eq!(desk.state(1), "owed", "its images are on another way");
    assert_eq!(desk.done(|store| store.unswept(9)).len(), 1);
}

#[test]
fn what_is_not_ours_or_never_ran_or_is_in_other_hands_changes_nothing() {
    let mut desk = Desk::in_memory();
    let shard = waiting(&mut desk, true);
    let ours = listed(&mut desk, "b", 1);
    let foreign = Listed { run: Tag("x".into()), ..ours.clone() };
    assert_eq!(recognised(&mut desk, foreign), Recognised::Foreign);
    let failed = Listed { failed: true, ..ours.clone() };
    assert_eq!(recognised(&mut desk, failed), Recognised::Known);
    desk.done(|store| store.intend(shard));
    assert_eq!(recognised(&mut desk, ours), Recognised::Known, "whoever opens it decides");
    assert_eq!(desk.done(|store| store.shard(shard)).state, ShardState::Opening);
}

/// Whoever opened other batches before or since may have had another key.
#[test]
fn a_key_is_told_by_what_the_life_of_its_intent_has_seen() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger");
    let life = |path: &std::path::Path| Desk::at(path);
    life(&path).open_shard(1, 1);
    let mut desk = life(&path);
    desk.open_shard(2, 1);
    desk.enrol(2, 1);
    let plan = desk.plan_of(3, &[3]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard, &FileId("own".into()), 5, BODY));
    let doubted = desk.intend(shard).no;
    drop(desk);
    let mut desk = life(&path);
    desk.open_shard(4, 1);
    desk.done(|store| store.note_event("witness", Some(doubted), "file-w"));
    let expected = Witnesses { files: vec![FileId("file-w".into())], batches: vec![BatchId("batch-2".into())] };
    assert_eq!(desk.done(|store| store.witnesses(doubted)), expected);
    assert_eq!(desk.done(|store| store.witnesses(BatchNo(99))), Witnesses::default());
}
