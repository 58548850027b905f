//! What people are told, and what an audit finds.

use super::*;
use crate::domain::batch::{BatchEnd, Usage};
use crate::domain::ids::BatchId;
use crate::domain::ids::FileId;
use crate::domain::image::{Fate, Reason};
use crate::domain::verdict::Verdict;
use crate::ledger::moves::BatchState;
use crate::ledger::records::{Ending, ImageVerdict, RawFile, TextOwner};
use crate::ledger::sqlite::tests::{Desk, found};
use crate::ledger::store::{Frame as _, Store as _};

const USAGE: Usage = Usage { prompt: 50, cached: 10, output: 20, reasoning: 5 };

/// One shard of three images: done, failed, packed; and a file that is no image.
fn workspace() -> (tempfile::TempDir, PathBuf, Desk) {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("ledger.sqlite");
    let mut desk = Desk::at(&path);
    let (_, batch) = desk.open_shard(1, 3);
    let corpus = desk.corpus;
    let page = [found("notes.pdf", 1, Fate::Failed(Reason::NotAnImage))];
    desk.done(|store| store.enrol(corpus, &page));
    let output = Some(FileId("out".into()));
    let (errors, model, refusal) = (None, None, None);
    let ending =
        Ending { end: BatchEnd::Completed, output, errors, usage: Some(USAGE), model, refusal, named: Vec::new() };
    desk.done(|store| store.ended(batch, &ending));
    desk.done(|store| store.fetched(batch, Some(RawFile { bytes: 1, sha256: [1; 32] }), None));
    let judged = |image, verdict, text| ImageVerdict {
        flags: vec!["loop", "refused"],
        usage: Some(USAGE),
        text,
        ..ImageVerdict::bare(ImageId(image), verdict)
    };
    let good = judged(1, Verdict::Accept, Some((TextOwner::Kept, [4; 16])));
    let bad = judged(2, Verdict::Reject(Reason::Refused), None);
    desk.done(|store| store.verdicts(batch, &[good, bad]));
    (folder, path, desk)
}

