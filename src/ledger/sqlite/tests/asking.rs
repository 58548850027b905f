//! Images that are put back by order.

use super::*;
use crate::domain::batch::BatchEnd;
use crate::domain::image::Reason;
use crate::domain::review::{Deed, Review};
use crate::domain::verdict::Verdict;
use crate::ledger::reader::Reader;
use crate::ledger::records::{Cursor, Ending, ImageVerdict, RawFile, TextOwner};

/// A wish: image, reason, model.
type Wish = (i64, Option<String>, Option<String>);

fn wishes(desk: &Desk) -> Vec<Wish> {
    let sql = "SELECT image_id, after, model FROM wish ORDER BY image_id";
    let mut statement = desk.store.connection.prepare(sql).expect("sql");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("wishes");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn fed(desk: &mut Desk) -> Vec<(i64, u32)> {
    let corpus = desk.corpus;
    let page = desk.done(|store| store.take_owed(corpus, Cursor::default(), 99));
    page.images.iter().map(|image| (image.id.0, image.attempt)).collect()
}

fn again(desk: &mut Desk, images: &[i64], model: Option<&str>) -> u64 {
    let images: Vec<_> = images.iter().map(|id| ImageId(*id)).collect();
    desk.done(|store| store.ask_again(&images, model))
}

/// Five images of one batch: done, rough, failed, owed for the second time, and still packed; then one that was passed over
/// although it was measured, and one that was never measured.
fn one_of_each() -> Desk {
    one_of_each_at(Desk::in_memory())
}

fn one_of_each_at(mut desk: Desk) -> Desk {
    let (_, batch) = desk.open_shard(1, 5);
    let output = Some(FileId("out".into()));
    let ending = Ending {
        end: BatchEnd::Completed,
        output,
        errors: None,
        usage: None,
        model: None,
        refusal: None,
        named: Vec::new(),
    };
    desk.done(|store| store.ended(batch, &ending));
    desk.done(|store| store.fetched(batch, Some(RawFile { bytes: 1, sha256: [1; 32] }), None));
    let text = Some((TextOwner::Ours, [9; 16]));
    let of = |image, verdict| ImageVerdict::bare(ImageId(image), verdict);
    let verdicts = [
        ImageVerdict { text, ..of(1, Verdict::Accept) },
        ImageVerdict { text, ..of(2, Verdict::DeepClean) },
        of(3, Verdict::Reject(Reason::Refused)),
        of(4, Verdict::AskAgain { reason: Reason::Truncated, counted: true }),
    ];
    desk.done(|store| store.verdicts(batch, &verdicts));
    let corpus = desk.corpus;
    let passed = Found { text_present: true, ..found("kept.png", 1, owed()) };
    let page = [passed, found("broken.png", 1, Fate::Failed(Reason::Damaged))];
    desk.done(|store| store.enrol(corpus, &page));
    desk
}

#[test]
fn what_has_ended_is_owed_anew_in_the_order_given() {
    let mut desk = one_of_each();
    assert_eq!(fed(&mut desk), [(4, 2)]);
    assert_eq!(again(&mut desk, &[6, 3, 2, 1, 5, 4, 7], None), 4);
    assert_eq!(fed(&mut desk), [(4, 2), (6, 1), (3, 1), (2, 1), (1, 1)], "owed and packed ones are left as they are");
    assert_eq!((desk.state(5), desk.state(7)), ("packed".into(), "failed damaged".into()));
    let known = desk.done(|store| store.known_texts(&[ImageId(1), ImageId(2)]));
    assert_eq!(known[0].hash, Some([9; 16]), "our text is known until its successor comes");
    assert_eq!(known[1].hash, Some([9; 16]));
    assert!(desk.store.standing().closes());
    assert_eq!(desk.events().iter().filter(|what| *what == "retry").count(), 1);
    assert_eq!(again(&mut desk, &[6, 3, 2, 1], None), 0, "once more is no news");
    assert_eq!(desk.events().iter().filter(|what| *what == "retry").count(), 1);
}

#[test]
fn an_ordered_model_replaces_what_was_wished_for() {
    let mut desk = one_of_each();
    let batch = BatchNo(1);
    assert_eq!(wishes(&desk), [(4, Some("truncated".into()), None)]);
    desk.done(|store| store.settle(batch));
    // It fails at its second try, with the wish of the first one still there.
    desk.done(|store| store.cannot_ask(ImageId(4), Reason::TooLarge));
    assert_eq!(again(&mut desk, &[3, 4], Some("better")), 2);
    assert_eq!(wishes(&desk), [(3, None, Some("better".into())), (4, None, Some("better".into()))]);
    desk.done(|store| store.cannot_ask(ImageId(4), Reason::TooLarge));
    assert_eq!(again(&mut desk, &[4], None), 1);
    let put_back = (4, None, None);
    assert_eq!(
        wishes(&desk),
        [(3, None, Some("better".into())), put_back],
        "an order without a model takes the wish back"
    );
    let known = desk.done(|store| store.known_texts(&[ImageId(2), ImageId(4)]));
    assert_eq!(known.iter().map(|text| text.put_back).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_event_tells_run_number_and_model() {
    let mut desk = one_of_each();
    again(&mut desk, &[1, 3], Some("better"));
    let sql = "SELECT run_id, detail FROM event WHERE what = 'retry'";
    let told: (i64, String) =
        desk.store.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("event");
    assert_eq!(told, (desk.run.0, "2 images, with better".into()));
}

#[test]
fn a_file_that_got_worse_has_no_measure_to_be_asked_with() {
    let mut desk = Desk::in_memory();
    desk.enrol(0, 1);
    desk.done(|store| store.cannot_ask(ImageId(1), Reason::TooLarge));
    let corpus = desk.corpus;
    desk.done(|store| store.enrol(corpus, &[found("page0.png", 2, Fate::Failed(Reason::Damaged))]));
    assert_eq!(again(&mut desk, &[1], None), 0);
    desk.done(|store| store.enrol(corpus, &[found("page0.png", 3, owed())]));
    assert_eq!(fed(&mut desk), [(1, 1)], "the walk has measured it anew");
}

#[test]
fn an_unusable_text_counts_as_a_try_until_they_are_used_up() {
    let mut desk = one_of_each();
    let (text, reason) = ([9; 16], Reason::JsonInvalid);
    let other = desk.act(|store| store.unusable(ImageId(1), [8; 16], reason));
    assert!(matches!(other, Err(LedgerError::Stale(_))), "{other:?}");
    assert!(desk.act(|store| store.unusable(ImageId(2), text, reason)).is_err(), "a rough text is none");
    assert!(desk.done(|store| store.unusable(ImageId(1), text, reason)));
    assert_eq!(fed(&mut desk), [(4, 2), (1, 2)]);
    assert_eq!(wishes(&desk)[0], (1, Some("json_invalid".into()), None));
    let sql = "UPDATE image SET state = 'packed', owed_seq = NULL WHERE id = 1";
    desk.store.connection.execute_batch(sql).expect("packed");
    let sql = "UPDATE image SET state = 'done', asked = 2 WHERE id = 1";
    desk.store.connection.execute_batch(sql).expect("accepted at the third try");
    desk.store.books.standing.done += 1;
    desk.store.books.standing.owed -= 1;
    assert!(!desk.done(|store| store.unusable(ImageId(1), text, Reason::SchemaMismatch)));
    assert_eq!(desk.state(1), "failed schema_mismatch");
    assert!(desk.store.standing().closes());
    let derived = crate::ledger::sqlite::standing(&desk.store.connection).expect("counts");
    assert_eq!((derived.owed, derived.failed, derived.done), (1, 3, 0));
}

#[test]
fn the_only_copy_of_an_answer_becomes_a_rough_text() {
    let mut desk = one_of_each();
    desk.done(|store| store.only_copy(ImageId(1), [9; 16], [9; 16]));
    assert_eq!(desk.state(1), "rough");
    assert!(desk.act(|store| store.only_copy(ImageId(1), [9; 16], [9; 16])).is_err());
    assert_eq!(desk.done(|store| store.known_texts(&[ImageId(1)]))[0].hash, Some([9; 16]));
    assert!(desk.store.standing().closes());
}

#[test]
fn what_a_person_did_is_noted() {
    let mut desk = one_of_each();
    let noted = |desk: &Desk| -> (Option<String>, bool) {
        let sql = "SELECT review, edited_at IS NOT NULL FROM note WHERE image_id = 1";
        desk.store.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a note")
    };
    let before = (desk.state(1), desk.store.standing());
    desk.done(|store| store.person_did(ImageId(1), Deed::Reviewed(Some(Review::NeedsWork))));
    assert_eq!(noted(&desk), (Some("needs_work".to_owned()), false));
    desk.done(|store| store.person_did(ImageId(1), Deed::Edited([7; 16])));
    desk.done(|store| store.person_did(ImageId(1), Deed::Reviewed(Some(Review::Good))));
    assert_eq!(noted(&desk), (Some("good".to_owned()), true), "one does not undo the other");
    desk.done(|store| store.person_did(ImageId(1), Deed::Reviewed(None)));
    assert_eq!(noted(&desk), (None, true));
    assert_eq!((desk.state(1), desk.store.standing()), before);
    assert_eq!(desk.done(|store| store.known_texts(&[ImageId(1)]))[0].hash, None, "the text is not ours any more");
    assert!(desk.act(|store| store.person_did(ImageId(99), Deed::Edited([7; 16]))).is_err(), "no such image");
    desk.done(|store| store.person_did(ImageId(1), Deed::Reviewed(Some(Review::Unreadable))));
    assert_eq!(again(&mut desk, &[1], None), 1);
    assert_eq!(noted(&desk), (None, true), "the next answer is another text, and nobody has looked at it");
}

#[test]
fn a_persons_text_ends_what_was_rough_or_failed() {
    let mut desk = one_of_each();
    let found = desk.store.standing().found;
    for image in [1, 2, 3] {
        desk.done(|store| store.person_did(ImageId(image), Deed::Edited([7; 16])));
        assert_eq!(desk.state(image), "done", "{image}");
    }
    let (owed, packed) = (desk.state(4), desk.state(5));
    desk.done(|store| store.person_did(ImageId(4), Deed::Edited([7; 16])));
    desk.done(|store| store.person_did(ImageId(5), Deed::Edited([7; 16])));
    assert_eq!((desk.state(4), desk.state(5)), (owed, packed), "what is on its way goes on");
    let standing = desk.store.standing();
    assert_eq!((standing.found, standing.done, standing.rough), (found, 3, 0));
    assert!(standing.closes());
    let derived = crate::ledger::sqlite::standing(&desk.store.connection).expect("counts");
    assert_eq!((derived.done, derived.rough, derived.failed), (standing.done, 0, standing.failed));
}

#[test]
fn a_model_is_told_of_a_text_that_came_from_it_and_of_no_older_one() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let mut desk = one_of_each_at(Desk::at(&path));
    let reader = Reader::open(&path).expect("reader");
    let first = || {
        let all = reader.placed(None, 9).expect("images");
        let image = all.iter().find(|image| image.id == ImageId(1)).expect("the first one");
        (image.text.is_some(), image.model.is_some(), image.recipe.is_some())
    };
    assert_eq!(first(), (true, true, true));
    again(&mut desk, &[1], Some("another"));
    assert_eq!(first(), (true, false, false), "the text stands until the other model has answered");
}

#[test]
fn conditions_on_results_look_at_the_tries_that_count() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let _desk = one_of_each_at(Desk::at(&path));
    let results = Reader::open(&path).and_then(|reader| reader.results(None, 9)).expect("results");
    let tries: Vec<(u32, u32)> = results.iter().map(|image| (image.attempts, image.asked)).collect();
    assert_eq!(tries[..4], [(1, 0), (1, 0), (1, 0), (1, 1)], "an answer that ended its image is no try that counts");
}
