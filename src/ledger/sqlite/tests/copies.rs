//! Copies of images that are owed, at the provider, done or failed.

use super::*;
use crate::domain::image::Reason;
use crate::ledger::copies::{By, ReadyCopy, Seen, SeenHash, ServedCopy};
use crate::ledger::records::{Cursor, Standing, TextOwner};

const STAMP: Stamp = Stamp { bytes: 10, mtime_ms: 1 };

fn ids(images: &[i64]) -> Vec<ImageId> {
    images.iter().map(|id| ImageId(*id)).collect()
}

/// Looks into these images, which all have the same bytes, and tells which of them are copies then.
fn sift(desk: &mut Desk, images: &[i64]) -> Vec<i64> {
    let (corpus, recipe) = (desk.corpus, desk.recipe);
    let alike = desk.done(|store| store.alike(corpus, &ids(images), By::Length));
    let seen = |hash, image| Seen { image, stamp: STAMP, hash };
    let samples: Vec<_> = alike.unread.iter().map(|file| seen(SeenHash::Sample(5), file.image)).collect();
    desk.done(|store| store.seen(&samples));
    let alike = desk.done(|store| store.alike(corpus, &alike.images, By::Sample));
    let contents: Vec<_> = alike.unread.iter().map(|file| seen(SeenHash::Content([3; 16]), file.image)).collect();
    desk.done(|store| store.seen(&contents));
    let copies = desk.done(|store| store.pair_copies(corpus, &alike.images, &[recipe]));
    copies.iter().map(|image| image.0).collect()
}

fn fed(desk: &mut Desk) -> Vec<i64> {
    let corpus = desk.corpus;
    let page = desk.done(|store| store.take_owed(corpus, Cursor::default(), 99));
    page.images.iter().map(|image| image.id.0).collect()
}

/// Owed, and of them copies, of these ended and ready.
fn counts(desk: &Desk) -> [u64; 4] {
    let Standing { owed, copies, copies_ended, copies_ready, .. } = desk.store.standing();
    assert_eq!(
        super::super::open::copies(&desk.store.connection).expect("counts"),
        (copies, copies_ended, copies_ready)
    );
    [owed, copies, copies_ended, copies_ready]
}

/// Three owed images of the same bytes.
fn three() -> Desk {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 3);
    desk
}

#[test]
fn the_first_one_is_asked_and_no_two_wait_for_each_other() {
    let mut desk = three();
    assert_eq!(sift(&mut desk, &[3, 2, 1]), [3, 2]);
    assert_eq!((fed(&mut desk), counts(&desk)), (vec![1], [3, 2, 0, 0]));
    assert_eq!(sift(&mut desk, &[1, 2, 3]), [0; 0], "once more is no news");
}

#[test]
fn files_of_one_length_are_sampled_once_and_those_of_one_sample_read_once() {
    let mut desk = three();
    let corpus = desk.corpus;
    let unread = |desk: &mut Desk, by| {
        let alike = desk.done(|store| store.alike(corpus, &ids(&[1, 2, 3]), by));
        alike.unread.iter().map(|file| file.image.0).collect::<Vec<_>>()
    };
    assert_eq!(unread(&mut desk, By::Length), [2, 3, 1], "each itself, then the one that came before");
    let sample = |image, sample| Seen { image: ImageId(image), stamp: STAMP, hash: SeenHash::Sample(sample) };
    let stale = Seen { stamp: Stamp { mtime_ms: 9, ..STAMP }, ..sample(1, 4) };
    desk.done(|store| store.seen(&[stale, sample(2, 5), sample(3, 6)]));
    assert_eq!(unread(&mut desk, By::Length), [1], "what was seen of another file is forgotten");
    desk.done(|store| store.seen(&[sample(1, 5)]));
    assert_eq!(unread(&mut desk, By::Length), [0; 0]);
    assert_eq!(unread(&mut desk, By::Sample), [2, 1], "the third one is another picture");
}

#[test]
fn an_original_of_no_use_sets_them_free_in_a_new_place() {
    let mut desk = three();
    sift(&mut desk, &[1, 2, 3]);
    desk.done(|store| store.cannot_ask(ImageId(1), Reason::Missing));
    assert_eq!(counts(&desk), [2, 2, 2, 0]);
    assert_eq!(desk.done(|store| store.sort_copies()), 2);
    assert_eq!((fed(&mut desk), counts(&desk)), (vec![2, 3], [2, 0, 0, 0]));
    assert_eq!(sift(&mut desk, &[2, 3]), [3], "of these, again one is asked");
}

#[test]
fn what_is_in_the_picture_ends_all() {
    let mut desk = three();
    sift(&mut desk, &[1, 2, 3]);
    desk.done(|store| store.cannot_ask(ImageId(1), Reason::Damaged));
    assert_eq!(desk.done(|store| store.sort_copies()), 0);
    assert_eq!((desk.state(2), counts(&desk)), ("failed damaged".to_owned(), [0; 4]));
    assert_eq!(desk.done(|store| store.ask_again(&ids(&[2]), None)), 1);
    assert_eq!((sift(&mut desk, &[2]), fed(&mut desk)), (vec![], vec![2]), "put back alone, it is really asked");
}

#[test]
fn another_file_is_no_copy_any_more() {
    for changed in [1, 2] {
        let mut desk = three();
        sift(&mut desk, &[1, 2, 3]);
        let corpus = desk.corpus;
        let page = [found(&format!("page{}.png", changed - 1), 2, owed())];
        desk.done(|store| store.enrol(corpus, &page));
        let free = if changed == 1 { 2 } else { 1 };
        assert_eq!(desk.done(|store| store.sort_copies()), free, "image {changed}");
    }
}

#[test]
fn a_text_that_is_not_the_originals_any_more_is_not_recorded() {
    let mut desk = three();
    sift(&mut desk, &[1, 2, 3]);
    let plan = desk.plan_of(1, &[1]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    assert_eq!(counts(&desk), [2, 2, 0, 0], "they wait on");
    let sql = "UPDATE image SET state = 'done', text = 'txt', text_hash = zeroblob(16) WHERE id = 1";
    desk.store.connection.execute_batch(sql).expect("done");
    desk.done(|store| store.sort_copies());
    let ready: Vec<ReadyCopy> = desk.done(|store| store.ready_copies(ImageId(0), 9));
    assert_eq!((ready.len(), counts(&desk)[3]), (2, 2));
    let stands = (TextOwner::Ours, [0; 16]);
    let [first, second] = [0, 1].map(|at| ServedCopy { copy: ready[at].clone(), stands });
    desk.done(|store| store.served(&[first]));
    assert_eq!(desk.state(2), "done");
    desk.store.connection.execute_batch("UPDATE image SET text_hash = randomblob(16) WHERE id = 1").expect("new text");
    desk.done(|store| store.served(&[second]));
    assert_eq!((desk.state(3), counts(&desk)), ("owed".to_owned(), [1, 1, 1, 0]), "decided on again");
    let sql = "SELECT shard_id FROM image WHERE id = 2";
    let of_copy: i64 = desk.store.connection.query_row(sql, [], |row| row.get(0)).expect("a shard");
    assert_eq!(of_copy, shard.0, "recipe and batch of its answer are found by it");
}
