//! Files of several pages: what becomes of them when the file changes, or what is asked of it.

use super::{BODY, Desk, found};
use crate::domain::batch::BatchEnd;
use crate::domain::ids::{BatchId, FileId, ImageId, ShardId};
use crate::domain::image::{Fate, Format, Found, Looks, Needs, Pixels, Reason, RelPath};
use crate::domain::verdict::Verdict;
use crate::ledger::records::{Ending, ImageVerdict, RawFile, TextOwner};
use crate::ledger::store::Store as _;

fn deed(pages: usize, mtime_ms: i64) -> Found {
    let pages = vec![Pixels { width: 3, height: 4 }; pages];
    found("deed.tif", mtime_ms, Fate::Owed(Looks { format: Format::Tiff, pages, needs: Needs::Converting }))
}

fn enrol(desk: &mut Desk, file: Found) {
    let corpus = desk.corpus;
    desk.done(|store| store.enrol(corpus, &[file]));
}

/// Two pages with a text each, whose batch is read and not settled.
fn read_of_two(desk: &mut Desk) -> ShardId {
    enrol(desk, deed(2, 1));
    let plan = desk.plan_of(1, &[1, 2]);
    let shard = desk.done(|store| store.seal(&plan)).id;
    desk.done(|store| store.uploaded(shard, &FileId("file-1".into()), 5, BODY));
    let batch = desk.intend(shard).no;
    desk.done(|store| store.opened(batch, &BatchId("b".into()), None, false));
    let output = Some(FileId("out".into()));
    let (errors, usage, model, refusal, named) = (None, None, None, None, Vec::new());
    let ending = Ending { end: BatchEnd::Completed, output, errors, usage, model, refusal, named };
    desk.done(|store| store.ended(batch, &ending));
    desk.done(|store| store.fetched(batch, Some(RawFile { bytes: 9, sha256: [1; 32] }), None));
    let judged = |image| {
        let text = Some((TextOwner::Page, [image as u8; 16]));
        ImageVerdict { text, ..ImageVerdict::bare(ImageId(image), Verdict::Accept) }
    };
    desk.done(|store| store.verdicts(batch, &[judged(1), judged(2)]));
    shard
}

#[test]
fn a_text_that_was_joined_while_its_file_changed_is_known_as_ours() {
    let mut desk = Desk::in_memory();
    let shard = read_of_two(&mut desk);
    let whole = desk.done(|store| store.whole_files(Some(shard)));
    assert_eq!((whole.len(), whole[0].text), (1, None));
    // The walk finds another file while the text is being written.
    enrol(&mut desk, deed(2, 2));
    desk.done(|store| store.joined(&whole[0].pages, TextOwner::Ours, [9; 16]));
    let known = desk.done(|store| store.known_texts(&[ImageId(1), ImageId(2)]));
    assert_eq!(known.iter().map(|text| text.hash).collect::<Vec<_>>(), [Some([9; 16]); 2]);
    assert_eq!((desk.state(1), desk.state(2)), ("owed".into(), "owed".into()), "and they are asked anew");
}

#[test]
fn pages_with_a_text_stay_done_where_only_the_first_is_asked_from_now_on() {
    let mut desk = Desk::in_memory();
    read_of_two(&mut desk);
    enrol(&mut desk, deed(1, 1));
    assert_eq!((desk.state(1), desk.state(2)), ("done".into(), "done".into()), "the same file");
    enrol(&mut desk, deed(1, 2));
    assert_eq!((desk.state(1), desk.state(2)), ("owed".into(), "failed missing_file".into()), "another one");
}

#[test]
fn a_plan_is_sealed_without_the_pages_that_the_walk_has_ended_since() {
    let mut desk = Desk::in_memory();
    enrol(&mut desk, deed(3, 1));
    let plan = desk.plan_of(1, &[1, 2, 3]);
    enrol(&mut desk, deed(2, 1));
    assert_eq!(desk.state(3), "failed missing_file");
    assert!(desk.act(|store| store.seal(&plan)).is_err(), "nobody is asked for it by mistake");
    let facts = desk.done(|store| store.seal_owed(&plan)).expect("two pages are owed");
    assert_eq!((facts.lines, facts.bytes), (2, 200));
    let other = desk.plan_of(2, &[3]);
    assert_eq!(desk.done(|store| store.seal_owed(&other)), None, "nothing is left of it");
    assert_eq!([1, 2].map(|image| desk.state(image)), ["packed", "packed"]);
}

#[test]
fn only_files_of_one_page_that_are_what_they_were_need_no_look() {
    let mut desk = Desk::in_memory();
    let png = |name: &str, mtime_ms| found(name, mtime_ms, super::owed());
    enrol(&mut desk, deed(2, 1));
    enrol(&mut desk, png("a.png", 1));
    enrol(&mut desk, found("b.png", 1, Fate::Failed(Reason::Damaged)));
    let corpus = desk.corpus;
    let asked = [deed(2, 1), png("a.png", 1), png("b.png", 1), png("a.png", 2), png("c.png", 1)];
    let mut asked = asked.map(|file| (file.path, file.stamp)).to_vec();
    asked.push((RelPath { folder: b"shelf".to_vec(), ..asked[1].0.clone() }, asked[1].1));
    let known = desk.done(|store| store.are_known(corpus, &asked));
    assert_eq!(known, [false, true, false, false, false, false]);
}
