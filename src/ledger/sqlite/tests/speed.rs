//! Figures, not promises: `cargo test --lib ledger::sqlite::tests::speed -- --ignored --nocapture`.

use super::*;
use crate::domain::batch::BatchEnd;
use crate::domain::verdict::Verdict;
use crate::kit::clock::Stopwatch;
use crate::ledger::records::{Cursor, Ending, ImageVerdict, RawFile, TextOwner};

const PAGES: usize = 400;
const PAGE: usize = 256;
const SHARD: usize = 400;

fn rate(what: &str, images: usize, since: Stopwatch) -> String {
    let per_second = images as f64 / since.elapsed().as_secs_f64();
    format!("{what}: {per_second:.0} images/s")
}

#[test]
#[ignore = "takes seconds and proves nothing"]
#[expect(clippy::print_stderr, reason = "figures for the person who asked")]
fn enrol_seal_judge_settle() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut desk = Desk::at(&folder.path().join("ledger.sqlite"));
    let (corpus, images) = (desk.corpus, PAGES * PAGE);
    let pages: Vec<Vec<Found>> = (0..PAGES)
        .map(|page| (0..PAGE).map(|file| in_folder(page, &format!("page_{file:019}.png"))).collect())
        .collect();
    let since = Stopwatch::start();
    for group in pages.chunks(20) {
        desk.store.begin().expect("begin");
        for page in group {
            desk.store.savepoint().expect("savepoint");
            desk.store.enrol(corpus, page).expect("page");
            desk.store.release(true).expect("release");
        }
        desk.store.commit().expect("commit");
    }
    eprintln!("{}", rate("enrol", images, since));
    let since = Stopwatch::start();
    let (mut cursor, mut feed) = (Cursor::default(), Vec::new());
    while feed.len() < images {
        let page = desk.done(|store| store.take_owed(corpus, cursor, 256));
        cursor = page.next;
        feed.extend(page.images.into_iter().map(|image| image.id.0));
    }
    eprintln!("{}", rate("feed", images, since));
    let plans: Vec<_> = feed.chunks(SHARD).enumerate().map(|(tag, ids)| desk.plan_of(tag, ids)).collect();
    let since = Stopwatch::start();
    let shards: Vec<_> = plans.iter().map(|plan| desk.done(|store| store.seal(plan)).id).collect();
    eprintln!("{}", rate("seal, one commit a shard", images, since));
    let since = Stopwatch::start();
    for shard in &shards {
        desk.done(|store| store.plan(*shard));
    }
    eprintln!("{}", rate("plan", images, since));
    let since = Stopwatch::start();
    let batches: Vec<_> = shards.iter().map(|shard| opened(&mut desk, *shard)).collect();
    eprintln!("five money moves a batch: {:.2} ms each", since.elapsed().as_secs_f64() * 200.0 / batches.len() as f64);
    let since = Stopwatch::start();
    for (batch, ids) in batches.iter().zip(feed.chunks(SHARD)) {
        for chunk in ids[..SHARD.min(ids.len()) * 19 / 20].chunks(256) {
            let chunk: Vec<_> = chunk.iter().map(|id| accepted(*id)).collect();
            desk.done(|store| store.verdicts(*batch, &chunk));
        }
        desk.done(|store| store.settle(*batch));
    }
    eprintln!("{}", rate("verdicts of 256 and settling", images, since));
    let since = Stopwatch::start();
    let again = SqliteStore::open(&folder.path().join("ledger.sqlite"), Clock::wall(), ALLOWED).expect("again");
    eprintln!("open again: {:?}, {:?}", since.elapsed(), again.standing());
    one_big_shard(folder.path());
}

/// 50,000 lines, the most that a batch may have: dissolved, and settled with every line unanswered.
#[expect(clippy::print_stderr, reason = "figures for the person who asked")]
fn one_big_shard(folder: &Path) {
    let mut desk = Desk::at(&folder.join("big.sqlite"));
    desk.enrol(0, 50_000);
    let ids: Vec<_> = (1..=50_000).collect();
    for (tag, settles) in [(0, false), (1, true)] {
        let plan = desk.plan_of(tag, &ids);
        let since = Stopwatch::start();
        let shard = desk.done(|store| store.seal(&plan)).id;
        eprintln!("seal 50,000 lines: {:?}", since.elapsed());
        if settles {
            let batch = opened(&mut desk, shard);
            let since = Stopwatch::start();
            desk.done(|store| store.settle(batch));
            eprintln!("settle 50,000 gaps: {:?}", since.elapsed());
        } else {
            let since = Stopwatch::start();
            desk.done(|store| store.dissolve(shard, None));
            eprintln!("dissolve 50,000 lines: {:?}", since.elapsed());
        }
    }
}

fn in_folder(folder: usize, name: &str) -> Found {
    let path = RelPath { folder: format!("box/tray_{folder:05}").into_bytes(), name: name.as_bytes().to_vec() };
    Found { path, stamp: Stamp { bytes: 300_000, mtime_ms: 1_700_000_000_000 }, fate: owed() }
}

fn accepted(image: i64) -> ImageVerdict {
    let text = Some((TextOwner::Ours, [9; 16]));
    ImageVerdict { image: ImageId(image), verdict: Verdict::Accept, flags: Vec::new(), usage: None, text }
}

fn opened(desk: &mut Desk, shard: ShardId) -> BatchNo {
    let name = format!("name-{shard}");
    desk.done(|store| store.uploaded(shard, &FileId(name.clone()), 5, BODY));
    let batch = desk.done(|store| store.intend(shard)).no;
    desk.done(|store| store.opened(batch, &BatchId(name.clone()), None, false));
    let output = Some(FileId(name));
    let (errors, usage, model, refusal) = (None, None, None, None);
    let ending = Ending { end: BatchEnd::Completed, output, errors, usage, model, refusal };
    desk.done(|store| store.ended(batch, &ending));
    desk.done(|store| store.fetched(batch, Some(RawFile { bytes: 1, sha256: [1; 32] }), None));
    batch
}