#[test]
fn people_are_told_what_the_keeper_did() {
    let (_folder, path, desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    let standing = reader.standing().expect("standing");
    assert!(standing.closes() && standing.walking, "never listed to the end");
    let kept = Standing { queue_left: 0, ..desk.store.standing() };
    assert_eq!(Standing { walking: false, ..standing }, kept, "but for what one life counts");
    let failures = reader.failures(None, 1).expect("failures");
    assert_eq!((failures[0].image, failures[0].reason.as_str()), (ImageId(2), "refused"));
    let more = reader.failures(Some(ImageId(2)), 9).expect("failures");
    assert_eq!((more.len(), more[0].path.shown()), (1, "tray/notes.pdf".to_owned()));
    let reasons = reader.reasons().expect("reasons");
    assert_eq!(reasons.iter().map(|reason| reason.images).sum::<u64>(), 2);
    assert_eq!(reader.batch_counts().expect("counts"), [(BatchState::Fetched, 1)]);
    let queues = reader.queues().expect("queues");
    assert_eq!((queues.len(), queues[0].used, queues[0].limit), (1, 0, None), "{queues:?}");
    let batches = reader.batches(None, 9).expect("batches");
    assert_eq!((batches[0].end, batches[0].usage, batches[0].lines), (Some(BatchEnd::Completed), Some(USAGE), 3));
    assert_eq!(reader.batches(Some(batches[0].no), 9).expect("batches"), []);
    assert_eq!(reader.usage().expect("usage"), UsageSum { batches: 1, told: 1, usage: USAGE });
    let texts = reader.texts(None, 9).expect("texts");
    assert_eq!((texts.len(), texts[0].kind.as_str(), texts[0].hash), (1, "kept", [4; 16]));
}

#[test]
fn flags_prices_and_durations_are_counted() {
    let (_folder, path, desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    assert_eq!(reader.flagged(), Ok(2), "done or failed, its last answer is flagged");
    let durations = reader.durations().expect("durations");
    assert_eq!(durations.count(), 1, "{durations:?}");
    drop(desk);
    let change = |sql: &str| Connection::open(&path).expect("file").execute_batch(sql).expect("changed");
    // A copy has the answer of its original, and its flags.
    change("UPDATE image SET shard_id = 1, state = 'done', reason = NULL, text = 'txt', text_hash = zeroblob(16) WHERE name = x'6e6f7465732e706466';
        INSERT INTO copy SELECT id, 1, 'served' FROM image WHERE name = x'6e6f7465732e706466';");
    assert_eq!(reader.flagged(), Ok(3));
    change("UPDATE shard SET price_id = NULL");
    assert_eq!((reader.unpriced_images(), reader.price_date()), (Ok(3), Ok(None)));
    let priced = |day: &str| {
        change(&format!("INSERT INTO price (model, as_of, source, input_pusd, cached_pusd, output_pusd) VALUES ('m', '{day}', 's', 1, 1, 1);
            UPDATE shard SET price_id = (SELECT max(id) FROM price);"));
    };
    priced("always");
    assert_eq!((reader.unpriced_images(), reader.price_date()), (Ok(0), Ok(None)), "this computer's price has no day");
    priced("2026-11-01");
    priced("2026-10-01");
    assert_eq!(reader.price_date(), Ok(Some("2026-11-01".to_owned())));
    assert!(!reader.books().expect("books").is_unpriced());
}

#[test]
fn only_flagged_answers_are_looked_at_to_count_them() {
    let (_folder, path, _desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    let mut explain =
        reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {}", super::books::FLAGGED)).expect("a plan");
    let lines = explain.query_map([], |row| row.get(3)).expect("lines");
    let plan: Vec<String> = lines.collect::<rusqlite::Result<_>>().expect("lines");
    let scans: Vec<&String> =
        plan.iter().filter(|line| line.starts_with("SCAN") && *line != "SCAN CONSTANT ROW").collect();
    assert_eq!(scans.len(), 2, "{plan:?}");
    assert!(scans.iter().all(|line| line.contains("line_flagged")), "{plan:?}");
}

#[test]
fn a_look_at_all_images_sorts_none_of_them() {
    let (_folder, path, _desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    for sql in [super::plan::SHARDS_OF_DONE, super::audit::STATES_OF_IMAGES] {
        let mut explain = reader.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
        let lines = explain.query_map([], |row| row.get(3)).expect("lines");
        let plan: Vec<String> = lines.collect::<rusqlite::Result<_>>().expect("lines");
        assert_eq!(plan, ["SCAN image"], "{sql}");
    }
}

#[test]
fn one_image_tells_its_whole_story() {
    let (_folder, path, _desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    let image = reader.image(b"/pages/tray/page1.png").expect("asked").expect("known");
    assert_eq!((image.state, image.reason.as_deref()), (ImageState::Failed, Some("refused")));
    let line = &image.lines[0];
    assert_eq!((line.pos, line.verdict.as_deref(), line.usage), (2, Some("reject"), Some(USAGE)));
    assert_eq!(line.flags, ["loop", "refused"]);
    assert_eq!(line.batch, Some(BatchId("batch-1".into())));
    assert_eq!(reader.image(b"/pages/tray/none.png"), Ok(None));
    assert_eq!(reader.image(b"/pagestray/page1.png"), Ok(None));
}

#[test]
fn a_reader_cannot_write() {
    let (_folder, path, _desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    assert!(reader.connection.execute("UPDATE keeper SET epoch = 9", []).is_err());
}

#[test]
fn an_audit_finds_what_was_doctored() {
    let (_folder, path, desk) = workspace();
    let reader = Reader::open(&path).expect("reader");
    let findings = reader.audit().expect("audit");
    assert!(findings.clean(), "{findings:?}");
    assert_eq!(findings.counted, Standing { queue_left: 0, ..desk.store.standing() });
    drop(desk);
    let doctored = [
        ("UPDATE shard SET bytes = bytes + 1", "lines do not add up"),
        ("UPDATE shard SET state = 'gone'", "whose shard is gone"),
        ("UPDATE image SET format = NULL WHERE state = 'packed'", "without format"),
        ("UPDATE batch SET output_file_id = 'other', output_sha256 = NULL, state = 'settled'", "without the hash"),
    ];
    for (sql, wanted) in doctored {
        let file = Connection::open(&path).expect("file");
        file.execute_batch(sql).expect("doctoring");
        let findings = Reader::open(&path).expect("reader").audit().expect("audit").findings;
        assert!(findings.iter().any(|finding| finding.contains(wanted)), "{sql}: {findings:?}");
    }
}
